"""Two models made one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.tensor import to_numpy
from fuzz.generate.choices import Seeded
from fuzz.mutate.parent import Unfit
from fuzz.mutate.splice import joinable, splice

X = np.array([[-1, 2, 3], [4, -5, 6]], np.float32)
RELU = "g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }"
NEG = "g (float[2, 3] x) => (float[2, 3] y) { y = Neg (x) }"


def operators(mutant):
    return [node.op_type for node in onnx.ModelProto.FromString(mutant.model).graph.node]


def test_an_output_feeds_an_input(foreign, mutants):
    found, refused = mutants(splice, foreign(RELU, X, name="a"), foreign(NEG, X, name="b"))
    assert not refused
    for mutant in found:
        assert operators(mutant) == ["Relu", "Identity", "Neg"]
        sample = mutant.data_sets[0]
        assert list(sample.inputs) == ["x"]
        np.testing.assert_array_equal(to_numpy(sample.outputs["spliced_y"]), -np.maximum(X, 0))
    assert {len(m.data_sets[0].outputs) for m in found} == {1, 2}  # what is read may be an output still


@pytest.mark.parametrize(
    ("body", "inputs", "expected"),
    [
        ("g (float[6] x) => (float[6] y) { y = Neg (x) }", (6,), ["Relu", "Reshape", "Neg"]),
        (
            "g (float[2, 2] x) => (float[2, 2] y) { y = Neg (x) }", (2, 2),
            ["Relu", "Reshape", "Gather", "Reshape", "Neg"],
        ),
        ("g (double[2, 3] x) => (double[2, 3] y) { y = Neg (x) }", (2, 3), ["Relu", "Cast", "Neg"]),
    ],
)
def test_what_does_not_fit_is_made_to(foreign, mutants, body, inputs, expected):
    kind = np.float64 if "double" in body else np.float32
    second = foreign(body, np.ones(inputs, kind), name="b")
    found, refused = mutants(splice, foreign(RELU, X, name="a"), second, seeds=range(4))
    assert not refused
    assert operators(found[0]) == expected
    flat = -np.maximum(X, 0).ravel()
    made = to_numpy(found[0].data_sets[0].outputs["spliced_y"]).ravel()
    np.testing.assert_array_equal(made, flat[: made.size])


def test_names_of_bodies_and_sizes(foreign, mutants):
    body = """g (float[N] x, bool b) => (float[N] y) {
        y = If (b) <
            then_branch = t () => (float[M] p) { p = Neg (x) }, else_branch = e () => (float[M] q) { q = Abs (x) }
        >
    }"""
    parent = foreign(body, X[0], np.array([1], bool).reshape(()))
    found, refused = mutants(splice, parent, parent)
    assert not refused
    model = onnx.ModelProto.FromString(found[0].model)
    assert [i.name for i in model.graph.input][:2] == ["x", "b"]
    again = splice(parent, foreign(NEG, X, name="z"), Seeded(1))
    assert "spliced_" in again.record["change"] or again.record["change"]


def test_a_prefix_that_is_taken(foreign):
    body = "g (float[2] spliced_x) => (float[2] spliced_y) { spliced_y = Relu (spliced_x) }"
    first = foreign(body, X[0, :2], name="a")
    mutant = splice(first, foreign("g (float[2] x) => (float[2] y) { y = Neg (x) }", X[0, :2], name="b"), Seeded(0))
    assert list(mutant.data_sets[0].outputs)[-1] == "respliced_y"


def test_opsets_are_brought_to_one(foreign, mutants):
    first, second = foreign(RELU, X, opset=15, name="a"), foreign(NEG, X, opset=20, name="b")
    assert joinable(first, second)
    mutant = splice(first, second, Seeded(0))
    assert onnx.ModelProto.FromString(mutant.model).opset_import[0].version == 20
    squeezed = foreign("g (float[1, 3] x) => (float[3] y) { y = Squeeze <axes = [0]> (x) }", X[:1], opset=11, name="c")
    assert not joinable(squeezed, second)
    with pytest.raises(Unfit, match="opsets"):
        splice(squeezed, second, Seeded(0))


def test_functions(foreign):
    call = "g (float[2, 3] x) => (float[2, 3] y) { y = own.f (x) }"
    twice = '<domain: "own", opset_import: ["" : 17]> f (a) => (b) { b = Add (a, a) }'
    square = '<domain: "own", opset_import: ["" : 17]> f (a) => (b) { b = Mul (a, a) }'
    first = foreign(call, X, functions=twice, name="a")
    mutant = splice(first, foreign(call, X, functions=twice, name="b"), Seeded(0))
    assert len(onnx.ModelProto.FromString(mutant.model).functions) == 1
    np.testing.assert_array_equal(to_numpy(mutant.data_sets[0].outputs["spliced_y"]), 4 * X)
    with pytest.raises(Unfit, match="two functions of one name"):
        splice(first, foreign(call, X, functions=square, name="c"), Seeded(0))
    later = foreign(RELU, X, opset=18, name="d")
    with pytest.raises(Unfit, match="functions have their own"):
        splice(first, later, Seeded(0))


@pytest.mark.parametrize(
    "body",
    [
        "g () => (float[1] y) { y = Constant <value_floats = [1.0]> () }",
        "g (bool[2] x) => (bool[2] y) { y = Not (x) }",
        "g (int32[2] x) => (int32[2] y) { y = Neg (x) }",
    ],
)
def test_what_cannot_be_joined(foreign, body):
    with pytest.raises(Unfit, match="no joint"):
        splice(foreign(RELU, X, name="a"), foreign(body, name="b"), Seeded(0))


def test_our_own(ours):
    parents = [ours(seed, nodes=(2, 5), opset=18) for seed in range(10)]
    found = []
    for seed in range(20):
        try:
            found.append(splice(parents[seed % 10], parents[(seed + 3) % 10], Seeded(seed)))
        except Unfit:
            continue
    assert len(found) >= 4
