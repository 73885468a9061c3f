"""IREE: the ONNX importer of torch-mlir, compiled in this process for the CPU, IREE's virtual machine or CUDA."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from iree import runtime
from iree.compiler.api import Output, Session, Source
from iree.compiler.api.ctypes_dl import PipelineType
from iree.compiler.extras import onnx_importer
from iree.compiler.ir import Context
from iree.runtime import flags as runtime_flags

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.protocol import Rejected, Stage, Unsupported, Words, heard
from backends.tensor import ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORDS = Words(
    unsupported=(
        # What no pattern lowers: an operator of ONNX, or one of those that it was made of.
        r"failed to legalize operation 'torch\.",
        r"Unknown ONNX tensor element type",
        r"[Uu]nsupported",
        r"[Uu]nimplemented",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"does not support",  # the importer, of kinds of attributes
        r"option not found",  # of a switch that another release has
        r"driver library .* not available",
    )
)
# What turns a switch off that takes more than true and false.
_OFF: Mapping[str, str] = MappingProxyType({
    "global-optimization-opt-level": "O0", "dispatch-creation-opt-level": "O0", "llvmcpu-mlir-opt-level": "O0",
    "llvmcpu-enable-ukernels": "none",
})  # fmt: skip
_TEXTS = frozenset({".mlir", ".ll", ".s", ".ptx"})
_ARRAYS = frozenset({
    "float", "double", "float16", "bfloat16", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool",
})  # fmt: skip
_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in ONNX_NUMBERS.items()})


@dataclass(frozen=True, slots=True)
class Iree:
    """IREE on the CPU, with llvm-cpu and -O3 unless the options say otherwise, or on CUDA."""

    name: str = "iree"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Program:
        """Import to MLIR, then compile to a module of the virtual machine and load it."""
        flags = settings(options)
        parsed = read_model(model, folder)
        parsed.graph.name = "main"
        with heard(WORDS):
            text = _imported(parsed)
        enter(Stage.COMPILE)
        binary = _compiled(text, flags)
        with heard(WORDS):
            config = runtime.Config(device=_device(options.get("device", "cpu"), int(options.get("threads", "1"))))
            context = runtime.SystemContext(config=config)
            context.add_vm_module(runtime.VmModule.copy_buffer(config.vm_instance, binary))
            return _Program(context.modules.module["main"], parsed.graph, text, flags)


def settings(options: Mapping[str, str]) -> tuple[str, ...]:
    """The compiler's flags. Raises `Unsupported` for a target of the CPU on another device."""
    device, target = options.get("device", "cpu"), options.get("target", "llvm-cpu")
    if device != "cpu" and "target" in options:
        raise Unsupported(f"target={target} is for the CPU: leave it out of iree@{device}")
    flags = [
        "--iree-input-type=onnx",
        f"--iree-hal-target-backends={device if device != 'cpu' else target}",
        f"--iree-opt-level=O{options.get('opt', '3')}",
        "--iree-input-demote-f64-to-f32=false",
    ]
    if device == "cpu" and target == "llvm-cpu":
        flags.append("--iree-llvmcpu-target-cpu=host")
    disabled = options.get("disable", "")
    flags += [f"--iree-{name}={_OFF.get(name, 'false')}" for name in disabled.split("+") if name]
    return tuple(flags)


def _imported(model: Any) -> str:
    """The model in MLIR, as `iree-import-onnx` writes it."""
    info = onnx_importer.ModelInfo(onnx.shape_inference.infer_shapes(model, data_prop=True))
    with Context() as context:
        module = info.create_module(context=context).operation
        onnx_importer.NodeImporter.define_function(info.main_graph, module).import_all()
        module.verify()
        return str(module.get_asm(assume_verified=True))


def _compiled(text: str, flags: Sequence[str], *, whole: bool = True) -> bytes:
    """A module of the virtual machine, or else the text of what global optimisation made.

    The compiler has no word for its caller: it prints what is wrong.
    """
    printed = os.fstat(2).st_size
    with Session() as session:
        with heard(WORDS):
            session.set_flags(*flags)
        with session.invocation() as invocation, Output.open_membuffer() as output:
            invocation.enable_console_diagnostics()
            # A string of C, with its end.
            source = Source.wrap_buffer(session, text.encode() + b"\0")
            pipeline = (
                PipelineType.IREE_COMPILER_PIPELINE_STD if whole else PipelineType.IREE_COMPILER_PIPELINE_PRECOMPILE
            )
            if not (invocation.parse_source(source) and invocation.execute(pipeline)):
                _refuse(printed)
            write = invocation.output_vm_bytecode if whole else invocation.output_ir
            write(output)
            return bytes(output.map_memory())


def _refuse(start: int) -> None:
    """Raise what the compiler has printed from that position of the standard error on, sorted by its words."""
    sys.stderr.flush()
    message = os.pread(2, 1 << 16, start).decode("utf-8", "replace")
    # The lines behind the first show the operation, with all constants.
    said = [line for line in message.splitlines() if " error: " in line or " remark: " in line] or message.splitlines()
    text = "\n".join(said)[:4000] or "iree-compile failed without a word"
    raise WORDS.sort(text)(text)


def _device(device: str, threads: int) -> Any:
    if device != "cpu":
        return runtime.get_device(device)
    if threads == 1:
        return runtime.get_device("local-sync")
    runtime_flags.parse_flags(f"--task_topology_group_count={threads}")
    return runtime.get_device("local-task")


class _Program:
    def __init__(self, function: Any, graph: Any, text: str, flags: tuple[str, ...]) -> None:
        self._function = function
        self._text = text
        self._flags = flags
        self._inputs = len(required_inputs(graph))
        self._types = [_NAMES.get(port.type.tensor_type.elem_type, "") for port in graph.output]

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        arguments = [_argument(value) for value in taken(inputs, self._inputs)]
        with heard(WORDS):
            given = self._function(*arguments)
            results = given if isinstance(given, tuple) else (given,)
            arrays = [np.asarray(result.to_host()) for result in results]
        if len(arrays) != len(self._types):
            raise Rejected(f"the program returns {len(arrays)} values, the model has {len(self._types)} outputs")
        return [_value(array, name) for array, name in zip(arrays, self._types, strict=True)]

    def artefacts(self) -> dict[str, bytes]:
        """MLIR as imported and as optimised, then each executable: its MLIR, LLVM IR and machine code."""
        files = {"imported.mlir": self._text.encode()}
        files["optimised.mlir"] = _compiled(self._text, self._flags, whole=False)
        with tempfile.TemporaryDirectory() as place:
            dumps = (
                f"--iree-hal-dump-executable-sources-to={place}",
                f"--iree-hal-dump-executable-intermediates-to={place}",
                "--iree-llvmcpu-debug-symbols=false",
            )
            _compiled(self._text, (*self._flags, *dumps))
            for path in sorted(Path(place).iterdir()):
                if path.suffix in _TEXTS and ".linked." not in path.name:
                    # Debug information holds this folder's name.
                    files[path.name.replace("$", "-")] = path.read_bytes().replace(place.encode(), b".")
        return files


def _argument(value: Value) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no arguments of an IREE function here")
    if value.element_type not in _ARRAYS:
        raise Unsupported(f"{value.element_type} tensors are no arrays of IREE's runtime here")
    return to_numpy(value)


def _value(array: Any, declared: str) -> Value:
    # The compiled program knows integers without a sign; only the model tells unsigned ones.
    if declared.startswith("uint") and array.dtype.kind == "i" and declared == f"u{array.dtype.name}":
        array = array.view(declared)
    return from_numpy(array)


BACKEND = Iree()
