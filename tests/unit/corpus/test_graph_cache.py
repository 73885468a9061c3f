"""The cache of computation graphs: what is added is found again, whatever interrupts it; samples and splits."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256

import pytest

from corpus.graphs.cache import Cache
from corpus.graphs.computation import ComputationGraph, Edge, GraphError, Node


def graph(number):
    nodes = (Node(name="x", operator="Input", source="input"), Node(name="y", operator="ReLU", source="Relu"))
    return ComputationGraph(f"net-{number}", "toy", nodes, (Edge(0, 1, 0),), {"accuracy": number / 100})


@pytest.fixture
def cache(tmp_path):
    made = Cache(tmp_path / "cache")
    assert made.append("toy", map(graph, range(20))) == 20
    return made


def test_what_is_added_is_found_again(cache):
    family = cache.load("toy")
    assert len(family) == 20
    assert list(family) == [graph(number) for number in range(20)]
    assert family[3] == graph(3)
    assert family[-2:] == (graph(18), graph(19))
    assert family.graph("net-7") == graph(7)
    assert cache.families() == ("toy",)


def test_a_name_is_added_once_and_the_bytes_are_those_of_one_go(cache, tmp_path):
    assert cache.append("toy", [graph(5), graph(20)]) == 1
    other = Cache(tmp_path / "other")
    other.append("toy", map(graph, range(21)))
    for name in ("toy.jsonl.gz", "toy.index.json"):
        assert (cache.folder / name).read_bytes() == (other.folder / name).read_bytes()


def test_what_came_before_an_interruption_is_kept(cache):
    def interrupted():
        yield graph(30)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.append("toy", interrupted())
    assert len(cache.load("toy")) == 21
    # A kill: a graph that the index does not know, and half of another.
    other = Cache(cache.folder / "other")
    other.append("toy", [graph(32)])
    with (cache.folder / "toy.jsonl.gz").open("ab") as file:
        file.write((other.folder / "toy.jsonl.gz").read_bytes())
    with (cache.folder / "toy.jsonl.gz").open("ab") as file:
        file.write(b"half of a graph")
    assert len(list(cache.load("toy"))) == 22
    assert cache.append("toy", [graph(31), graph(32)]) == 1
    assert [one.name for one in cache.load("toy")][-3:] == ["net-30", "net-32", "net-31"]


def test_a_lost_index_is_made_again(cache):
    (cache.folder / "toy.index.json").unlink()
    assert list(cache.load("toy")) == [graph(number) for number in range(20)]
    cache.append("toy", [graph(20)])
    assert len(cache.load("toy")) == 21


def test_replaced_as_a_whole(cache):
    family = cache.load("toy")
    cache.replace("toy", [one.labelled({"latency_ms": 2.0}) for one in family])
    again = cache.load("toy")
    assert [one.labels["latency_ms"] for one in again] == [2.0] * 20
    assert again.names == family.names


def test_samples_depend_on_seed_and_names_alone(cache, tmp_path):
    backwards = Cache(tmp_path / "backwards")
    backwards.append("toy", map(graph, reversed(range(20))))
    family = cache.load("toy")
    assert family.sample(5, seed=1) == backwards.load("toy").sample(5, seed=1)
    assert family.sample(3, seed=1) == family.sample(5, seed=1)[:3]
    assert family.sample(5, seed=1) != family.sample(5, seed=2)
    assert len(family.sample(100)) == 20


def test_a_split_has_each_graph_once(cache):
    parts = cache.load("toy").split((80, 10, 10), seed=3)
    assert [len(part) for part in parts] == [16, 2, 2]
    assert {one.name for part in parts for one in part} == set(cache.load("toy").names)
    names = cache.load("toy").split_names((80, 10, 10), seed=3)
    assert names == tuple(tuple(one.name for one in part) for part in parts)


def test_what_is_broken_is_told_in_one_line(cache, tmp_path):
    with pytest.raises(GraphError, match="has no family 'other'; it has toy"):
        cache.load("other")
    with pytest.raises(GraphError, match="no name of a family"):
        cache.load("../secrets")
    with pytest.raises(GraphError, match="shares are"):
        cache.load("toy").split((0, 0))
    packed = (cache.folder / "toy.jsonl.gz").read_bytes()
    (cache.folder / "toy.jsonl.gz").write_bytes(packed[:40] + b"\0\0\0" + packed[43:])
    with pytest.raises(GraphError, match="graph 'net-0': "):
        list(cache.load("toy"))
    (cache.folder / "toy.index.json").write_text(json.dumps({"version": 1, "graphs": [["net-0", 0, 10**9]]}))
    with pytest.raises(GraphError, match="is broken; remove it"):
        cache.load("toy")


def test_of_what_no_index_knows_no_more_is_unpacked_than_a_graph_may_have(cache, monkeypatch):
    (path,) = cache.folder.glob("*.jsonl.gz")
    (cache.folder / "toy.index.json").unlink()
    noise = "".join(sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(8000))
    path.write_bytes(path.read_bytes() + gzip.compress(json.dumps({"name": "large", "x": noise}).encode()))
    assert cache.load("toy").names[20:] == ("large",)
    monkeypatch.setattr("corpus.graphs.cache._LARGEST", 100_000)
    assert len(cache.load("toy").names) == 20
