"""MNN: its converter reads the model, its module interface runs it, both in this process.

`MNN.tools` is never imported: it installs a package and sends what was converted to its makers.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import _tools
import numpy as np
import onnx
from MNN import expr, nn

from backends.external import read_model
from backends.graph import graphs, required_inputs, taken
from backends.layout import Layout, arranged
from backends.protocol import Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"Not Support",
        r"[Nn]ot (yet |currently )?support",
        r"[Uu]nsupported",
        r"[Dd]on't support",
        r"Can't compute size for \d+, name",  # no rule for the shape of such an operator
        r"[Dd]o(es)? not support",
        r"\bcode=[24] in ",  # of its error codes NOT_SUPPORT and NO_EXECUTION
    ),
    out_of_memory=(*Words().out_of_memory, r"\bcode=1 in "),
)
# MNN computes in float and int32 and has 8-bit integers; it holds the other types of this table in those. Types that
# wrap around or reach beyond them are no types of it.
_HELD: Mapping[str, str] = MappingProxyType({
    "float": "float", "double": "float", "float16": "float", "bfloat16": "float",
    "int32": "int", "int64": "int", "bool": "int", "uint8": "uint8",
})  # fmt: skip
_ARRAYS: Mapping[str, Any] = MappingProxyType({"float": np.float32, "int": np.int32, "uint8": np.uint8})
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})
_WINOGRAD_MEMORY_LEVEL = 3  # of MNN's HintMode, whose numbers Python is not told

_STRASSEN = 256  # weights of that size are multiplied in the usual way


@dataclass(frozen=True, slots=True)
class Mnn:
    """MNN on the CPU, in high precision unless the options say otherwise."""

    name: str = "mnn"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Module:
        """Convert to a file of MNN's, then load that as a module."""
        parsed = read_model(model, folder)
        inferred = _inferred(parsed)
        _check_products(inferred.graph)
        with tempfile.TemporaryDirectory() as place:
            source, target = Path(place, "model.onnx"), Path(place, "model.mnn")
            source.write_bytes(parsed.SerializeToString())
            _convert(source, target, options.get("opt", "1"))
            enter(Stage.COMPILE)
            return _Module(inferred.graph, target, options)


def _convert(source: Path, target: Path, level: str) -> None:
    printed = _printed()
    with heard(WORDS):
        _tools.mnnconvert([
            "mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target),
            "--optimizeLevel", level, "--bizCode", "model",
        ])  # fmt: skip
    if not target.is_file():
        _refuse(printed, "the converter wrote no model")


def _printed() -> tuple[int, int]:
    """How much has been printed so far on standard output and standard error."""
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    return os.fstat(1).st_size, os.fstat(2).st_size


def _refuse(start: tuple[int, int], otherwise: str) -> None:
    """Raise what has been printed since then, sorted by its words: MNN has no word for its caller."""
    _printed()
    said = {os.pread(descriptor, 1 << 16, begin) for descriptor, begin in zip((1, 2), start, strict=True)}
    lines = _CLOCK.sub("", b"\n".join(sorted(said)).decode("utf-8", "replace")).splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith(_CHATTER))[:4000] or otherwise
    raise WORDS.sort(text)(text)


_CHATTER = (
    "Start to ", "inputTensors", "outputTensors", "Converted Success", "The device supports", "ONNX Model ",
    "MNN use ",
)  # fmt: skip
_CLOCK = re.compile(r"^\[[\d:]+\] :\d+: ", re.MULTILINE)  # when, and on which line of its source


def _inferred(model: Any) -> Any:
    """The model with the types of its values. Raises `Unsupported` for one that MNN has not, wherever it is."""
    with heard(WORDS):
        inferred = onnx.shape_inference.infer_shapes(model)
    for number in _types(inferred.graph):
        if number and _NAMES.get(number) not in _HELD:
            raise Unsupported(f"MNN has no element type {_NAMES.get(number, number)}")
    return inferred


def _check_products(graph: Any) -> None:
    """Raise `Unsupported` for products that may be computed by Strassen's method.

    It errs by the size of the whole matrices, which no bound of a single element holds. MNN uses it for constant
    weights from a size between 256 and 512 on, and has no switch for it.
    """
    sizes = {tensor.name: tensor.dims for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in {"MatMul", "Gemm", "Conv"}:
            for name in node.input[1:2]:
                if sum(size > _STRASSEN for size in sizes.get(name, ())) >= 2:
                    raise Unsupported(f"MNN may multiply by {name!r} in Strassen's way, for which no error bound holds")


def _types(graph: Any) -> Iterator[int]:
    """The numbers of all element types that a graph and its bodies name."""
    for body in graphs(graph):
        for port in (*body.input, *body.output, *body.value_info):
            if port.type.WhichOneof("value") not in {"tensor_type", None}:
                raise Unsupported("MNN has no sequences and no optionals")
            yield port.type.tensor_type.elem_type
        yield from (tensor.data_type for tensor in body.initializer)
        yield from (a.t.data_type for node in body.node for a in node.attribute if a.HasField("t"))


class _Module:
    # Arrays are made contiguous, then copied.
    layouts = tuple(Layout)

    def __init__(self, graph: Any, path: Path, options: Mapping[str, str]) -> None:
        self._inputs = required_inputs(graph)
        self._outputs = list(graph.output)
        self._model = path.read_bytes()
        printed = _printed()
        with heard(WORDS):
            manager = nn.create_runtime_manager((
                {"backend": "CPU", "precision": options.get("precision", "high"),
                 "numThread": int(options.get("threads", "1"))},
            ))  # fmt: skip
            manager.set_hint(_WINOGRAD_MEMORY_LEVEL, 0)
        names = [port.name for port in self._inputs], [port.name for port in self._outputs]
        try:
            self._module = nn.load_module_from_file(str(path), *names, runtime_manager=manager)
        except Exception as problem:  # noqa: BLE001 - it raises what Python makes of a missing result
            _refuse(printed, f"{type(problem).__name__}: {problem}")
        if self._module is None:
            _refuse(printed, "the module was not loaded")

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def artefacts(self) -> dict[str, bytes]:
        """The converted and optimised graph in MNN's own JSON."""
        with tempfile.TemporaryDirectory() as place:
            model, text = Path(place, "model.mnn"), Path(place, "model.json")
            model.write_bytes(self._model)
            _tools.mnnconvert(["mnnconvert", "-f", "MNN", "--modelFile", str(model), "--JsonFile", str(text)])
            shown = json.loads(text.read_text(encoding="utf-8"))
        shown.pop("mnn_uuid", None)
        return {"model.json": json.dumps(shown, indent=1).encode()}

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        arguments = [_argument(value, layout) for value in taken(inputs, len(self._inputs))]
        printed = _printed()
        with heard(WORDS):
            results = self._module.forward(arguments)
        given = list(results) if isinstance(results, (list, tuple)) else [results]
        if len(given) != len(self._outputs) or any(result.valid is False for result in given):
            _refuse(printed, f"the module returns {len(given)} values, the model has {len(self._outputs)} outputs")
        return [_value(result, _NAMES[port.type.tensor_type.elem_type])
                for result, port in zip(given, self._outputs, strict=True)]  # fmt: skip


def _argument(value: Value, layout: Layout | None) -> Any:
    if not isinstance(value, Tensor) or value.element_type not in _HELD:
        raise Unsupported("MNN takes tensors of float, double, float16, bfloat16, int32, int64, uint8 and bool")
    held = _HELD[value.element_type]
    array = to_numpy(value)
    narrow = array.astype(_ARRAYS[held])
    if array.dtype.kind == "i" and not np.array_equal(narrow, array):
        raise Unsupported("MNN holds int64 in 32 bits: an input does not fit")
    if layout is not None:
        narrow = arranged(narrow, layout)
    with heard(WORDS):
        return expr.const(np.ascontiguousarray(narrow), list(array.shape), expr.NCHW, getattr(expr, held))


def _value(result: Any, declared: str) -> Value:
    with heard(WORDS):
        # Packed by four channels it is MNN's own layout.
        plain = result if result.data_format == expr.NCHW else expr.convert(result, expr.NCHW)
        shape = tuple(plain.shape)
        # There is nothing to read of an empty tensor.
        array = np.array(plain.read()).reshape(shape) if 0 not in shape else np.zeros(shape, _ARRAYS[_HELD[declared]])
    kind = np.dtype(to_numpy(Tensor(declared, (0,), b"")).dtype)
    same_kind = (array.dtype.kind == "f") == (_HELD[declared] == "float")
    if not same_kind:
        return from_numpy(array)
    narrow = array.astype(kind)
    if kind.itemsize == 1 and kind.kind in "iu" and not np.array_equal(narrow, array):
        raise Unsupported(f"MNN computed {declared} in 32 bits, and it does not fit")
    return from_numpy(narrow)


BACKEND = Mnn()
