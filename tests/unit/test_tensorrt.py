"""TensorRT up to the interface: what is built, configured and copied, and what each refusal becomes.

Against `fake_tensorrt`, since no GPU is at hand: that TensorRT behaves as the stand-in does is not tested here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from backends.cuda import Cuda, load_cuda
from backends.protocol import InvalidCase, OutOfMemory, Rejected, Stage, Unsupported
from backends.registry import BACKENDS
from backends.tensor import Tensor, from_numpy, to_numpy
from backends.tensorrt_engine import configure, widened
from backends.tensorrt_program import Program


def _load():
    spec = importlib.util.spec_from_file_location("fake_tensorrt", Path(__file__).with_name("fake_tensorrt.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKE = _load()
X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
STATIC = "g (float[2, 3] x) => (float[2, 3] y) { y = Add (x, x) }"
DYNAMIC = "g (float[n, 3] x) => (float[n, 3] y) { y = Add (x, x) }"


class Machine:
    def __init__(self):
        self.trt, self.memory, self.stages = FAKE.fake(), FAKE.Memory(), []

    def program(self, body: str, **options: str) -> Program:
        model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{body}')
        return Program(self.trt, Cuda(self.memory), model, options, self.stages.append)

    def run(self, body: str, *arrays: np.ndarray, **options: str) -> list[np.ndarray]:
        return [to_numpy(value) for value in self.program(body, **options).run([from_numpy(a) for a in arrays])]

    @property
    def config(self):
        return self.trt.built[-1][1]


@pytest.fixture
def machine():
    made = Machine()
    yield made
    assert made.memory.blocks == {}, "memory of the device was not given back"
    assert made.memory.streams == set(), "a stream was not given back"


def test_a_model_of_known_sizes_is_built_when_it_is_compiled(machine):
    (y,) = machine.run(STATIC, X)
    assert y.tolist() == (X * 2).tolist()
    assert machine.stages == [Stage.COMPILE]
    assert machine.trt.built[0][0].flags == 0b11, "explicit batch, strongly typed"
    assert machine.config.profiles == []


def test_the_builder_is_told_to_be_exact_and_to_forget(machine):
    machine.program(STATIC)
    assert machine.config.flags == {FAKE.BuilderFlag.DISABLE_TIMING_CACHE}
    assert (machine.config.builder_optimization_level, machine.config.sources) == (3, 0b11000)
    assert machine.config.profiling_verbosity.name == "DETAILED"


def test_options_reach_the_builder(machine):
    machine.program(STATIC, opt="0", tf32="yes", disable="jit_convolutions+CUBLAS", precision="f16")
    assert FAKE.BuilderFlag.TF32 in machine.config.flags
    assert FAKE.BuilderFlag.FP16 in machine.config.flags
    assert (machine.config.builder_optimization_level, machine.config.sources) == (0, 0b01000)
    assert machine.trt.built[0][0].flags == 0b01, "a lower precision is the builder's choice: weakly typed"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"precision": "bf16"}, "has no BuilderFlag.BF16"), ({"disable": "magic"}, "has no TacticSource.MAGIC")],
)
def test_what_a_release_no_longer_has(machine, options, said):
    with pytest.raises(Unsupported, match=rf"^TensorRT 10.14.1 {said}$"):
        machine.program(STATIC, **options)


def test_reload_runs_what_the_engine_is_kept_as(machine):
    (y,) = machine.run(STATIC, X, reload="yes")
    assert y.tolist() == (X * 2).tolist()
    assert machine.trt.reloaded == 1


def test_a_builder_of_old_gives_bytes_only(machine):
    del machine.trt.Builder.build_engine_with_config
    machine.trt.Builder.build_serialized_network = lambda *_: None
    with pytest.raises(Rejected, match=r"^TensorRT failed without a word$"):
        machine.program(STATIC)


def test_open_sizes_get_a_profile_and_one_engine_for_all_that_fit(machine):
    program = machine.program(DYNAMIC)
    assert machine.stages == []
    for rows in (2, 1, 8, 5):
        x = np.ones((rows, 3), np.float32)
        assert to_numpy(program.run([from_numpy(x)])[0]).shape == (rows, 3)
    assert len(machine.trt.built) == 1
    assert machine.config.profiles == [{"x": ((1, 1), (2, 3), (8, 12))}]
    assert machine.stages == [Stage.COMPILE, Stage.RUN]
    assert to_numpy(program.run([from_numpy(np.ones((9, 3), np.float32))])[0]).shape == (9, 3)
    assert machine.config.profiles == [{"x": ((1, 1), (2, 3), (9, 12))}]
    assert to_numpy(program.run([from_numpy(np.ones((0, 3), np.float32))])[0]).shape == (0, 3)
    assert len(machine.trt.built) == 3


def test_ranges_hold_what_was_asked_for():
    first = widened({}, {"x": (0, 3)})
    assert first == {"x": ((0, 1), (0, 3), (1, 12))}
    assert widened(first, {"x": (1, 12)}) == first
    assert widened(first, {"x": (5, 12)}) == {"x": ((0, 1), (0, 3), (5, 12))}


def test_a_profile_that_is_refused(machine):
    builder = machine.trt.Builder(None)
    with pytest.raises(Rejected, match=r"takes no profile"):
        configure(machine.trt, builder, {}, {"x": ((2,), (1,), (3,))}, frozenset())


def test_numbers_that_are_sizes_stay_on_the_host(machine):
    body = "g (float[2, 3] x, int64[2] s) => (float[a, b] y) { y = Reshape (x, s) }"
    program = machine.program(body)
    for shape in ((3, 2), (6, 1)):
        (y,) = program.run([from_numpy(X), from_numpy(np.array(shape))])
        assert to_numpy(y).tolist() == X.reshape(shape).tolist()
    assert machine.config.profiles == [{"s": ((1, 1), (3, 2), (12, 8))}]


def test_outputs_whose_size_only_the_run_tells(machine):
    (y,) = machine.run("g (float[4] x) => (int64[1, n] y) { y = NonZero (x) }", np.array([0, 1, 0, 2], np.float32))
    assert y.tolist() == [[1, 3]]


def test_outputs_come_in_their_order_twice_or_as_an_input(machine):
    body = "g (float[2] a, float[2] b) => (float[2] z, float[2] b, float[2] z, float[2] y)"
    body += "{ y = Neg (a) z = Add (a, b) }"
    a, b = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
    assert [y.tolist() for y in machine.run(body, a, b)] == [[11, 22], [10, 20], [11, 22], [-1, -2]]


def test_double_is_held_as_float(machine):
    (y,) = machine.run("g (double[2] x) => (double[2] y) { y = Neg (x) }", np.array([1.5, 2.5]))
    assert (y.dtype, y.tolist()) == (np.float64, [-1.5, -2.5])
    assert BACKENDS["tensorrt"].contract({}).narrow_double


def test_bfloat16_scalars_and_empty_tensors(machine):
    value = Tensor("bfloat16", (), b"\x80\x3f")
    (y,) = machine.program("g (bfloat16 x) => (bfloat16 y) { y = Neg (x) }").run([value])
    assert y == Tensor("bfloat16", (), b"\x80\xbf")
    (y,) = machine.run("g (float[0, 3] x) => (float[0, 3] y) { y = Neg (x) }", np.zeros((0, 3), np.float32))
    assert y.shape == (0, 3)


def test_the_inspector_shows_the_layers(machine):
    assert machine.program(STATIC).artefacts() == {"engine.json": b'{"Layers": ["Add"]}'}
    assert machine.program(DYNAMIC).artefacts() == {}


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("g (float[2,3] x) => (float[2,3] y) { y = Sin (x) }", Unsupported,
         "UNSUPPORTED_NODE: No importer registered for op: Sin (node 0, Sin)"),
        ("g (float[2,3] x, float[1] bad) => (float[2,3] y) { y = Add (x, bad) }", Rejected,
         "INVALID_NODE: Assertion failed: ranks differ (node 0, Add)"),
    ],
)  # fmt: skip
def test_what_the_parser_says(machine, body, kind, said):
    with pytest.raises(kind) as told:
        machine.program(body)
    assert str(told.value) == said


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Error Code 10: Internal Error (Could not find any implementation for node {ForeignNode[y]}.)", Rejected),
        ("Error Code 2: OutOfMemory (Requested size was 9 bytes.)", OutOfMemory),
        ("Error Code 4: API Usage Error (INT64 is not supported by this layer)", Unsupported),
    ],
)
def test_what_the_builder_logs(machine, message, kind):
    machine.trt.log = [(FAKE.ILogger.WARNING, "a warning"), (FAKE.ILogger.ERROR, message)]
    with pytest.raises(kind) as told:
        machine.program(STATIC)
    assert str(told.value) == message


def test_a_failed_execution_gives_everything_back(machine):
    machine.trt.execution_fails = "Error Code 1: Cuda Runtime (an illegal memory access was encountered)"
    with pytest.raises(Rejected, match="illegal memory access"):
        machine.run(STATIC, X)


def test_a_kernel_that_fails_is_heard_when_it_is_waited_for(machine):
    machine.memory.fail["cudaStreamSynchronize"] = 700
    with pytest.raises(Rejected, match=r"^CUDA error 700: illegal access$"):
        machine.run(STATIC, X)


@pytest.mark.parametrize("limit", [10, 30])
def test_too_little_memory_for_inputs_or_outputs(machine, limit):
    machine.memory.limit = limit
    with pytest.raises(OutOfMemory):
        machine.run(STATIC, X)


def test_sizes_that_contradict_the_model(machine):
    with pytest.raises(Rejected, match="does not satisfy the profile"):
        machine.run(STATIC, np.ones((3, 3), np.float32))


@pytest.mark.parametrize(
    ("body", "value", "kind"),
    [
        (STATIC, [], InvalidCase),
        (STATIC, [[from_numpy(X)]], Unsupported),
        (STATIC, [from_numpy(X.astype(np.int32))], Unsupported),
        ("g (int4[2] x) => (int4[2] y) { y = Identity (x) }", [Tensor("int4", (2,), b"\x12")], Unsupported),
    ],
)
def test_values_that_cannot_be_passed_on(machine, body, value, kind):
    with pytest.raises(kind):
        machine.program(body).run(value)


def test_without_a_gpu_one_line_says_so(monkeypatch):
    with pytest.raises(RuntimeError, match=r"^CUDA finds no GPU here$"):
        Cuda(FAKE.Memory(devices=0))
    monkeypatch.setattr("ctypes.CDLL", lambda path: (_ for _ in ()).throw(OSError(path)))
    with pytest.raises(RuntimeError, match=r"^no CUDA runtime \(libcudart.so\) is found here: .* needed$"):
        load_cuda()


def test_contracts():
    entry = BACKENDS["tensorrt"]
    assert not entry.contract({}).tf32
    assert entry.contract({"tf32": "yes"}).tf32
    assert entry.contract({"precision": "f16", "tf32": "no"}).float_as == "float16"
    assert entry.devices == ("cuda",)
