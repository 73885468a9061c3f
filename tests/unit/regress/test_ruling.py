"""What a verdict is to the gate; what would make a run green."""

from __future__ import annotations

import pytest

from fuzz.execute.target import parse_target
from fuzz.judge.verdict import FINDINGS, Verdict, Word
from fuzz.regress.expectations import Entry, Expectations
from fuzz.regress.gate import Account
from fuzz.regress.ruling import Result, State, rule
from fuzz.regress.update import change_for, entry_for


def entry(case: str = "*", verdict: str = "", *, strict: bool = True, line: int = 1, target: str = "onnxruntime"):
    link = f"https://t/{line}"
    return Entry(f"e.toml:{line}", line, case, target, verdict=verdict, strict=strict, reason="r", link=link)


ANY, WRONG, CRASH = entry(), entry(verdict="wrong"), entry(verdict="crash")
LAX, LACKING = entry(strict=False), entry(verdict="unsupported")
SILENT = frozenset(Word) - FINDINGS - {Word.OK, Word.ERROR}


@pytest.mark.parametrize(
    ("word", "entries", "state", "by"),
    [
        ("ok", [], State.PASSED, None),
        ("wrong", [], State.FAILED, None),
        ("wrong", [ANY], State.EXPECTED, ANY),
        ("wrong", [WRONG], State.EXPECTED, WRONG),
        ("wrong", [CRASH], State.FAILED, CRASH),
        ("wrong", [CRASH, WRONG], State.EXPECTED, WRONG),
        ("ok", [WRONG], State.UNEXPECTED, WRONG),
        ("ok", [LAX], State.PASSED, None),
        ("ok", [LAX, WRONG], State.UNEXPECTED, WRONG),
        ("wrong", [LAX], State.EXPECTED, LAX),
        ("error", [ANY], State.ERROR, None),
        ("unsupported", [ANY], State.SILENT, ANY),
        ("unsupported", [LACKING], State.EXPECTED, LACKING),
        ("ok", [LACKING], State.UNEXPECTED, LACKING),
    ],
)
def test_rules(word, entries, state, by):
    assert rule(word, entries) == (state, by)


def test_every_word_has_a_state():
    assert {word: rule(word, [])[0] for word in Word} == {
        **dict.fromkeys(FINDINGS, State.FAILED), **dict.fromkeys(SILENT, State.SILENT),
        Word.OK: State.PASSED, Word.ERROR: State.ERROR,
    }  # fmt: skip


@pytest.mark.parametrize("word", sorted(SILENT))
def test_silence_is_no_unexpected_pass(word):
    assert rule(word, [WRONG])[0] is State.SILENT


def test_what_is_required_fails_where_it_is_unsupported():
    assert rule("unsupported", [], require=True) == (State.FAILED, None)
    assert rule("unsupported", [WRONG], require=True) == (State.FAILED, WRONG)
    assert rule("unsupported", [ANY], require=True) == (State.EXPECTED, ANY)
    assert rule("undecidable", [], require=True)[0] is State.SILENT


# --- what to write ---------------------------------------------------------------------------------------------------


def account(known: Expectations, verdicts: dict[str, str], stale: tuple[Entry, ...] = ()) -> Account:
    results = []
    for case, word in verdicts.items():
        state, by = rule(word, known.of(case, parse_target("onnxruntime")))
        results.append(Result("onnxruntime", "1.31.1", Verdict(case, "onnxruntime", 0, word), state, by))
    return Account(len(verdicts), tuple(results), {}, stale)


def changes(entries: list[Entry], verdicts: dict[str, str], stale: tuple[Entry, ...] = ()):
    known = Expectations(None, tuple(entries))
    change = change_for(account(known, verdicts, stale), known, [parse_target("onnxruntime")])
    return [e.line for e in change.removed], [(e.case, e.verdict) for e in change.added], [e.line for e in change.left]


@pytest.mark.parametrize(
    ("entries", "verdicts", "expected"),
    [
        ([], {"a": "ok"}, ([], [], [])),
        ([], {"a": "wrong", "b[1]": "crash"}, ([], [("a", "wrong"), ("b[[]1]", "crash")], [])),
        ([entry("a")], {"a": "wrong"}, ([], [], [])),
        ([entry("a")], {"a": "ok"}, ([1], [], [])),
        ([entry("a"), entry("b", line=2)], {"a": "ok", "b": "wrong"}, ([1], [], [])),
        ([entry("a", "wrong")], {"a": "crash"}, ([1], [("a", "crash")], [])),
        ([entry("*", "wrong")], {"a": "crash", "b": "wrong"}, ([], [("a", "crash")], [])),
        ([entry("*")], {"a": "ok", "b": "wrong"}, ([], [], [1])),  # by hand
        ([entry("*")], {"a": "ok", "b": "undecidable"}, ([], [], [1])),
        ([entry("a")], {"a": "undecidable"}, ([], [], [])),
        ([entry("a")], {"a": "error"}, ([], [], [])),
        ([entry("a", strict=False)], {"a": "ok"}, ([], [], [])),
        ([entry("a", target="tvm")], {"a": "wrong"}, ([], [("a", "wrong")], [])),
    ],
)
def test_what_an_update_writes(entries, verdicts, expected):
    assert changes(entries, verdicts) == expected


def test_what_covers_no_case_goes():
    gone = entry("gone", line=7)
    assert changes([gone], {"a": "ok"}, (gone,)) == ([7], [], [])


def test_what_fails_otherwise_keeps_its_link():
    known = Expectations(None, (entry("a", "wrong", line=3),))
    change = change_for(account(known, {"a": "crash"}), known, [parse_target("onnxruntime")])
    assert [each.link for each in change.added] == ["https://t/3"]


@pytest.mark.parametrize(
    ("target", "named", "versions"),
    [
        ("onnxruntime", "onnxruntime", ""),
        ("onnxruntime==1.20.1", "onnxruntime", "==1.20.1"),
        ("onnxruntime==1.20.1:opt=0@cuda", "onnxruntime:opt=0@cuda", "==1.20.1"),
        ("tvm:env.PATH=/a:/b", "tvm:env.PATH=/a:/b", ""),
    ],
)
def test_the_entry_for_a_failure(target, named, versions):
    verdict = Verdict("case", target, 0, "wrong", "y", 3.5, (2,), 1.0, 7.0, 0.5)
    made = entry_for(Result(target, "9", verdict, State.FAILED))
    assert (made.case, made.target, made.versions, made.verdict) == ("case", named, versions, "wrong")
    assert made.reason == "output y[2] of data set 0: 7, expected 1 ± 0.5 (3.5 times the bound)"
    bare = entry_for(Result(target, "9", Verdict("case", target, 0, "timeout"), State.FAILED))
    assert bare.reason == f"timeout on {target} 9"
