"""LiteRT: onnx2tf makes a Keras model, TensorFlow's converter a file for LiteRT, whose interpreter runs it."""

from __future__ import annotations

import math
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import TensorProto, helper
from onnx2tf import onnx2tf as converter

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.names import rename
from backends.protocol import BackendError, Rejected, Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"[Uu]nsupported",
        r"No module named 'onnx2tf\.ops\.",
        r"not in (the )?list of allowed values",
        r"needs to be (supported|a custom op)|neither a custom op nor a flex op",
        r"model has 0 Signatures",  # nothing of an input reached an output
        r"Select TensorFlow op|[Ff]lex ops?\b",
    )
)
_RESOLVERS = MappingProxyType({
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
})  # fmt: skip
_IMAGES = range(3, 6)
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})


def _no_download() -> Any:
    return np.zeros((20, 128, 128, 3), np.float32)


# onnx2tf runs a model in ONNX Runtime to learn its shapes and layouts: on images from the network, where inputs look
# like images.
converter.download_test_image_data = _no_download


@dataclass(frozen=True, slots=True)
class LiteRt:
    """LiteRT's interpreter with XNNPACK, on one thread unless the options say otherwise."""

    name: str = "litert"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Program:
        """Convert to Keras, then to a file in memory, and allocate the tensors."""
        parsed = read_model(model, folder)
        shapes = _output_shapes(parsed)
        rename(parsed.graph)
        inputs = required_inputs(parsed.graph)
        if not inputs:
            raise Unsupported("onnx2tf makes no model without inputs")
        types = [_NAMES.get(port.type.tensor_type.elem_type, "") for port in parsed.graph.output]
        names = _flattened(parsed)
        with _heard():
            keras = _converted(parsed, [port.name for port in inputs if _is_image(port)])
            found = {tensor.name.partition(":")[0]: tensor for tensor in keras.inputs}
        if len(keras.outputs) != len(names):
            raise Unsupported(f"onnx2tf gave {len(keras.outputs)} outputs of {len(names)}")
        enter(Stage.COMPILE)
        with _heard():
            content = _written(keras)
            interpreter = Interpreter(
                model_content=content,
                num_threads=int(options.get("threads", "1")),
                experimental_op_resolver_type=_RESOLVERS[options.get("kernels", "xnnpack")],
            )
            interpreter.allocate_tensors()
        used = [index for index, port in enumerate(inputs) if port.name in found]
        order = [list(found).index(inputs[index].name) for index in used]
        return _Program(interpreter, content, len(inputs), dict(zip(order, used, strict=True)), types, shapes)


def _output_shapes(model: Any) -> list[tuple[int, ...]]:
    """The sizes of the outputs, as ONNX infers them. Raises `Unsupported` where some are open."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = []
    for port in inferred.graph.output:
        kind = port.type.tensor_type
        if not (port.type.HasField("tensor_type") and kind.HasField("shape")):
            raise Unsupported("only tensors of known sizes are passed on from LiteRT here")
        if not all(size.HasField("dim_value") for size in kind.shape.dim):
            raise Unsupported("only tensors of known sizes are passed on from LiteRT here")
        shapes.append(tuple(size.dim_value for size in kind.shape.dim))
    return shapes


def _flattened(model: Any) -> list[str]:
    """Put a Reshape to one axis behind each output, and name these.

    onnx2tf keeps images with channels last, outputs too, and says of none which way it lies. A flat one lies one way.
    """
    graph = model.graph
    graph.initializer.append(helper.make_tensor("flat", TensorProto.INT64, [1], [-1]))
    ports, names = [], []
    for index, port in enumerate(graph.output):
        names.append(f"out{index}")
        graph.node.append(helper.make_node("Reshape", [port.name, "flat"], [names[-1]], name=f"flat{index}"))
        ports.append(helper.make_tensor_value_info(names[-1], port.type.tensor_type.elem_type, None))
    del graph.output[:]
    graph.output.extend(ports)
    return names


def _is_image(port: Any) -> bool:
    """Whether onnx2tf puts the channels of such an input last."""
    return len(port.type.tensor_type.shape.dim) in _IMAGES


def _converted(model: Any, images: Sequence[str]) -> Any:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "model.onnx")
        onnx.save(model, path)
        return converter.convert(
            input_onnx_file_path=str(path),
            output_folder_path=place,
            not_use_onnxsim=True,
            # They come as the model has them, and are transposed by an operation of their own; without a name to it
            # None must be given.
            keep_ncw_or_nchw_or_ncdhw_input_names=list(images) or None,
            disable_strict_mode=True,
            onnxruntime_output_memmap=False,
            disable_model_save=True,
            verbosity="error",
        )


def _written(keras: Any) -> bytes:
    """The file of a Keras model: its inputs by their numbers, its outputs likewise, so that each is found again."""

    def call(*arguments: Any) -> dict[str, Any]:
        given = list(arguments)
        results = keras(given if len(given) > 1 else given[0])
        return {f"y{index}": result for index, result in enumerate(results if isinstance(results, list) else [results])}

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, f"x{index}") for index, tensor in enumerate(keras.inputs)]
    function = tf.function(call, input_signature=specs).get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], keras).convert())


@contextmanager
def _heard() -> Iterator[None]:
    """As `heard`, for messages with listings of places in sources, and for onnx2tf, which leaves the process.

    It does so where an operator cannot be converted; what was raised there stands behind that.
    """
    with heard(WORDS):
        try:
            yield
        except (BackendError, MemoryError):
            raise
        except (Exception, SystemExit) as problem:
            cause = problem.__context__ if isinstance(problem, SystemExit) else problem
            message = f"{type(cause).__name__}: {essence(str(cause))}" if cause else "onnx2tf ended without a word"
            raise WORDS.sort(message)(message) from problem


def essence(message: str) -> str:
    """What a message says: of the converter's listing the errors, of Keras' all but the arguments of the call."""
    errors = re.findall(r" error: (.*)", message)
    return "; ".join(errors) or message.partition("\n\nCall arguments received")[0]


class _Program:
    def __init__(
        self, interpreter: Any, content: bytes, required: int, order: Mapping[int, int], types: Sequence[str],
        shapes: Sequence[tuple[int, ...]],
    ) -> None:  # fmt: skip
        with _heard():
            self._runner = interpreter.get_signature_runner()
        self._interpreter, self._content = interpreter, content
        self._required, self._order, self._types, self._shapes = required, order, types, shapes

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        values = taken(inputs, self._required)
        details = self._runner.get_input_details()
        feed = {
            f"x{number}": _argument(values[position], details[f"x{number}"]["dtype"])
            for number, position in self._order.items()
            if f"x{number}" in details
        }
        with _heard():
            results = self._runner(**feed)
            arrays = [np.array(results[f"y{index}"]) for index in range(len(self._types))]
        return [_value(*each) for each in zip(arrays, self._types, self._shapes, strict=True)]

    def artefacts(self) -> Mapping[str, bytes]:
        """The file that the interpreter runs, and the operations in it, in their order."""
        operations = "".join(f"{each['op_name']}\n" for each in self._interpreter._get_ops_details())  # noqa: SLF001
        return {"operations.txt": operations.encode(), "model.tflite": self._content}


def _argument(value: Value, wanted: Any) -> Any:
    if not isinstance(value, Tensor) or value.element_type == "string":
        raise Unsupported("only tensors of numbers are passed on to LiteRT here")
    array = to_numpy(value)
    if array.dtype == wanted:
        return array
    if array.dtype.name == "float16" and np.dtype(wanted).name == "float32":
        return array.astype(wanted)
    raise Unsupported(f"onnx2tf makes {np.dtype(wanted).name} of an input of type {array.dtype.name}")


def _value(array: Any, declared: str, shape: tuple[int, ...]) -> Value:
    dtype = to_numpy(Tensor(declared, (0,), b"")).dtype
    if array.dtype != dtype and (array.dtype.name, dtype.name) != ("float32", "float16"):
        raise Unsupported(f"onnx2tf makes {array.dtype.name} of an output of type {declared}")
    if array.size != math.prod(shape):
        raise Rejected(f"the program returns {array.size} elements for an output of the sizes {list(shape)}")
    return from_numpy(array.astype(dtype).reshape(shape))


BACKEND = LiteRt()
