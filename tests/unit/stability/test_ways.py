"""Each way of running finds the fault that it is for, and leaves the others to their own ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.entry import Entry, Option
from fuzz.case import find_cases
from fuzz.execute.target import parse_target
from fuzz.stability.run import examine
from fuzz.stability.way import WAYS
from fuzz.store import Store

ENTRY = Entry(
    name="unstable",
    module=str(Path(__file__).with_name("unstable_backend.py")),
    distributions=("onnx",),
    requirements=("onnx",),
    options=(Option("threads", "[1-9]", "a digit", "threads"),),
)
FAULTS = {
    # name of the graph: the ways that must call it by its word, and those that leave it to one of these
    "steady": ({}, ()),
    "bare": ({"layout": "unsupported", "buffers": "unsupported"}, ()),
    "counts": ({"repeat": "nondeterministic"}, ("layout", "buffers", "neighbour", "once")),
    "process": ({"session": "nondeterministic"}, ("threads", "heap")),
    "anew": ({"session": "nondeterministic"}, ("neighbour", "once")),
    "parallel": ({"threads": "nondeterministic"}, ()),
    "refuses": ({"threads": "rejected"}, ()),
    "misaligned": ({"layout": "nondeterministic"}, ()),
    "dies_misaligned": ({"layout": "crash"}, ()),
    "stale": ({"buffers": "nondeterministic"}, ()),
    "neighbourly": ({"neighbour": "nondeterministic"}, ()),
    "remembers": ({"once": "nondeterministic"}, ()),
    "lacks": (dict.fromkeys(WAYS, "unsupported"), ()),
    "dies": (dict.fromkeys(WAYS, "undecidable"), ()),
}


@pytest.fixture
def look(tmp_path, children):
    """Examine cases on the unstable backend: verdicts by case and way."""

    def look(root: Path, *ways: str, target: str = "unstable", **options):
        chosen = [WAYS[way] for way in ways or WAYS]
        text = f"{target}{',' if ':' in target else ':'}env.TOY_FLAG={tmp_path / 'flag-'}"
        targets = [parse_target(text, {"unstable": ENTRY})]
        with Store.open(root, create=True) as store:
            options = {"timeout": 20.0, "jobs": 2, **options}
            result = examine(find_cases(root), targets, chosen, store=store, **options)
            assert sorted(v.message for v in store.verdicts()) == sorted(v.message for v in result.verdicts)
        assert children() == []
        found = {}
        for verdict in result.verdicts:
            found.setdefault(verdict.case.partition("-")[2], {})[verdict.oracle] = verdict
        return found

    return look


def test_each_fault_is_found_by_its_way_and_by_no_other(look, make_root):
    found = look(make_root(*FAULTS))
    for name, (told, left) in FAULTS.items():
        words = {way: verdict.verdict for way, verdict in found[name].items()}
        expected = {**dict.fromkeys(WAYS, "ok"), **dict.fromkeys(left, "undecidable"), **told}
        assert words == expected, name
    counts = found["counts"]["repeat"]
    assert (counts.output, counts.index, counts.expected, counts.actual) == ("y", (0,), 1.0, 2.0)
    assert counts.message == "run again: in 2 of 2 rounds; 1 of 3 elements differ"
    assert found["counts"]["once"].message == "differs, but not by this way alone: see repeat"
    assert found["bare"]["buffers"].message == "the backend binds no output buffers"
    assert found["refuses"]["threads"].message == "2 threads: in 2 of 2 rounds; assertion failed: one_thread"
    died = found["dies_misaligned"]["layout"]
    assert died.message.startswith("shifted: in 2 of 2 rounds; SIGSEGV at run: ")
    assert "string_at" in died.message
    assert found["dies"]["heap"].message.startswith("the plain run fails already (crash: SIGSEGV at run")


def test_one_that_is_sound_and_one_that_is_bare(look, make_root):
    """Two of those above, in workers that are measured."""
    found = look(make_root("steady", "bare"))
    for name in ("steady", "bare"):
        words = {way: verdict.verdict for way, verdict in found[name].items()}
        assert words == {**dict.fromkeys(WAYS, "ok"), **FAULTS[name][0]}


def test_uninitialised_memory_is_found_by_filling_it(look, make_root):
    found = look(make_root("uninitialised", "steady"), "heap")
    verdict = found["uninitialised"]["heap"]
    assert (verdict.verdict, {verdict.expected, verdict.actual}) == ("nondeterministic", {0x00, 0x7F})
    assert found["steady"]["heap"].verdict == "ok"


def test_what_does_not_come_again_is_flaky(look, make_root):
    found = look(make_root("differs_at_first"), "repeat")["differs_at_first"]["repeat"]
    assert (found.verdict, found.message) == ("flaky", "run again: in 1 of 5 rounds; 1 of 3 elements differ")


def test_a_death_that_does_not_come_again_is_flaky_and_leaves_nothing_to_compare(look, make_root):
    found = look(make_root("dies_at_first"), "repeat", "session")["dies_at_first"]
    assert {way: verdict.verdict for way, verdict in found.items()} == {"repeat": "undecidable", "session": "flaky"}
    assert found["session"].message.startswith("the plain run, crash in 1 of 5 rounds; SIGSEGV at run")
