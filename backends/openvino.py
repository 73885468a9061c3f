"""OpenVINO on the CPU, in its accuracy mode unless told otherwise."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from backends.external import read_inputs, read_model, required_number
from backends.graph import OVERRIDES, numbered, taken
from backends.layout import Layout, arranged, placed
from backends.protocol import Stage, Unsupported, Words, heard
from backends.tensor import EXTENDED, Tensor, Value, byte_size, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.tensor import Array

WORDS = Words(
    unsupported=(
        r"No conversion rule",
        r"No translator found",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"([Dd]oes|[Dd]o|[Cc]an) ?n[o']t (yet |currently )?support",
        r"[Uu]nsupported",
        r"is only supported",
        r"must be an? .*\bconstant",
        r"NOT_IMPLEMENTED|NotImplemented",
    )
)
_TYPES: Mapping[str, str] = MappingProxyType({
    "float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "bool": "boolean",
    "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
    "int4": "i4", "uint4": "u4", "uint2": "u2",
    "float8e4m3fn": "f8e4m3", "float8e5m2": "f8e5m2", "float8e8m0": "f8e8m0", "float4e2m1": "f4e2m1",
})  # fmt: skip
# Settings of the CPU plugin that take one kind of rewriting away, by the names that `disable` knows them by. It takes
# them as any other and does not list them; a compiled model shows that they work.
SWITCHES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "low_precision": {"LP_TRANSFORMS_MODE": "NO"},
    "snippets": {"SNIPPETS_MODE": "DISABLE"},
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenVino:
    """OpenVINO's CPU plugin."""

    name: str = "openvino"

    def passes(self) -> list[str]:
        """The names that `disable` knows."""
        return sorted(SWITCHES)

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Request:
        """Read with the ONNX front end, then compile for the CPU."""
        if b"location" in model:
            model = read_model(model, folder).SerializeToString()
        core = openvino.Core()
        with heard(WORDS):
            read = core.read_model(model)
        enter(Stage.COMPILE)
        settings = {
            "EXECUTION_MODE_HINT": options.get("mode", "accuracy").upper(),
            "INFERENCE_NUM_THREADS": int(options.get("threads", "1")),
            "NUM_STREAMS": 1,
        }
        # The performance mode chooses its precision itself (bfloat16, where the processor has it).
        precision = options.get("precision", "f32" if options.get("mode", "accuracy") == "accuracy" else "")
        if precision:
            settings["INFERENCE_PRECISION_HINT"] = precision
        for name in options["disable"].split("+") if "disable" in options else ():
            if name not in SWITCHES:
                raise RuntimeError(f"OpenVINO has no switch {name}: there are {', '.join(SWITCHES)}")
            settings |= SWITCHES[name]
        with heard(WORDS):
            device = options.get("device", "cpu").upper()
            compiled = core.compile_model(read, device, settings)
            if options.get("reload") == "yes":
                compiled = core.import_model(compiled.export_model(), device, settings)
            return _Request(compiled, model)


class _Request:
    # A tensor may share memory that is contiguous, and copies any other array.
    layouts = tuple(Layout)

    def __init__(self, compiled: Any, model: bytes) -> None:
        self._compiled = compiled
        self._model = model
        self._kept: list[int] | None = None
        self._request = compiled.create_infer_request()
        self._inputs = len(compiled.inputs)
        self._outputs = len(compiled.outputs)

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._infer([_argument(value) for value in self._taken(inputs)])

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._infer([_arranged(value, layout) for value in self._taken(inputs)])

    def bind(self, like: Sequence[Value]) -> _Binding:
        with heard(WORDS):
            request = self._compiled.create_infer_request()
        return _Binding(request, like, self._taken)

    def artefacts(self) -> dict[str, bytes]:
        """What the plugin runs, in its order: kind, implementation, precision, layouts, the nodes it is made of."""
        nodes = [node.get_rt_info() for node in self._compiled.get_runtime_model().get_ordered_ops()]
        nodes.sort(key=lambda info: int(info["execOrder"].astype(str)))
        lines = [" ".join(info[key].astype(str) for key in _SHOWN) for info in nodes]
        return {"runtime.txt": numbered("".join(f"{line}\n" for line in lines), _NUMBERS).encode()}

    def _taken(self, inputs: Sequence[Value]) -> Sequence[Value]:
        if len(inputs) <= self._inputs:
            return taken(inputs, self._inputs)
        # The front end drops inputs that no node reads.
        if self._kept is None:
            self._kept = read_inputs(self._model)
        if len(inputs) > required_number(self._model):
            raise Unsupported(OVERRIDES)
        if len(self._kept) != self._inputs:
            raise Unsupported(f"OpenVINO sees {self._inputs} of {len(inputs)} inputs, and not which ones")
        return [inputs[position] for position in self._kept]

    def _infer(self, arguments: Sequence[_Lent]) -> list[Value]:
        with heard(WORDS):
            self._request.infer([argument.tensor for argument in arguments])
            results = [self._request.get_output_tensor(index) for index in range(self._outputs)]
        return [_value(result) for result in results]


# Names such as ``Abs_860``, whose numbers go on from model to model.
_NUMBERS = r"(?<=[A-Za-z]_)\d+"
_SHOWN = ("layerType", "primitiveType", "runtimePrecision", "outputLayouts", "originalLayersNames")


class _Binding:
    """A request of its own whose output tensors are set once."""

    def __init__(
        self, request: Any, like: Sequence[Value], taken: Callable[[Sequence[Value]], Sequence[Value]]
    ) -> None:
        self._request = request
        self._taken = taken
        if any(not isinstance(value, Tensor) or value.element_type == "string" for value in like):
            raise Unsupported("only outputs of numbers can be bound to buffers")
        self._tensors = [_argument(value) for value in like]
        with heard(WORDS):
            for index, lent in enumerate(self._tensors):
                self._request.set_output_tensor(index, lent.tensor)

    def run(self, inputs: Sequence[Value], fill: int | None) -> list[Value]:
        arguments = [_argument(value) for value in self._taken(inputs)]
        if fill is not None:
            for lent in self._tensors:
                ctypes.memset(lent.tensor.data.ctypes.data, fill, lent.tensor.byte_size)
        with heard(WORDS):
            self._request.infer([argument.tensor for argument in arguments])
        return [_value(lent.tensor) for lent in self._tensors]


# Releases before 2024 have no texts, and no equal of None either.
_STRING = getattr(openvino.Type, "string", None)
_NAMES = {getattr(openvino.Type, theirs): ours for ours, theirs in _TYPES.items() if hasattr(openvino.Type, theirs)}


@dataclass(frozen=True, slots=True)
class _Lent:
    """A tensor of OpenVINO's and the memory that it shares: releases before 2025 do not keep that alive themselves."""

    tensor: Any
    memory: Any = None


def _argument(value: Value) -> _Lent:
    """A tensor of OpenVINO's that shares memory of ours."""
    tensor = _tensor(value)
    if tensor.element_type == "string":
        return _Lent(_texts(to_numpy(tensor)))
    kind = _kind(tensor)
    data = np.frombuffer(bytearray(tensor.data), dtype=np.uint8)
    with heard(WORDS):
        return _Lent(openvino.Tensor(data, list(tensor.shape), kind), data)


def _texts(array: Array) -> Any:
    """A tensor of strings, by way of numpy's own kind, which loses the zeros that a text ends in."""
    if any(text.endswith("\0") for text in array.flat):
        raise Unsupported("a text that ends in a zero cannot be handed over")
    if not array.size:
        return openvino.Tensor(openvino.Type.string, list(array.shape))
    return openvino.Tensor(array.astype(np.str_))


def _arranged(value: Value, layout: Layout) -> _Lent:
    tensor = _tensor(value)
    if tensor.element_type == "string":
        return _argument(value)
    kind, array = _kind(tensor), to_numpy(tensor)
    if layout is Layout.OFFSET:
        data = placed(tensor.data, array.dtype.itemsize)
        with heard(WORDS):
            return _Lent(openvino.Tensor(data, list(tensor.shape), kind), data)
    if tensor.element_type in EXTENDED:
        raise Unsupported(f"{tensor.element_type} arrays are handed over as bytes in a row")
    with heard(WORDS):
        return _Lent(openvino.Tensor(arranged(array, layout), shared_memory=False))


def _tensor(value: Value) -> Tensor:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no inputs of an OpenVINO model")
    return value


def _kind(tensor: Tensor) -> Any:
    kind = getattr(openvino.Type, _TYPES.get(tensor.element_type, ""), None)
    if kind is None:
        raise Unsupported(f"OpenVINO has no element type {tensor.element_type}")
    return kind


def _value(result: Any) -> Value:
    if result.element_type == _STRING:
        return from_numpy(result.str_data)
    element_type = _NAMES.get(result.element_type)
    if element_type is None:
        raise Unsupported(f"ONNX has no element type for OpenVINO's {result.element_type}")
    shape = tuple(int(size) for size in result.shape)
    data = result.data.tobytes()
    size = byte_size(element_type, shape)
    return Tensor(element_type, shape, data if size is None else data[:size])


BACKEND = OpenVino()
