"""Operators of the domain com.microsoft: what ONNX Runtime gives for them, of the shapes that it gives.

ONNX has no schema of them, so its checker and shape inference say nothing.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

from abstract.contract import Contract
from abstract.contributed import CONTRIBUTED, unqualified
from abstract.fallback import Unrunnable
from abstract.operator import NotCovered
from abstract.operators import TABLE, contrib_grouped
from abstract.operators.absent_contrib import ABSENT, NO_KERNEL
from abstract.program import parse
from abstract.reference import interpret
from abstract.schema import signature

NAMES = sorted(CONTRIBUTED)
LENGTHS_ARE_OPERANDS = {"com.microsoft.GroupQueryAttention", "com.microsoft.Range"}


def known_fault(trial):
    """What ONNX Runtime gets wrong: docs/disputes.md."""
    (node,) = [n for n in trial.graph.nodes if n.operator in CONTRIBUTED]
    if node.operator in ("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul"):
        return bool(node.params.get("transA")) and node.inputs[1].array.ndim == 1
    if node.operator == "com.microsoft.DynamicQuantizeMatMul":
        return node.inputs[1].type.dtype.name == "int8"  # sums of two products saturate in 16 bits on some machines
    if node.operator == "com.microsoft.UnfoldTensor":  # it says of all others that they are unsupported
        return node.inputs[0].type.dtype.name not in {"float", "double", "int32", "int64"}
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


@pytest.mark.untraced
@pytest.mark.parametrize("name", NAMES)
def test_other_sizes_have_the_shapes_that_the_rules_say(laboratory, name):
    checked = laboratory.at_other_sizes(name, 21, 12)
    assert checked or name in LENGTHS_ARE_OPERANDS  # they pin every size


@pytest.mark.untraced
@pytest.mark.parametrize("name", NAMES)
def test_legal_recomputations_stay_within_the_bound(laboratory, name):
    laboratory.recomputed(name, 21, (), 5)


@pytest.mark.parametrize("name", NAMES)
def test_errors_of_operands_pass_through(laboratory, name):
    floats = [d for d in signature(name, 21).types[signature(name, 21).inputs[0].variable] if d.is_float]
    moves = laboratory.perturbed(name, 21, 12, ("double", "float", "int32", "int64", "uint8", "int8"))
    assert moves or not floats or name == "com.microsoft.Range"  # whose operands are parameters


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


def test_rotated_heads_may_be_rounded_by_who_computes_in_float(monkeypatch):
    """ONNX Runtime keeps them in float16 and computes the rest in float32: that is inside the bound."""
    generator = np.random.default_rng(7)
    shapes = ((1, 3, 32), (1, 3, 32), (1, 3, 32), (1, 2, 2, 16), (1, 2, 2, 16), (1,), (), (7, 8), (7, 8))
    arrays = [(2 * generator.standard_normal(shape)).astype(np.float16) for shape in shapes]
    arrays[5], arrays[6] = np.array([4], np.int32), np.array(5, np.int32)
    names = [f"x{i}" for i in range(9)]
    node = onnx.helper.make_node("GroupQueryAttention", names, ["y", "k", "v"], domain="com.microsoft", num_heads=2,
                                 kv_num_heads=2, do_rotary=1)  # fmt: skip
    half = onnx.TensorProto.FLOAT16
    given = [onnx.helper.make_tensor_value_info(names[i], half, shapes[i]) for i in range(9) if i not in (5, 6)]
    stored = [onnx.numpy_helper.from_array(arrays[i], names[i]) for i in (5, 6)]
    made = [onnx.helper.make_tensor_value_info(name, half, None) for name in "ykv"]
    graph = onnx.helper.make_graph([node], "g", given, made, stored)
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    program = parse(onnx.helper.make_model(graph, opset_imports=opsets))
    inputs = {names[i]: arrays[i].astype(np.float64) for i in range(9) if i not in (5, 6)}
    due = interpret(program, inputs, contract=Contract(half_accumulator=False, half_steps=False))
    rotate = contrib_grouped._turned

    def rounded(*given):
        turned = rotate(*given)
        return turned.astype(np.float16).astype(np.float64) if isinstance(turned, np.ndarray) else turned

    monkeypatch.setattr(contrib_grouped, "_turned", rounded)
    found = interpret(program, inputs)
    for name in "yk":
        apart = np.abs(found[name].value - due[name].value) / due[name].bound
        assert 0.005 < apart.max() < 1


def test_every_operator_that_is_registered_has_a_row_or_a_reason():
    state = onnxruntime.capi.onnxruntime_pybind11_state
    registered = {f"{s.domain}.{s.name}" for s in state.get_all_operator_schema() if s.domain == "com.microsoft"}
    covered = {name for name in CONTRIBUTED if unqualified(name)[0]}
    assert not covered & set(ABSENT)
    assert registered == covered | set(ABSENT)
    kernels = {
        f"{k.domain}.{k.op_name}" for k in state.get_all_opkernel_def()
        if k.provider == "CPUExecutionProvider"
    }  # fmt: skip
    assert {name for name, reason in ABSENT.items() if reason == NO_KERNEL} == set(ABSENT) - kernels
    assert all(reason and reason[-1] not in ".:" for reason in ABSENT.values())


@pytest.mark.parametrize("operator", ["GatherND", "Range", "QLinearConv"])
def test_what_onnx_has_by_the_same_name_gives_the_same(operator, laboratory):
    for trial in laboratory.trials(f"com.microsoft.{operator}", 21, 8):
        (node,) = [n for n in trial.graph.nodes if n.operator in CONTRIBUTED]
        assert TABLE[operator].exact == TABLE[node.operator].exact
        proto = onnx.ModelProto()
        proto.CopyFrom(trial.model)
        for made in proto.graph.node:
            made.domain = ""
            if operator == "Range" and len(made.input) == 2:
                start = numpy_helper.to_array(proto.graph.initializer[0])
                proto.graph.initializer.append(numpy_helper.from_array(np.ones_like(start), "one"))
                made.input.append("one")
        theirs = interpret(parse(proto), trial.inputs)
        mine = interpret(parse(trial.model), trial.inputs)
        for value in node.outputs:
            np.testing.assert_array_equal(mine[value.name].value, theirs[value.name].value)


def test_channels_in_the_last_axis_are_not_covered():
    made = onnx.parser.parse_model("""<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>
        g (uint8[1, 2, 2, 1] x, float s, uint8 z, uint8[1, 1, 1, 1] w) => (uint8[1, 2, 2, 1] y)
        { y = com.microsoft.QLinearConv<channels_last = 1>(x, s, z, w, s, z, s, z) }""")
    feeds = {"x": np.ones((1, 2, 2, 1), np.int64), "s": np.array(1.0), "z": np.array(0),
             "w": np.ones((1, 1, 1, 1), np.int64)}  # fmt: skip
    with pytest.raises((NotCovered, Unrunnable, ValueError)):
        interpret(parse(made), feeds)
