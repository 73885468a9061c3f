"""Small models by hand: nodes, ports as (name, element type, shape), initializers as arrays by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from abstract.dtypes import dtype
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import interpret


def make_model(nodes, inputs=(), outputs=(), constants=None, opset=21, **more):
    """A model of one graph; ``inputs`` and ``outputs`` are (name, ONNX's name of the element type, shape)."""

    def port(entry):
        name, kind, shape = entry
        return helper.make_tensor_value_info(name, dtype(kind).code, shape)

    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(map(port, inputs)), list(map(port, outputs)), weights)
    opsets = more.pop("opsets", {"": opset})
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, **more)


@pytest.fixture
def model():
    return make_model


@pytest.fixture
def rowless(monkeypatch):
    """Operators read as if the table had no row of them: what ONNX's own operators run instead."""

    def without(*names):
        rows = {name: row for name, row in TABLE.items() if name not in names}
        monkeypatch.setattr("abstract.program.TABLE", rows)

    return without


@pytest.fixture
def run():
    """Interpret a model: feeds in storage types by name, keywords for ``interpret``."""

    def interpreted(proto, feeds=None, **more):
        program = parse(onnx.ModelProto.FromString(proto.SerializeToString()))
        carried = {
            name: np.asarray(a).astype(program.dtypes[name].carrier) if name in program.dtypes else a
            for name, a in (feeds or {}).items()
        }
        return interpret(program, carried, **more)

    return interpreted
