"""The campaign: resumable chunk by chunk, wrong answers told apart, looked up in the table that a person keeps."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fuzz.judge.compare import Comparison
from fuzz.judge.divergence import Divergence
from fuzz.judge.verdict import Verdict, Word


@pytest.fixture
def campaign(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import campaign

    monkeypatch.setattr(campaign, "CHUNK", 3)
    monkeypatch.setattr(
        campaign, "SERIES", (campaign.Series("small", ("onnxruntime",), ("onnxruntime",), 7, 6),)
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known.json").write_text("[]")
    return campaign


def run(campaign, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["campaign.py", *arguments, "--place", "roots", "--docs", "."])
    return campaign.main()


def test_chunks_are_done_once_and_judged_as_often_as_asked(campaign, monkeypatch, tmp_path, capsys):
    assert run(campaign, monkeypatch, "run", "--chunks", "1") == 0
    first = (tmp_path / "roots" / "small-000" / "chunk.json").read_text()
    assert json.loads(first)["cases"] == 3
    monkeypatch.setattr(campaign, "fuzz", None)  # nothing is generated or executed again
    assert run(campaign, monkeypatch, "run", "--chunks", "1") == 0
    assert run(campaign, monkeypatch, "judge", "--new") == 0
    assert run(campaign, monkeypatch, "judge") == 0
    assert json.loads((tmp_path / "roots" / "small-000" / "chunk.json").read_text()) == json.loads(first)
    assert not (tmp_path / "roots" / "small-001").exists()
    assert run(campaign, monkeypatch, "report") == 0
    assert "0 distinct" in capsys.readouterr().out
    assert json.loads((tmp_path / "oracle.json").read_text())["counts"]["onnxruntime"]
    assert "| onnxruntime |" in (tmp_path / "oracle.md").read_text()


WRONG = Verdict("00000009", "tvm", 0, "wrong", "y", 9.0, (0,), 1.0, 2.0, 0.1, None, "onnxruntime agrees")


@pytest.mark.parametrize(
    ("found", "place", "operator"),
    [
        (None, "untold", ""),
        (Divergence("", "", "", None, hidden=True, gone=True), "gone", ""),
        (Divergence("", "", "", None, hidden=True), "whole", ""),
        (Divergence("n", "Add", "v", Comparison(Word.WRONG), hidden=True), "cut", "Add"),
        (Divergence("n", "Add", "v", Comparison(Word.WRONG), dtypes=("float",)), "exposed", "Add"),
        (Divergence("n", "Add", "v", Comparison(Word.WRONG), alone=True), "alone", "Add"),
        (Divergence("n", "Add", "v", Comparison(Word.WRONG), alone=False), "context", "Add"),
    ],
)
def test_where_it_shows(campaign, found, place, operator):
    row = campaign._row(WRONG, found)
    assert (row["place"], row["operator"], row["seed"], row["kind"]) == (place, operator, 9, "value")


def test_what_it_needs(campaign):
    needs = (("Tile", "n1"), ("Abs", "n0"), ("Abs", "n2"))
    found = Divergence("n", "Add", "v", Comparison(Word.WRONG), alone=False, needs=needs, after=True)
    assert campaign._row(WRONG, found)["needs"] == "Abs + Tile + earlier data"
    assert campaign._row(WRONG, None)["needs"] == ""


def part(campaign, *rows):
    counts = {"tvm": {word.value: 0 for word in Word} | {"wrong": len(rows)}}
    others = [["tvm", "oom", "a|b", 2]]
    return {"cases": 3, "made": "2026-01-02", "counts": counts, "wrong": list(rows), "others": others}


def test_what_nobody_has_looked_up_and_what_is_ours_is_told(campaign, tmp_path, capsys):
    alone = campaign._row(WRONG, Divergence("n", "Add", "v", Comparison(Word.WRONG), alone=True, dtypes=("float16",)))
    other = Comparison(Word.WRONG, message="shape [1] where [] is due")
    shape = campaign._row(WRONG, Divergence("n", "Mul", "v", other))
    chunks = [part(campaign, alone), part(campaign, alone, shape)]
    assert campaign.report(chunks, tmp_path) == 1
    assert "2 distinct, 2 unexplained or ours" in capsys.readouterr().out
    known = [
        {"operator": "Add", "dtype": "float*", "whose": "TVM", "why": "adds | badly"},
        {"operator": "*", "kind": "shape", "whose": "ours", "why": "mended"},
    ]
    (tmp_path / "known.json").write_text(json.dumps(known))
    assert campaign.report(chunks, tmp_path) == 1
    assert "2 distinct, 1 unexplained or ours" in capsys.readouterr().out
    known[1]["whose"] = "TVM"
    (tmp_path / "known.json").write_text(json.dumps(known))
    assert campaign.report(chunks, tmp_path) == 0
    page = (tmp_path / "oracle.md").read_text()
    assert "adds \\| badly" in page
    assert "| wrong | tvm | Add | float16 | value | alone |  | 2 | 9: " in page
    result = json.loads((tmp_path / "oracle.json").read_text())
    assert result["cases"] == 6
    assert result["others"] == [["tvm", "oom", "a|b", 4]]
