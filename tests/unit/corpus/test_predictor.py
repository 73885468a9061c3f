"""The predictor: what it sees of a graph, its measures, that it learns, its files, the whole experiment."""

from __future__ import annotations

import json
import math
import random
import struct
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the network is PyTorch's")
pytest.importorskip("torch_geometric", reason="its layers are torch_geometric's")
pytest.importorskip("scipy", reason="ranks are compared by it")

import torch
from torch_geometric.data import Batch

from corpus.graphs.cache import Cache
from corpus.graphs.computation import ComputationGraph, Edge, GraphError, Node
from corpus.graphs.vocabulary import VOCABULARY
from corpus.predictor import baselines, experiment
from corpus.predictor.checkpoint import load, save
from corpus.predictor.encoding import COSTS, encoded, logarithms, row, width
from corpus.predictor.metrics import kendall, ndcg, score, spearman
from corpus.predictor.network import NetworkError, Settings, build
from corpus.predictor.recipe import FEATURES, LAYERS, READOUTS, RECIPES
from corpus.predictor.target import Target, fitted, value
from corpus.predictor.training import Course, fit, fresh, predict

SUMS = Settings(features="costs", readout="shares", layers=2, width=16)


def relu(number, channels, side):
    shape = (1, channels, side, side)
    sizes = {"resolution_in": (side, side), "resolution_out": (side, side), "channels_in": channels}
    return Node(name=f"n{number}", operator="ReLU", source="Relu", channels_out=channels, shapes_in=(shape,),
                shape=shape, **sizes)  # fmt: skip


def conv(number, channels, after, side, window, *, bias=False):
    return Node(
        name=f"n{number}", operator="Conv", source="Conv", resolution_in=(side, side), resolution_out=(side, side),
        channels_in=channels, channels_out=after, kernel=(window, window), bias=bias,
        weights=((after, channels, window, window),), shapes_in=((1, channels, side, side),),
        shape=(1, after, side, side),
    )  # fmt: skip


def toy(number, family="toy"):
    """A chain whose latency is 1 us a ReLU and 10 ns a weight of a convolution: not what operations would say."""
    draw = random.Random(f"{family}{number}")  # noqa: S311 - no secret
    nodes, channels, total = [], 8, 0.0
    for place in range(draw.randint(2, 8)):
        if draw.random() < 0.4:
            after, window = draw.choice((8, 16, 32)), draw.choice((1, 3))
            nodes.append(conv(place, channels, after, 16, window))
            total += 1e-5 * channels * after * window * window
            channels = after
        else:
            nodes.append(relu(place, channels, 16))
            total += 1.0
    edges = tuple(Edge(place, place + 1, 0) for place in range(len(nodes) - 1))
    labels = {"latency_ms": total, "latency_ms_1": total * 0.99, "latency_ms_2": total * 1.01}
    return ComputationGraph(f"{family}-{number}", family, tuple(nodes), edges, labels)


@pytest.fixture(scope="module")
def graphs():
    return [toy(number) for number in range(60)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    made = Cache(tmp_path_factory.mktemp("graphs"))
    for family, count in (("one", 40), ("two", 20)):
        made.append(family, [toy(number, family) for number in range(count)])
    return made


# --- encoding ----------------------------------------------------------------------------------------------------


def test_a_row_is_label_sizes_kernel_and_bias_as_published():
    told = row(conv(0, 64, 128, 32, 3, bias=True))
    assert len(told) == width("published") == 32 + 7 + 6
    assert [VOCABULARY[place] for place, number in enumerate(told[:32]) if number] == ["Conv"]
    assert told[32:39] == [1, 0.125, 0.125, 0.125, 0.125, 0.125, 0.25]
    assert told[39:] == [1, 0.125, 0.25, 3 / 8, 3 / 8, 1]
    assert row(relu(0, 64, 32))[39:] == [0] * 6


def test_an_operator_without_a_label_and_sizes_that_nobody_knows():
    told = row(Node(name="x", operator="Reserved9", source="Mystery"))
    assert (told[0], sum(told)) == (1.0, 1.0)
    assert VOCABULARY[0] == "<OOV>"
    unfixed = Node(name="x", operator="ReLU", source="Relu", shape=("N", 3), shapes_in=(("N", 3),))
    assert row(unfixed, "costs")[-6:] == [1, 1, 0, 0, 0, 0]


def test_costs_are_logarithms_behind_the_published_row():
    node = conv(0, 8, 16, 4, 3)
    told = row(node, "costs")
    assert len(told) == width("costs")
    assert told[:-6] == row(node)
    counts = (2 * 8 * 9 * 16 * 16, 16 * 16, 8 * 16, 16 * 8 * 9)
    assert told[-4:] == pytest.approx([math.log2(1 + one) / 4 for one in counts])
    assert logarithms(torch.tensor([told]))[0].tolist() == pytest.approx([math.log(1 + one) for one in counts])
    assert COSTS == ("operations", "given", "taken", "weights")


@pytest.mark.parametrize(("channels", "aligned"), [(43, 0), (2, 0.25), (24, 0.75), (16, 1), (96, 1)])
def test_channels_that_fill_vectors_and_channels_that_do_not(channels, aligned):
    assert row(conv(0, channels, 16, 4, 3), "costs")[-6:-4] == [aligned, 1]
    assert row(conv(0, 16, channels, 4, 3), "costs")[-6:-4] == [1, aligned]


def test_a_graph_is_encoded_the_same_each_time_with_each_edge_once(graphs):
    graph = graphs[0]
    double = ComputationGraph("g", "f", graph.nodes, (*reversed(graph.edges), Edge(0, 1, 1)))
    one, other = encoded(graph, target=2.0), encoded(double)
    assert one.x.equal(other.x)
    assert one.edge_index.equal(other.edge_index)
    assert one.edge_index.tolist() == [list(range(len(graph.nodes) - 1)), list(range(1, len(graph.nodes)))]
    assert (one.y.tolist(), one.x.dtype) == ([2.0], torch.float32)
    lonely = encoded(ComputationGraph("g", "f", graph.nodes[:1], ()))
    assert lonely.edge_index.shape == (2, 0)


# --- measures ----------------------------------------------------------------------------------------------------


def test_errors_and_ranks_by_hand():
    found = score([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    assert (found.count, found.mse, found.mae) == (3, pytest.approx(5 / 3), pytest.approx(1.0))
    assert found.mape == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert found.spearman == pytest.approx(1 - 6 * 2 / (3 * 8))  # 1 - 6 sum d^2 / (n (n^2 - 1))
    assert found.kendall == pytest.approx(1 / 3)  # two pairs agree, one does not


def test_ndcg_by_hand():
    # relevance 0, 10, 20; predicted order: the second, the third, the first
    gain = 10 + 20 / math.log2(3)
    best = 20 + 10 / math.log2(3)
    assert ndcg([1, 2, 3], [0, 9, 5], 10) == pytest.approx(gain / best)
    assert ndcg([1, 2, 3], [0, 9, 5], 1) == pytest.approx(10 / 20)
    assert ndcg([3, 2, 1], [0, -9, -5], 1, less_is_better=False) == pytest.approx(1.0)
    assert ndcg([1, 2, 3], [1, 2, 3], 1, less_is_better=True) == pytest.approx(1.0)
    assert ndcg([1, 2, 3], [3, 2, 1], 1, less_is_better=True) == pytest.approx(0.0)


def test_equal_predictions_share_their_ranks():
    shared = (20 + 0) / 2 * (1 + 1 / math.log2(3))
    assert ndcg([0, 1], [7, 7], 10) == pytest.approx(shared / 20)


def test_what_cannot_be_said_is_none():
    found = score([2.0, 2.0], [1.0, 3.0])
    assert (found.spearman, found.kendall, found.ndcg_10) == (None, None, None)
    assert spearman([1.0], [2.0]) is None
    assert kendall([1.0, 2.0], [3.0, 3.0]) is None
    assert score([0.0], [1.0]).mape is None
    with pytest.raises(ValueError, match="1 labels and 2"):
        score([1.0], [1.0, 2.0])


# --- targets -----------------------------------------------------------------------------------------------------


def test_a_cost_is_learned_as_a_logarithm_and_an_accuracy_as_it_is(graphs):
    target = fitted("latency_ms", graphs, sums=False)
    learned = [target.learned(value(graph, "latency_ms")) for graph in graphs]
    assert sum(learned) == pytest.approx(0, abs=1e-9)
    assert sum(one * one for one in learned) / len(learned) == pytest.approx(1)
    assert target.told(target.learned(3.5)) == pytest.approx(3.5)
    plain = Target("accuracy", 0.5, 0.1)
    assert (plain.learned(0.7), plain.told(2.0)) == (pytest.approx(2), pytest.approx(0.7))
    assert Target("latency_ms").told(1e9) < math.inf


def test_the_spread_of_what_was_held_back():
    target = Target("latency_ms").judged([math.e, math.e**2, math.e**4], [1.0, 1.0, 1.0])
    assert (target.bias, target.spread) == (pytest.approx(2), pytest.approx(1.4826))


def test_labels_that_are_none_are_told(graphs):
    with pytest.raises(GraphError, match="no number as its label 'accuracy'"):
        value(graphs[0], "accuracy")
    with pytest.raises(GraphError, match="is no sum over nodes"):
        fitted("accuracy", [graph.labelled({"accuracy": 0.5}) for graph in graphs], sums=True)
    with pytest.raises(GraphError, match="a cost is above 0"):
        value(graphs[0].labelled({"latency_ms": 0.0}), "latency_ms")


# --- the network -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("gnn", LAYERS)
def test_each_layer_with_each_readout_predicts_a_number_a_graph(gnn, readout, graphs):
    made = build(Settings(gnn=gnn, features="costs", readout=readout, layers=1, width=8), 0)
    batch = Batch.from_data_list([encoded(graph, "costs") for graph in graphs[:3]])
    told = made(batch)
    assert (told.shape, bool(torch.isfinite(told).all())) == ((3,), True)
    alone = [made(Batch.from_data_list([encoded(graph, "costs")])).item() for graph in graphs[:3]]
    assert told.tolist() == pytest.approx(alone, rel=1e-4, abs=1e-5)


def test_the_published_settings():
    made = build(Settings(), 0)
    assert [type(layer).__name__ for layer in made.layers] == ["GraphConv"] * 6
    assert {layer.out_channels for layer in made.layers} == {32}
    taken = RECIPES["published"]
    assert Settings(taken.gnn_type, taken.features, taken.readout) == Settings()
    assert Course(taken.epochs, taken.batch, taken.learning_rate, taken.schedule) == Course() == Course(40, 32, 1e-4)
    assert (taken.fine_tune_epochs, taken.fine_tune_batch) == (100, 1)


@pytest.mark.parametrize("readout", ["shares", "roofline"])
def test_shares_sum_to_what_is_predicted(graphs, readout):
    made = build(replace(SUMS, readout=readout), 0)
    batch = Batch.from_data_list([encoded(graphs[0], "costs")])
    assert made(batch).item() == pytest.approx(made.scores(batch).exp().sum().log().item(), abs=1e-5)


def test_a_roofline_begins_with_operations_elements_and_a_call_at_their_rates():
    made = build(Settings(features="costs", readout="roofline", layers=1, width=8), 0)
    node = conv(0, 8, 16, 4, 3)
    operations, moved = 2 * 8 * 9 * 16 * 16, 3 + 16 * 16 + 8 * 16 + 16 * 8 * 9
    with torch.no_grad():
        made.head[-1].weight.zero_()
        made.head[-1].bias.zero_()
        (told,) = made.scores(Batch.from_data_list([encoded(ComputationGraph("g", "f", (node,), ()), "costs")]))
    assert told.exp().item() == pytest.approx((1 + operations) / 3e7 + moved / 1e6 + 1 / 1e3, rel=1e-4)


@pytest.mark.parametrize("readout", ["shares", "roofline"])
def test_a_fresh_sum_says_the_right_mean_in_units_of_its_rows(graphs, readout):
    made = fresh(replace(SUMS, readout=readout), "latency_ms", graphs, 0)
    logs = [math.log(value(graph, "latency_ms")) for graph in graphs]
    told = [math.log(one) for one in predict(made, graphs)]
    assert sum(told) / len(told) == pytest.approx(sum(logs) / len(logs), abs=1e-4)
    rows = torch.cat([encoded(graph, "costs").x for graph in graphs])
    units = (rows - made.network.middle) / made.network.spread
    assert units.mean(0).abs().max() < 1e-4
    varied = rows.std(0) > 0.1
    assert (units.std(0)[varied] - 1).abs().max() < 1e-4
    assert (made.network.spread[~varied] == 0.1).all()


def test_settings_that_make_no_network_are_refused():
    rows = (({"gnn": "eval"}, "no GNN 'eval'"), ({"width": 10**6}, "from 1 to 512"), ({"layers": True}, "1 to 32"),
            ({"readout": "roofline"}, "needs the features costs"))  # fmt: skip
    for wrong, said in rows:
        with pytest.raises(NetworkError, match=said):
            Settings(**wrong)
    with pytest.raises(NetworkError, match="no settings"):
        Settings.from_json({"colour": 1})


# --- learning ----------------------------------------------------------------------------------------------------


def trained(graphs, settings=SUMS, epochs=30, seed=0):
    made = fresh(settings, "latency_ms", graphs[:40], seed)
    told = []
    fit(made, graphs[:40], graphs[40:50], Course(epochs, 8, 5e-3), seed, told.append)
    return made, told


def test_training_beats_the_mean_and_the_line_through_the_operations(graphs):
    made, epochs = trained(graphs)
    test = graphs[50:]
    truth = [value(graph, "latency_ms") for graph in test]
    mean = sum(value(graph, "latency_ms") for graph in graphs[:40]) / 40
    found = score(truth, predict(made, test))
    assert found.mae < 0.5 * score(truth, [mean] * 10).mae
    by_operations = score(truth, baselines.line("latency_ms", graphs[:40]).predict(test))
    assert found.spearman > 0.9 > by_operations.spearman
    assert [epoch.number for epoch in epochs] == list(range(1, 31))
    assert epochs[-1].loss < 0.3 * epochs[0].loss
    assert made.target.spread > 0
    least = min(epochs, key=lambda epoch: epoch.held_back)
    assert least.number == max(epoch.number for epoch in epochs if epoch.best)


def test_a_schedule_takes_the_rate_to_nothing_or_leaves_it():
    assert [Course(schedule="cosine").factor(step, 4) for step in (0, 2, 4)] == pytest.approx([1, 0.5, 0])
    assert [Course().factor(step, 4) for step in (0, 2, 4)] == [1, 1, 1]
    with pytest.raises(NetworkError, match="no schedule 'linear': constant, cosine"):
        Course(schedule="linear")


def test_the_same_seed_makes_the_same_bytes_and_leaves_the_generator_alone(graphs, tmp_path):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    for name in "ab":
        save(trained(graphs, epochs=2)[0], tmp_path / name)
    assert torch.random.get_rng_state().equal(before)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    save(trained(graphs, epochs=2, seed=1)[0], tmp_path / "c")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_the_line_is_exact_where_the_label_follows_the_operations(graphs):
    exact = [graph.labelled({"latency_ms": 3.0 * graph.flops() ** 0.5}) for graph in graphs]
    told = baselines.line("latency_ms", exact[:30]).predict(exact[30:])
    assert told == pytest.approx([value(graph, "latency_ms") for graph in exact[30:]])


# --- files -------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_what_was_saved(graphs, tmp_path):
    made, _ = trained(graphs, epochs=2)
    save(made, tmp_path / "new" / "p.safetensors")
    found = load(tmp_path / "new" / "p.safetensors")
    assert (found.target, found.epochs, found.network.settings) == (made.target, 2, SUMS)
    assert predict(found, graphs[:5]) == predict(made, graphs[:5])
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "p.safetensors"]


def spoiled(path, change):
    """The header of a safetensors file changed."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    told = json.loads(header["__metadata__"]["predictor"])
    change(told)
    header["__metadata__"]["predictor"] = json.dumps(told)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.update(version=9), "is no predictor: train one"),
        (lambda told: told.update(settings={**told["settings"], "gnn": "Sequential"}), "no GNN 'Sequential'"),
        (lambda told: told.update(settings={**told["settings"], "width": 8}), "its weights are not those"),
        (lambda told: told.update(target={**told["target"], "offset": "x"}), "no target of a predictor"),
        (lambda told: told.pop("epochs"), "a broken one"),
    ],
)
def test_files_of_strangers_are_refused_in_one_line(graphs, tmp_path, change, said):
    path = tmp_path / "p.safetensors"
    save(trained(graphs, epochs=1)[0], path)
    spoiled(path, change)
    with pytest.raises(NetworkError, match=said) as raised:
        load(path)
    assert "\n" not in str(raised.value)


def test_what_is_no_such_file_is_refused(tmp_path):
    path = tmp_path / "x"
    for content in (b"", b"no predictor", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(NetworkError, match="is no predictor"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")


# --- the experiment ----------------------------------------------------------------------------------------------


def plan(folder, **changes):
    given = {
        "train": ("one",), "test": (experiment.foreign("two#5"),), "settings": SUMS, "course": Course(3, 8, 5e-3),
        "tuning": Course(2, 1, 1e-3), **changes,
    }  # fmt: skip
    return experiment.Plan("p", folder, **given)


def run(made, cache, steps=None):
    lines = []
    result = experiment.run(made, cache, lines.append, (steps if steps is not None else []).append)
    return result, lines


def test_a_test_family_is_written_with_or_without_its_fine_tuning():
    assert experiment.foreign("hiaml#50") == experiment.Foreign("hiaml", 50)
    assert experiment.foreign("hiaml") == experiment.Foreign("hiaml", 0)
    for wrong in ("hiaml#", "#5", "a#b", "a#1#2"):
        with pytest.raises(GraphError, match="is no family to test on"):
            experiment.foreign(wrong)


def test_the_experiment_trains_tests_and_fine_tunes(cache, tmp_path):
    steps = []
    result, lines = run(plan(tmp_path), cache, steps)
    assert sum(steps) == 2 * 3 + 2 * 2
    assert result["train"] == {"families": ["one"], "graphs": [32, 4, 4]}
    (two,) = result["families"]
    assert (two["family"], two["fine_tune"], two["tested"]) == ("two", 5, 15)
    for part in ("zero_shot", "fine_tuned"):
        assert set(two[part]) == {"predictor", "flops", "gcn"}
        assert {row["count"] for row in two[part].values()} == {15}
    assert two["ceiling"] == pytest.approx(1)
    assert len([line for line in lines if line.startswith("epoch ")]) == 3
    assert [path.rpartition("_")[2] for path in result["checkpoints"]] == [
        "best.safetensors", "last.safetensors", "tuned.safetensors",
    ]  # fmt: skip
    tuned = load(plan(tmp_path).checkpoint("two_tuned"))
    assert tuned.epochs > load(plan(tmp_path).checkpoint("best")).epochs
    assert tuned.target.spread > 0
    assert run(plan(tmp_path / "again"), cache)[0]["families"] == result["families"]


def test_a_checkpoint_is_tested_as_it_is_and_trained_on(cache, tmp_path):
    run(plan(tmp_path, test=()), cache)
    best = plan(tmp_path).checkpoint("best")
    tested, _ = run(plan(tmp_path, train=(), start=best, test=(experiment.Foreign("two"),), settings=Settings()), cache)
    assert (tested["settings"], tested["checkpoints"]) == (SUMS.to_json(), [])
    assert set(tested["families"][0]["zero_shot"]) == {"predictor"}
    further = plan(tmp_path / "further", start=plan(tmp_path).checkpoint("last"), test=(), baselines=False)
    run(further, cache)
    assert load(further.checkpoint("last")).epochs == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test": (experiment.Foreign("one"),)}, "family one is trained on"),
        ({"test": (experiment.Foreign("two", 19),)}, "leaves fewer than 2 to test on"),
        ({"label": "accuracy"}, "no graph of two has a label 'accuracy'|no graph of one has a label 'accuracy'"),
        ({"train": ("three",)}, "no family 'three'"),
    ],
)
def test_plans_that_make_no_sense_are_refused_before_anything_runs(cache, tmp_path, changes, said):
    with pytest.raises(GraphError, match=said):
        run(plan(tmp_path, **changes), cache)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_knows_which_families_it_has_seen(cache, tmp_path):
    run(plan(tmp_path, baselines=False), cache)
    seen = {which: load(plan(tmp_path).checkpoint(which)).families for which in ("best", "last", "two_tuned")}
    assert seen == {"best": ("one",), "last": ("one",), "two_tuned": ("one", "two")}
    tuned = plan(tmp_path, train=(), start=plan(tmp_path).checkpoint("two_tuned"))
    with pytest.raises(GraphError, match="was trained on two: it cannot be tested on it"):
        run(tuned, cache)


def test_a_checkpoint_of_another_label_is_refused(cache, tmp_path):
    run(plan(tmp_path, test=()), cache)
    with pytest.raises(GraphError, match="predicts latency_ms, not latency_ms_1: give --label latency_ms"):
        run(plan(tmp_path, start=plan(tmp_path).checkpoint("best"), label="latency_ms_1"), cache)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_can_be_made(name):
    taken = RECIPES[name]
    made = build(Settings(taken.gnn_type, taken.features, taken.readout), 0)
    assert sum(one.numel() for one in made.parameters()) > 1000
    assert Course(taken.epochs, taken.batch, taken.learning_rate, taken.schedule).factor(0, 1) == 1


def test_each_kind_of_rows_has_a_width():
    node = relu(0, 8, 4)
    assert {len(row(node, kind)) - width(kind) for kind in FEATURES} == {0}
