"""A wrong answer that is the right one of another operand, or along another axis."""

from __future__ import annotations

import numpy as np
import pytest

from backends.tensor import from_numpy, to_numpy
from fuzz.triage.assessment import know
from fuzz.triage.battery import BATTERY
from fuzz.triage.misreading import misread
from fuzz.triage.probe import candidate_of
from fuzz.triage.relation import ALONG, ANYWHERE, BROADCAST, EXCHANGED
from tests.unit.triage.conftest import candidate

X = np.arange(12, dtype=np.float32).reshape(3, 4) / 7
Y = (X[::-1] * X) + 1


def told(case, got):
    return misread(case, know(case).values[0], [from_numpy(np.asarray(got))])


def sub(x=X, y=Y):
    return candidate("g (float[3, 4] x, float[3, 4] y) => (float[3, 4] z) { z = Sub (x, y) }", [x, y])


@pytest.mark.parametrize(
    ("got", "how"),
    [
        (X - Y[:, :1], BROADCAST),
        (X - Y[:1], BROADCAST),
        (X[:, :1] - Y, BROADCAST),
        (X - Y, ""),
        (Y - X, ""),
        (X + Y, ""),
        (X - X, ""),  # a constant tells nothing
    ],
)
def test_operands_that_are_broadcast_where_they_must_not_be(got, how):
    assert told(sub(), got) == how


def test_one_constant_read_in_place_of_another():
    case = candidate_of(BATTERY["LayerNormalization[bias, constants]"])
    values = know(case).values[0]
    node = case.proto().graph.node[0]
    x, scale = (to_numpy(values[name]) for name in node.input[:2])
    normal = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    assert told(case, (normal * scale + scale).astype(np.float32)) == EXCHANGED


def test_another_axis():
    case = candidate_of(BATTERY["Softmax"])
    x = to_numpy(know(case).values[0]["x0"])
    e = np.exp(x)
    assert told(case, e / e.sum(1, keepdims=True)) == ALONG


@pytest.mark.parametrize("got", [np.float32(3), X[:1, :3] - Y[:1, :3], np.array(["a"] * 12)])
def test_what_is_too_little_or_no_number_tells_nothing(got):
    assert told(sub(), got) == ""


def test_more_than_one_node_tells_nothing():
    case = candidate("g (float[3, 4] x) => (float[3, 4] z) { y = Neg (x) z = Abs (y) }", [X])
    assert told(case, X + 1) == ""


def test_a_node_that_means_nothing_when_read_so_explains_nothing():
    case = candidate(
        "g (float[3, 4] x, int64[2] s) => (float[6, 2] z) { z = Reshape (x, s) }", [X, np.array([6, 2])]
    )
    assert told(case, X.T.reshape(6, 2)) == ""


def test_a_misreading_names_one_mistake_whatever_the_operator():
    assert {ALONG, BROADCAST, EXCHANGED} <= ANYWHERE
