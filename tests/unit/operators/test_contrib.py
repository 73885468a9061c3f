"""Operators of the domain com.microsoft: what ONNX Runtime gives for them, of the shapes that it gives.

ONNX has no schema of them, so its checker and shape inference say nothing.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from abstract.contributed import CONTRIBUTED, unqualified
from abstract.operators import TABLE
from abstract.program import parse
from abstract.schema import signature

NAMES = sorted(CONTRIBUTED)


def known_fault(trial):
    """What ONNX Runtime gets wrong: docs/disputes.md."""
    (node,) = [n for n in trial.graph.nodes if n.operator in CONTRIBUTED]
    if node.operator in ("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul"):
        return bool(node.params.get("transA")) and node.inputs[1].array.ndim == 1
    if node.operator == "com.microsoft.DynamicQuantizeMatMul":
        return node.inputs[1].type.dtype.name == "int8"  # sums of two products saturate in 16 bits on some machines
    if node.operator == "com.microsoft.QLinearSoftmax":
        return float(1 / node.inputs[3].array.item()) % 1 != 0
    return False


@pytest.mark.parametrize("name", NAMES)
def test_what_onnxruntime_computes(laboratory, name):
    decided = 0
    with np.errstate(all="ignore"):
        for trial in laboratory.trials(name, 21, 25):
            if unqualified(name)[0]:  # ONNX's checker refuses what stands in ONNX's own domain
                laboratory.check_valid(trial)
            if not known_fault(trial):
                decided += laboratory.check_values(trial, laboratory.run(trial, onnx_too=False))
    assert decided


@pytest.mark.parametrize("name", NAMES)
def test_other_sizes_have_the_shapes_that_the_rules_say(laboratory, name):
    checked = laboratory.at_other_sizes(name, 21, 12)
    assert checked or name == "com.microsoft.GroupQueryAttention"  # whose lengths are operands: they pin every size


@pytest.mark.parametrize("name", NAMES)
def test_legal_recomputations_stay_within_the_bound(laboratory, name):
    laboratory.recomputed(name, 21, (), 5)


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_operands_pass_through(laboratory, name):
    floats = [d for d in signature(name, 21).types[signature(name, 21).inputs[0].variable] if d.is_float]
    moves = laboratory.perturbed(name, 21, 12, ("double", "float", "int32", "int64", "uint8", "int8"))
    assert moves or not floats


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_the_one_that_is_registered(name):
    """The declared operands, attributes and types against those of the installed ONNX Runtime."""
    domain, operator = unqualified(name)
    known = onnxruntime.capi.onnxruntime_pybind11_state.get_all_operator_schema()
    (schema,) = [s for s in known if (s.domain, s.name) == (domain, operator)]
    mine = signature(name, 21)
    for have, theirs in ((mine.inputs, schema.inputs), (mine.outputs, schema.outputs)):
        assert [f.name for f in have] == [p.name for p in theirs]
        assert [f.optional for f in have] == [p.option.name == "Optional" for p in theirs]
        assert [f.variadic for f in have] == [p.option.name == "Variadic" for p in theirs]
        assert [f.mixed for f in have] == [not p.isHomogeneous for p in theirs]
        for formal, p in zip(have, theirs, strict=True):
            allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
            names = allowed.get(p.typeStr, [p.typeStr])
            assert {f"tensor({d.name})" for d in mine.types[formal.variable]} == set(names)
    assert mine.attributes == set(schema.attributes)
    assert mine.least <= schema.min_input
    for key, given in mine.defaults.items():
        proto = onnx.AttributeProto.FromString(schema.attributes[key]._default_value)
        assert onnx.helper.get_attribute_value(proto) == given
    with_default = {k for k, a in schema.attributes.items() if a._default_value}
    assert with_default == set(mine.defaults)


def test_a_foreign_model_is_read_by_the_rows():
    node = onnx.helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft")
    info = onnx.helper.make_tensor_value_info("x", 1, [2])
    graph = onnx.helper.make_graph([node], "g", [info], [onnx.ValueInfoProto(name="y")])
    opsets = [onnx.helper.make_opsetid("", 11), onnx.helper.make_opsetid("com.microsoft", 1)]
    (step,) = parse(onnx.helper.make_model(graph, opset_imports=opsets)).steps
    assert step.row is TABLE["com.microsoft.QuickGelu"]
    assert step.params == {"alpha": pytest.approx(1.702)}
    node.domain = ""
    graph = onnx.helper.make_graph([node], "g", [info], [onnx.ValueInfoProto(name="y")])
    (step,) = parse(onnx.helper.make_model(graph, opset_imports=opsets)).steps
    assert step.row is None
