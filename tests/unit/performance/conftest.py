"""Targets that are as slow as their options say, and a model of somebody else's whose only dim is open."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.entry import Entry, Option
from fuzz.case import find_cases
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.performance.measurement import Plan

TABLE = {
    "slow": Entry(
        name="slow",
        module=str(Path(__file__).with_name("slow_backend.py")),
        distributions=("onnx",),
        requirements=("onnx",),
        options=(Option("run", r"\w+", "a way to run", ""), Option("compile", r"\w+", "a way to compile", ""),
                 Option("heavy", r"\w+", "what takes three times as long", "")),
    )
}


@pytest.fixture
def slow():
    return lambda options="": parse_target(f"slow:{options}" if options else "slow", TABLE)


@pytest.fixture
def plan(slow):
    """A plan over two targets with these options, with so little time that a test is over in seconds."""

    def make(candidate: str, baseline: str = "", **changes) -> Plan:
        made = {"pairs": 10, "limits": Limits(2.0, 1 << 30), **changes}
        return Plan(slow(candidate), slow(baseline), **made)

    return make


@pytest.fixture
def pair():
    """Workers of a plan, which end with the test."""
    made = []

    def make(plan: Plan):
        made.append(plan.pair(threading.Event()))
        return made[-1]

    yield make
    for each in made:
        each.__exit__(None, None, None)


def chain(nodes: int, size: str | int = "n"):
    """So many Relus in a row, on a vector whose size is open."""
    names = ["x", *(f"v{index}" for index in range(nodes - 1)), "y"]
    made = [helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in "xy"]
    graph = helper.make_graph(made, "chain", ports[:1], ports[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(name="chain")
def chain_fixture():
    return chain


@pytest.fixture
def case(tmp_path):
    """The one case of a root: a chain of Relus on 64 elements."""

    def make(nodes: int = 1, size: str | int = "n", elements: int = 64):
        folder = tmp_path / "root" / f"chain-{nodes}"
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(chain(nodes, size).SerializeToString())
        values = np.linspace(-1, 1, elements, dtype=np.float32)
        (data / "input_0.pb").write_bytes(numpy_helper.from_array(values, "x").SerializeToString())
        return find_cases(tmp_path / "root")[0]

    return make
