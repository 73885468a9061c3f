"""Tests of the doctor's own: a Relu whose graph is called after what the toy backend is to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.entry import Entry
from corpus.onnx_tests import OperatorTest
from fuzz.case import find_cases, open_root
from fuzz.doctor.suite import write_test
from fuzz.execute.target import parse_target


def make_test(name, action, given, expected, kind="Relu"):
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, [2]) for port in "xy"]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], action, ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    files = [numpy_helper.from_array(np.array(a, np.float32)).SerializeToString() for a in (given, expected)]
    return OperatorTest(name, model.SerializeToString(), (files[0],), (files[1],), 1e-3, 1e-7)


@pytest.fixture
def onnx_test():
    return make_test


TESTS = {
    "test_fine": ("fine", [1, 2], [1, 2]),
    "test_wrong": ("fine", [-1, 2], [0, 2]),
    "test_expected_so": ("fine", [-1, 2], [-1, 2]),
    "test_lacking": ("lacks", [1, 2], [1, 2]),
    "test_refused": ("rejects", [1, 2], [1, 2]),
    "test_died": ("segv", [1, 2], [1, 2]),
    "test_memory": ("no_memory", [1, 2], [1, 2]),
    "test_ours": ("bug", [1, 2], [1, 2]),
    "test_slow": ("sleep@run", [1, 2], [1, 2]),
}


@pytest.fixture
def cases(tmp_path):
    """One test of each result, in `tmp_path / "root"`."""
    root = open_root(tmp_path / "root")
    for name, about in TESTS.items():
        write_test(root, make_test(name, *about))
    return find_cases(root)


@pytest.fixture
def toy():
    module = Path(__file__).parents[1] / "toy_backend.py"
    entry = Entry(name="toy", module=str(module), distributions=("onnx",), requirements=("onnx",))
    return parse_target("toy", {"toy": entry})
