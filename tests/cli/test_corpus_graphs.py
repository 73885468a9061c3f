"""`fuzz corpus graph`, `show` and `sequence`, as a user types them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import onnx
import pytest
from onnx import TensorProto, helper

from corpus.graphs.cache import Cache


@pytest.fixture
def typed(ending):
    return partial(ending, "corpus")


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8])


@pytest.fixture
def models(tmp_path):
    """Two models that are called alike, a file that is none, and the data of a test case, which is none either."""
    folder = tmp_path / "zoo"
    for name, operator in (("a", "Relu"), ("b", "Tanh")):
        graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [value("x")], [value("y")])
        (folder / name / "test_data_set_0").mkdir(parents=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / name / "net.onnx")
        (folder / name / "test_data_set_0" / "input_0.pb").write_bytes(b"data")
    (folder / "broken.onnx").write_bytes(b"no model")
    return folder


def test_graphs_of_a_folder_then_again_then_drawn(typed, models, tmp_path):
    cache, pictures = tmp_path / "graphs", tmp_path / "pictures"
    first = json.loads(typed("graph", models, "--out", cache, "--family", "zoo", "--json").stdout)
    assert (first["models"], first["added"], first["present"], first["nodes"]) == (3, 2, 0, 6)
    assert [one["why"].partition(": ")[0].rpartition(" is ")[2] for one in first["unread"]] == ["no ONNX model"]
    assert set(Cache(cache).load("zoo").names) == {"a-net", "b-net"}
    assert Cache(cache).load("zoo").graph("a-net").labels == {"parameters": 0, "flops": 192}
    again = typed("graph", models, "--out", cache, "--family", "zoo")
    assert again.stdout.startswith(f"0 graphs of 0 nodes added to zoo in {cache}, 2 were there")
    assert "not read" in again.stdout
    drawn = typed("show", "zoo", "--graphs", cache, "--count", "5", "--out", pictures, "--json")
    rows = json.loads(drawn.stdout)["pictures"]
    assert {Path(row["file"]).name for row in rows} == {"a-net.svg", "b-net.svg"}
    assert all(Path(row["file"]).is_file() for row in rows)
    typed("show", "zoo/a-net", models / "b" / "net.onnx", "--graphs", cache, "--out", pictures, "--format", "html")
    assert "Tanh" in (pictures / "net.html").read_text("utf-8")


def test_a_sequence_is_written_or_printed(typed, models, tmp_path):
    model = models / "a" / "net.onnx"
    text = typed("sequence", model, "--version", "2").stdout
    assert [one.get("type") for one in ET.fromstring(text).iter("node")] == ["input", "Relu", "output"]  # noqa: S314
    done = typed("sequence", model, "--version", "4", "--out", tmp_path / "net.xml")
    assert done.stdout.endswith("net.xml: 3 nodes, 2 edges, 0 graphs\n")
    told = json.loads(typed("sequence", model, "--version", "4", "--json").stdout)
    assert told["xml"] == (tmp_path / "net.xml").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["graph", "--out", "g"], "give a model"),
        (["graph", "nowhere.onnx", "--out", "g"], "nowhere.onnx does not exist"),
        (["graph", "broken.onnx", "--out", "g"], "none of 1 models can be read: broken.onnx is no ONNX model"),
        (["graph", "a", "--out", "g", "--family", "../x"], "no name of a family"),
        (["show", "nowhere"], "nowhere does not exist: give a model, or a family"),
        (["show", "zoo", "--graphs", "a"], "a is no cache of computation graphs"),
        (["show", "broken.onnx"], "broken.onnx is no ONNX model"),
        (["sequence", "a"], "a holds neither model.onnx nor graph.json"),
        (["sequence", "a/net.onnx", "--version", "5"], "5 is not in the range"),
    ],
)
def test_misuse_is_one_line(typed, fuzz, arguments, said, models):
    shutil.copytree(models, fuzz.home, dirs_exist_ok=True)
    done = typed(*arguments, code=2)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


TENSORFLOW = """
from corpus.graphs.tensorflow_graph import _tensorflow
tf = _tensorflow()
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

class Net(tf.Module):
    def __init__(self):
        self.kernel, self.bias = tf.Variable(tf.zeros([3, 3, 3, 8])), tf.Variable(tf.zeros([8]))
        self.wide = tf.Variable(tf.zeros([5, 5, 8, 1]))
        self.scale, self.mean = tf.Variable(tf.ones([8])), tf.Variable(tf.zeros([8]))
        self.last, self.shift = tf.Variable(tf.zeros([8, 10])), tf.Variable(tf.zeros([10]))

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="image")])
    def __call__(self, image):
        with tf.name_scope("stem"):
            x = tf.identity(tf.nn.bias_add(tf.nn.conv2d(image, self.kernel, 2, "SAME"), self.bias))
        y = tf.nn.depthwise_conv2d(x, self.wide, [1, 1, 1, 1], "SAME")
        y, _, _ = tf.compat.v1.nn.fused_batch_norm(y, self.scale, self.mean, self.mean, self.scale, is_training=False)
        y = tf.reduce_mean(tf.nn.max_pool2d(tf.nn.relu6(y) + x, 2, 2, "VALID"), [1, 2])
        return {"scores": tf.nn.softmax(tf.matmul(y, self.last) + self.shift)}

net = Net()
tf.saved_model.save(net, "saved", signatures=net.__call__)
frozen = convert_variables_to_constants_v2(net.__call__.get_concrete_function())
open("frozen.pb", "wb").write(frozen.graph.as_graph_def().SerializeToString())
tf.saved_model.save(tf.Module(), "empty")

# In this process, since TensorFlow takes seconds to import.
from fuzz.cli.main import fuzz
models = ["frozen.pb", "saved", "empty"]
fuzz.main(["corpus", "graph", *models, "--out", "graphs", "--family", "tf", "--json"], standalone_mode=False)
"""


def test_networks_of_tensorflow(tmp_path):
    if find_spec("tensorflow") is None:  # to import it here would take seconds, and write Keras's settings
        pytest.skip("networks are TensorFlow's")
    command = [sys.executable, "-c", TENSORFLOW]
    home = tmp_path / "home"
    home.mkdir()
    own = {**os.environ, "HOME": str(home), "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
    told = json.loads(done.stdout)
    assert [one["why"] for one in told["unread"]] == [
        "empty has no signature: save it with one, as tf.saved_model.save(…, signatures=…) does"
    ]
    for graph in Cache(tmp_path / "graphs").load("tf"):
        assert [node.operator for node in graph.nodes] == [
            "Input", "Conv", "Depthwise", "BatchNorm", "ReLU6", "Add", "Maxpool", "Mean", "MatMul", "<OOV>", "Output",
        ]  # fmt: skip
        _, conv, wide, *_, pool, _, last, _, _ = graph.nodes
        assert (conv.regular, conv.weighted, conv.bias) == ((32, 16, 32, 16, 3, 8), (3, 8, 3, 3), True)
        assert (wide.weighted, wide.bias) == ((1, 8, 5, 5), False)
        assert (pool.regular, pool.kernel) == ((16, 8, 16, 8, 8, 8), (2, 2))
        assert (last.regular, last.weighted, last.bias) == ((1, 1, 1, 1, 8, 10), (8, 10, 0, 0), True)
        assert [one[1] for one in conv.modules] == ["stem"]
        assert graph.labels["parameters"] == 8 * 27 + 8 + 8 * 25 + 16 + 80 + 10
        skip = [edge.source for edge in graph.edges if graph.nodes[edge.target].operator == "Add"]
        assert [graph.nodes[place].operator for place in skip] == ["ReLU6", "Conv"]
