"""What a campaign covers: counts by operator, type, target and verdict, and a clock that rests between two runs."""

from __future__ import annotations

import sqlite3

import pytest

from fuzz.campaign.campaign import Campaign
from fuzz.campaign.ledger import LEDGER_NAME, Ledger
from fuzz.campaign.trial import Answer, Trial
from fuzz.errors import StorageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings

COVERED = (
    "SELECT operator, type, target.name, verdict, cases FROM coverage JOIN pair ON pair.id = pair_id"
    " JOIN target ON target.id = target_id ORDER BY 1, 2, 3, 4"
)


@pytest.fixture
def campaign():
    return Campaign(Settings(), parse_targets(("onnxruntime", "onnxruntime:opt=0")), Limits(60.0, 4096 << 20))


def trial(campaign, seed, *verdicts, pairs=(("Add", "float"), ("Relu", "float"))):
    answers = [
        Answer(target.canonical, target.version, "ok", verdict, "", 1, 0.0)
        for target, verdict in zip(campaign.targets, verdicts, strict=True)
    ]
    return Trial(seed, 2, answers=tuple(answers), pairs=pairs)


def rows(root, query):
    with sqlite3.connect(root / LEDGER_NAME) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_cases_are_counted_once_by_operator_type_target_and_verdict(campaign, tmp_path):
    first, second = (trial(campaign, 0, "ok", "ok"), trial(campaign, 1, "ok", "wrong", pairs=(("Add", "float"),)))
    with Ledger.open(tmp_path, campaign) as ledger:
        ledger.take(first)
        ledger.flush()
        ledger.take(first)  # as after Ctrl-C in the midst of a flush
        ledger.take(second)
    assert rows(tmp_path, COVERED) == [
        ("Add", "float", "onnxruntime", "ok", 2),
        ("Add", "float", "onnxruntime:opt=0", "ok", 1),
        ("Add", "float", "onnxruntime:opt=0", "wrong", 1),
        ("Relu", "float", "onnxruntime", "ok", 1),
        ("Relu", "float", "onnxruntime:opt=0", "ok", 1),
    ]


def test_the_clock_goes_on_where_the_run_before_left_it(campaign, tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("fuzz.campaign.ledger.time.monotonic", lambda: now)
    for seed, (began, ended) in enumerate([(1000.0, 1007.0), (5000.0, 5002.0)]):
        now = began
        with Ledger.open(tmp_path, campaign) as ledger:
            now = ended
            ledger.take(trial(campaign, seed, "ok", "ok", pairs=((f"Op{seed}", ""),)))
    assert rows(tmp_path, 'SELECT seed, finished_seconds FROM "case"') == [(0, 7.0), (1, 9.0)]
    query = "SELECT DISTINCT operator, first_seconds FROM coverage JOIN pair ON pair.id = pair_id ORDER BY 1"
    assert rows(tmp_path, query) == [("Op0", 7.0), ("Op1", 9.0)]


def test_a_transaction_that_fails_leaves_no_ids_of_pairs_behind(campaign, tmp_path, monkeypatch):
    with Ledger.open(tmp_path, campaign) as ledger:
        broken = trial(campaign, 0, "ok", "ok")
        ledger.take(broken)
        with monkeypatch.context() as patch:
            patch.setattr("fuzz.campaign.coverage._COUNT", "INSERT INTO nothing VALUES (?,?,?,?,?,?)")
            with pytest.raises(StorageError):
                ledger.flush()
        ledger.flush()
    assert {row[0] for row in rows(tmp_path, COVERED)} == {"Add", "Relu"}
