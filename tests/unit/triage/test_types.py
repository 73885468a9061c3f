"""Plainer element types."""

from __future__ import annotations

import numpy as np
import pytest

from fuzz.triage.types import plain_types, retyped
from tests.unit.triage.conftest import candidate, check, has


def types(case):
    proto = case.proto()
    return [info.type.tensor_type.elem_type for info in (*proto.graph.input, *proto.graph.output)]


def test_a_double_becomes_a_float_throughout(search):
    body = """g (double[2] x) => (double[2] y) <double[2] w = {1.5, 2.5}> { a = Add (x, w)  y = Neg (a) }"""
    begun = search(candidate(body, [np.array([1.0, 2.0])]), has("Neg"))
    plain_types(begun)
    assert types(begun.best) == [1, 1]
    check(begun.best)
    (value,) = begun.best.feeds[0].values()
    assert value.element_type == "float"


def test_a_type_that_the_failure_needs_stays(search):
    case = candidate("g (double[2] x) => (double[2] y) { y = Neg (x) }", [np.array([1.0, 2.0])])
    begun = search(case, lambda proto, _: proto.graph.input[0].type.tensor_type.elem_type == 11)
    plain_types(begun)
    assert begun.best == case


def test_parameters_keep_their_type(search):
    body = "g (int64[2, 3] x) => (int64[3, 2] y) <int64[2] s = {3, 2}> { y = Reshape (x, s) }"
    begun = search(candidate(body, [np.arange(6).reshape(2, 3)]), has("Reshape"))
    plain_types(begun)
    assert types(begun.best) == [6, 6]
    assert begun.best.proto().graph.initializer[0].data_type == 7
    check(begun.best)


def test_a_cast_says_the_type_that_is_meant(search):
    begun = search(candidate("g (float[2] x) => (int64[2] y) { y = Cast <to = 7> (x) }", [np.ones(2, np.float32)]),
                   has("Cast"))  # fmt: skip
    (made,) = retyped(begun.best, "int64", "int32")
    assert types(made) == [1, 6]
    check(made)


@pytest.mark.parametrize(
    ("array", "before", "after"), [(np.array([2**40]), "int64", "int32"), (np.array([1e300]), "double", "float")]
)
def test_a_number_that_does_not_fit(array, before, after):
    case = candidate(f"g ({before}[1] x) => ({before}[1] y) {{ y = Neg (x) }}", [array])
    with pytest.raises(ValueError, match="number"):
        retyped(case, before, after)


def test_large_models_keep_their_types(search):
    case = candidate("g (double[1] x) => (double[1] y) { a = Neg (x) b = Neg (a) c = Neg (b) d = Neg (c) y = Neg (d) }",
                     [np.ones(1)])  # fmt: skip
    begun = search(case, has("Neg"))
    plain_types(begun)
    assert begun.best == case
