"""Cases in ONNX's text form, and a backend that is wrong where a rewrite leads it astray."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from backends.entry import Entry, Option
from backends.protocol import Knob
from backends.tensor import from_numpy
from fuzz.check import Limits
from fuzz.execute.target import parse_target
from fuzz.relations.prepare import Plan
from fuzz.relations.run import relate
from fuzz.relations.variant import read_original

TABLE = {
    "faulty": Entry(
        name="faulty",
        module=str(Path(__file__).with_name("faulty_backend.py")),
        distributions=("onnx",),
        requirements=("onnx",),
        options=(Option("opt", "0|1", "0 or 1", "level"), Option("reload", "yes", "yes", "save and load")),
        knobs=(Knob("opt", ("0",), "everything"),),
    )
}


def parsed(body: str, opset: int = 17) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {body}')


@pytest.fixture(scope="session")
def text():
    """A model from ONNX's text form."""
    return parsed


@pytest.fixture(scope="session")
def original():
    """An original from a graph in text form (or a model) and the arrays of its data sets."""

    def make(body, *data_sets, opset: int = 17, case: str = "case"):
        model = parsed(body, opset) if isinstance(body, str) else body
        names = [port.name for port in model.graph.input]
        sets = [dict(zip(names, map(from_numpy, arrays), strict=True)) for arrays in data_sets]
        return read_original(case, model.SerializeToString(), Path(), sets)

    return make


@pytest.fixture(scope="session")
def write():
    """Write a case of a foreign root."""

    def make(root: Path, name: str, body: str, *data_sets, opset: int = 17) -> None:
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(parsed(body, opset).SerializeToString())
        for number, arrays in enumerate(data_sets):
            place = folder / f"test_data_set_{number}"
            place.mkdir()
            for index, array in enumerate(arrays):
                (place / f"input_{index}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())

    return make


@pytest.fixture(scope="session")
def target():
    """A target of the backend in ``faulty_backend.py``."""
    return lambda name="faulty": parse_target(name, TABLE)


@pytest.fixture(scope="session")
def plan():
    return lambda *relations, **options: Plan(relations, **options)


@pytest.fixture(scope="session")
def start(target, plan):
    """Relate a root on the faulty backend."""
    return lambda root, *names: relate(root, [target()], plan(*names), limits=Limits(60.0, 4096), jobs=1)
