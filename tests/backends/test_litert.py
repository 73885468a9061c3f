"""LiteRT: order, names, layout of inputs and outputs; types; words.

It shares no environment with other backends, and its own is 2.5 GB that take minutes to install: the tests run where
`fuzz backends install litert` has made one ($FUZZ_CACHE, else the user's cache folder), and are skipped elsewhere.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.frame import Frame, encode
from backends.protocol import Outcome, Stage
from backends.tensor import from_numpy, to_numpy
from fuzz.errors import TargetError
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits, Worker

X = np.array([1, -2], np.float32)


@pytest.fixture(scope="module")
def litert(own_cache):
    made: dict[str, Worker] = {}

    def worker(target: str) -> Worker:
        if target not in made:
            try:
                made[target] = Worker(parse_target(target), Limits(120.0, 4 << 30), threading.Event())
            except TargetError as problem:
                pytest.skip(f"its environment is 2.5 GB and takes minutes, so tests install none: {problem}")
        return made[target]

    yield worker
    for each in made.values():
        each.close()


@pytest.fixture
def results(litert, ask):
    def run(serialized, *data_sets, target="litert"):
        attempt = ask(litert(target), serialized, *data_sets)
        assert (attempt.outcome, attempt.message) == (Outcome.OK, "")
        return [[to_numpy(value) for value in outputs] for outputs in attempt.outputs]

    return run


@pytest.mark.parametrize("target", ["litert", "litert:kernels=builtin", "litert:kernels=reference,threads=2"])
def test_images_lie_as_the_model_says(results, target):
    """onnx2tf keeps them with channels last; every axis has its own size here, and every element its own number."""
    x = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * 2
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3, 4, 5]) for n in ("x", "y", "z")]
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Neg", ["x"], ["z"])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(weights, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ((y, z),) = results(made.SerializeToString(), [x], target=target)
    np.testing.assert_array_equal(y, x * 2)
    np.testing.assert_array_equal(z, -x)


def test_square_images_lie_as_the_model_says(results, model):
    """Sizes that are equal tell nothing: only the order of the elements does."""
    x = np.arange(81, dtype=np.float32).reshape(1, 9, 3, 3)
    serialized = model(
        "g (float[1, 9, 3, 3] x) => (float[1, 9, 3, 3] y) { y = MaxPool <kernel_shape = [1, 1]> (x) }"
    )
    np.testing.assert_array_equal(results(serialized, [x])[0][0], x)


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 3, 3, 3), (4, 4, 1, 4), (2, 2, 2, 2, 2), (2, 2), (2, 2, 1, 2, 1, 2)])
def test_sizes_that_are_equal_turn_no_axes_around(results, model, shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    sizes = ", ".join(map(str, shape))
    body = f"g (float[{sizes}] x) => (float[{sizes}] y, float[{sizes}] z) {{ y = Neg (x) z = Abs (y) }}"
    ((y, z),) = results(model(body), [x])
    np.testing.assert_array_equal(y, -x)
    np.testing.assert_array_equal(z, x)


def test_inputs_and_outputs_keep_their_order_whatever_they_are_called(results):
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in ("b:0", "a/ü", "/t", "s e")]
    nodes = [
        helper.make_node("Add", ["a/ü", "b:0"], ["s e"], name="$"),
        helper.make_node("Sub", ["a/ü", "b:0"], ["/t"], name="$"),
    ]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ((t, s),) = results(made.SerializeToString(), [X, X * 10])
    assert (t.tolist(), s.tolist()) == ([9, -18], [11, -22])


def test_an_input_that_nothing_reads_shifts_no_other(results, model):
    serialized = model("g (float[2] a, float[2] b, float[2] c) => (float[2] y) { y = Sub (b, c) }")
    ((y,),) = results(serialized, [X, X * 10, X * 3])
    assert y.tolist() == [7, -14]


def test_an_output_may_be_an_input_or_stand_twice(results, model):
    serialized = model("g (float[2] x) => (float[2] y, float[2] x, float[2] y) { y = Neg (x) }")
    assert [y.tolist() for y in results(serialized, [X])[0]] == [[-1, 2], [1, -2], [-1, 2]]


def test_scalars(results, model):
    ((y,),) = results(model("g (float x) => (float y) { y = Neg (x) }"), [np.array(2, np.float32)])
    assert (y.shape, y.tolist()) == ((), -2)


def test_float16_is_computed_in_float(results, model):
    serialized = model("g (float16[2] x) => (float16[2] y) { y = Neg (x) }")
    ((y,),) = results(serialized, [X.astype(np.float16)])
    assert (y.dtype, y.tolist()) == (np.float16, [-1, 2])


@pytest.mark.parametrize(
    ("body", "stage", "words"),
    [
        ("g (float[2] x) => (float[n] y) { y = Unique (x) }", Stage.IMPORT, "only tensors of known sizes"),
        ("g (float[2, 2] x) => (float y) { y = Det (x) }", Stage.COMPILE, "neither a custom op nor a flex op"),
        ("g () => (float[2] y) <float[2] c = {1, 2}> { y = Neg (c) }", Stage.IMPORT, "no model without inputs"),
        ("g (string[2] x) => (string[2] y) { y = Identity (x) }", None, ""),
    ],
)
def test_what_it_lacks_is_unsupported(litert, ask, model, body, stage, words):
    attempt = ask(litert("litert"), model(body), [X])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message
    assert stage in {None, attempt.stage}
    assert words in attempt.message


def test_it_shows_the_file_and_its_operations(litert, model):
    serialized = model("g (float[2] x) => (float[2] y) { y = Add (x, x) }")
    frame = Frame("show", {"folder": None}, [[from_numpy(X)]], serialized)
    attempt = litert("litert").execute(encode(frame))
    files = {report.fields["file"]: bytes(report.values[0].data) for report in attempt.reports}
    assert b"ADD" in files["operations.txt"]
    assert files["model.tflite"][4:8] == b"TFL3"
