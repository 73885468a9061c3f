"""One node as a model, run by the reference with what arises on record."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest

from abstract.contributed import unqualified
from abstract.hazards.detection import Hazardous, Trace
from abstract.program import parse, to_carrier
from abstract.reference import interpret

NAN, INF = np.nan, np.inf


def ran(operator, opset, inputs, outputs=1, **attributes):
    """(values, trace) of one node; an input of None is absent, a list a sequence. Values are {} where it stops."""
    names = ["" if x is None else f"i{n}" for n, x in enumerate(inputs)]
    domain, operator = unqualified(operator)
    made = [f"o{n}" for n in range(outputs)]
    node = onnx.helper.make_node(operator, names, made, name="n", domain=domain, **attributes)
    ports, feeds = [], {}
    for name, x in zip(names, inputs, strict=True):
        if not name:
            continue
        array = np.asarray(x[0] if isinstance(x, list) else x)
        code = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        type_ = onnx.helper.make_tensor_type_proto(code, None)
        feeds[name] = x
        if isinstance(x, list):
            type_ = onnx.helper.make_sequence_type_proto(type_)
        ports.append(onnx.helper.make_value_info(name, type_))
    results = [onnx.ValueInfoProto(name=name) for name in node.output]
    graph = onnx.helper.make_graph([node], "g", ports, results)
    opsets = [onnx.helper.make_opsetid("", opset), *([onnx.helper.make_opsetid(domain, 1)] if domain else [])]
    program = parse(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10))
    for name, x in feeds.items():
        if not isinstance(x, list):
            feeds[name] = to_carrier(np.asarray(x), program.dtypes[name])
    trace = Trace()
    try:
        return interpret(program, feeds, trace=trace), trace
    except Hazardous:
        return {}, trace


@pytest.fixture
def arisen():
    """The ids of the hazards that arise in one node."""
    return lambda *case, **attributes: {a.hazard for a in ran(*case, **attributes)[1].arisings}


@pytest.fixture
def run():
    return ran
