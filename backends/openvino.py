"""OpenVINO on the CPU, in its accuracy mode unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino

from backends.external import read_model
from backends.protocol import InvalidCase, Stage, Unsupported, Words, heard
from backends.tensor import Tensor, Value, byte_size, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


@dataclass(frozen=True, slots=True)
class OpenVino:
    """OpenVINO's CPU plugin."""

    name: str = "openvino"

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
        with heard(WORDS):
            compiled = core.compile_model(read, options.get("device", "cpu").upper(), settings)
            return _Request(compiled.create_infer_request(), len(compiled.inputs), len(compiled.outputs))


class _Request:
    def __init__(self, request: Any, inputs: int, outputs: int) -> None:
        self._request = request
        self._inputs = inputs
        self._outputs = outputs

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        if len(inputs) < self._inputs:
            raise InvalidCase(f"the model has {self._inputs} inputs, the data set {len(inputs)}")
        arguments = [_argument(value) for value in inputs[: self._inputs]]
        with heard(WORDS):
            self._request.infer(arguments)
            results = [self._request.get_output_tensor(index) for index in range(self._outputs)]
        return [_value(result) for result in results]


_NAMES = {getattr(openvino.Type, theirs): ours for ours, theirs in _TYPES.items() if hasattr(openvino.Type, theirs)}


def _argument(value: Value) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no inputs of an OpenVINO model")
    if value.element_type == "string":
        return openvino.Tensor(to_numpy(value))
    kind = getattr(openvino.Type, _TYPES.get(value.element_type, ""), None)
    if kind is None:
        raise Unsupported(f"OpenVINO has no element type {value.element_type}")
    data = np.frombuffer(bytearray(value.data), dtype=np.uint8)
    with heard(WORDS):
        return openvino.Tensor(data, list(value.shape), kind)


def _value(result: Any) -> Value:
    if result.element_type == openvino.Type.string:
        return from_numpy(result.str_data)
    element_type = _NAMES.get(result.element_type)
    if element_type is None:
        raise Unsupported(f"ONNX has no element type for OpenVINO's {result.element_type}")
    shape = tuple(int(size) for size in result.shape)
    data = result.data.tobytes()
    size = byte_size(element_type, shape)
    return Tensor(element_type, shape, data if size is None else data[:size])


BACKEND = OpenVino()
