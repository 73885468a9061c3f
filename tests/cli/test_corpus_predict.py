"""`fuzz corpus measure` and `fuzz corpus predict`, as somebody types them."""

from __future__ import annotations

import json

import pytest

from corpus.graphs.cache import Cache
from corpus.graphs.computation import ComputationGraph, Edge, Node

for module in ("torch", "torch_geometric", "safetensors", "scipy"):
    pytest.importorskip(module, reason="predictors need it")


@pytest.fixture
def models(fuzz, add_case):
    """Two models as test cases, and their graphs."""
    import numpy as np

    for name, operator in (("a", "Relu"), ("b", "Tanh")):
        add_case(fuzz.home / "models", name, f"g (float[1,8] x) => (float[1,8] y) {{ y = {operator} (x) }}",
                 np.ones((1, 8), np.float32))  # fmt: skip
        assert fuzz("corpus", "graph", f"models/{name}/model.onnx", "--out", "made").returncode == 0
    # Graphs are named after files: these two are named after their folders, as those of families are.
    (first,) = Cache(fuzz.home / "made").load("models")[:1]
    Cache(fuzz.home / "graphs").append(
        "toy",
        [ComputationGraph(name, "toy", first.nodes, first.edges, {"canonical": f"|{name}~0|"}) for name in ("a", "b")],
    )


@pytest.fixture
def cache(fuzz):
    """Chains of which the latency is their length."""

    def chain(number, family):
        length = 2 + number % 7
        shape = (1, 4, 8, 8)
        nodes = tuple(
            Node(name=f"n{place}", operator="ReLU", source="Relu", shape=shape, shapes_in=(shape,))
            for place in range(length)
        )
        edges = tuple(Edge(place, place + 1, 0) for place in range(length - 1))
        labels = {"latency_ms": float(length), "latency_ms_1": float(length), "latency_ms_2": length + 0.1}
        return ComputationGraph(f"{family}-{number}", family, nodes, edges, labels)

    for family in ("one", "two"):
        Cache(fuzz.home / "chains").append(family, [chain(number, family) for number in range(20)])


def test_labels_are_measured_once_and_stay(fuzz, models, refused):
    words = ("corpus", "measure", "toy", "--graphs", "graphs", "--models", "models", "--backend", "onnxruntime",
             "--rounds", 1, "--samples", 3)  # fmt: skip
    done = fuzz(*words, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["families"]
    assert (row["family"], row["graphs"], row["changed"], row["measured"], row["refused"]) == ("toy", 2, 2, 2, [])
    labels = Cache(fuzz.home / "graphs").load("toy")[0].labels
    assert labels["latency_ms"] == pytest.approx((labels["latency_ms_1"] + labels["latency_ms_2"]) / 2)
    assert (labels["latency_ms_target"], labels["memory"]) == ("onnxruntime", 64)
    again = fuzz(*words)
    assert again.stdout.startswith("toy: 2 graphs, 0 with new labels, 2 measured")
    (fuzz.home / "accuracies.json").write_text('{"a": 0.5, "c": 0.25}')
    done = fuzz("corpus", "measure", "--graphs", "graphs", "--accuracy", "accuracies.json")
    assert done.stdout == "toy: 2 graphs, 1 with new labels, 1 accuracies\n"
    (fuzz.home / "accuracies.json").write_text('{"a": 0.5, "|a~0|": 0.75, "|b~0|": 1}')
    assert fuzz("corpus", "measure", "--graphs", "graphs", "--accuracy", "accuracies.json").returncode == 0
    assert [graph.labels["accuracy"] for graph in Cache(fuzz.home / "graphs").load("toy")] == [0.5, 1.0]
    (fuzz.home / "no.tfrecord").write_bytes(b"broken")
    refused(fuzz("corpus", "measure", "--graphs", "graphs", "--accuracy", "no.tfrecord"), "is no file of NAS-Bench-101")
    refused(fuzz("corpus", "measure", "--graphs", "graphs", "--backend", "onnxruntime"), "--models DIR")
    refused(fuzz(*words, "--label", "flops"), "write latency_")
    refused(fuzz("corpus", "measure", "nix", "--graphs", "graphs"), "no family 'nix'")
    refused(fuzz("corpus", "measure", "--graphs", "models"), "no cache of computation graphs")
    other = (*words[:8], "onnxruntime:opt=0")
    refused(fuzz(*other), "was measured on onnxruntime, not onnxruntime:opt=0")


def test_a_predictor_is_trained_tested_and_tested_again(fuzz, cache):
    settings = ("--features", "costs", "--readout", "shares", "--learning-rate", 0.005, "--batch", 4)
    done = fuzz("corpus", "predict", "--graphs", "chains", "--train", "one", "--test", "two#5", "--epochs", 20,
                "--fine-tune-epochs", 2, *settings, "--json")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    (two,) = told["families"]
    assert (two["family"], two["tested"]) == ("two", 15)
    assert two["zero_shot"]["predictor"]["spearman"] > 0.9
    parts = ("best", "last", "two_tuned")
    assert told["checkpoints"] == [f"predictors/demo_seed0_{part}.safetensors" for part in parts]
    assert (fuzz.home / told["log"]).read_text().count("epoch ") == 20
    again = fuzz("corpus", "predict", "--graphs", "chains", "--checkpoint", told["checkpoints"][0], "--test", "two",
                 "--name", "again")  # fmt: skip
    assert again.returncode == 0, again.stderr
    head, row = again.stdout.splitlines()
    assert head.split()[:4] == ["tested", "on", "predictor", "graphs"]
    assert row.split()[:3] == ["two", "predictor", "20"]
    assert again.stderr.splitlines()[1].startswith("two, never seen: Spearman predictor")


def test_misuse(fuzz, cache, refused):
    words = ("corpus", "predict", "--graphs", "chains")
    refused(fuzz(*words), "--train nb101+nb201")
    refused(fuzz(*words, "--train", "one", "--name", "../x"), "is no name of a predictor")
    refused(fuzz(*words, "--train", "one", "--test", "two#"), "hiaml#50")
    refused(fuzz(*words, "--checkpoint", "nix", "--test", "two"), "cannot read nix")
    assert not (fuzz.home / "predictors").exists()


def test_perf_says_what_is_far_from_a_prediction(fuzz, add_case, refused):
    import numpy as np

    from corpus.predictor.checkpoint import save
    from corpus.predictor.network import Settings, build
    from corpus.predictor.target import Target
    from corpus.predictor.training import Fitted

    add_case(fuzz.home, "m", "g (float[1,8] x) => (float[1,8] y) { y = Relu (x) }", np.ones((1, 8), np.float32))
    settings = Settings(features="costs", readout="shares", layers=1, width=8)
    save(Fitted(build(settings, 0), Target("latency_ms", -50.0, 1.0, 0.0, 5.0)), fuzz.home / "p.safetensors")
    words = ("perf", "m/model.onnx", "--backend", "onnxruntime", "--only", "compile")
    done = fuzz(*words, "--predictor", "p.safetensors", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["expectations"]
    assert (told["far"], told["why"]) == (True, "")
    assert told["deviation"] > 6
    refused(fuzz(*words, "--predictor", "m/model.onnx"), "is no predictor")
