"""Other inputs for the same model."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.dtypes import BY_NAME
from abstract.graph import Recipe
from backends.tensor import to_numpy
from fuzz.generate.choices import Seeded
from fuzz.mutate.inputs import STEPS, _from_recipe, mutate_inputs
from fuzz.mutate.parent import Unfit

X = np.array([[-1, 2, 3.5], [4, -5, 6]], np.float32)


def test_the_model_stays_and_the_inputs_do_not(foreign, mutants):
    parent = foreign("g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }", X)
    found, refused = mutants(mutate_inputs, parent)
    assert not refused
    assert {m.model for m in found} == {parent.content}
    drawn = [to_numpy(s.inputs["x"]) for m in found for s in m.data_sets]
    assert len({a.tobytes() for a in drawn}) > 60
    for mutant in found:
        for sample in mutant.data_sets:
            expected = np.maximum(to_numpy(sample.inputs["x"]), 0)
            np.testing.assert_array_equal(to_numpy(sample.outputs["y"]), expected)


@pytest.mark.parametrize("step", list(STEPS))
@pytest.mark.parametrize("kind", ["float", "bfloat16", "float8e4m3fn", "int32", "uint4", "bool", "string", "complex64"])
def test_a_step_keeps_shape_and_carrier(step, kind):
    dtype = BY_NAME[kind]
    numbers = np.arange(12).reshape(3, 4) % 5
    array = {"bool": numbers > 2, "string": numbers.astype(str).astype(object)}.get(kind, numbers.astype(dtype.carrier))
    for seed in range(5):
        made = STEPS[step](array.copy(), dtype, Seeded(seed))
        assert made.shape == array.shape
        assert made.dtype.kind == array.dtype.kind


def test_what_each_step_does():
    array, kind = np.array([3.0, -1.5, 2.25, 8.0]), BY_NAME["float"]

    def done(step, seed=0):
        return STEPS[step](array, kind, Seeded(seed))

    assert sorted(done("permuted")) == sorted(array)
    assert done("doubled").tolist() == [6, -3, 4.5, 16]
    assert done("negated").tolist() == [-3, 1.5, -2.25, -8]
    assert {tuple(done("sorted", s)) for s in range(9)} == {(-1.5, 2.25, 3, 8), (8, 3, 2.25, -1.5)}
    assert max(len(set(array)) - len(set(done("ties", s))) for s in range(9)) > 0
    assert np.allclose(done("near"), array, rtol=1e-6)
    assert any((done("near", s) != array).any() for s in range(5))
    assert done("zeros").tolist() == [0] * 4
    assert done("whole").tolist() == [3, -2, 2, 8]
    assert max(int((done("element", s) != array).sum()) for s in range(9)) == 1


def test_long_tensors_are_rolled():
    array = np.arange(600.0)
    made = STEPS["permuted"](array, BY_NAME["float"], Seeded(1))
    assert sorted(made) == sorted(array)
    assert (made != array).all()


def test_indices_stay_legal(foreign, mutants):
    body = "g (float[5] x, int64[3] i) => (float[3] y) { y = Gather (x, i) }"
    parent = foreign(body, np.arange(5, dtype=np.float32), np.array([0, 4, 2]))
    found, refused = mutants(mutate_inputs, parent)
    assert not refused
    drawn = np.concatenate([to_numpy(s.inputs["i"]) for m in found for s in m.data_sets])
    assert drawn.min() >= 0
    assert drawn.max() <= 4


def test_what_is_not_defined_is_left_out(foreign, mutants):
    parent = foreign("g (float[4] x) => (float[4] y) { y = Log (x) }", np.array([1, 2, 3, 4], np.float32))
    found, _ = mutants(mutate_inputs, parent)
    assert found
    assert all((to_numpy(s.inputs["x"]) > 0).all() for m in found for s in m.data_sets)


def test_parts_of_a_sequence(foreign, mutants):
    body = "g (seq(float[2]) s) => (float[N] y) { y = ConcatFromSequence <axis = 0> (s) }"
    parent = foreign(body, [X[0, :2], X[1, :2]])
    found, _ = mutants(mutate_inputs, parent)
    assert found
    sample = found[0].data_sets[0]
    assert [part.shape for part in sample.inputs["s"]] == [(2,), (2,)]


def test_texts(foreign, mutants, tmp_path):
    body = "g (string[3] x) => (int64[N] n) { n = StringSplitLength (x) }".replace("StringSplitLength", "Shape")
    parent = foreign(body, np.array(["a", "b", "cc"], object))
    found, _ = mutants(mutate_inputs, parent)
    texts = {text for m in found for s in m.data_sets for text in to_numpy(s.inputs["x"])}
    assert texts <= {"a", "b", "cc"}


def test_recipes_of_our_own_cases(ours, mutants):
    parents = [p for seed in range(12) if (p := ours(seed, nodes=(3, 6))).feeds[0]]
    made = [m for parent in parents for m in mutants(mutate_inputs, parent, seeds=range(3))[0]]
    assert len(made) >= 2 * len(parents)
    assert all("redrawn" in m.record["change"] or " " in m.record["change"] for m in made)


def test_a_record_of_another_version_is_not_believed(ours, mutants):
    parent = next(p for seed in range(9) if (p := ours(seed, nodes=(3, 6))).feeds[0])
    parent.record["choices"][5:9] = [0, 0, 0, 0]
    found, _ = mutants(mutate_inputs, parent)
    assert found
    parent.record["settings"]["nonsense"] = 1
    assert mutants(mutate_inputs, parent)[0]


def test_a_model_without_inputs(foreign):
    parent = foreign("g () => (float[1] y) { y = Constant <value_floats = [1.0]> () }")
    with pytest.raises(Unfit, match="no inputs"):
        mutate_inputs(parent, Seeded(0))


def test_where_nothing_is_defined(foreign):
    parent = foreign("g (float[1] x) => (float[1] y) { z = Sub (x, x) y = Log (z) }", np.array([1], np.float32))
    with pytest.raises(Unfit, match=r"undefined|out of range"):
        mutate_inputs(parent, Seeded(0))


def test_a_range_to_the_ends_of_its_type_keeps_its_palette():
    """Of whole numbers between them there are more than 64 bits count."""
    for seed in range(40):
        made = _from_recipe(Recipe("large", 1, -1.7e308, 1.7e308), (6,), BY_NAME["double"], Seeded(seed))
        assert np.isfinite(made).all()
        assert np.abs(made).max() > 1e4
