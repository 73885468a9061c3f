"""What the tests of execution share: cases whose graph's name tells the toy backend what to do, and its target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.entry import Entry, Option
from fuzz.execute.target import parse_target


@pytest.fixture
def toy_table():
    """A registry with the toy backend alone; it takes its version from a distribution that is there."""
    return {
        "toy": Entry(
            name="toy",
            module=str(Path(__file__).with_name("toy_backend.py")),
            distributions=("onnx",),
            requirements=("onnx",),
            options=(Option("mood", "good|bad", "good or bad", "nothing"),),
        ),
        "broken": Entry(
            name="broken", module=str(Path(__file__)) + ".missing.py", distributions=("onnx",), requirements=()
        ),
    }


@pytest.fixture
def toy(toy_table):
    return lambda text="toy": parse_target(text, toy_table)


def write_case(root: Path, name: str, action: str, data_sets: int = 1) -> Path:
    """One case that adds nothing: a Relu of three floats, whose graph is called after the action."""
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, [3]) for port in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], action, ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder = root / name
    folder.mkdir(parents=True)
    onnx.save(model, folder / "model.onnx")
    for index in range(data_sets):
        place = folder / f"test_data_set_{index}"
        place.mkdir()
        array = np.array([-1, index, 2], np.float32)
        (place / "input_0.pb").write_bytes(numpy_helper.from_array(array, "x").SerializeToString())
    return folder


@pytest.fixture
def make_case():
    return write_case


@pytest.fixture
def make_root(tmp_path):
    """A root in which each case does what its name says (a number in front keeps the order)."""

    def make(*actions: str, data_sets: int = 1) -> Path:
        root = tmp_path / "root"
        for index, action in enumerate(actions):
            write_case(root, f"{index:02}-{action.replace('@', '-at-')}", action, data_sets)
        return root

    return make


@pytest.fixture
def children():
    """What this process has started since the test began, and not reaped: others may have left something running."""
    me = psutil.Process()
    before = set(me.children())
    return lambda: [child for child in me.children() if child not in before]
