"""Pieces of a model side by side, and the leap over sizes, numbers and names."""

from __future__ import annotations

import numpy as np
import pytest

from backends.tensor import to_numpy
from fuzz.judge.verdict import Word
from fuzz.triage.assessment import know
from fuzz.triage.content import filled, simplify_values
from fuzz.triage.leap import leapt
from fuzz.triage.pieces import failing_piece, side_by_side
from fuzz.triage.signature import Signature
from tests.unit.triage.conftest import BAD, CHAIN, ROW, candidate, check, feeding, has, operators

LONG = "g (float[2] x) => (float[2] y) { v0 = Exp (x) " + "".join(
    f"v{n + 1} = {'Tanh' if n == 17 else 'Abs'} (v{n}) " for n in range(30)
) + "y = Neg (v30) }"  # fmt: skip
BODY = """g (float[2] x, bool c) => (float[2] y) {
    a = Exp (x)
    y = If (c) <then_branch = t () => (float[2] p) { p = Neg (a) },
                else_branch = e () => (float[2] q) { q = Abs (a) }> }"""


def pieces(search, case):
    begun = search(case, lambda *_: False)
    whole = begun.whole()
    return [whole.only((at,)) for at in range(len(whole.nodes))]


def test_nodes_side_by_side_compute_what_they_compute_in_the_whole(search):
    case = candidate(CHAIN, ROW)
    together = side_by_side(pieces(search, case))
    check(together)
    due, got = know(case).values[0], know(together).values[0]
    assert operators(together) == operators(case)
    for number, name in enumerate("abcdefyz"):
        assert np.allclose(to_numpy(got[f"p{number}_{name}"]), to_numpy(due[name]))


def test_bodies_go_along_with_what_they_read(search):
    together = side_by_side(pieces(search, candidate(BODY, [np.ones(2, np.float32), np.ones((), np.bool_)])))
    check(together)
    assert operators(together) == ["Exp", "If"]


@pytest.mark.parametrize("operator", ["Exp", "Tanh", "Neg"])
def test_one_of_many_nodes_is_found_in_few_runs(search, operator):
    begun = search(candidate(LONG, [np.ones(2, np.float32)]), has(operator))
    assert operators(failing_piece(begun, begun.whole())) == [operator]
    assert begun.trials < 9


def test_a_pair_of_many_is_found_in_few_runs(search):
    begun = search(candidate(LONG, [np.ones(2, np.float32)]), feeding("Tanh", "Abs"))
    assert operators(failing_piece(begun, begun.whole())) == ["Tanh", "Abs"]
    assert begun.trials < 12


def test_a_piece_that_fails_otherwise_hides_no_other(search):
    def bad(proto, _):
        names = operators(proto)
        if len(names) < 30 and "Exp" in names:
            return Signature(Word.UNSUPPORTED)
        return BAD if "Tanh" in names else Signature(Word.OK)

    begun = search(candidate(LONG, [np.ones(2, np.float32)]), bad)
    assert operators(failing_piece(begun, begun.whole())) == ["Tanh"]


def test_where_it_takes_three_nodes_no_piece_fails(search):
    begun = search(candidate(CHAIN, ROW), lambda proto, _: "Neg Abs Exp Tanh" in " ".join(operators(proto)))
    assert failing_piece(begun, begun.whole()) is None
    assert begun.trials < 16


def test_a_leap_is_small_plain_and_its_own_leap(search):
    case = candidate("g (float[2, 3, 4] mine) => (float[2, 3, 4] out) { out = Elu <alpha = 0.3> (mine) }",
                     [np.arange(24, dtype=np.float32).reshape(2, 3, 4)])  # fmt: skip
    first, gentle = leapt(case)
    check(first)
    assert not first.proto().graph.node[0].attribute
    assert [value.shape for value in first.feeds[0].values()] == [()]
    assert [value.shape for value in gentle.feeds[0].values()] == [(2, 3, 4)]
    assert list(gentle.feeds[0]) == ["x0"]
    assert leapt(first) == []


def test_ones_and_zeros_are_equally_plain(search):
    case = candidate("g (float[2] x) => (float[2] y) { y = Neg (x) }", [np.full(2, 7, np.float32)])
    begun = search(filled(case, 0), has("Neg"))
    simplify_values(begun)
    assert begun.best == filled(case, 0)
