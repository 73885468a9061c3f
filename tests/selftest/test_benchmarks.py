from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import figure

    return figure


def bench(*arguments, cwd):
    return subprocess.run(
        [sys.executable, FOLDER / "run.py", *arguments],
        capture_output=True, text=True, timeout=300, check=False, cwd=cwd,
    )


def test_one_object_with_every_figure_and_the_machine(tmp_path):
    done = bench("--quick", "--json", "reference", "throughput", cwd=tmp_path)
    assert done.returncode in {0, 1}, done.stderr
    result = json.loads(done.stdout)
    assert {"processor", "cores", "load", "python", "numpy", "onnxruntime"} <= set(result["machine"])
    assert len(result["figures"]) == 3
    for each in result["figures"]:
        assert set(each) == {"name", "value", "unit", "target", "sense", "cpu", "detail", "met"}
        assert each["value"] > 0
        reached = each["value"] <= each["target"] if each["sense"] == "at_most" else each["value"] >= each["target"]
        assert each["met"] == reached
    assert not list((tmp_path / "build" / "bench").iterdir())


def test_an_unknown_benchmark_is_misuse(tmp_path):
    done = bench("nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "identity" in done.stderr


@pytest.mark.parametrize(
    ("value", "target", "sense", "met"),
    [(0.3, 0.3, "at_most", True), (0.4, 0.3, "at_most", False), (80, 80, "at_least", True), (1, None, "at_most", None)],
)
def test_a_target_is_met_or_not(figure, value, target, sense, met):
    assert figure.Figure("n", value, "s", target, sense).met is met


def test_the_table_is_markdown(figure, capsys):
    speed = figure.Figure("speed", 123.456, "cases/s", 100, "at_least", 9.87)
    figure.print_table([figure.Figure("lost", 0, "", 0), speed])
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("|") for line in lines] == [7] * 4
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == ["speed", "123 cases/s", "≥ 100", "yes", "9.9", ""]


def test_medians_leave_the_first_run_out(figure):
    seen = []
    times = figure.cpu_medians(["a", "b"], seen.append, repeats=2)
    assert seen == ["a"] * 3 + ["b"] * 3
    assert all(t >= 0 for t in times)
