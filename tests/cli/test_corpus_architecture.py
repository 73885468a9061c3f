"""`fuzz corpus architecture`, as a user types it."""

from __future__ import annotations

import json
from functools import partial

import onnx
import pytest
from onnx import TensorProto, helper


@pytest.fixture
def typed(ending):
    return partial(ending, "corpus", "architecture")


def save(path, *operators):
    names = ["x", *(f"v{place}" for place in range(1, len(operators))), "y"]
    nodes = [helper.make_node(kind, [names[at]], [names[at + 1]]) for at, kind in enumerate(operators)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)


def test_models_are_described_kept_once_and_measured_against(typed, tmp_path):
    zoo, out = tmp_path / "zoo", tmp_path / "out" / "zoo.jsonl"
    save(zoo / "a.onnx", "Relu", "Tanh")
    save(zoo / "b.onnx", "Abs")
    (zoo / "broken.onnx").write_bytes(b"no model")
    first = json.loads(typed(zoo, "--out", out, "--model-type", "toy", "--json").stdout)
    assert (first["added"], first["present"], len(first["unread"])) == (2, 0, 1)
    assert first["models"][0] == {
        "name": "a", "labels": {"model_type": "toy"}, "layers": 4, "connections": 3, "back_edges": 0,
        "distance": None, "nearest": None, "new": None,
    }  # fmt: skip
    content = out.read_bytes()
    assert typed(zoo, "--out", out).stdout.endswith(f"0 added to {out}, 2 there before\n")
    assert out.read_bytes() == content
    save(tmp_path / "new.onnx", "Relu", "Tanh", "Abs")
    told = typed(tmp_path / "new.onnx", "--known", out).stdout
    # Of five different connections, a and the new one have two in common.
    assert told == "new: 5 layers, 4 connections; 0.60 from a; new: tanh -> abs\n"
    (row,) = json.loads(typed(tmp_path / "new.onnx", "--known", out, "--json").stdout)["models"]
    assert (row["distance"], row["nearest"], row["new"]) == (0.6, "a", ["tanh -> abs"])


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "give a model"), (("{}/none.onnx",), "none.onnx does not exist"),
    (("{}/bad.onnx",), "none of 1 models can be read"),
    (("{}/good.onnx", "--known", "{}/empty.jsonl"), "no architecture"),
    (("{}/good.onnx", "--out", "{}/bad.onnx"), "it is no architecture"),
])  # fmt: skip
def test_misuse_is_told_in_one_line(typed, tmp_path, arguments, said):
    (tmp_path / "bad.onnx").write_bytes(b"no model\n")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    save(tmp_path / "good.onnx", "Relu")
    done = typed(*(one.format(tmp_path) for one in arguments), code=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
