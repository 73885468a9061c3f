"""One size, wherever it is tied."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from fuzz.generate.choices import Seeded
from fuzz.mutate.parent import Unfit
from fuzz.mutate.shapes import mutate_shapes


def sizes(mutant):
    graph = onnx.ModelProto.FromString(mutant.model).graph
    found = {
        i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in (*graph.input, *graph.output)
    }
    found.update((t.name, list(t.dims)) for t in graph.initializer)
    return found


def tensor(*shape):
    return (np.arange(np.prod(shape)).reshape(shape) % 7 - 3).astype(np.float32)


def test_what_is_equal_stays_equal(foreign, mutants):
    body = """g (float[2, 3] x) => (float[2, 4] y) <
        float[3, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[4] b = {1, 2, 3, 4}
    > {
        z = MatMul (x, w) y = Add (z, b)
    }"""
    parent = foreign(body, tensor(2, 3))
    found, refused = mutants(mutate_shapes, parent)
    assert len(found) > len(refused)
    changed = set()
    for mutant in found:
        s = sizes(mutant)
        (m, k), (k2, n) = s["x"], s["w"]
        assert (k, s["y"], s["b"]) == (k2, [m, n], [n])
        changed.update(i for i, (a, b) in enumerate(zip((m, k), (2, 3), strict=True)) if a != b)
        assert mutant.data_sets[0].outputs["y"].shape == (m, n)
    assert changed == {0, 1}


def test_a_constant_shape_holds_sizes(foreign, mutants):
    body = "g (float[2, 6] x) => (float[3, 4] y) <int64[2] s = {3, 4}> { y = Reshape (x, s) }"
    found, refused = mutants(mutate_shapes, foreign(body, tensor(2, 6)))
    assert all(np.prod(sizes(m)["x"]) == 12 for m in found)
    assert refused


def test_computed_shapes(foreign, mutants):
    body = "g (float[2, 3] x, int64[1] a) => (float[M, N] y) { y = ReduceSum <keepdims = 1> (x, a) }"
    found, _ = mutants(mutate_shapes, foreign(body, tensor(2, 3), np.array([1])))
    assert {tuple(sizes(m)["x"]) for m in found} - {(2, 3)}
    assert {tuple(sizes(m)["a"]) for m in found} == {(1,)}


def test_a_body_keeps_what_it_reads(foreign, mutants):
    body = """g (float[2] x, float[3] z, bool b) => (float[2] y, float[3] w) {
        y = If (b) <
            then_branch = t () => (float[2] p) { p = Neg (x) }, else_branch = e () => (float[2] q) { q = Abs (x) }
        >
        w = Relu (z)
    }"""
    parent = foreign(body, tensor(2), tensor(3), np.array([1], bool).reshape(()))
    found, _ = mutants(mutate_shapes, parent)
    assert found
    assert {tuple(sizes(m)["x"]) for m in found} == {(2,)}
    assert (3,) not in {tuple(sizes(m)["z"]) for m in found}


def test_empty_tensors_grow(foreign, mutants):
    found, _ = mutants(mutate_shapes, foreign("g (float[0] x) => (float[0] y) { y = Relu (x) }", tensor(0)))
    assert found
    assert all(sizes(m)["x"] != [0] for m in found)


def test_nothing_to_change(foreign):
    with pytest.raises(Unfit, match="no size"):
        mutate_shapes(foreign("g (float x) => (float y) { y = Relu (x) }", np.float32(1)), Seeded(0))


def test_our_own(ours, mutants):
    parents = [p for seed in range(16) if (p := ours(seed, nodes=(4, 8), dynamic=None)).feeds[0]]
    found = [m for parent in parents for m in mutants(mutate_shapes, parent, seeds=range(4))[0]]
    assert len(found) >= 12
    for mutant in found:
        onnx.checker.check_model(onnx.ModelProto.FromString(mutant.model), full_check=True)
