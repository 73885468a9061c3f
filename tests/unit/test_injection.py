"""A thousand cases, workers that die, hang, eat memory and talk nonsense among them: nothing is lost or left behind."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections import Counter

from backends.protocol import Outcome
from fuzz.case import find_cases
from fuzz.execute.run import execute
from fuzz.store import STORE_NAME, Store

CASES = 1000
# What a worker does, what becomes of the case, and how many cases do it (those that hang take their time limit twice).
FAULTS = (
    ("kill", Outcome.CRASH, 14),
    ("segv", Outcome.CRASH, 14),
    ("abort", Outcome.CRASH, 6),
    ("exit3", Outcome.CRASH, 4),
    ("half_a_frame", Outcome.CRASH, 8),
    ("garble", Outcome.CRASH, 4),
    ("wrong_fields", Outcome.CRASH, 4),
    ("unknown_operation", Outcome.CRASH, 4),
    ("litter", Outcome.CRASH, 4),
    ("sleep", Outcome.TIMEOUT, 3),
    ("spin", Outcome.TIMEOUT, 3),
    ("allocate", Outcome.OOM, 6),
    ("garbage", Outcome.OK, 10),
    ("lacks", Outcome.UNSUPPORTED, 6),
    ("rejects", Outcome.REJECTED, 6),
    ("bug", Outcome.ERROR, 4),
)


def drawn() -> list[tuple[str, Outcome]]:
    """The cases in a random order, each fault at a random stage; the same ones each time."""
    dice = random.Random(20261121)  # noqa: S311 - no secret
    actions = [
        (f"{action}{dice.choice(('', '@compile', '@run'))}", outcome)
        for action, outcome, count in FAULTS
        for _ in range(count)
    ]
    actions += [("fine", Outcome.OK)] * (CASES - len(actions))
    dice.shuffle(actions)
    return actions


def test_every_case_ends_with_the_outcome_of_its_fault(toy, tmp_path, make_case, monkeypatch, children):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    root = tmp_path / "root"
    expected = {}
    for number, (action, outcome) in enumerate(drawn()):
        expected[f"{number:04}"] = outcome
        make_case(root, f"{number:04}", action)
    with Store.open(root, create=True) as store:
        summary = execute(find_cases(root), [toy()], store=store, timeout=1.0, memory=250, jobs=2, stacks=False)
        found = {case: store.executions(case) for case in store.cases()}
    assert {case: [e.outcome for e in executions] for case, executions in found.items()} == {
        case: [outcome] for case, outcome in expected.items()
    }
    assert summary.outcomes["toy"] == Counter(expected.values())
    fine = [executions[0] for executions in found.values() if executions[0].outcome is Outcome.OK]
    assert all(len(execution.outputs) == 1 for execution in fine)
    assert children() == []
    assert list(scratch.iterdir()) == []
    with sqlite3.connect(root / STORE_NAME) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM execution").fetchone() == (CASES,)
    connection.close()
