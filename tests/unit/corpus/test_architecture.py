"""Abstract architectures, their n-grams, and what is learnt of them."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from corpus.architecture.check import check
from corpus.architecture.classifier import OTHERS, Settings, classes, cross_validate, grid_search, parts, train
from corpus.architecture.collection import Sample, line, read, read_vectors, write_vectors
from corpus.architecture.distance import Distance, Known, distance
from corpus.architecture.features import Features, Vocabulary, features
from corpus.architecture.layers import LIBRARY, Architecture, ArchitectureError, abstract_architecture, of_trace
from corpus.architecture.noise import likely, mixture, principal_components
from corpus.architecture.plots import distribution, scatter
from corpus.architecture.twins import grouped, pairs, twins
from corpus.architecture.variants import Variant, draw, varied
from corpus.families.draws import Draws
from corpus.graphs.onnx_graph import from_onnx
from corpus.trace import trace


class OwnNorm(nn.Module):
    """A module of somebody's own, with a name that says whose."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x):
        return x * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.norm = OwnNorm()
        self.fc = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.25)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x))).mean(dim=(2, 3))
        x = self.norm(x)
        return self.fc(self.drop(self.fc(x))) + x


@pytest.fixture(scope="module")
def net():
    program = torch.export.export(Net().eval(), (torch.zeros(1, 3, 8, 8),))
    return of_trace(trace(program))


def kinds(architecture):
    return [one.kind for one in architecture.layers]


def test_layers_are_modules_of_the_library_and_single_operators_in_modules_of_ones_own(net):
    found = kinds(net)
    assert found[:5] == ["input", "Conv2d", "BatchNorm2d", "relu", "mean"]
    assert "mul" in found
    assert "OwnNorm" not in found
    assert "Dropout" in found
    conv = next(one for one in net.layers if one.kind == "Conv2d")
    assert (conv.name, conv.shape_in, conv.shape_out) == ("conv", (1, 3, 8, 8), (1, 8, 6, 6))
    assert dict(conv.parameters)["kernel"] == "[3, 3]"
    assert dict(conv.parameters)["bias"] == "False"
    assert dict(next(one for one in net.layers if one.kind == "Dropout").parameters)["p"] == "0.25"


def test_every_connection_leads_forwards_though_a_module_is_called_twice(net):
    assert all(one.source < one.target for one in net.connections)
    assert (kinds(net).count("Linear"), net.removed) == (1, 1)


def test_an_architecture_is_the_same_after_json(net):
    assert Architecture.from_json(json.loads(json.dumps(net.to_json()))) == net


@pytest.mark.parametrize("content", [
    None, [], {}, {"layers": [["a", "b"]], "connections": []}, {"layers": 3, "connections": []},
    {"layers": [["a", "b", {}, None, None]], "connections": [[0, 0]]},
    {"layers": [["a", "b", 1, None, None]], "connections": []},
])  # fmt: skip
def test_what_is_no_architecture_is_refused(content):
    with pytest.raises(ArchitectureError, match="it is no architecture"):
        Architecture.from_json(content)


def test_the_library_is_torchs_own_layers_without_children():
    assert all(issubclass(getattr(nn, name), nn.Module) for name in LIBRARY)


def test_an_onnx_model_without_modules_has_operators_as_layers(tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xz"]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Softmax", ["y"], ["z"], axis=1)]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    onnx.save(model, tmp_path / "a.onnx")
    found = features(abstract_architecture(from_onnx(tmp_path / "a.onnx")))
    assert dict(found.connections) == {"input -> relu": 1, "relu -> softmax": 1, "softmax -> output": 1}
    assert found.parameters["softmax axis=1"] == 1
    assert found.dimensions["relu -> softmax [1, 4]"] == 1


def test_n_grams_of_a_network(net):
    found = features(net)
    assert found.connections["Conv2d -> BatchNorm2d"] == 1
    assert found.parameters["Conv2d kernel=[3, 3]"] == found.parameters["Conv2d"] == 1
    assert not any("[1, 8" in text for text in found.counts())


def test_a_vocabulary_pads_and_counts_what_it_does_not_know():
    known = Vocabulary.of([{"a": 1, "b": 2}, {"b": 1}], length=5)
    assert known.texts == ("a", "b")
    assert known.matrix([{"b": 3, "new": 4, "other": 1}]).tolist() == [[0, 3, 0, 0, 5]]
    assert [known.name(place) for place in (0, 3, 4)] == ["a", "(padding)", "(unknown)"]
    assert Vocabulary.of([{"a": 1, "b": 2}, {"b": 1}], least=2).texts == ("b",)
    with pytest.raises(ValueError, match="3 places are needed, and a vector has 2"):
        Vocabulary.of([{"a": 1, "b": 1}], length=2)


# --- collections ------------------------------------------------------------------------------------------------------


def sample(name, label, *texts, architecture=""):
    return Sample(name, {"model_type": label, "architecture": architecture or label},
                  Features(dict.fromkeys(texts, 1), {}, {}))  # fmt: skip


def test_a_file_that_was_cut_off_is_read_up_to_there(net, tmp_path):
    rows = [line(name, {"model_type": "net"}, net, seed=3) for name in "ab"]
    (tmp_path / "one.jsonl").write_text(rows[0] + rows[1][:50], "utf-8")
    (found,) = read(tmp_path)
    assert (found.name, found.labels, found.features) == ("a", {"model_type": "net"}, features(net))


@pytest.mark.parametrize(("content", "said"), [
    (b"{}\n", "line 1: it is no architecture with a name and labels"), (b"[\n", "line 1"),
    (b"\x1f\x8bbroken", "is no file of JSON lines"), (b"\xff\n", "is no file of JSON lines"),
    (b'{"name": "a", "labels": {}, "layers": 1}\n', "line 1: it is no architecture"),
])  # fmt: skip
def test_what_is_no_collection_is_refused_in_one_line(tmp_path, content, said):
    (tmp_path / "one.jsonl").write_bytes(content)
    with pytest.raises(ArchitectureError, match=said) as raised:
        list(read(tmp_path / "one.jsonl"))
    assert "\n" not in str(raised.value)


def test_vectors_are_the_same_bytes_and_come_back(tmp_path):
    samples = [sample("a", "x", "p", "q"), sample("b", "y", "q", "new")]
    known = Vocabulary.of([one.features.counts() for one in samples], least=2, length=6)
    for name in "uv":
        write_vectors(tmp_path / f"{name}.npz", samples, known)
    assert (tmp_path / "u.npz").read_bytes() == (tmp_path / "v.npz").read_bytes()
    vocabulary, names, counts, labels = read_vectors(tmp_path / "u.npz")
    assert (vocabulary, names) == (known, ["a", "b"])
    assert counts == [{"q": 1, "(unknown)": 1}, {"q": 1, "(unknown)": 1}]
    assert labels == {"model_type": ["x", "y"], "architecture": ["x", "y"]}
    (tmp_path / "w.npz").write_bytes(b"nothing")
    with pytest.raises(ArchitectureError, match="holds no vectors"):
        read_vectors(tmp_path / "w.npz")


# --- learning ---------------------------------------------------------------------------------------------------------

SMALL = Settings(widths=(16,), dropout=0.1, epochs=30, rate=0.02, batch=16, least=1)


def three_classes(each=12):
    """Models of three classes: each has an n-gram of its own, and some that say nothing."""
    return [
        sample(f"{label}{place}", label, f"own {label}", f"any {place % 3}", f"more {place % 4}")
        for label in "xyz" for place in range(each)
    ]  # fmt: skip


def test_folds_test_each_model_once_and_learn_from_four_fifths():
    found = list(parts(33, Settings()))
    assert sorted(place for _, tested in found for place in tested) == list(range(33))
    assert all(not set(learnt) & set(tested) and len(learnt) + len(tested) == 33 for learnt, tested in found)
    for learnt, tested in parts(30, Settings(), [str(place % 10) for place in range(30)]):
        assert not {place % 10 for place in learnt} & {place % 10 for place in tested}


def test_the_classifier_learns_and_says_the_same_twice_whatever_torch_drew_before():
    samples = three_classes()
    counts, labels = [one.features.counts() for one in samples], [one.labels["model_type"] for one in samples]
    torch.manual_seed(5)
    names, first = cross_validate(counts, labels, SMALL)
    state = torch.get_rng_state()
    again = cross_validate(counts, labels, SMALL)[1]
    assert names == ("x", "y", "z")
    assert [one.accuracy for one in first] == [1.0] * 5
    assert all(np.array_equal(one.probabilities, two.probabilities) for one, two in zip(first, again, strict=True))
    assert torch.equal(state, torch.get_rng_state())
    ((best, accuracy), *_) = grid_search(counts, labels, SMALL, {"epochs": (1, 30)})
    assert (best.epochs, accuracy) == (30, 1.0)


def test_the_published_network_has_four_layers():
    made = train([{"a": 1}, {"b": 1}], ["x", "y"], Settings(epochs=1, least=1))
    layers = [one for one in made.network if isinstance(one, nn.Linear)]
    assert [one.out_features for one in layers] == [512, 256, 128, 2]
    assert made.probabilities([]).shape == (0, 2)


def test_classes_of_few_are_others():
    assert classes(["a"] * 3 + ["b"], least=2) == ["a"] * 3 + [OTHERS]


def test_components_and_the_mixture_find_what_is_unlike_all_others():
    numbers = np.random.default_rng(0)
    points = numbers.normal(size=(60, 6)).astype(np.float32) * 0.1
    points[:30] += 1
    points[7] = 9
    found = principal_components(points)
    assert found.points.shape == (60, 2)
    assert found.shares[0] > found.shares[1]
    assert np.allclose(found.points.mean(axis=0), 0, atol=1e-9)
    assert np.flatnonzero(~likely(points, 2, 0.02, 0)).tolist() == [7]
    # One Gaussian: its likelihood is known in closed form.
    flat = points[:30].astype(np.float64)
    variance = flat.var(axis=0) + 1e-3
    wanted = -(((flat - flat.mean(axis=0)) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=1)) / 2
    assert np.allclose(mixture(flat, 1, 0), wanted)


def test_classes_with_enough_twins_are_one_group_and_what_is_the_same_as_the_same_too():
    counts = [{"p": 1}, {"p": 4}, {"p": 1, "q": 1}, {"q": 1}, {"p": 2, "q": 2}, {"r": 1}]
    labels = ["a", "b", "b", "c", "c", "d"]
    found = pairs(counts, labels)
    assert [(one.first, one.second, one.of_first, one.of_second) for one in found] == [
        ("a", "b", 1.0, 0.5), ("b", "c", 0.5, 0.5)]  # fmt: skip
    assert grouped(found, labels) == {"a": "a|b|c", "b": "a|b|c", "c": "a|b|c", "d": "d"}
    assert twins(counts, labels, {"q": 9, "p": 3}) == {"b": 1, "c": 1}


def test_a_planted_label_is_found_with_its_evidence_and_nothing_else_is():
    samples = three_classes()
    wrong = sample("planted", "x", "own y", "any 1", "more 1")
    found = check([*samples, wrong], "model_type", SMALL, least=5)
    (suspect,) = found.suspects
    assert (suspect.name, suspect.label, suspect.looks_like) == ("planted", "x", "y")
    assert suspect.probability > 0.5 > suspect.of_label
    assert suspect.has[0].to_json() == {"text": "own y", "of_label": 0.0, "of_other": 1.0}
    assert suspect.lacks[0].to_json() == {"text": "own x", "of_label": 1.0, "of_other": 0.0}
    assert suspect.twins == {"y": 1}
    assert len(found.accuracies) == 5
    learnt = check([wrong, sample("odd", "unheard of", "own y")], "model_type", SMALL, known=samples, least=5)
    assert [one.name for one in learnt.suspects] == ["planted"]
    assert (learnt.models, learnt.unchecked, learnt.accuracies) == (2, 1, ())
    with pytest.raises(ValueError, match="0 of 3 values of architecture are those of 99 models or more"):
        check(samples, "architecture", SMALL, least=99)


def test_what_no_n_gram_shows_is_not_reported():
    """Two classes that only chance sets apart: the classifier errs, and none of its errors is a finding."""
    samples = [sample(f"{label}{place}", label, f"any {place % 8}", f"{label}{place}")
               for label in "xy" for place in range(24)]  # fmt: skip
    found = check(samples, "model_type", SMALL, least=5, threshold=0)
    assert found.groups == ()
    assert max(found.accuracies) < 1
    assert found.suspects == ()


def test_the_distance_to_what_is_known():
    known = [sample("one", "x", "a", "b"), sample("two", "x", "c")]
    found = distance(Features({"a": 1, "b": 1, "n": 2}, {}, {}), known)
    assert (found.value, found.nearest, found.new) == (0.5, "one", ("n",))
    near = Known([*known, sample("three", "x", "a", "c"), sample("empty", "x")])
    assert near.distance(Features({}, {}, {})).value == 0
    assert near.distance(Features({}, {}, {})).nearest == "empty"
    assert near.distance(Features({"a": 2}, {}, {})).value == pytest.approx(1 - 1 / 3)
    assert near.distance(Features({"a": 2}, {}, {})).nearest == "one"  # "three" is as near
    assert near.distance(Features({"n": 2}, {}, {})) == Distance(1, "empty", ("n",))
    with pytest.raises(ValueError, match="no model is known"):
        distance(Features({}, {}, {}), [])


def test_pictures_are_the_same_bytes(tmp_path):
    samples = three_classes(4)
    labels = [one.labels["model_type"] for one in samples]
    counts = [one.features.counts() for one in samples]
    inputs = Vocabulary.of(counts).matrix(counts)
    for name in ("a.svg", "b.svg"):
        scatter(tmp_path / name, principal_components(inputs), labels)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    distribution(tmp_path / "c.png", labels, [3] * len(labels))
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"


# --- variants ---------------------------------------------------------------------------------------------------------


def test_a_variant_changes_all_that_hangs_together():
    config = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1, "attention_bias": True,
        "depths": [2, 2], "hidden_sizes": [32, 32], "id2label": {0: "no", 1: "yes"}, "vocab_size": 1024,
        "text_config": {"hidden_size": 32}, "patch_size": 16, "problem": None,
    }  # fmt: skip
    variant = Variant(
        layers=3, width=2, feed_forward=2, fewer_heads=True, activation="relu", dropout=0.0, epsilon=1e-5,
        smaller_patches=True, flags=(True,),
    )  # fmt: skip
    assert varied(config, variant) == config | {
        "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 256,
        "hidden_act": "relu", "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.0, "attention_bias": False,
        "depths": [3, 1], "hidden_sizes": [64, 64], "text_config": {"hidden_size": 64}, "patch_size": 8,
    }  # fmt: skip


def test_variants_go_by_the_name_of_the_draw():
    assert draw(Draws("a")) == draw(Draws("a"))
    assert len({draw(Draws(str(number))) for number in range(20)}) == 20
