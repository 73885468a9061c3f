"""Accuracies from a file: a table, and NAS-Bench-101's records as its own library writes them."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from corpus.graphs.computation import ComputationGraph, Node
from fuzz.collection.accuracies import accuracies, keys
from fuzz.errors import UsageError
from fuzz.wire import length_delimited

CELL, OTHER = "471546730eff6ba24d163061e4029d13", "0" * 32
WANTED = (CELL, "net-0", "net-1")


def evaluation(epoch, accuracy):
    # EvaluationData: epoch, seconds, accuracy of training, validation and test, all of them doubles.
    doubles = (epoch, 100.0 * epoch, 1.0, accuracy - 0.01, accuracy)
    return b"".join(bytes([number << 3 | 1]) + struct.pack("<d", one) for number, one in enumerate(doubles, 1))


def metrics(*found):
    parts = [length_delimited(1, evaluation(36.0 * number, one)) for number, one in enumerate(found)]
    return b"".join((*parts, b"\x10\x80\x01", b"\x19" + struct.pack("<d", 9.0)))


def record(cell, epochs, message):
    content = [cell, epochs, "0100", "input,output", base64.b64encode(message).decode()]
    data = json.dumps(content).encode()
    return struct.pack("<QI", len(data), 0) + data + struct.pack("<I", 0)


def test_a_graph_is_found_by_its_name_and_by_its_architecture():
    node = Node(name="x", operator="ReLU", source="Relu")
    assert keys(ComputationGraph("net", "f", (node,), ())) == ("net",)
    assert keys(ComputationGraph("net", "f", (node,), (), {"canonical": CELL})) == ("net", CELL)
    assert keys(ComputationGraph("net", "f", (node,), (), {"canonical": 3.0})) == ("net",)


def test_a_table(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"net-0": 0.93, CELL: 1, "else": 0.5}))
    assert accuracies(path, WANTED) == {CELL: 1.0, "net-0": 0.93}
    with pytest.raises(UsageError, match="cannot read"):
        accuracies(tmp_path / "missing", WANTED)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": "b"}', '{"a": true}', '{"a": NaN}', '{"a": 1e999}', '{"a": null}'])
def test_a_table_of_accuracies_that_is_none(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="is no table of accuracies"):
        accuracies(path, WANTED)


def test_the_benchmark_says_the_test_accuracy_after_the_longest_training(tmp_path):
    path = tmp_path / "nasbench_full.tfrecord"
    path.write_bytes(b"".join([
        record(CELL, 4, metrics(0.1, 0.4, 0.5)),
        record(CELL, 108, metrics(0.1, 0.8, 0.92)),
        record(OTHER, 108, b"what is not asked for is not read"),
        record(CELL, 108, metrics(0.1, 0.7, 0.94)),
    ]))  # fmt: skip
    assert accuracies(path, WANTED) == {CELL: pytest.approx(0.93)}
    assert accuracies(path, ("net-0",)) == {}


GOOD = record(CELL, 108, metrics(0.1, 0.5, 0.9))


@pytest.mark.parametrize("content", [
    GOOD[:-1], GOOD[:5], GOOD[:40], struct.pack("<QI", 1 << 60, 0) + GOOD, record(CELL, 108, metrics()),
    record(CELL, 108, metrics(float("nan"))), record(CELL, 108, b"\x0a\xff"), record(CELL, "x", metrics(0.5)),
    struct.pack("<QI", 2, 0) + b"{}" + b"0000", struct.pack("<QI", 2, 0) + b"\xff\xff" + b"0000",
])  # fmt: skip
def test_a_broken_benchmark_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "nasbench.tfrecord"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no file of NAS-Bench-101, or a broken one"):
        accuracies(path, WANTED)
