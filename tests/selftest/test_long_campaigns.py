"""The benchmarks of long campaigns: what they call lost, grown, found."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from fuzz.campaign.campaign import Campaign
from fuzz.campaign.ledger import LEDGER_NAME, Ledger
from fuzz.campaign.trial import Exhibit, Failure, Sighting, Trial
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture
def root(tmp_path):
    """A store with three seeds and a finding."""
    campaign = Campaign(Settings(), parse_targets(("onnxruntime",)), Limits(60.0, 4096 << 20))
    with Ledger.open(tmp_path, campaign) as ledger:
        for seed in range(3):
            ledger.take(Trial(seed, failures=(Failure("onnxruntime", "rough", "", "{}"),)))
        part = tmp_path / "findings" / ".part-0"
        part.mkdir()
        for name in ("model.onnx", "case.json", "verdict.json"):
            (part / name).write_text("")
        ledger.take(Exhibit(0, "onnxruntime", (Sighting("onnxruntime", "i", "wrong", "Relu", 1, 1, part),)))
    return tmp_path


def test_a_store_that_is_whole_has_no_damage(root, tmp_path):
    import kills

    seeds, findings = kills.kept(root)
    assert (seeds, len(findings)) == ({0, 1, 2}, 1)
    assert kills.damage(root, (seeds, findings)) == []
    assert kills.kept(tmp_path / "none") == (set(), set())
    assert kills.damage(tmp_path / "none", (set(), set())) == []


def test_what_is_lost_is_told(root):
    import kills

    before = kills.kept(root)
    (name,) = before[1]
    (root / "findings" / name / "case.json").unlink()
    with sqlite3.connect(root / LEDGER_NAME) as connection:
        connection.execute("DELETE FROM failure WHERE seed = 2")
        connection.execute('DELETE FROM "case" WHERE seed = 2')
    connection.close()
    assert kills.damage(root, (before[0], before[1] | {"feed"})) == [
        "seeds [2] are lost", "findings ['feed'] are lost", f"finding {name} has no case.json",
    ]  # fmt: skip


def test_what_a_run_was_at_is_told_by_what_it_left(root, tmp_path):
    import kills

    note = tmp_path / "handed"
    assert kills.handed(note) == (set(), [])
    note.write_text("Examine 3\nExamine 4\nTrial 3\nReduce 3\nReduce 1\n", "ascii")
    work = kills.handed(note)
    assert work == ({3, 4}, [3, 1])
    assert kills._phase(root, (set(), []), 3, reduces=False) == "start"
    assert kills._phase(root, work, 3, reduces=True) == "reduction"
    assert kills._phase(root, work, 3, reduces=False) == "end"
    assert kills._phase(root, work, 9, reduces=False) == "examination"
    (root / "findings" / ".part-1-00000003-0").mkdir()
    assert kills._phase(root, work, 9, reduces=True) == "a finding is written or put into its place"


def test_growth_is_that_of_the_longest_run_after_its_warm_up():
    import endurance

    def rows(run, memory):
        return [
            {"run": run, "cases": at, "memory": bytes_, "descriptors": 9, "workers": 5, "processes": 3}
            for at, bytes_ in enumerate(memory)
        ]

    found = endurance.growth([*rows(1.0, [1, 1, 9]), *rows(2.0, [50, 100, *[100] * 17, 104])])
    assert (found["cases"], found["samples"], found["memory"]) == (19, 20, 1.02)
    assert (found["descriptors"], found["processes_at_end"]) == (1.0, 3)


def test_a_process_is_looked_at_from_outside(root):
    import endurance

    row, family = endurance.sample(os.getpid())
    assert row["memory"] > 1 << 20
    assert row["processes"] == 1 + len(family)
    assert endurance.sample(2**22 + 1) == ({"memory": 0, "descriptors": 0, "workers": 0, "processes": 0}, [])
    assert endurance.cases(root) == 3
    assert endurance.cases(root / "none") == 0


def test_faults_are_found_by_cases_that_show_them(root):
    import onnx.parser
    import steering

    (name,) = (path.name for path in (root / "findings").iterdir())
    text = '<ir_version: 8, opset_import: ["" : 17]> g ({0}[2] x) => ({0}[2] z) {{ z = {1}({2}) }}'
    for element, operator, word, found in [
        ("float", "Round", "wrong (value)", ["half-away-from-zero"]),
        ("int32", "Mod", "wrong (value)", ["remainder-sign"]),
        ("float", "Relu", "wrong (value)", ["dropped-activation"]),
        ("int32", "Mod", "crash at run", []),
    ]:  # fmt: skip
        model = onnx.parser.parse_model(text.format(element, operator, "x, x" if operator == "Mod" else "x"))
        (root / "findings" / name / "model.onnx").write_bytes(model.SerializeToString())
        assert steering.bugs(root, [{"id": name, "signature": word}]) == found
    assert steering.spent(root) == 0.0


def test_both_ways_are_compared_at_the_same_cpu_time():
    import steering

    def row(seconds, *bugs):
        return {"seconds": seconds, "cases": 1, "findings": len(bugs), "bugs": list(bugs)}

    curves = {"--steer": [row(5, "a"), row(9, "a", "b")], "--no-steer": [row(6, "a"), row(12, "a", "c")]}
    late = {"--steer": [row(20, "a")], "--no-steer": [row(4), row(20, "b", "c", "d")]}
    found = steering.summary([curves, late])
    assert found["common_seconds"] == 9
    assert found["faults"] == {
        1: {"--steer": [0, 0], "--no-steer": [0, 0]}, 2: {"--steer": [0, 0], "--no-steer": [0, 0]},
        4: {"--steer": [0, 0], "--no-steer": [0, 0]}, 9: {"--steer": [2, 0], "--no-steer": [1, 0]},
    }  # fmt: skip
    assert json.loads(json.dumps(found))["series"] == [curves, late]


def test_where_the_noisy_fault_is_known_others_show():
    import steering

    found = steering.masked("bfloat16-intermediate", 25)
    assert found["rested"]["noisy"] < found["plain"]["noisy"]
    assert found["rested"]["others_alone"] > found["plain"]["others_alone"]
