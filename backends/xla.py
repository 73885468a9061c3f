"""XLA by way of TensorFlow: onnx-tf makes a function of TensorFlow's, XLA compiles it; or TensorFlow itself runs it."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.hlo_passes import hlo_passes
from backends.layout import Layout, arranged
from backends.names import rename
from backends.onnx_tf_shim import import_onnx_tf
from backends.protocol import BackendError, Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

onnx_tf = import_onnx_tf()

WORDS = Words(
    unsupported=(
        r"is not implemented",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"[Uu]nsupported",
        r"No registered '\w+' OpKernel",
        r"not in (the )?list of allowed values",  # of types that one of its operations takes
        r"must be a compile-time constant",
        r"to a TensorFlow DType",  # of an element type that it has not
        r"is not available with Keras 3",  # what cells of recurrent networks are made of
    ),
    out_of_memory=(r"bad_alloc", r"[Oo]ut of memory", r"OOM when allocating", r"RESOURCE_EXHAUSTED"),
)
_PLACE = re.compile(r'\s*(File "|The op is created at|tf2xla conversion failed|Stack trace for op)')
_DEVICES: Mapping[str, str] = MappingProxyType({"cpu": "/CPU:0", "cuda": "/GPU:0"})
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})


@dataclass(frozen=True, slots=True)
class Xla:
    """onnx-tf on TensorFlow: compiled whole by XLA, or as TensorFlow's graph, or operator by operator."""

    name: str = "xla"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Function:
        """Convert the model and trace it with the sizes that it declares; XLA compiles it for the first inputs."""
        _set_up(options)
        parsed = read_model(model, folder)
        rename(parsed.graph)
        with _heard():
            # What `prepare` does beside it is to run ONNX's checker, which is not what is tested here.
            module = onnx_tf.TensorflowBackend.onnx_model_to_tensorflow_rep(parsed, strict=True).tf_module
        return _Function(module, parsed.graph, options, enter)

    def passes(self) -> list[str]:
        """The names that `disable` knows: what XLA runs over a small function."""
        return hlo_passes(_FUNCTION)


_FUNCTION = """
import tensorflow as tf
tf.function(lambda x: tf.tanh(x) @ tf.transpose(x) + tf.sort(x), jit_compile=True)(tf.ones((4, 4)))
"""


@contextmanager
def _heard() -> Iterator[None]:
    """As `heard`, for messages of which most is a listing of the places that the exception came through."""
    with heard(WORDS):
        try:
            yield
        except (BackendError, MemoryError):
            raise
        except Exception as problem:
            message = f"{type(problem).__name__}: {essence(str(problem))}"
            raise WORDS.sort(message)(message) from problem


def essence(message: str) -> str:
    """What a message of TensorFlow's says: without the places in sources that it lists, and counted names."""
    if message.startswith("in user code:"):
        # Behind the last place stands the exception that was raised there, with its type.
        message = re.split(r'(?m)^    File ".*\n.*\n', message)[-1].strip().partition(": ")[2]
    said = (line.strip() for line in message.splitlines() if not _PLACE.match(line))
    return re.sub(r" ?\[Op:\w+\]|__inference_\w+(\[[^]]*\])?", "", "\n".join(filter(None, said)))


def _set_up(options: Mapping[str, str]) -> None:
    """What TensorFlow and XLA read once a process, before they compute; a worker's options are always the same."""
    tf.config.threading.set_intra_op_parallelism_threads(int(options.get("threads", "1")))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.run_functions_eagerly(options.get("mode") == "eager")
    tf.config.optimizer.set_experimental_options(grappler_settings(options))
    logging.getLogger("onnx-tf").setLevel(logging.ERROR)
    if given := " ".join(xla_flags(options)):
        os.environ["XLA_FLAGS"] = given
    if options.get("device") == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise RuntimeError("TensorFlow finds no GPU here: a driver and `pip install tensorflow[and-cuda]` are needed")


def xla_flags(options: Mapping[str, str]) -> tuple[str, ...]:
    """XLA's own flags for these options."""
    given = []
    if "opt" in options:
        given.append(f"--xla_backend_optimization_level={options['opt']}")
    if "disable" in options:
        given.append(f"--xla_disable_hlo_passes={options['disable'].replace('+', ',')}")
    return tuple(given)


def grappler_settings(options: Mapping[str, str]) -> dict[str, bool]:
    """What TensorFlow's graph optimiser is told: nothing, or which of its parts are off."""
    names = options.get("grappler", "").split("+")
    if names == [""]:
        return {}
    return {"disable_meta_optimizer": True} if names == ["off"] else dict.fromkeys(names, False)


class _Function:
    # Arrays of numpy's are copied into tensors.
    layouts = tuple(Layout)

    def __init__(
        self, module: Any, graph: Any, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> None:
        ports = required_inputs(graph)
        outputs = [port.name for port in graph.output]
        self._required = len(ports)
        self._mode = options.get("mode", "jit")
        self._place = _DEVICES[options.get("device", "cpu")]
        self._enter = enter
        self._compiled: set[Any] = set()
        self._last: list[Any] = []
        specs = [_spec(port) for port in ports]
        # Behind the decorated method lies a plain one, which takes the inputs as a mapping: names are no arguments.
        values = type(module).gen_tensor_dict.python_function

        def call(*arguments: Any) -> list[Any]:
            found = values(module, dict(zip((port.name for port in ports), arguments, strict=True)))
            return [found[name] for name in outputs]

        self._call: Any = call
        if self._mode != "eager":
            self._call = tf.function(call, input_signature=specs, jit_compile=self._mode == "jit")
            with _heard(), tf.device(self._place):
                self._call.get_concrete_function()

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        arrays = [_array(value) for value in taken(inputs, self._required)]
        if layout is not None:
            arrays = [arranged(array, layout) for array in arrays]
        shapes = tuple(array.shape for array in arrays)
        fresh = self._mode == "jit" and shapes not in self._compiled
        if fresh:
            # XLA compiles for sizes that it has not seen, and at once runs what it made.
            self._enter(Stage.COMPILE)
        with _heard(), tf.device(self._place):
            self._last = [tf.constant(array) for array in arrays]
            results = self._call(*self._last)
        if fresh:
            self._compiled.add(shapes)
            self._enter(Stage.RUN)
        return [_value(result) for result in results]

    def artefacts(self) -> Mapping[str, bytes]:
        """XLA's program before and after its passes, or the graph that TensorFlow was given."""
        if self._mode == "eager":
            return {}
        if self._mode == "graph":
            graph = self._call.get_concrete_function().graph.as_graph_def()
            return {"graph.pbtxt": str(graph).encode()}
        with _heard(), tf.device(self._place):
            show = self._call.experimental_get_compiler_ir(*self._last)
            return {f"{stage}.txt": _plain(show(stage)).encode() for stage in ("hlo", "optimized_hlo")}


def _plain(text: str) -> str:
    """A program without what differs from process to process: counted names, places in TensorFlow's sources."""
    text = re.sub(r"a_inference_call_\d+__", "model", text)
    return re.sub(r' source_file="[^"]*"| source_(end_)?(line|column)=\d+', "", text)


def _spec(port: Any) -> Any:
    """Type and shape of an input as the model declares them; sizes that it leaves open are None."""
    kind = port.type.tensor_type
    name = _NAMES.get(kind.elem_type, "")
    if not port.type.HasField("tensor_type") or name in {"", "string"}:
        raise Unsupported("only tensors of numbers are passed on to TensorFlow")
    shape = None
    if kind.HasField("shape"):
        shape = [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]
    with _heard():
        return tf.TensorSpec(shape, tf.as_dtype(to_numpy(Tensor(name, (0,), b"")).dtype))


def _array(value: Value) -> Any:
    if not isinstance(value, Tensor) or value.element_type == "string":
        raise Unsupported("only tensors of numbers are passed on to TensorFlow")
    return to_numpy(value)


def _value(result: Any) -> Value:
    if not isinstance(result, tf.Tensor) or result.dtype in {tf.string, tf.variant}:
        raise Unsupported("only tensors of numbers are passed on from TensorFlow")
    return from_numpy(result.numpy())


BACKEND = Xla()
