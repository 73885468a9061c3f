"""Every rewrite, in fp64 on random models: the same elements where it says so, within both bounds elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from abstract.bounded import Bounded
from abstract.fallback import Unrunnable
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.relations.metamorphic import variant_of
from fuzz.relations.prepare import consistent, variant_values
from fuzz.relations.rewrite import rewritten
from fuzz.relations.site import drawer
from fuzz.relations.table import REWRITES
from fuzz.relations.variant import check, read_original

COARSE = {"product-as-einsum", "hard-swish-as-product"}
"""Einsum has no row and is computed in the declared type; an attribute holds 1/6 in 32 bits."""

EXACT = 1e-15  # the reference sums what lies otherwise in memory in another order, in longer floats than double
RELATIVE = 1e-12  # of the output's scale: float64 sums in another order


def original(seed, operators=(), opset=21, dynamic=None):
    case = generate_case(Seeded(seed), Settings((1, 6), opset, operators, dynamic=dynamic))
    return read_original(str(seed), case.model, Path(), [data_set.inputs for data_set in case.data_sets])


def pairs(model, variant):
    """Values of the original's outputs and of the variant's that must be the same."""
    for view, values in zip(variant.views, variant_values(variant), strict=True):
        due = model.values(view.data_set)
        for position, value in zip(variant.outputs, values, strict=True):
            yield due[model.outputs[position]], value


def apart(due, value):
    """The greatest difference relative to the output's scale."""
    if isinstance(due.value, list):
        kinds = zip(due.value, value.value, strict=True)
        return max((apart(Bounded(a, 0.0, due.dtype), Bounded(b, 0.0, due.dtype)) for a, b in kinds), default=0.0)
    a, b = np.asarray(due.value), np.asarray(value.value)
    assert a.dtype.kind == b.dtype.kind  # double is longer where the reference knows at once that there is any
    assert a.shape == b.shape
    if a.dtype.kind != "f":
        return float(np.any(a != b))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    scale = np.abs(a, where=np.isfinite(a), out=np.zeros_like(a)).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(a - b), where=~same, initial=0.0)) / max(float(scale), 1e-300)


@pytest.mark.untraced
@pytest.mark.parametrize("name", REWRITES)
@example(seed=17793, own=False, opset=13)  # reshape-by-shape of what is empty in another data set
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), own=st.booleans(), opset=st.sampled_from([13, 17, 18, 21, 23]))
def test_a_rewrite_keeps_the_meaning(name, seed, own, opset):
    rewrite = REWRITES[name]
    try:
        model = original(seed, rewrite.operators if own else (), opset)
    except (NothingFits, ValueError):
        return  # an operator of the row is younger than the opset
    found = rewritten(model.base, rewrite, drawer(seed, name))
    if found is None:
        return
    variant = variant_of(model, rewrite, found)
    check(onnx.ModelProto.FromString(variant.model))
    assert found.place
    try:
        values = list(pairs(model, variant))
    except Unrunnable:
        assert rewrite.opaque  # ONNX's reference lacks an operator of ours, which stands in a body now
        return
    for due, value in values:
        assert consistent(due, value) == ""
        if not rewrite.opaque and name not in COARSE:
            assert apart(due, value) <= (EXACT if rewrite.exact else RELATIVE)


@pytest.mark.parametrize("name", sorted(set(REWRITES) - {"constant-as-initializer"}))
def test_a_rewrite_finds_a_place(name):
    """Not only does it hold where it applies: it applies to what its row says."""
    rewrite = REWRITES[name]
    for seed in range(60):
        model = original(seed, rewrite.operators, dynamic=False)
        if rewritten(model.base, rewrite, drawer(seed, name)) is not None:
            return
    pytest.fail(f"{name} found no place in 60 models of {rewrite.operators}")


@pytest.mark.untraced
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(sorted(REWRITES)))
def test_the_same_choices_make_the_same_bytes(seed, name):
    made = [rewritten(original(seed).base, REWRITES[name], drawer(seed, name)) for _ in range(2)]
    texts = [None if one is None else one.model.SerializeToString(deterministic=True) for one in made]
    assert texts[0] == texts[1]
