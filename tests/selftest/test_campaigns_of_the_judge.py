"""The campaigns of null runs and of planted faults: what they run, what they write, when they fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from backends.faults.table import FAULTS


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Run a script of benchmarks/ in this process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.chdir(tmp_path)

    def start(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments, "--docs", "docs"])
        return module.main()

    return start


@pytest.fixture
def null(started):
    import campaign_null

    return campaign_null


@pytest.fixture
def faults(started):
    import campaign_faults

    return campaign_faults


def pair(operator, dtype, ok, **more):
    words = {"suspect": 0, "wrong": 0, "undecidable": 0, "reason": ""}
    return {"operator": operator, "operand": "X", "type": dtype, "cases": int(ok > 0), "ok": ok, **words, **more}


def totals(ok, **more):
    return {"cases": 1, "ok": ok, "suspect": 0, "wrong": 0, "undecidable": 0, **more}


def test_null_runs_are_counted_operator_by_operator(null, tmp_path, capsys):
    strata = {**totals(2240, undecidable=7), "pairs": [
        pair("Exp", "float", 1120, undecidable=7), pair("Exp", "double", 1111), pair("Add", "bool", 0, reason="why"),
        pair("Add", "int4", 0, reason="why"), pair("Add", "int8", 9, reason="few"),
    ]}  # fmt: skip
    assert null.report(strata, [{"label": "whole", **totals(5000, suspect=5)}], 100, tmp_path) == 0
    assert "2,240 judged, 0 suspect, 0 wrong\n5,005 judged, 5 suspect, 0 wrong" in capsys.readouterr().out
    page = (tmp_path / "null.md").read_text()
    assert "Of 5 such pairs,\n2 have at least 100 judged" in page
    assert "| Add | X | bool, int4 | 0 | why |\n| Add | X | int8 | 9 | few |\n" in page
    assert "| whole | 1 | 5,005 | 5,000 | 5 | 0 | 0 |\n| all | 2 | 7,245 |" in page
    assert "| Exp | 2 | 2,231 | 1111 | 0 | 0 | 7 |\n| Add | 1 | 9 | 9 | 0 | 0 | 0 |\n" in page
    result = json.loads((tmp_path / "null.json").read_text())
    assert result["strata"] == strata
    assert result["per_pair"] == 100


@pytest.mark.parametrize(("bad", "code"), [({"wrong": 1}, 1), ({"suspect": 2}, 1), ({"suspect": 1}, 0)])
def test_a_judge_that_cries_wolf_fails_the_campaign(null, tmp_path, bad, code):
    assert null.report({**totals(999), "pairs": []}, [{"label": "", **totals(1500, **bad)}], 100, tmp_path) == code


def test_the_null_campaign_asks_the_command(started, null, monkeypatch, tmp_path):
    asked = []

    def fuzz(*arguments):
        asked.append(arguments)
        return {**totals(300), "pairs": [pair("Exp", "float", 300)]}

    monkeypatch.setattr(null, "fuzz", fuzz)
    assert started(null, "--per-pair", "11", "--count", "30", "--jobs", "1") == 0
    assert asked[-1] == ("selftest", "--null", "--per-pair", "11", "--jobs", "1")
    made = [words for words in asked if words[0] in {"gen", "mutate", "diversify"}]
    assert [words[0] for words in asked].count("selftest") == len(null.SERIES) + 1
    assert {words[0] for words in made} == {"gen", "mutate", "diversify"}
    assert made[0][3:5] == ("--count", "30")
    assert not any(word in {"ROOT", "PARENTS", "COUNT"} for words in asked for word in words)
    assert (tmp_path / "docs" / "null.md").exists()


def test_the_models_of_a_series_are_made_and_judged(null):
    found = null.judged(null.Series("", 0.5, ("gen --root ROOT --count COUNT --nodes 2",)), 4, ("--jobs", "1"))
    assert (found["cases"], found["wrong"]) == (2, 0)
    assert found["judged"] > 0


def trail(fault, right="wrong", found=None, close=None, seconds=60.0, **more):
    mark = None if found is None else {"seconds": found, "cases": 9, "seed": 8, "verdict": right, "oracle": "reference"}
    near = None if close is None else {"seconds": close, "cases": 12}
    return {"fault": fault, "right": right, "seconds": seconds, "cases": 99, "shown": 3, "found": mark, "close": near,
            "other": None, **more}  # fmt: skip


@pytest.fixture
def about(faults):
    return {"made": "2026-01-02", "commits": ["0123456789abcdef", "fedcba98"], "machine": faults.machine()}


@pytest.mark.untraced
def test_faults_are_hunted_stage_by_stage_and_once(started, faults, monkeypatch, tmp_path, capsys):
    """Two faults, one in each search; neither is found within the time of the first stage."""
    pytest.importorskip("onnxruntime")
    short = tuple(
        faults.Stage(stage.name, seconds, stage.wanted, stage.after)
        for stage, seconds in zip(faults.STAGES, (0.1, 60, 60), strict=True)
    )
    monkeypatch.setattr(faults, "STAGES", short)
    asked = ("run", "--place", "here", "--fault", "shifted-slice", "--fault", "wrong-axis")
    assert started(faults, *asked, "--stage", "minute") == 0
    first = list(faults.trails(tmp_path / "here"))
    assert [t["fault"] for t in first] == ["shifted-slice", "wrong-axis"]
    assert [t["found"] for t in first] == [None, None]
    assert started(faults, *asked) == 0
    kept = {path.name: path.read_text() for path in (tmp_path / "here").glob("*-*.json")}
    states = {f"{name}-{part}.json" for name in ("minute", "ten-minutes") for part in (0, 1)}
    assert set(kept) == states
    assert all(t["found"] and t["found"]["cases"] > 1 for t in faults.trails(tmp_path / "here"))
    assert started(faults, *asked, "--stage", "ten-minutes") == 0
    assert {path.name: path.read_text() for path in (tmp_path / "here").glob("*-*.json")} == kept
    assert started(faults, "report", "--place", "here") == 0
    assert "2 faults, 60 s: 100.0 % found" in capsys.readouterr().out


def test_the_page_of_faults(faults, about, tmp_path, capsys):
    found = [
        trail("race", "nondeterministic", 70.0, 500.0),
        trail("slow-path", "slow", 3.5),
        trail("lost-bias", "wrong", 1.25, 2.5),
        trail("group-order", seconds=600.4, other={"crash": 2}),
    ]
    assert faults.report(found, "onnxruntime", about, tmp_path) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "4 faults, 60 s: 50.0 % found, 25.0 % by allclose", "4 faults, 600 s: 75.0 % found, 50.0 % by allclose"
    ]
    page = (tmp_path / "faults.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and line[2:].split(" ")[0] in FAULTS]
    assert rows == [
        "| lost-bias | wrong | 1.2 | 9 | 3 | reference, seed 8 | 2.5 | 12 |",
        "| slow-path | slow | 3.5 | 9 | 3 | reference, seed 8 | cannot |  |",
        "| race | nondeterministic | 70.0 | 9 | 3 | reference, seed 8 | 500.0 | 12 |",
        "| group-order | wrong | not in 600 | 99 | 3 | 2 crash | not in 600 |  |",
    ]
    assert "2026-01-02, commit 0123456789, fedcba98; `make campaign-faults`" in page
    assert "| 60 s of CPU time | 50.0 % | 80 % | 25.0 % |" in page
    assert json.loads((tmp_path / "faults.json").read_text())["faults"] == found


def test_enough_faults_found_is_fine(faults, about, tmp_path):
    assert faults.report([trail("lost-bias", "wrong", 1.0, 2.0)], "onnxruntime", about, tmp_path) == 0
    assert faults.report([], "onnxruntime", about, tmp_path) == 1
