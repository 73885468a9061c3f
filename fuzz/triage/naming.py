"""Canonical names: of a model nothing remains but its structure, and of its numbers only what the failure needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.dtypes import BY_NAME
from backends.graph import graphs
from backends.tensor import Tensor, from_numpy
from fuzz.triage.candidate import Candidate, encoded
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.triage.candidate import Feed
    from fuzz.triage.search import Search

__all__ = ["anonymise", "canonical", "rename"]


def rename(search: Search) -> None:
    """Inputs x0, x1, ..., constants w0, ..., outputs y0, ..., nodes n0, ...; without texts and metadata.

    Where a failure hangs on the names, only the texts go.
    """
    if not search.attempt([canonical(search.best)]):
        search.attempt([canonical(search.best, names=False)])


def canonical(candidate: Candidate, *, names: bool = True) -> Candidate:
    """The same model, which tells nothing of where it comes from. A fixed point: it is its own canonical form."""
    proto = candidate.proto()
    fresh = onnx.ModelProto(ir_version=proto.ir_version, producer_name="")
    used = {node.domain for graph in _all_graphs(proto) for node in graph.node}
    opsets = [o for o in proto.opset_import if o.domain in used or not o.domain or o.domain == "ai.onnx"]
    fresh.opset_import.extend(opsets)
    fresh.graph.CopyFrom(proto.graph)
    fresh.functions.extend(proto.functions)
    _clear_texts(fresh)
    if not names:
        return encoded(fresh, candidate.feeds)
    called = _names(fresh.graph)
    _apply(fresh, called)
    _name_functions(fresh)
    feeds: list[Feed] = [{called.get(n, n): value for n, value in feed.items()} for feed in candidate.feeds]
    return encoded(fresh, feeds)


def _all_graphs(proto: onnx.ModelProto) -> list[onnx.GraphProto]:
    return [graph for outer in (proto.graph, *proto.functions) for graph in graphs(outer)]


def _clear_texts(proto: onnx.ModelProto) -> None:
    for graph in _all_graphs(proto):
        for field in ("doc_string", "metadata_props", "value_info", "quantization_annotation"):
            if field in graph.DESCRIPTOR.fields_by_name:  # a function has fewer
                graph.ClearField(field)
        for node in graph.node:
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
            for attribute in node.attribute:
                attribute.ClearField("doc_string")
        if isinstance(graph, onnx.GraphProto):
            for part in (*graph.input, *graph.output, *graph.initializer):
                part.ClearField("doc_string")
                part.ClearField("metadata_props")


def _names(graph: onnx.GraphProto) -> dict[str, str]:
    """What each value is called from now on: by its role in the main graph, then in order."""
    called: dict[str, str] = {"": ""}

    def give(prefix: str, name: str) -> None:
        if name not in called:
            called[name] = f"{prefix}{sum(new.rstrip('0123456789') == prefix for new in called.values())}"

    constants = {tensor.name for tensor in graph.initializer} | {s.values.name for s in graph.sparse_initializer}
    for info in graph.input:
        give("x", info.name)
    for name in [t.name for t in graph.initializer] + sorted(constants):
        give("w", name)
    for info in graph.output:
        give("y", info.name)
    for inner in graphs(graph):
        for part in (*inner.input, *inner.initializer, *inner.output):
            give("v", part.name)
        for node in inner.node:
            for name in node.output:
                give("v", name)
    return called


def _apply(proto: onnx.ModelProto, called: dict[str, str]) -> None:
    """Rename values everywhere but in functions, whose names are their own; sizes by symbol are renamed as well."""
    sizes: dict[str, str] = {}
    number = 0
    for place, graph in enumerate(graphs(proto.graph)):
        graph.name = "g" if not place else f"g{place}"
        for part in (*graph.input, *graph.output, *graph.initializer):
            part.name = called[part.name]
        for sparse in graph.sparse_initializer:
            sparse.values.name = called[sparse.values.name]
        for info in (*graph.input, *graph.output):
            _rename_sizes(info.type, sizes)
        for node in graph.node:
            node.name = f"n{number}"
            number += 1
            for names in (node.input, node.output):
                for position, name in enumerate(names):
                    names[position] = called.get(name, name)


def _name_functions(proto: onnx.ModelProto) -> None:
    """Functions are f0, f1, ... of the domain f, and their values v0, v1, ...: a name of one tells what it is for."""
    given = {(f.domain, f.name): ("f", f"f{number}") for number, f in enumerate(proto.functions)}
    if not given:
        return
    for function in proto.functions:
        _name_values(function)
        function.domain, function.name = given[function.domain, function.name]
    for graph in _all_graphs(proto):
        for node in graph.node:
            node.domain, node.op_type = given.get((node.domain, node.op_type), (node.domain, node.op_type))
    own = {domain for domain, _ in given}
    for part in (proto, *proto.functions):
        imports = [(o.domain, o.version) for o in part.opset_import if o.domain not in own]
        del part.opset_import[:]
        part.opset_import.extend(onnx.helper.make_opsetid(*pair) for pair in (*imports, ("f", 1)))


def _name_values(function: onnx.FunctionProto) -> None:
    called: dict[str, str] = {"": ""}

    def give(name: str) -> str:
        return called.setdefault(name, f"v{len(called) - 1}")

    function.input[:] = [give(name) for name in function.input]
    for inner in graphs(function):
        if isinstance(inner, onnx.GraphProto):
            for part in (*inner.input, *inner.initializer):
                part.name = give(part.name)
        for number, node in enumerate(inner.node):
            node.name = f"n{number}"
            node.input[:] = [give(name) for name in node.input]
            node.output[:] = [give(name) for name in node.output]
        if isinstance(inner, onnx.GraphProto):
            for info in inner.output:
                info.name = give(info.name)
    function.output[:] = [give(name) for name in function.output]


def _rename_sizes(kind: onnx.TypeProto, sizes: dict[str, str]) -> None:
    for dim in kind.tensor_type.shape.dim if kind.WhichOneof("value") == "tensor_type" else ():
        dim.ClearField("denotation")
        if dim.dim_param:
            dim.dim_param = sizes.setdefault(dim.dim_param, f"s{len(sizes)}")


# --- weights --------------------------------------------------------------------------------------------------------


def anonymise(search: Search) -> list[str]:
    """Put small made-up numbers where a constant or an input has numbers of its own; the names of what had to stay."""
    kept = []
    for name, value in _tensors(search.best):
        if len(set(value.data)) <= 2 or value.element_type == "string":
            continue
        makers: tuple[Callable[[Tensor, int], Tensor], ...] = (_counted, _drawn)
        if not search.attempt(_replaced(search.best, name, make(value, len(name))) for make in makers):
            kept.append(name)
    return kept


def _tensors(candidate: Candidate) -> list[tuple[str, Tensor]]:
    found = [(n, v) for feed in candidate.feeds for n, v in feed.items() if isinstance(v, Tensor)]
    constants = candidate.proto().graph.initializer
    return found + [(tensor.name, from_numpy(onnx.numpy_helper.to_array(tensor))) for tensor in constants]


def _counted(value: Tensor, _: int) -> Tensor:
    """1, 2, 3, 1, 2, 3, ..."""
    dtype = BY_NAME[value.element_type]
    numbers = 1 + np.arange(int(np.prod(value.shape))) % 3
    return from_numpy(numbers.reshape(value.shape).astype(dtype.numpy))


def _drawn(value: Tensor, seed: int) -> Tensor:
    """Quarters between -2 and 2; whole numbers up to 3 for what has no fractions or no sign."""
    dtype = BY_NAME[value.element_type]
    numbers = np.random.default_rng(seed).integers(-8, 9, value.shape) / 4
    return from_numpy((numbers if dtype.is_float else np.abs(np.trunc(numbers))).astype(dtype.numpy))


def _replaced(candidate: Candidate, name: str, value: Tensor) -> Candidate:
    proto = candidate.proto()
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.TensorProto.FromString(encode_value(name, value)))
    feeds = [{n: value if n == name else v for n, v in feed.items()} for feed in candidate.feeds]
    return encoded(proto, feeds)
