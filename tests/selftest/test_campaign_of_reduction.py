"""The benchmark of reduction: what it runs, what it writes, when it fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """Run the script in this process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    import reduction

    def start(*arguments):
        monkeypatch.setattr(sys, "argv", ["reduction", *arguments, "--docs", "docs"])
        return reduction.main()

    (tmp_path / "docs").mkdir()
    return start


def row(fault, left, **more):
    row = {"target": "t", "fault": fault, "seed": 1, "nodes_before": 30, "nodes": 1, "executions": 9, "surveyed": 4}
    row |= {"seconds": 1.5, "pattern": left, "repeats": True, "shows": True, "clean": "ok", "others": []}
    row |= {"identity": f"t | wrong (value) | {left}", "verdict": "wrong"}
    return {**row, **more}


def test_a_fault_is_reduced_and_told(bench, tmp_path, capsys):
    run = ("run", "--fault", "dropped-activation", "--each", "1", "--seeds", "8")
    assert bench(*run) == 0
    assert bench(*run) == 0
    lines = [json.loads(line) for line in (tmp_path / "build/reduction.jsonl").read_text().splitlines()]
    assert (lines[0]["nodes"], lines[0]["shows"], lines[0]["clean"]) == (1, True, "ok")
    assert [line.get("searched") for line in lines] == [None, 1]  # the second run finds that nothing is left to do
    assert bench("report") == 1  # one case is not two hundred
    assert "cases: 1 (target >= 200)" in capsys.readouterr().out
    assert "| dropped-activation | onnxruntime |" in (tmp_path / "docs/reduction.md").read_text()


def test_slips_and_identities_are_counted(bench, tmp_path, capsys):
    assert bench("report") == 2
    rows = [
        row("a", "Exp(float)"), row("a", "Exp(float)"), row("b", "Exp(float)", nodes=5), row("b", "Neg(float)"),
        row("c", "Log(float)", shows=False), row("c", "Log(float)", clean="wrong"),
    ]  # fmt: skip
    (tmp_path / "build").mkdir(exist_ok=True)
    (tmp_path / "build/reduction.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    capsys.readouterr()
    assert bench("report") == 1
    told = dict(line.split(" (")[0].split(": ") for line in capsys.readouterr().out.splitlines())
    assert (told["slips"], told["of at most 4 nodes, %"]) == ("2", "83.3")
    pairs = [told[f"pairwise {figure} of identities, planted"] for figure in ("precision", "recall")]
    assert pairs == ["0.5", "0.667"]
