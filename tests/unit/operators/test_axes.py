"""Axes as rules read them: counted from the front, and none that a tensor has not got."""

from __future__ import annotations

import numpy as np
import pytest

from abstract.constraints import Constraints
from abstract.dtypes import dtype
from abstract.operator import Typing
from abstract.operators import TABLE
from abstract.operators.axes import counted, from_front

BEYOND = [
    ("Concat", ((2, 3), (2, 3)), {"axis": 2}),
    ("Split", ((2, 3),), {"axis": 2}),
    ("Gather", ((2, 3), (4,)), {"axis": 2}),
    ("OneHot", ((3,), (2,)), {"axis": 2, "depth": 4}),
    ("Compress", ((2, 3),), {"axis": 2, "condition": (1, 0)}),
    ("Unique", ((2, 3),), {"axis": 2}),
    ("TopK", ((2, 3),), {"axis": 2, "K": 1}),
    ("ArgMax", ((2, 3),), {"axis": 2}),
    ("LayerNormalization", ((2, 3), (3,)), {"axis": 2}),
    ("SplitToSequence", ((2, 3),), {"axis": 2}),
    ("DFT", ((2, 2),), {"axis": 2}),
    ("Squeeze", ((2, 3),), {"axes": (2,)}),
    ("ReduceSum", ((2, 3),), {"axes": (2,)}),
]


@pytest.mark.parametrize(("name", "shapes", "params"), BEYOND, ids=[row[0] for row in BEYOND])
def test_a_shape_rule_refuses_an_axis_that_a_tensor_has_not_got(name, shapes, params):
    typing = Typing(params, shapes, (dtype("float"),) * len(shapes), 1, Constraints())
    with pytest.raises(ValueError, match="axis 2 of a tensor of rank 2"):
        TABLE[name].shape(typing)


@pytest.mark.parametrize(("name", "operands", "params"), [
    ("CumSum", 1, {}), ("TopK", 1, {"K": 1}), ("LpNormalization", 1, {}), ("LayerNormalization", 2, {}), ("DFT", 1, {}),
])  # fmt: skip
def test_so_does_an_evaluation(run_of, name, operands, params):
    run = run_of(name, *[np.ones((2, 2), np.float32)] * operands, axis=-3, **params)
    with pytest.raises(ValueError, match="axis -3 of a tensor of rank 2"):
        TABLE[name].evaluate(run)


def test_axes_are_counted_from_the_front():
    assert counted((0, -1, -3), 3) == (0, 2, 0)
    assert from_front(-1, 1) == 0
    with pytest.raises(ValueError, match="axis 0 of a tensor of rank 0"):
        from_front(0, 0)
