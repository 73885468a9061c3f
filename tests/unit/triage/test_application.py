"""The search for the application that a failure begins with, over compilers that answer at once."""

from __future__ import annotations

import math

import pytest

from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.application import application
from fuzz.triage.board import Board, Counted, board_of

TYPED = "MAKER={backend} PART={part} LAST={last}"
BOARD = Board((), (), {}, tuple(Counted("limit", f"maker.{part}", TYPED) for part in ("one", "two")))


class Compiler:
    """What is asked of a compiler: ``answers`` tells by part and count (None: all) whether the failure is gone."""

    def __init__(self, answers, names=""):
        self.answers, self.names, self.asked = answers, names, []

    def ask(self, sets):
        return [self._answer(*off) for off in sets]

    def verify(self, sets):
        return self.ask(sets)

    def show(self, off, name):
        (switch,) = off
        assert (str(switch), name) == (self.shown, "applications.txt")
        return self.names.encode()

    def _answer(self, switch):
        part, _, count = switch.value.removeprefix("maker.").partition(".")
        self.asked.append(switch.value)
        return self.answers(part, int(count) if count else None)


def begins(part, number):
    return lambda asked, count: asked == part and count is not None and count < number


@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 9, 40, 1000])
def test_the_one_it_begins_with(number):
    compiler = Compiler(begins("two", number), "".join(f"name{n}\n" for n in range(1, 1101)))
    compiler.shown = f"limit=maker.two.{number - 1}"
    found = application(BOARD, compiler)
    assert (found.part, found.number, found.of, found.name) == ("maker.two", number, 1100, f"name{number}")
    assert (found.gone, found.stays) == (f"limit=maker.two.{number - 1}", f"limit=maker.two.{number}")
    assert found.own == f"MAKER=maker PART=two LAST={number - 2}"
    assert len(compiler.asked) <= 2 * math.log2(number) + 7


def test_the_first_part_that_has_one_is_told():
    compiler = Compiler(lambda _, count: count is not None and count < 3)
    compiler.shown = "limit=maker.one.2"
    found = application(BOARD, compiler)
    assert (found.part, found.number, found.of, found.name) == ("maker.one", 3, 0, "")
    assert "of maker's one it begins with number 3: it is gone with limit=maker.one.2" in found.told


@pytest.mark.parametrize(
    ("answers", "most"),
    [
        (lambda *_: False, 2),  # it has nothing to do with what is counted
        (lambda *_: True, 4),  # the part's compiler does not fail even with all of it
        (lambda _, count: None if count is not None else False, 2),  # nothing runs with less
        (lambda _, count: count == 0, None),  # found, and told: gone with none, there with one
        (lambda _, count: {0: True, 1: None}.get(count, False), 20),  # with one fewer something else is the matter
    ],
)
def test_what_cannot_be_told_is_not(answers, most):
    compiler = Compiler(answers)
    compiler.shown = "limit=maker.one.0"
    found = application(BOARD, compiler)
    assert (found is None) == (most is not None)
    assert most is None or len(compiler.asked) <= most


def test_what_does_not_repeat_in_fresh_processes_is_not_told():
    compiler = Compiler(begins("one", 2))
    compiler.verify = lambda _: [True, True]
    assert application(BOARD, compiler) is None


def test_the_parts_of_torch_are_counted_unless_the_target_limits_one():
    limits = Limits(60.0, 4 << 30)
    found = board_of(parse_target("torch"), limits)
    assert found.counted[0].part == "aot_eager_decomp_partition.decomposition"
    assert {str(switch) for switch in found.coarse}.isdisjoint(str(counted.first(0)) for counted in found.counted)
    assert board_of(parse_target("torch:limit=inductor.lowerings.3"), limits).counted == ()
    assert board_of(parse_target("onnxruntime"), limits).counted == ()
