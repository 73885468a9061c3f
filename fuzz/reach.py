"""Which pairs of operator and element type the models of a root hold."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import onnx
import onnx.defs
from google.protobuf.message import DecodeError

from abstract.contributed import CONTRIBUTED, qualified
from abstract.dtypes import BY_CODE
from abstract.inference import infer_types
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.case import find_cases
from fuzz.errors import CaseError
from fuzz.generate.emit import stored_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from abstract.graph import Graph, Node
    from abstract.schema import Formal, Signature

__all__ = ["Pair", "drawn", "element", "pairs", "reached"]

Pair = tuple[str, str]
"""An operator that we have or that is of ONNX's own domain, and an element type: of its first operand, else output."""


def reached(root: Path, progress: Callable[[int], None] = lambda _models: None) -> tuple[Counter[Pair], list[str]]:
    """How many models of a root hold each pair, and the ids of those that cannot be read.

    Raises RootError.
    """
    found: Counter[Pair] = Counter()
    broken = []
    for case in find_cases(root):
        try:
            model = onnx.load(case.model_path, load_external_data=False)
            found.update(set(pairs(model)))
        except (CaseError, DecodeError, OSError, RuntimeError, ValueError):
            broken.append(case.id)
        progress(1)
    return found, broken


def drawn(graph: Graph) -> tuple[Pair, ...]:
    """The pairs of a generated graph, in bodies too, each once and sorted: its types are known without inference."""
    return tuple(sorted(set(_drawn(graph))))


def _drawn(graph: Graph) -> Iterator[Pair]:
    for node in graph.nodes:
        yield node.operator, _first_type(node, graph.opset)
        for body in node.bodies:
            yield from _drawn(body)


def _first_type(node: Node, opset: int) -> str:
    """The type of the first operand as the model writes it, parameters among them; without one of the first output."""
    sign, first = _first(node.operator, opset)
    if first is None:
        if node.inputs and (value := node.inputs[0]) is not None:
            return value.type.dtype.name
        return next(v.type.dtype.name for v in (*node.inputs, *node.outputs) if v is not None)
    for value, formal in zip(node.outputs, sign.outputs, strict=False):
        if formal.variable == first.variable:
            return value.type.dtype.name
    stored = node.stored.get(first.variable)
    return (stored or stored_type(sign.types[first.variable], node.params.get(first.name))).name


@cache
def _first(operator: str, opset: int) -> tuple[Signature, Formal | None]:
    """An operator's signature, and its first input where that is one of its parameters."""
    sign = signature(operator, opset)
    first = sign.inputs[0] if sign.inputs else None
    return sign, first if first is not None and first.name in TABLE[operator].parameters else None


def pairs(model: onnx.ModelProto) -> Iterator[Pair]:
    """The pair of each node, in bodies and functions too; the type is empty where ONNX does not infer it."""
    inferred = infer_types(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    yield from _of(inferred.graph, {}, opset)
    for function in model.functions:
        yield from ((node.op_type, "") for node in function.node if not node.domain)


def _of(graph: onnx.GraphProto, outer: Mapping[str, int], opset: int) -> Iterator[Pair]:
    codes = {**outer, **{t.name: t.data_type for t in graph.initializer}}
    for info in (*graph.input, *graph.value_info, *graph.output):
        code = element(info.type)
        if code:
            codes[info.name] = code
    for node in graph.node:
        operator = qualified(node.domain, node.op_type)
        if not node.domain or operator in CONTRIBUTED:
            names = [name for name in (*_data(node, opset), *node.output) if name]
            code = next((codes[name] for name in names[:1] if name in codes), 0)
            yield operator, BY_CODE[code].name if code in BY_CODE else ""
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from _of(body, codes, opset)


def _data(node: onnx.NodeProto, opset: int) -> list[str]:
    """The inputs that have a place in the schema at all."""
    try:
        return list(node.input) if signature(node.op_type, opset, node.domain).inputs else []
    except onnx.defs.SchemaError:
        return list(node.input)


def element(kind: onnx.TypeProto) -> int:
    """The element type of a tensor, or of the tensors in a container; 0 where none is said."""
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return element(kind.sequence_type.elem_type)
    if which == "optional_type":
        return element(kind.optional_type.elem_type)
    return kind.tensor_type.elem_type if which == "tensor_type" else 0
