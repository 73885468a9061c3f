"""The table of what maths libraries are granted."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.accuracy import HALF, extra, granted, in_type
from abstract.dtypes import dtype
from abstract.operator import Accuracy, Run
from abstract.reference import Float64


def run(name, *arrays, **params):
    carried = tuple(np.asarray(a, dtype=np.float64) for a in arrays)
    return Run(params, carried, (dtype(name),) * len(carried), (dtype(name),), Float64())


def test_what_is_not_in_the_table_is_correctly_rounded():
    assert granted("Add") == Accuracy(0.5, 0.0)
    assert extra("Add") is None


def test_half_widths_are_granted_more_where_functions_are_composed_of_steps():
    assert in_type(granted("Exp"), dtype("float")) == granted("Exp")
    assert in_type(granted("Exp"), dtype("float16")).ulps == max(granted("Exp").ulps, HALF.ulps)
    assert in_type(granted("Exp"), dtype("bfloat16")).units == HALF.units
    assert in_type(granted("Sqrt"), dtype("float16")) == granted("Sqrt")
    assert in_type(Accuracy(), dtype("float16")) == Accuracy()


@pytest.mark.parametrize("name", ["HardSwish", "Selu", "Mish", "Sin", "HardSigmoid", "Gelu"])
def test_coefficients_in_float_count_in_double_alone(name):
    more = extra(name)
    y = np.array([2.0])
    assert np.all(more(run("double", [2.0], approximate=b"tanh"), y) > 0)
    assert np.all(np.asarray(more(run("float", [2.0], approximate=b"tanh"), y)) == 0)


@pytest.mark.parametrize(("name", "count"), [("LeakyRelu", 1), ("Selu", 2), ("Elu", 1), ("Celu", 1)])
def test_attributes_may_be_rounded_to_half_widths(name, count):
    y = np.array([-0.15])
    for kind in ("float16", "bfloat16"):
        assert extra(name)(run(kind, [-0.5]), y)[0] == 0.15 * count * dtype(kind).unit
    assert np.all(np.asarray(extra(name)(run("float", [-0.5]), y)) == 0)


def test_the_power_errs_with_its_logarithm_in_half_widths():
    more = extra("Pow")
    assert more(run("float", [8.0], [3.0]), np.array([512.0])) == 0
    wide, narrow = more(run("float16", [8.0, 1.0], [3.0, 3.0]), np.array([512.0, 1.0]))
    assert wide == pytest.approx(512 * np.log(512) * 2.0**-11)
    assert narrow == 0


def test_a_power_that_vanishes_is_granted_nothing_more():
    assert extra("Pow")(run("float16", [0.0], [3.0]), np.array([0.0])) == 0


def test_softplus_may_return_its_argument_beyond_twenty():
    more = extra("Softplus")(run("double", [30.0, 1.0]), np.array([30.0, 1.3]))
    assert more[0] >= np.log1p(np.exp(-30.0))
    assert more[1] == 0


def test_the_tanh_form_of_gelu_has_constants_in_float():
    more = extra("Gelu")
    assert more(run("double", [2.0], approximate=b"none"), np.array([1.9])) == 0
    assert more(run("double", [2.0], approximate=b"tanh"), np.array([1.9])) > 5.8e-9
