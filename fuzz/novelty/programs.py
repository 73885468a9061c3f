"""Features of programs as text, a function a kind: HLO, dispatches in MLIR, graphs of FX, bytecode, layers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from fuzz.novelty.network import Node, features

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "assembly_features", "bytecode_features", "dispatch_features", "engine_features", "fx_features", "hlo_features",
    "kernel_features", "layer_features", "mnn_features", "ncnn_features", "operation_features", "pass_features",
    "wrapper_features",
]  # fmt: skip


def pass_features(text: str) -> Iterator[str]:
    """A name a line, indented by depth: the passes that changed something."""
    for line in text.splitlines():
        if name := line.strip():
            yield f"pass {name}"


# --- XLA ----------------------------------------------------------------------------------------------------------

_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
_OPERAND = re.compile(r"%([\w.\-]+)")
_HLO_ATTRIBUTES = re.compile(r'\b(kind=\w+|direction=\w+|custom_call_target="[^"]*"|comparison_direction=\w+)')


def hlo_features(text: str) -> Iterator[str]:
    """Opcodes with result types, kinds of fusions with what is fused, custom calls, producers and consumers."""
    place = ""
    inside: dict[str, list[Node]] = {}
    for line in text.splitlines():
        if (found := _INSTRUCTION.match(line)) is not None and place:
            name, kind, opcode, rest = found.groups()
            operands, _, attributes = rest.partition("), ")
            said = " ".join(sorted(_HLO_ATTRIBUTES.findall(attributes)))
            types = "" if kind.startswith("(") else kind.partition("[")[0]
            node = Node(opcode, _OPERAND.findall(operands), (name,), f"{types} {said}".rstrip())
            inside.setdefault(place, []).append(node)
            if opcode == "fusion" and (called := re.search(r"calls=%?([\w.\-]+)", attributes)):
                fused = {each.kind for each in inside.get(called.group(1), ())} - {"parameter", "constant"}
                yield f"fused {said}: {' '.join(sorted(fused))}"
        elif (head := _COMPUTATION.match(line)) is not None:
            place = head.group(1)
    for nodes in inside.values():
        yield from features(nodes)


# --- IREE ---------------------------------------------------------------------------------------------------------

_DISPATCH = re.compile(r"func\.func @\S*?dispatch_\d+_?([\w$]*)\(")
_SIZES = re.compile(r"(?:\d+|D)(?:x(?:\d+|D))*")
_MLIR = re.compile(r"(?<![\w.])(?:arith|math|linalg|tensor|scf|iree_linalg_ext|iree_encoding|vector)\.[a-z_0-9.]+")


def dispatch_features(text: str) -> Iterator[str]:
    """The kind of a dispatch without its sizes, and the operations in it."""
    operations = sorted(set(_MLIR.findall(text)) - {"linalg.yield"})
    for name in _DISPATCH.findall(text):
        kind = "_".join(word for word in name.split("_") if not _SIZES.fullmatch(word))
        yield f"dispatch {kind}"
        yield f"fused {kind}: {' '.join(each for each in operations if not each.endswith('constant'))}"
    for operation in operations:
        yield f"op {operation}"


# --- PyTorch ------------------------------------------------------------------------------------------------------

_FX = re.compile(r"^\s*%(\w+) .*= call_(?:function|method|module)\[target=([\w.]+)\]\((.*)$", re.MULTILINE)
_KERNEL = re.compile(r"\b((?:cpp|triton)_\w+?)_\d+\b")
_EXTERN = re.compile(r"\b(?:extern_kernels|torch\.ops|aten)\.[\w.]+")


def fx_features(text: str) -> Iterator[str]:
    """Of a graph as FX prints it."""
    yield from features(
        Node(target, re.findall(r"%(\w+)", arguments), (name,)) for name, target, arguments in _FX.findall(text)
    )


def wrapper_features(text: str) -> Iterator[str]:
    """Of the code that calls Inductor's kernels: their names say what is fused in each."""
    for name in _KERNEL.findall(text):
        yield f"kernel {name}"
    for name in _EXTERN.findall(text):
        yield f"extern {name}"


# --- TVM ----------------------------------------------------------------------------------------------------------

_CALL = re.compile(r"^\s*call\s+(\S+)\s+in: (.*?)\s*dst: (\S+)$", re.MULTILINE)
_BOOKKEEPING = re.compile(r"vm\.builtin\.(null_value|alloc_\w+|check_\w+|match_\w+|make_\w+)")


def bytecode_features(text: str) -> Iterator[str]:
    """Functions that the virtual machine calls, without their numbers; a function of TIR writes to its last operand."""
    yield from features(_calls(text))


def _calls(text: str) -> Iterator[Node]:
    for name, given, result in _CALL.findall(text):
        registers = re.findall(r"%\d+", given)
        if _BOOKKEEPING.match(name):
            yield Node(name)
        elif result == "%void":
            yield Node(_unnumbered(name), registers[:-1], registers[-1:])
        else:
            yield Node(_unnumbered(name), registers, (result,))


def _unnumbered(name: str) -> str:
    """A function's name without what tells it from others of its kind: add, relu of fused_add1_relu2."""
    return re.sub(r"(?<=[a-z])_?\d+(?=_|$)", "", name)


# --- graphs of runtimes -------------------------------------------------------------------------------------------

_OWN_NAME = re.compile(r"([A-Z][A-Za-z]+)_\d+")


def layer_features(text: str) -> Iterator[str]:
    """Of OpenVINO's runtime model: a line a layer, with kind, implementation, precision, layouts, names of its nodes.

    Names that OpenVINO made up say which of its operations a layer has swallowed; those of the model say nothing.
    """
    for line in text.splitlines():
        kind, implementation, precision, layouts, names = (line.split(" ") + [""] * 5)[:5]
        yield f"layer {kind} {implementation}"
        yield f"layer {kind} {precision} {layouts}"
        parts = names.split(",")
        if len(parts) > 1 and kind not in ("Const", "Input", "Output"):
            own = sorted({found.group(1) for part in parts if (found := _OWN_NAME.fullmatch(part))})
            yield f"fused {kind} of {min(len(parts), 4)}"
            yield f"fused {kind}: {' '.join(own)}".rstrip(": ")


def ncnn_features(text: str) -> Iterator[str]:
    """Of ncnn's text: type, name, number of inputs and outputs, their names, parameters."""
    nodes = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and words[2].isdigit() and words[3].isdigit():
            inputs = int(words[2])
            blobs = words[4 : 4 + inputs + int(words[3])]
            nodes.append(Node(words[0], blobs[:inputs], blobs[inputs:]))
    yield from features(nodes)


def mnn_features(text: str) -> Iterator[str]:
    """Of MNN's JSON: what it calls an operation, which of the binary and unary ones, the activation fused into it."""
    nodes = []
    for operation in json.loads(text).get("oplists", ()):
        main: dict[str, Any] = operation.get("main") or {}
        said = [str(main[key]) for key in ("opType", "operation", "T", "dataType", "dtype") if key in main]
        fused = {**main, **(main.get("common") or {})}
        said += [f"{key}={fused[key]}" for key in ("activationType", "relu", "relu6") if fused.get(key)]
        inputs, outputs = (list(map(str, operation.get(key, ()))) for key in ("inputIndexes", "outputIndexes"))
        nodes.append(Node(str(operation.get("type", "?")), inputs, outputs, " ".join(said)))
    yield from features(nodes)


def engine_features(text: str) -> Iterator[str]:
    """Of TensorRT's inspector, whose layers have types only where the engine was built to tell more than names."""
    for layer in json.loads(text).get("Layers", ()):
        if isinstance(layer, dict) and "LayerType" in layer:
            yield f"layer {layer['LayerType']} {layer.get('TacticName', '')}".rstrip()


def operation_features(text: str) -> Iterator[str]:
    """An operation a line, as LiteRT's interpreter runs them."""
    for line in text.splitlines():
        yield f"op {line.strip()}"


_STEP = re.compile(r"^(\d+) (\w+) (\S+) \[([\d, ]*)\]", re.MULTILINE)


def kernel_features(text: str) -> Iterator[str]:
    """Of a kernel of tinygrad as a list of operations; one that is source code has none."""
    yield from features(
        Node(kind, inputs.split(", "), (number,), dtype) for number, kind, dtype, inputs in _STEP.findall(text)
    )


_INSTRUCTION_NAME = re.compile(r"^\t([a-z]\w*)", re.MULTILINE)


def assembly_features(text: str) -> Iterator[str]:
    """The instructions that a C compiler chose."""
    for name in _INSTRUCTION_NAME.findall(text):
        yield f"instruction {name}"
