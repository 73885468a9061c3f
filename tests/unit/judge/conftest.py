"""Models by hand and executions as if targets had answered them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper

from abstract.dtypes import dtype
from backends.protocol import Outcome, Stage
from backends.tensor import from_numpy
from fuzz.execute.execution import Execution
from fuzz.judge.judge import Sample


def make_model(nodes, inputs, outputs, constants=None, opset=21):
    """Serialized; ``inputs`` and ``outputs`` are (name, ONNX's name of the element type, shape)."""

    def port(entry):
        name, kind, shape = entry
        return helper.make_tensor_value_info(name, dtype(kind).code, shape)

    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(map(port, inputs)), list(map(port, outputs)), weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return proto.SerializeToString(deterministic=True)


@pytest.fixture
def model():
    return make_model


@pytest.fixture
def ran():
    """A target that ran: its outputs as arrays, one list for each data set."""

    def execution(target, *data_sets):
        outputs = tuple(tuple(from_numpy(np.asarray(a)) for a in arrays) for arrays in data_sets)
        return Execution("case", target, "1", Outcome.OK, Stage.RUN, "", "", 1, 0.1, 0.1, outputs)

    return execution


@pytest.fixture
def ended():
    """A target that did not run: its outcome and its words."""

    def execution(outcome, message="", target="toy", finished=0):
        return Execution("case", target, "1", outcome, Stage.RUN, message, "", 1, 0.1, 0.1, ((),) * finished)

    return execution


@pytest.fixture
def sample():
    """A data set: inputs by name, and outputs that somebody else expects, where any are given."""

    def of(expected=None, **inputs):
        arrays = {name: from_numpy(np.asarray(a)) for name, a in inputs.items()}
        opinion = tuple(from_numpy(np.asarray(a)) for a in expected or ())
        return Sample(arrays, opinion, foreign=expected is not None)

    return of
