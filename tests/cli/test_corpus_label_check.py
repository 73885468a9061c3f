"""`fuzz corpus label-check`, as a user types it."""

from __future__ import annotations

import json
from functools import partial

import pytest

from corpus.architecture.collection import line
from corpus.architecture.layers import Architecture, Connection, Layer

pytest.importorskip("torch", reason="the classifier is PyTorch's")


@pytest.fixture
def typed(ending):
    return partial(ending, "corpus", "label-check")


def row(name, label, *kinds):
    layers = tuple(Layer(f"{place}", kind, (("p", str(place)),)) for place, kind in enumerate(kinds))
    links = tuple(Connection(place, place + 1) for place in range(len(kinds) - 1))
    return line(name, {"model_type": label}, Architecture(layers, links))


@pytest.fixture
def collection(tmp_path):
    """Two types of 20 models each."""
    rows = [
        row(f"{label}{place}", label, "input", *[kind, "ReLU"] * (1 + place % 4), "output")
        for label, kind in (("conv", "Conv2d"), ("dense", "Linear")) for place in range(20)
    ]  # fmt: skip
    (tmp_path / "all.jsonl").write_text("".join(rows), "utf-8")
    return tmp_path / "all.jsonl"


def test_nothing_is_suspect_then_a_planted_label_is(typed, collection):
    assert typed(collection).stdout.startswith("0 of 40 labels suspect, 2 classes (")
    with collection.open("a", encoding="utf-8") as file:
        file.write(row("liar", "conv", "input", "Linear", "ReLU", "output"))
    first = typed(collection, "--json", code=1).stdout
    found = json.loads(first)
    assert (found["models"], found["unchecked"], found["classes"], found["groups"]) == (41, 0, ["conv", "dense"], [])
    (suspect,) = found["suspects"]
    assert (suspect["name"], suspect["label"], suspect["looks_like"]) == ("liar", "conv", "dense")
    assert suspect["twins"] == {"dense": 5}
    assert {one["text"] for one in suspect["has"]} <= {"Linear", "Linear -> ReLU", "Linear p=1", "input -> Linear"}
    again = json.loads(typed(collection, "--json", code=1).stdout)
    assert {**found, "seconds": 0} == {**again, "seconds": 0}


def test_models_are_checked_against_known_ones(typed, collection, tmp_path):
    (tmp_path / "new.jsonl").write_text(row("liar", "dense", "input", "Conv2d", "ReLU", "output"), "utf-8")
    told = typed(tmp_path / "new.jsonl", "--known", collection, "--noise", "0.05", code=1).stdout
    assert told.splitlines()[0].startswith("1 of 1 labels suspect")
    assert "liar: labelled dense" in told
    assert "has Conv2d (in 0% of its label, 100% of the other)" in told
    tried = json.loads(typed(tmp_path / "new.jsonl", "--known", collection, "--grid", "dropout", "--grid", "batch",
                             "--json", code=1).stdout)  # fmt: skip
    assert [one["name"] for one in tried["suspects"]] == ["liar"]
    assert sorted((one["settings"]["dropout"], one["settings"]["batch"]) for one in tried["grid"]) == [
        (0.2, 64), (0.2, 256), (0.5, 64), (0.5, 256),
    ]  # fmt: skip
    shares = [one["accuracy"] for one in tried["grid"]]
    assert shares == sorted(shares, reverse=True)
    assert tried["settings"] == tried["grid"][0]["settings"]


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "give a file of architectures"), (("missing.jsonl",), "cannot read missing.jsonl: No such file or directory"),
    (("{}", "--label", "architecture"), "none of 40 models has a label architecture: give them one"),
    (("{}", "--least", "21"),
     "0 of 2 values of model_type are those of 21 models or more, and two are needed: add models, or lower --least"),
])  # fmt: skip
def test_misuse_is_told_in_one_line(typed, collection, arguments, said):
    done = typed(*(one.format(collection) for one in arguments), code=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
