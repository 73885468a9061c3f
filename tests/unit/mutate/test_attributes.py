"""One parameter of one node."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from abstract.schema import signature
from fuzz.generate.choices import Seeded
from fuzz.mutate.attributes import mutate_attributes
from fuzz.mutate.parent import Unfit


def nodes(mutant):
    return list(onnx.ModelProto.FromString(mutant.model).graph.node)


def attribute(mutant, name, position=0):
    return next((onnx.helper.get_attribute_value(a) for a in nodes(mutant)[position].attribute if a.name == name), None)


def tensor(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) % 7 - 3).astype(np.float32)


def test_an_attribute(foreign, mutants):
    parent = foreign("g (float[2, 3, 4] x) => (float[2, 3, 4] y) { y = Softmax <axis = 1> (x) }", tensor(2, 3, 4))
    found, _ = mutants(mutate_attributes, parent)
    axes = {attribute(m, "axis") for m in found}
    assert {0, 2} <= axes <= {-3, -2, -1, 0, 1, 2, None}
    assert any("axis 1 became" in m.record["change"] for m in found)


def test_shapes_follow(foreign, mutants):
    body = "g (float[2, 3, 4] x) => (float[4, 3, 2] y) { y = Transpose <perm = [2, 1, 0]> (x) }"
    found, _ = mutants(mutate_attributes, foreign(body, tensor(2, 3, 4)))
    for mutant in found:
        shape = onnx.ModelProto.FromString(mutant.model).graph.output[0].type.tensor_type.shape
        order = attribute(mutant, "perm") or [2, 1, 0]
        assert [d.dim_value for d in shape.dim] == [(2, 3, 4)[i] for i in order]
        assert mutant.data_sets[0].outputs["y"].shape == tuple((2, 3, 4)[i] for i in order)
    assert len({tuple(attribute(m, "perm") or ()) for m in found}) >= 3


def test_a_parameter_that_is_an_input(foreign, mutants):
    body = """g (float[2, 3, 4] x) => (float[2, 4] y) <int64[1] axes = {1}> {
        y = ReduceSum <keepdims = 0> (x, axes)
        z = Identity (axes)
    }"""
    parent = foreign(body, tensor(2, 3, 4))
    found, _ = mutants(mutate_attributes, parent)
    written = [m for m in found if nodes(m)[0].input[1:] not in (["axes"], [""])]
    assert written
    for mutant in written:
        graph = onnx.ModelProto.FromString(mutant.model).graph
        values = {t.name: onnx.numpy_helper.to_array(t).tolist() for t in graph.initializer}
        assert values["axes"] == [1]  # others may read it
    assert {attribute(m, "keepdims") for m in found} >= {0, 1}


def test_windows(foreign, mutants):
    body = """g (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y) {
        y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
    }"""
    found, _ = mutants(mutate_attributes, foreign(body, tensor(1, 2, 8, 8)))
    changed = {name for m in found for name in m.record["change"].split(": ")[1].split() if name.isidentifier()}
    assert {"strides", "kernel_shape"} & changed
    assert len({m.model for m in found}) >= 10


@pytest.mark.parametrize(
    ("call", "shape", "name"),
    [
        ("Gemm <alpha = 0.5> (x, x)", (3, 3), "alpha"),
        ("ArgMax <axis = 0, keepdims = 1> (x)", (3, 4), "keepdims"),
        ("LRN <size = 3, alpha = 0.1> (x)", (1, 4, 3, 3), "alpha"),
        ("Concat <axis = 0> (x, x)", (3, 3), "axis"),
        ("LeakyRelu <alpha = 0.1> (x)", (3,), "alpha"),
        ("Flatten <axis = 2> (x)", (2, 3, 4), "axis"),
        ("Cast <to = 7> (x)", (2,), ""),
    ],
)
def test_operators(foreign, mutants, call, shape, name):
    dims = ", ".join(map(str, shape))
    body = f"g (float[{dims}] x) => (float[M, N] y) {{ y = {call} }}"
    if not name:
        body = body.replace("float[M, N] y", "int64[2] y")
    elif name == "alpha":
        body = body.replace("M, N", dims)
    elif name == "keepdims":
        body = body.replace("float[M, N] y", "int64[M, N] y")
    found, _ = mutants(mutate_attributes, foreign(body, tensor(*shape)), seeds=range(30))
    if name:
        assert any(f" {name} " in m.record["change"] for m in found)
    else:
        assert not any(" to " in m.record["change"] for m in found)


def test_axes_of_an_older_opset(foreign, mutants):
    body = "g (float[2, 1, 4] x) => (float[2, 4] y) { y = ReduceMean <axes = [1], keepdims = 0> (x) }"
    found, _ = mutants(mutate_attributes, foreign(body, tensor(2, 1, 4), opset=13))
    assert len({tuple(attribute(m, "axes") or ()) for m in found}) >= 3


def test_computed_parameters_are_left_alone(foreign, mutants):
    body = "g (float[2, 3] x, int64[1] axes) => (float[M, N] y) { y = ReduceSum <keepdims = 1> (x, axes) }"
    parent = foreign(body, tensor(2, 3), np.array([1]))
    found, _ = mutants(mutate_attributes, parent)
    assert all(list(nodes(m)[0].input) == ["x", "axes"] for m in found)


def test_nothing_to_change(foreign):
    with pytest.raises(Unfit, match="no parameter"):
        mutate_attributes(foreign("g (float[2] x) => (float[2] y) { y = Relu (x) }", tensor(2)), Seeded(0))


def test_our_own(ours, mutants):
    parents = [ours(seed, nodes=(4, 8), dynamic=seed % 2 == 0) for seed in range(16)]
    found = [m for parent in parents for m in mutants(mutate_attributes, parent, seeds=range(4))[0]]
    assert len(found) >= 20
    for mutant in found:
        onnx.checker.check_model(onnx.ModelProto.FromString(mutant.model), full_check=True)


@pytest.mark.parametrize("name", ["GroupQueryAttention", "Attention", "FusedGemm"])
def test_attributes_of_operators_of_other_domains(ours, mutants, name):
    """They have schemas of their own; what ONNX has by the same name, Attention, is another operator."""
    parent = ours(1, nodes=(1, 1), operators=(f"com.microsoft.{name}",), structure=())
    found, _ = mutants(mutate_attributes, parent, seeds=range(12))
    known = signature(f"com.microsoft.{name}", 21).attributes
    assert found or name == "GroupQueryAttention"  # most of whose attributes belong together
    assert {a.name for m in found for a in nodes(m)[0].attribute} <= known
