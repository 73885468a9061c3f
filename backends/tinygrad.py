"""tinygrad: its ONNX front end builds a lazy graph, which it schedules, fuses and makes kernels of.

What kernels become is an option. `python` interprets them operation by operation and needs nothing; machine code needs
clang, whichever way it is made, since tinygrad compiles its own queue by it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import tinygrad
from tinygrad import helpers

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.protocol import Rejected, Stage, Unsupported, Words, heard
from backends.tensor import Tensor, Value, byte_size, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["BACKEND", "WORDS"]

WORDS = Words(
    unsupported=(
        r"NotImplementedError",
        r"not (yet |currently )?(supported|implemented)",
        # What its table of types leaves out: strings, float8, int4.
        r"ValueError: \d+ is not a valid OnnxDataType",
        r"KeyError: 'sparse_tensor'",
        r"only float32 is supported",
        r"is not a valid Domain",
        # A constant that it reads as a number goes by way of the CPU's device, also where kernels are interpreted.
        r"No such file or directory: 'clang'",
        # Values that Python asks for while a call is recorded, or a call that starts no kernel.
        r"JitError: (cannot access tensor data|didn't JIT anything)",
    )
)

# ONNX's element types by tinygrad's names of them, and back.
_TYPES: Mapping[str, str] = MappingProxyType({
    "float": "float", "double": "double", "float16": "half", "bfloat16": "bfloat16", "bool": "bool",
    "int8": "char", "int16": "short", "int32": "int", "int64": "long",
    "uint8": "uchar", "uint16": "ushort", "uint32": "uint", "uint64": "ulong",
})  # fmt: skip
_NAMES: Mapping[str, str] = MappingProxyType({
    str(getattr(tinygrad.dtypes, own)): name for name, own in _TYPES.items()
})  # fmt: skip
_DEVICES: Mapping[str, str] = MappingProxyType(
    {"python": "PYTHON", "clang": "CPU:CLANG", "llvm": "CPU:LLVM", "x86": "CPU:X86", "cuda": "CUDA"}
)
# tinygrad's settings that take one optimisation away, by the names that `disable` knows them by.
SWITCHES: Mapping[str, Mapping[str, int]] = MappingProxyType({
    "kernel_optimizations": {"NOOPT": 1},
    "locals": {"NOLOCALS": 1},
    "memory_planner": {"NO_MEMORY_PLANNER": 1},
    "split_reduce": {"SPLIT_REDUCEOP": 0},
    "tensor_cores": {"TC": 0},
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tinygrad:
    """tinygrad's own scheduler and code generator, without its caches."""

    name: str = "tinygrad"

    def passes(self) -> list[str]:
        """The names that `disable` knows."""
        return sorted(SWITCHES)

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Model:
        """Parse the model; all else waits for inputs, whose shapes and some of whose values the front end asks for."""
        parsed = read_model(model, folder)
        code = options.get("code", "python") if options.get("device", "cpu") == "cpu" else "cuda"
        if code not in {"python", "cuda"} and shutil.which(os.environ.get("CC", "clang")) is None:
            raise RuntimeError(f"code={code} needs clang: install it, name another in CC, or use code=python")
        helpers.DEV.value = _DEVICES[code]
        from tinygrad.codegen import to_program_cache

        # What an earlier case left is not this case's.
        to_program_cache.clear()
        made = _Model(parsed, options, enter)
        made.parse()
        return made


class _Model:
    def __init__(self, model: Any, options: Mapping[str, str], enter: Callable[[Stage], None]) -> None:
        # The front end takes a model's bytes too, but then constants stay where they lie in them, and compiled kernels
        # that read four numbers at a time from any address die of it. From a file they are copied.
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name, "model.onnx")
        self._file.write_bytes(model.SerializeToString())
        self._enter = enter
        self._inputs = [port.name for port in required_inputs(model.graph)]
        self._outputs = [port.name for port in model.graph.output]
        self._settings = _settings(options)
        self._jit = options.get("jit", "no") == "yes"

    def parse(self) -> Any:
        """The front end's runner: one for each run, since it takes values of the first inputs for those of all."""
        from tinygrad.nn.onnx import OnnxRunner

        with helpers.Context(**self._settings), heard(WORDS):
            return OnnxRunner(self._file)

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        values = taken(inputs, len(self._inputs))
        self._enter(Stage.IMPORT)
        runner = self.parse()
        given = [_checked(value) for value in values]
        with helpers.Context(**self._settings):
            with heard(WORDS):
                feed = {name: _tensor(value) for name, value in zip(self._inputs, given, strict=True)}
                found = self._replayed(runner, feed) if self._jit else self._computed(runner, feed)
            return [_value(found[name]) for name in self._outputs]

    def artefacts(self) -> dict[str, bytes]:
        """The kernels that were generated: as source, or where they are interpreted as a list of operations."""
        from tinygrad.codegen import to_program_cache

        return {f"kernel-{number}.txt": _shown(made).encode() for number, made in enumerate(to_program_cache.values())}

    def _computed(self, runner: Any, feed: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(runner(feed))
        self._enter(Stage.COMPILE)
        lazy = [value for value in found.values() if isinstance(value, tinygrad.Tensor)]
        if lazy:
            lazy[0].realize(*lazy[1:])
        self._enter(Stage.RUN)
        return found

    def _replayed(self, runner: Any, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs of a third call under TinyJit: it runs, records, and replays what it has recorded."""

        def call(*tensors: Any) -> list[Any]:
            found = runner(dict(zip(feed, tensors, strict=True)))
            return [value.contiguous().realize() for value in found.values()]

        jitted = tinygrad.TinyJit(call)
        tensors = [tensor.contiguous().realize() for tensor in feed.values()]
        self._enter(Stage.COMPILE)
        for _ in range(2):
            jitted(*tensors)
        self._enter(Stage.RUN)
        return dict(zip(dict.fromkeys(self._outputs), jitted(*tensors), strict=True))


def _settings(options: Mapping[str, str]) -> dict[str, int]:
    settings: dict[str, int] = {"BEAM": int(options.get("beam", "0"))}
    if options.get("opt") == "0":
        settings["NOOPT"] = 1
    for name in options["disable"].split("+") if "disable" in options else ():
        if name not in SWITCHES:
            raise RuntimeError(f"tinygrad has no switch {name}: there are {', '.join(SWITCHES)}")
        settings |= SWITCHES[name]
    return settings


def _checked(value: Value) -> Tensor:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no inputs of tinygrad here")
    if value.element_type not in _TYPES:
        raise Unsupported(f"tinygrad has no tensors of {value.element_type}")
    check(value)
    return value


def _tensor(value: Tensor) -> Any:
    dtype = getattr(tinygrad.dtypes, _TYPES[value.element_type])
    if not value.data:
        return tinygrad.Tensor.zeros(*value.shape, dtype=dtype)
    return tinygrad.Tensor(value.data, dtype=dtype).reshape(value.shape)


def _value(result: Any) -> Value:
    if isinstance(result, (list, tuple)):
        return [_value(item) for item in result]
    if not isinstance(result, tinygrad.Tensor):
        raise Rejected(f"tinygrad returns a {type(result).__name__} where the model has a tensor")
    if result.dtype in tinygrad.dtypes.weaks:
        # A number of Python's: it becomes the default type as soon as anything asks for its bytes.
        from tinygrad.dtype import strong_dtype

        result = result.cast(strong_dtype(result.dtype))
    name = _NAMES.get(str(result.dtype))
    if name is None:
        raise Rejected(f"tinygrad returns a tensor of {result.dtype}, which the model cannot have declared")
    shape = tuple(int(size) for size in result.shape)
    with heard(WORDS):
        data = _bytes(result) if 0 not in shape else b""
    if len(data) != byte_size(name, shape):
        raise Rejected(f"tinygrad returns {len(data)} bytes for a {name} tensor of shape {list(shape)}")
    return Tensor(name, shape, data)


def _bytes(result: Any) -> bytes:
    # A constant lies on no device, and would be fetched by way of the one for which clang is needed.
    placed = result.clone(tinygrad.Device.DEFAULT) if result.uop.device is None else result
    if placed.dtype is tinygrad.dtypes.bfloat16:
        placed = placed.contiguous().bitcast(tinygrad.dtypes.uint16)
    return placed.contiguous().realize().numpy().tobytes()  # type: ignore[no-any-return]


def _shown(program: Any) -> str:
    """The source of a program; where that is for the interpreter, its operations, one a line, numbered."""
    from tinygrad.uop import Ops

    parts = {part.op: part for part in program.src}
    source = parts.get(Ops.SOURCE)
    if source is not None and helpers.DEV.device != "PYTHON":
        return f"{source.arg}\n"
    numbers = {operation: number for number, operation in enumerate(parts[Ops.LINEAR].src)}
    lines = []
    for operation, number in numbers.items():
        operands = [numbers.get(operand, operand.op.name) for operand in operation.src]
        lines.append(f"{number} {operation.op.name} {operation.dtype} {operands} {operation.arg}")
    return "\n".join((program.arg.name, *lines, ""))


BACKEND = Tinygrad()
