"""One element type, wherever it is tied."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.tensor import to_numpy
from fuzz.generate.choices import Seeded
from fuzz.mutate.parent import Unfit
from fuzz.mutate.types import mutate_types

X = np.array([[-1, 2, 3], [4, -5, 6]], np.float32)


def types(mutant):
    graph = onnx.ModelProto.FromString(mutant.model).graph
    found = {i.name: i.type.tensor_type.elem_type for i in (*graph.input, *graph.output)}
    found.update((t.name, t.data_type) for t in graph.initializer)
    return found


def test_what_is_tied_goes_along(foreign, mutants):
    body = "g (float[2, 3] x) => (float[2, 3] y) <float[3] w = {1, 2, 3}> { z = Add (x, w) y = Relu (z) }"
    found, _ = mutants(mutate_types, foreign(body, X))
    assert len({types(m)["x"] for m in found}) >= 5
    for mutant in found:
        assert len(set(types(mutant).values())) == 1
        sample = mutant.data_sets[0]
        np.testing.assert_array_equal(to_numpy(sample.inputs["x"]).astype(float), X)
        expected = np.maximum(X + np.array([1, 2, 3]), 0)
        np.testing.assert_array_equal(to_numpy(sample.outputs["y"]).astype(float), expected)


def test_an_index_is_a_type_of_its_own(foreign, mutants):
    body = "g (float[5] x, int64[3] i) => (float[3] y) { y = Gather (x, i) }"
    found, _ = mutants(mutate_types, foreign(body, np.arange(5, dtype=np.float32), np.array([0, 4, 2])))
    kinds = {(types(m)["x"], types(m)["i"]) for m in found}
    assert (1, 6) in kinds
    assert {a for a, _ in kinds} >= {1, 10, 11}


def test_a_cast_may_go_elsewhere(foreign, mutants):
    body = "g (float[2, 3] x) => (int32[2, 3] y) { y = Cast <to = 6> (x) }"
    found, _ = mutants(mutate_types, foreign(body, X))
    assert {types(m)["y"] for m in found if types(m)["x"] == 1} >= {7, 3}


def test_a_default_is_no_limit(foreign, mutants):
    body = "g (float[2, 3] x) => (int64[2] y) { z = Abs (x) y = ArgMax <axis = 1, keepdims = 0> (z) }"
    found, _ = mutants(mutate_types, foreign(body, X))
    assert len({types(m)["x"] for m in found}) >= 3
    assert {types(m)["y"] for m in found} == {7}


def test_what_does_not_fit_is_refused(foreign, mutants):
    body = "g (int32[2] x) => (int32[2] y) { y = Identity (x) }"
    found, refused = mutants(mutate_types, foreign(body, np.array([70000, -5], np.int32)), seeds=range(60))
    assert any("does not hold the values" in words for words in refused)
    assert {types(m)["x"] for m in found} <= {1, 7, 11, 16}


@pytest.mark.parametrize(
    "body",
    [
        "g (bool[2] x) => (bool[2] y) { y = Not (x) }",
        """g (float[2] x, bool b) => (float[2] y) { y = If (b) <
            then_branch = t () => (float[2] p) { p = Neg (x) }, else_branch = e () => (float[2] q) { q = Abs (x) }
        > }""",
    ],
)
def test_nothing_to_change(foreign, body):
    with pytest.raises(Unfit, match="no type"):
        mutate_types(foreign(body), Seeded(0))


def test_a_sequence(foreign, mutants):
    body = "g (seq(float[2]) s) => (float[N] y) { y = ConcatFromSequence <axis = 0> (s) }"
    found, refused = mutants(mutate_types, foreign(body, [X[0, :2], X[1, :2]]))
    assert found or refused


def test_our_own(ours, mutants):
    parents = [ours(seed, nodes=(4, 8)) for seed in range(16)]
    found = [m for parent in parents for m in mutants(mutate_types, parent, seeds=range(4))[0]]
    assert len(found) >= 20
    for mutant in found:
        onnx.checker.check_model(onnx.ModelProto.FromString(mutant.model), full_check=True)
