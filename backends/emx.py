"""emx-onnx-cgen: C code for a model, built by the C compiler that is found here, called in this process."""

from __future__ import annotations

import _ctypes
import ctypes
import math
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import weakref
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import emx_onnx_cgen
import onnx
from emx_onnx_cgen.compiler import Compiler, CompilerOptions

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.layout import Layout, placed
from backends.protocol import InvalidCase, Rejected, Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, byte_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"Unsupported",  # the class of its refusals, and their words
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"[Dd]oes not support",
        r"requires? static shapes",
        r"shape must be non-negative",  # of a size that hangs on values
        r"[Mm]ust be (a )?constant",
        r"\b(_BitInt|__bf16)\b",  # types that C compilers before C23 lack
    )
)
# What C calls the elements of a type; narrower ones than a byte have a layout of their own.
_C_TYPES: Mapping[str, str] = MappingProxyType({
    "float": "float", "double": "double", "float16": "_Float16", "bfloat16": "__bf16", "bool": "bool",
    "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t",
    "float8e4m3fn": "emx_float8e4m3fn_t", "float8e4m3fnuz": "emx_float8e4m3fnuz_t",
    "float8e5m2": "emx_float8e5m2_t", "float8e5m2fnuz": "emx_float8e5m2fnuz_t",
    "float8e8m0": "emx_float8e8m0fnu_t",
})  # fmt: skip
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})
_ARRAY = re.compile(r"(?P<const>const )?(?P<type>\w+) (?P<name>\w+)(?P<sizes>(\[[^\]]*\])+)")
_HEADERS = Path(emx_onnx_cgen.__file__).with_name("third_party")  # what the code of some operators includes
_POISON = 0xA5  # what an output holds that the function leaves as it was


@dataclass(frozen=True, slots=True)
class EmxOnnxCgen:
    """C code of emx-onnx-cgen, built with -O2 unless the options say otherwise."""

    name: str = "emx-onnx-cgen"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Function:
        """Generate C, build it as a shared library, load that."""
        parsed = read_model(model, folder)
        ports = _ports(parsed)
        with heard(WORDS):
            text = _compiler(options.get("restrict", "yes") == "yes").compile(parsed)
        enter(Stage.COMPILE)
        command = build_command(options)
        with tempfile.TemporaryDirectory() as place:
            source, library = Path(place, "model.c"), Path(place, "model.so")
            source.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [*command, f"-I{_HEADERS}", str(source), "-o", str(library), "-lm"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                _refuse(done.stderr, place)
            return _Function(ctypes.CDLL(str(library)), text, *ports, command)


@cache
def _compiler(restrict: bool) -> Any:
    # Its templates cost seconds to read, and nothing of a model stays in it.
    return Compiler(CompilerOptions(large_weight_threshold=0, restrict_arrays=restrict))


def build_command(options: Mapping[str, str]) -> list[str]:
    """The C compiler with its flags: what $CC says, else the first of cc, gcc and clang.

    Raises `Unsupported` where there is none, or where a sanitizer lacks what it needs.
    """
    given = os.environ.get("CC", "")
    found = shlex.split(given) or [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))][:1]
    if not found:
        raise Unsupported("the C code needs a compiler: install gcc or clang, or say where it is with env.CC=PATH")
    flags = [f"-O{options.get('opt', '2')}", "-w", "-shared", "-fPIC"]
    sanitizer = options.get("sanitize", "none")
    # AddressSanitizer stops the process at the first C++ exception if what throws them came after it.
    early = hasattr(ctypes.CDLL(None), "__asan_init") and "libstdc++" in os.environ.get("LD_PRELOAD", "")
    if sanitizer == "address" and not early:
        libraries = ":".join(f"$(gcc -print-file-name={name}.so)" for name in ("libasan", "libstdc++"))
        needed = f"env.LD_PRELOAD={libraries},env.ASAN_OPTIONS=detect_leaks=0"
        raise Unsupported(f"sanitize=address needs its libraries in the process from the start: add {needed}")
    if sanitizer != "none":
        flags += [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-g"]
    return [*found, *flags]


def _refuse(said: str, place: str) -> None:
    """Raise what the C compiler has said, sorted by its words."""
    lines = [line.replace(f"{place}/", "") for line in said.splitlines() if "error:" in line]
    message = "\n".join(lines)[:4000] or said[:4000] or "the C compiler failed without a word"
    raise WORDS.sort(message)(message)


@dataclass(frozen=True, slots=True)
class _Port:
    """An input or output of the model: its type, and its shape where the model or onnx's inference tells it."""

    name: str
    element_type: str
    shape: tuple[int | str, ...] | None


def _ports(model: Any) -> tuple[list[_Port], list[_Port]]:
    # Without a declared shape only inference tells a scalar from a tensor of one element.
    declared = all(_shape(port) is not None for port in model.graph.output)
    known = model if declared else onnx.shape_inference.infer_shapes(model)
    return [_port(port) for port in required_inputs(known.graph)], [_port(port) for port in known.graph.output]


def _port(port: Any) -> _Port:
    element_type = _NAMES.get(port.type.tensor_type.elem_type, "")
    if not port.type.HasField("tensor_type"):
        raise Unsupported("sequences and optionals are not passed to C functions here")
    if element_type not in _C_TYPES:
        raise Unsupported(f"{element_type or 'unknown'} tensors are not passed to C functions here")
    return _Port(port.name, element_type, _shape(port))


def _shape(port: Any) -> tuple[int | str, ...] | None:
    kind = port.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim)


@dataclass(frozen=True, slots=True)
class _Array:
    """A parameter of the C function: the sizes are numbers, or names of parameters."""

    type: str
    sizes: tuple[str, ...]


def _signature(text: str) -> tuple[list[str], list[_Array]]:
    """The names of the sizes that the function takes, and its arrays. Raises `Unsupported` for other parameters."""
    start = text.index("\nvoid model(") + len("\nvoid model(")
    sizes, arrays = [], []
    for parameter in text[start : text.index(") {", start)].split(", "):
        match = _ARRAY.fullmatch(parameter)
        if match is not None:
            found = re.findall(r"\[(?:restrict )?([^\]]*)\]", match["sizes"])
            arrays.append(_Array(match["type"], tuple(found)))
        elif parameter.startswith("int "):
            sizes.append(parameter.removeprefix("int "))
        elif parameter != "void":
            raise Unsupported(f"a parameter {parameter!r} of the C function is neither an array nor a size")
    return sizes, arrays


class _Function:
    # The function reads the memory that it is given; C wants it aligned for the type.
    layouts = (Layout.OFFSET,)

    def __init__(self, library: Any, text: str, inputs: list[_Port], outputs: list[_Port], command: list[str]) -> None:
        weakref.finalize(self, _ctypes.dlclose, library._handle)  # noqa: SLF001 - ctypes has no other way to unload
        self._function = library.model
        self._function.restype = None
        self._text = text
        self._inputs = inputs
        self._outputs = outputs
        self._command = command
        self._sizes, arrays = _signature(text)
        if len(arrays) != len(inputs) + len(outputs):
            raise Unsupported(
                f"the C function has {len(arrays)} arrays, the model {len(inputs)} inputs and {len(outputs)} outputs"
            )
        for port, array in zip((*inputs, *outputs), arrays, strict=True):
            if array.type != _C_TYPES[port.element_type]:
                raise Rejected(f"{port.name!r} is {port.element_type}, its array in the C function {array.type}")
        self._given, self._made = arrays[: len(inputs)], arrays[len(inputs) :]

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, 0)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, int(layout is Layout.OFFSET))

    def artefacts(self) -> dict[str, bytes]:
        """The C code, and the assembly that the C compiler makes of it."""
        with tempfile.TemporaryDirectory() as place:
            Path(place, "model.c").write_text(self._text, encoding="utf-8")
            command = [*(flag for flag in self._command if flag not in {"-shared", "-g"}), "-S", "model.c", "-o", "-"]
            made = subprocess.run(command, capture_output=True, check=True, cwd=place).stdout
        return {"model.c": self._text.encode(), "model.s": made}

    def _run(self, inputs: Sequence[Value], elements: int) -> list[Value]:
        values = taken(inputs, len(self._inputs))
        tensors = [_tensor(value, port) for value, port in zip(values, self._inputs, strict=True)]
        known = self._known(tensors)
        shapes = [_sizes(port, array, known) for port, array in zip(self._outputs, self._made, strict=True)]
        given = [_memory(tensor.data, elements, tensor) for tensor in tensors]
        made = []
        for port, array in zip(self._outputs, self._made, strict=True):
            cells = math.prod(_number(size, known) for size in array.sizes)
            size = byte_size(port.element_type, (cells,)) or 0
            made.append(_memory(bytes([_POISON]) * size, 0, None))
        pointers = [ctypes.c_void_p(memory.ctypes.data) for memory in (*given, *made)]
        self._function(*(ctypes.c_int(known[name]) for name in self._sizes), *pointers)
        return [
            Tensor(port.element_type, shape, memory.tobytes()[: byte_size(port.element_type, shape)])
            for port, shape, memory in zip(self._outputs, shapes, made, strict=True)
        ]

    def _known(self, tensors: Sequence[Tensor]) -> dict[str, int]:
        """What each named size is; raises `InvalidCase` where a tensor is not of the shape that the function has."""
        known: dict[str, int] = {}
        for tensor, array, port in zip(tensors, self._given, self._inputs, strict=True):
            for size, actual in zip(array.sizes, tensor.shape, strict=False):
                if size in self._sizes:
                    known.setdefault(size, actual)
            wanted = _sizes(port, array, known)
            if wanted != tensor.shape:
                raise InvalidCase(f"{port.name!r} has the shape {list(tensor.shape)}, the model says {list(wanted)}")
        if missing := set(self._sizes) - set(known):
            raise Unsupported(f"the sizes {', '.join(sorted(missing))} of outputs are those of no input")
        return known


def _number(size: str, known: Mapping[str, int]) -> int:
    if size.isdecimal():
        return int(size)
    if size not in known:
        raise Unsupported(f"a size {size!r} of the C function is neither a number nor a parameter")
    return known[size]


def _sizes(port: _Port, array: _Array, known: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of what lies in an array: a scalar's array has the shape [1], and no size of an array is 0."""
    sizes = tuple(_number(size, known) for size in array.sizes)
    if port.shape == () and sizes == (1,):
        return ()
    if port.shape is None or len(port.shape) != len(sizes):
        return sizes
    return tuple(0 if declared == 0 and size == 1 else size for declared, size in zip(port.shape, sizes, strict=True))


def _tensor(value: Value, port: _Port) -> Tensor:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are not passed to C functions here")
    if value.element_type != port.element_type:
        raise InvalidCase(f"{port.name!r} is {value.element_type}, the model says {port.element_type}")
    return value


def _memory(data: bytes, elements: int, tensor: Tensor | None) -> Any:
    """Bytes at a multiple of 64, or so many elements behind one; never none at all."""
    width = (byte_size(tensor.element_type, (1,)) or 1) if tensor is not None else 1
    return placed(data or bytes(16), elements * width)


BACKEND = EmxOnnxCgen()
