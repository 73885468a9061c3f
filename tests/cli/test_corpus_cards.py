"""`fuzz corpus match`, `tuples` and `samples` as somebody types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("rapidfuzz", reason="near misses are rapidfuzz's")
EXAMPLE = Path(__file__).parents[2] / "corpus" / "cards" / "example"


@pytest.fixture
def example(fuzz):
    shutil.copytree(EXAMPLE, fuzz.home / "example")
    return fuzz.home / "example"


def test_from_cards_to_samples(fuzz, example):
    done = fuzz("corpus", "match", "example/huggingface", "example/mmdetection", "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["cards"], told["before"], told["unknown"]) == (5, 0, {"ben/diary": 1})
    assert told["problems"] == len((fuzz.home / "out" / "problems.jsonl").read_text().splitlines()) == 2
    again = fuzz("corpus", "match", "example/huggingface", "example/mmdetection", "--out", "out")
    assert "5 were matched before" in again.stdout
    done = fuzz("corpus", "tuples", "out", "--json")
    files = [path for path in (fuzz.home / "out" / "tuples").rglob("*") if path.is_file()]
    assert json.loads(done.stdout)["tuples"] == len(files)
    place = fuzz.home / "out" / "tuples" / "object-detection" / "coco" / "plainnet_r50_fpn_1x_coco"
    assert json.loads(place.read_text()) == ["plainnet_r50_fpn_1x_coco", "coco", "object-detection"]
    done = fuzz("corpus", "samples", "out", "--graphs", "example/graphs", "--json")
    told = json.loads(done.stdout)
    rows = [json.loads(line) for line in (fuzz.home / "out" / "samples.jsonl").read_text().splitlines()]
    assert told["samples"] == len(rows) == 2
    assert set(told["missing"]) == {"ben/reviews-small", "plainnet-mask_r50_fpn_2x_lvis"}
    assert rows[0]["completion"] == (EXAMPLE / "graphs" / "ana" / "vit-pets.xml").read_text()


def test_a_graph_that_cannot_be_read_costs_its_own_samples(fuzz, example):
    (example / "graphs" / "ana" / "vit-pets.xml").write_text("<graph")
    fuzz("corpus", "match", "example/huggingface", "example/mmdetection", "--out", "out")
    fuzz("corpus", "tuples", "out")
    done = fuzz("corpus", "samples", "out", "--graphs", "example/graphs")
    assert done.returncode == 0
    assert done.stdout.startswith("1 samples")
    assert "vit-pets.xml is no XML" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("match", "nowhere"), ("nowhere is not there",)),
        (("match", "empty"), ("no card in empty", "problems.jsonl")),
        (("match", "empty", "--datasets", "empty"), ("holds no datasets",)),
        (("match", "empty", "--least", "2"), ("--least",)),
        (("tuples", "empty"), ("fuzz corpus match",)),
        (("samples", "empty", "--graphs", "empty"), ("fuzz corpus tuples",)),
        (("samples", "empty", "--graphs", "nowhere"), ("nowhere is no folder",)),
    ],
)
def test_misuse_is_one_line(fuzz, refused, arguments, words):
    (fuzz.home / "empty").mkdir()
    refused(fuzz("corpus", *arguments), *words)
