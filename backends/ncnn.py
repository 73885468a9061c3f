"""ncnn: pnnx turns the model into ncnn's graph, in a process of its own; ncnn runs that in this one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ncnn
import numpy as np
import onnx

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.layout import Layout, arranged
from backends.protocol import InvalidCase, Rejected, Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"^todo ",  # what pnnx has not come to yet
        r"not exists or registered",
        r"[Uu]nsupported",
        r"[Nn]ot (yet |currently )?support",
        r"support for this is limited",  # of an opset that the ONNX Runtime inside of pnnx does not know yet
        # The same of operators, of versions of them, of attributes.
        r"Could not find an implementation for",
        r"No Op registered for",
        r"is not a registered function/op",
        r"Unrecognized attribute",
    )
)
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})
# How pnnx's own script for ncnn hands tensors over: which axis is the batch's, 233 for none.
_INPUT = re.compile(r'ex\.input\("(in\d+)", .*batch_index=(\d+)\)')
_OUTPUT = re.compile(r"(out\d+)\.numpy\(batch_index=(\d+)\)")
_RANKS = range(1, 5)
_NO_BATCH = 233
# What pnnx says of a layer that it writes nevertheless, as if the batch were not there.
_LIMIT = re.compile(r"\bnot supported\b")
_KNOWN = frozenset({"Constant", "Shape", "Size"})  # what these give is known before anything is computed
# Options of ncnn's that make it compute in other types.
_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "f32": (), "f16": ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
    "bf16": ("use_bf16_packed", "use_bf16_storage"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ncnn:
    """ncnn on the CPU, in float, as pnnx at its level 2 has rewritten the model unless the options say otherwise."""

    name: str = "ncnn"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Runnable:
        """Convert and load; where sizes are open, when they are known."""
        parsed = read_model(model, folder)
        with heard(WORDS):
            inferred = onnx.shape_inference.infer_shapes(parsed)
        _check(inferred.graph)
        runnable = _Runnable(parsed, inferred.graph, dict(options), enter)
        if runnable.shapes is not None:
            runnable.load(runnable.shapes)
        return runnable


def _check(graph: Any) -> None:
    """Raise `Unsupported` for what ncnn's tensors cannot hold: they are floats of one to four axes."""
    constant = {tensor.name for tensor in graph.initializer}
    types = {port.name: port.type for port in (*graph.input, *graph.value_info, *graph.output)}
    computed = [port.name for port in required_inputs(graph)]
    for node in graph.node:
        if node.op_type in _KNOWN:
            constant.update(node.output)
        computed += [name for name in node.output if name and name not in constant]
    if any(port.name in constant for port in graph.output):
        raise Unsupported("a constant or a shape is no output of ncnn's")
    for name in computed:
        if name in types:
            _check_type(types[name])


def _check_type(kind: Any) -> None:
    if kind.WhichOneof("value") != "tensor_type":
        raise Unsupported("ncnn has no sequences and no optionals")
    tensor = kind.tensor_type
    if tensor.elem_type != ONNX_NUMBERS["float"]:
        raise Unsupported(f"ncnn computes in float, not in {_NAMES.get(tensor.elem_type, tensor.elem_type)}")
    if tensor.HasField("shape"):
        if len(tensor.shape.dim) not in _RANKS:
            raise Unsupported(f"ncnn has tensors of 1 to 4 axes, not of {len(tensor.shape.dim)}")
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in tensor.shape.dim):
            raise Unsupported("ncnn has no empty tensors")


def converter() -> str:
    """The program that the wheel of pnnx brings. Its Python package imports torch, and is not imported."""
    found = find_spec("pnnx")
    if found is None or found.origin is None:
        raise Unsupported("ncnn reads ONNX models through pnnx: pip install --no-deps pnnx")
    return str(Path(found.origin).parent / "pnnx")


@dataclass(frozen=True, slots=True)
class _Blob:
    """A name of ncnn's, and which axis is the batch's."""

    name: str
    batch: int


# Layers whose first operand has a batch's axis beside those of ncnn's tensors.
_BATCHED = re.compile(
    r"((Conv|Deconv)olution(DepthWise)?|Pooling)([13]D)?|BatchNorm|GroupNorm|InstanceNorm|Interp|LRN|PixelShuffle|PReLU"
)
# Layers that leave the number of axes as it is.
_ELEMENTWISE = frozenset({
    "BinaryOp", "CELU", "Clip", "ELU", "Erf", "GELU", "HardSigmoid", "HardSwish", "ReLU", "SELU", "Sigmoid", "Softmax",
    "Split", "TanH", "UnaryOp",
})  # fmt: skip


def _check_batches(param: str, given: Sequence[_Blob], ranks: Mapping[str, int]) -> None:
    """Raise `Unsupported` where a constant meets a batch: ncnn's constants have none, and pnnx writes them as they are.

    ``param`` is ncnn's graph as text, ``given`` what pnnx says of the inputs, ``ranks`` how many axes they have.
    """
    batched = {blob.name for blob in given if blob.batch != _NO_BATCH}
    axes: dict[str, int | None] = {blob.name: ranks[blob.name] - (blob.name in batched) for blob in given}
    constant: set[str] = set()
    for line in param.splitlines()[2:]:
        kind, _, taken, left, *rest = line.split()
        inputs, outputs = rest[: int(taken)], rest[int(taken) : int(taken) + int(left)]
        if kind == "Input":
            continue
        if kind == "MemoryData" or (inputs and constant.issuperset(inputs)):
            constant.update(outputs)
        known = [axes.get(name) for name in inputs]
        count = max((each for each in known if each is not None), default=None) if None not in known else None
        if kind == "MemoryData":
            count = sum(word.partition("=")[0] in {"0", "1", "2", "11"} for word in rest[int(taken) + int(left) :])
        axes.update(dict.fromkeys(outputs, count if kind in {*_ELEMENTWISE, "MemoryData"} else None))
        has_batch = bool(_BATCHED.fullmatch(kind))
        if has_batch and inputs[0] in constant:
            raise Unsupported(f"ncnn's constants have no batch, and {kind} takes one of a constant")
        if has_batch and not batched.isdisjoint(inputs[1:]):
            raise Unsupported(f"ncnn's weights have no batch, and those of {kind} are data elsewhere")
        if has_batch or not batched.isdisjoint(inputs):
            batched.update(outputs)
            most = max((axes[name] or 0 for name in inputs if name in batched), default=0)
            wide = [name for name in inputs if name in constant and (axes[name] or 0) > most]
            if wide and most and not has_batch:
                raise Unsupported(f"ncnn's constants have no batch, and {kind} joins one of more axes with a batch")


class _Runnable:
    # Arrays are made contiguous, then copied.
    layouts = tuple(Layout)

    def __init__(self, model: Any, graph: Any, options: Mapping[str, str], enter: Callable[[Stage], None]) -> None:
        self._model = model
        self._options = options
        self._enter = enter
        self._inputs = required_inputs(graph)
        self._outputs = list(graph.output)
        self._net: Any = None
        self._blobs: tuple[list[_Blob], list[_Blob]] = ([], [])
        self._shown: dict[str, bytes] = {}
        self._loaded: tuple[tuple[int, ...], ...] | None = None
        self.shapes = _static(self._inputs)

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def artefacts(self) -> dict[str, bytes]:
        """The graph of pnnx, then that of ncnn, both as text."""
        return dict(self._shown)

    def load(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        """Convert for inputs of these shapes and load what comes of it."""
        with tempfile.TemporaryDirectory() as place:
            Path(place, "model.onnx").write_bytes(self._model.SerializeToString())
            said = _convert(place, shapes, self._options)
            self._shown = {name: Path(place, name).read_bytes() for name in ("model.pnnx.param", "model.ncnn.param")}
            script = Path(place, "model_ncnn.py").read_text(encoding="utf-8")
            # What pnnx has optimised away has no layer, and nothing to be given.
            left = {line.split()[1] for line in self._shown["model.ncnn.param"].decode().splitlines()
                    if line.startswith("Input ")}  # fmt: skip
            self._blobs = (
                [_Blob(name, int(batch)) for name, batch in _INPUT.findall(script) if name in left],
                [_Blob(name, int(batch)) for name, batch in _OUTPUT.findall(script)],
            )
            axes = {f"in{number}": len(shape) for number, shape in enumerate(shapes)}
            _check_batches(self._shown["model.ncnn.param"].decode(), self._blobs[0], axes)
            self._enter(Stage.COMPILE)
            sys.stderr.flush()
            printed = os.fstat(2).st_size
            net = ncnn.Net()
            for name, value in settings(self._options).items():
                setattr(net.opt, name, value)
            for loaded in (
                net.load_param(str(Path(place, "model.ncnn.param"))),
                net.load_model(str(Path(place, "model.ncnn.bin"))),
            ):
                if loaded != 0:
                    printed_since = os.pread(2, 1 << 16, printed).decode("utf-8", "replace").strip()
                    text = "\n".join((*said, printed_since or f"ncnn does not load what pnnx wrote ({loaded})"))
                    raise WORDS.sort(text)(text)
        self._net = net
        self._loaded = shapes

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        arrays = [_array(value, layout) for value in taken(inputs, len(self._inputs))]
        shapes = tuple(array.shape for array in arrays)
        if shapes != self._loaded:
            if self.shapes is not None:
                raise InvalidCase(f"inputs of the shapes {shapes}, the model says {self.shapes}")
            self._enter(Stage.IMPORT)
            self.load(shapes)
            self._enter(Stage.RUN)
        given, made = self._blobs
        with heard(WORDS):
            extractor = self._net.create_extractor()
            for blob in given:
                array = arrays[int(blob.name.removeprefix("in"))]
                extractor.input(blob.name, ncnn.Mat(array, batch_index=blob.batch).clone())
            results = [extractor.extract(blob.name) for blob in made]
        if len(results) != len(self._outputs):
            raise Rejected(f"pnnx kept {len(results)} of {len(self._outputs)} outputs")
        for blob, (status, mat) in zip(made, results, strict=True):
            if status != 0 or mat.empty():
                raise Rejected(f"ncnn gives no {blob.name}: {status}")
        return [from_numpy(np.array(mat.numpy(batch_index=blob.batch)))
                for blob, (_, mat) in zip(made, results, strict=True)]  # fmt: skip


def settings(options: Mapping[str, str]) -> dict[str, Any]:
    """The options of ncnn's network: no other type than float, nothing by Winograd, on one thread."""
    switches = dict.fromkeys((name for names in _TYPES.values() for name in names), False)
    switches.update(dict.fromkeys(_TYPES[options.get("precision", "f32")], True))
    disabled = set(filter(None, options.get("disable", "").split("+")))
    return {
        **switches,
        "use_vulkan_compute": False,
        "num_threads": int(options.get("threads", "1")),
        "use_winograd_convolution": options.get("winograd", "no") == "yes",
        **{f"use_{name}": name not in disabled for name in ("packing_layout", "sgemm_convolution")},
    }


def _convert(place: str, shapes: tuple[tuple[int, ...], ...], options: Mapping[str, str]) -> list[str]:
    """Run pnnx in that folder; what it says that it has still to do.

    Ends as pnnx ends where a signal ends it, unless the ONNX Runtime inside of it has said why: pnnx goes on without.
    """
    listed = ",".join(f"[{','.join(map(str, shape))}]f32" for shape in shapes)
    command = [converter(), "model.onnx", f"optlevel={options.get('opt', '2')}", "fp16=0"]
    done = subprocess.run(
        [*command, f"inputshape={listed}"], cwd=place, capture_output=True, text=True, errors="replace", check=False
    )
    lines = [line for text in (done.stderr, done.stdout) for line in text.splitlines()]
    refused = [line for line in lines if "CreateSession failed" in line]
    if done.returncode < 0 and not refused:
        sys.stderr.write("\n".join(lines[-5:]))
        sys.stderr.flush()
        signal.raise_signal(-done.returncode)
    told = [line for line in lines if line.startswith("todo ")]
    if done.returncode == 0 and (limits := list(dict.fromkeys(line for line in lines if _LIMIT.search(line)))):
        raise Unsupported("\n".join(limits))
    if done.returncode != 0 or not Path(place, "model.ncnn.param").is_file():
        text = "\n".join(refused or told or lines[-5:])[:4000] or f"pnnx ended with {done.returncode}"
        raise WORDS.sort(text)(text)
    return told


def _static(ports: Sequence[Any]) -> tuple[tuple[int, ...], ...] | None:
    """The shapes of inputs whose sizes are all numbers, else None."""
    dims = [port.type.tensor_type.shape.dim for port in ports]
    if all(dim.HasField("dim_value") for each in dims for dim in each):
        return tuple(tuple(dim.dim_value for dim in each) for each in dims)
    return None


def _array(value: Value, layout: Layout | None) -> Any:
    if not isinstance(value, Tensor) or value.element_type != "float":
        raise Unsupported("ncnn takes tensors of float alone")
    array = to_numpy(value)
    if array.ndim not in _RANKS or not array.size:
        raise Unsupported(f"ncnn has tensors of 1 to 4 axes with elements, not of shape {list(array.shape)}")
    return np.ascontiguousarray(array if layout is None else arranged(array, layout))


BACKEND = Ncnn()
