"""Labels of graphs: what follows from them, what was measured in which order, what an interruption leaves."""

from __future__ import annotations

import json
import shutil
import threading
from hashlib import sha256

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from corpus.graphs.cache import Cache
from corpus.graphs.computation import ComputationGraph, Edge, Node
from fuzz.collection.measuring import Figure, Journal, Order, computed, label, measure, measured, memory
from fuzz.errors import UsageError
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits

NAMES = ("net-0", "net-1")


def node(name, shape, operator="ReLU", weights=()):
    return Node(name=name, operator=operator, source=operator, shape=shape, shapes_in=(shape,), weights=weights)


@pytest.fixture
def cache(tmp_path):
    made = Cache(tmp_path / "graphs")
    nodes = (node("x", (1, 4), "Input"), node("y", (1, 4)))
    made.append("toy", [ComputationGraph(name, "toy", nodes, (Edge(0, 1, 0),)) for name in NAMES])
    return made


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for name in NAMES:
        (folder / name / "test_data_set_0").mkdir(parents=True)
        (folder / name / "model.onnx").write_bytes(model.SerializeToString())
        data = numpy_helper.from_array(np.ones((1, 4), np.float32), "x").SerializeToString()
        (folder / name / "test_data_set_0" / "input_0.pb").write_bytes(data)
    return folder


@pytest.fixture
def order():
    return Order(parse_target("onnxruntime"), rounds=2, samples=3)


def hashed(name):
    return sha256(name.encode()).digest()


def run(cache, models, order, step=lambda _: None):
    limits = Limits(60.0, 4096 << 20)
    return measure(cache, "toy", models, order, limits=limits, stop=threading.Event(), step=step)


def test_memory_is_the_parameters_and_what_is_alive():
    # x (4) lives until the sum (4) has read it, past y (8): at the sum all three are alive.
    nodes = (
        node("x", (1, 4), "Input"), node("y", (1, 8), weights=((3, 2),)), node("sum", (4,), "Add"),
        node("o", (4,), "Output"),
    )  # fmt: skip
    edges = (Edge(0, 1, 0), Edge(0, 2, 0), Edge(1, 2, 1), Edge(2, 3, 0))
    graph = ComputationGraph("g", "f", nodes, edges)
    assert memory(graph) == 4 * (6 + 4 + 8 + 4)
    chain = ComputationGraph("g", "f", nodes, (Edge(0, 1, 0), Edge(1, 2, 1), Edge(2, 3, 0)))
    assert memory(chain) == 4 * (6 + 8 + 4)
    assert computed(graph) == {"parameters": 6, "flops": graph.flops(), "memory": 88}
    assert computed(ComputationGraph("g", "f", (node("x", ("N",)),), ())) == {"parameters": 0}


def test_each_round_goes_over_all_in_another_order(order):
    names = [f"net-{number}" for number in range(20)]
    work = list(order.work(names))
    assert len(work) == len(set(work)) == 2 * 2 * 20
    turns = {(number, turn): [name for a, b, name in work if (a, b) == (number, turn)] for number, turn, _ in work}
    assert [sorted(turn) for turn in turns.values()] == [sorted(names)] * 4
    assert len({tuple(turn) for turn in turns.values()}) == 4


def test_a_pass_is_the_median_of_its_rounds(tmp_path):
    order = Order(parse_target("onnxruntime"), rounds=3)
    journal = Journal(tmp_path / "j", "onnxruntime")
    for turn, (one, other) in enumerate(((1.0, 5.0), (9.0, 7.0), (2.0, 6.0)), 1):
        journal.add((1, turn, "net"), Figure(one, 1.0))
        journal.add((2, turn, "net"), Figure(other, 1.0))
    assert measured(journal, order, ["net"]) == {
        "net": {"latency_ms_1": 2.0, "latency_ms_2": 6.0, "latency_ms": 4.0, "latency_ms_target": "onnxruntime"}
    }
    journal.add((2, 2, "net"), None)
    assert measured(journal, order, ["net", "another"]) == {}


def test_a_figure_is_worth_what_it_is_beside_the_yardstick(tmp_path):
    order = Order(parse_target("onnxruntime"), rounds=1)
    journal = Journal(tmp_path / "j", "onnxruntime")
    for number, drift in enumerate((2.0, 2.5), 1):  # a machine that slows down
        journal.add((number, 1, "net"), Figure(2.0, drift))
        journal.add((number, 1, "another"), Figure(3.0, drift))
    told = measured(journal, order, ("net", "another"))
    assert [(one["latency_ms_1"], one["latency_ms_2"]) for one in told.values()] == [(4.5, 4.5), (6.75, 6.75)]


def test_a_family_that_grows_keeps_its_yardstick(cache, models, order):
    before = run(cache, models, order)
    assert before.yardstick in NAMES
    (graph,) = cache.load("toy")[:1]
    names = [f"net-{number}" for number in range(2, 12)]  # one of them comes before, by its hash
    assert min(names, key=hashed) == min((*names, *NAMES), key=hashed)
    for name in names:
        shutil.copytree(models / NAMES[0], models / name)
    cache.append("toy", [ComputationGraph(name, "toy", graph.nodes, graph.edges) for name in names])
    after = run(cache, models, order)
    assert (after.yardstick, len(after.figures)) == (before.yardstick, 2 * 2 * 12)
    lines = [json.loads(line) for line in after.path.read_text().splitlines()]
    assert {line["yardstick"] for line in lines} == {before.yardstick}
    changed = [{**line, "yardstick": "net-3"} if line["name"] == "net-4" else line for line in lines]
    after.path.write_text("".join(json.dumps(line) + "\n" for line in changed))
    assert set(measured(Journal.read(cache, "toy", order), order, names)) == set(names) - {"net-4"}
    shutil.rmtree(models / after.yardstick)
    cache.replace("toy", [one for one in cache.load("toy") if one.name != after.yardstick])
    with pytest.raises(UsageError, match=f"was measured beside {after.yardstick}, which does not run from"):
        run(cache, models, order)


def test_an_interrupted_measurement_goes_on_where_it_was(cache, models, order):
    done = []

    def stop(count):
        done.append(count)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cache, models, order, stop)
    path = cache.folder / "toy.latency_ms.measured.jsonl"
    before = path.read_text()
    assert len(before.splitlines()) == 3
    with path.open("a") as file:
        file.write('{"pass": 2, "rou')  # a kill in the middle of a line
    journal = run(cache, models, order)
    after = path.read_text()
    assert after.startswith(before)
    assert len(journal.figures) == 2 * 2 * 2
    taken = measured(journal, order, NAMES)
    assert all(one["latency_ms"] > 0 for one in taken.values())
    assert run(cache, models, order).figures == journal.figures
    assert path.read_text() == after
    assert label(cache, "toy", taken) == 2
    assert label(cache, "toy", taken) == 0
    assert [graph.labels for graph in cache.load("toy")] == [taken[name] for name in NAMES]


def test_another_target_needs_another_label(cache, models, order):
    run(cache, models, order)
    other = Order(parse_target("onnxruntime:opt=0"), rounds=2, samples=3)
    with pytest.raises(UsageError, match="was measured on onnxruntime, not onnxruntime:opt=0: give --label NAME"):
        run(cache, models, other)


def test_models_that_are_not_there_and_models_that_are_refused(cache, models, order):
    (models / "net-1" / "model.onnx").rename(models / "away")
    with pytest.raises(UsageError, match=r"lacks the models of 1 of 2 graphs of toy, such as net-1/model\.onnx"):
        run(cache, models, order)
    (models / "net-1" / "model.onnx").write_bytes((models / "away").read_bytes().replace(b"Relu", b"Nope"))
    journal = run(cache, models, order)
    assert set(measured(journal, order, NAMES)) == {"net-0"}
