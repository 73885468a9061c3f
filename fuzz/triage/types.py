"""Plainer element types: float for other floats, int32 for other integers, wherever that fails alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.dtypes import BY_NAME
from backends.graph import graphs
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.triage.assessment import know
from fuzz.triage.candidate import Candidate, encoded, forget_shapes
from fuzz.triage.signature import element_types
from fuzz.values import encode_value

if TYPE_CHECKING:
    from backends.tensor import Value
    from fuzz.triage.search import Search

__all__ = ["plain_types", "retyped"]

_PLAIN = {
    **dict.fromkeys(("double", "float16", "bfloat16"), "float"),
    **dict.fromkeys(("int64", "int16", "int8", "uint64", "uint32", "uint16", "uint8"), "int32"),
}
_MOST = 4  # nodes: in larger models a type is seldom alone
_TYPED = frozenset({"to", "dtype"})


def plain_types(search: Search) -> None:
    """Take a plainer element type for all tensors of one: what reports are about is seldom the type."""
    proto = search.best.proto()
    if proto.functions or len(proto.graph.node) > _MOST:
        return
    for name in sorted(set(element_types(proto).values()) & _PLAIN.keys()):
        search.attempt(search.laboratory.apart(retyped, search.best, name, _PLAIN[name]) or ())


def retyped(candidate: Candidate, before: str, after: str) -> list[Candidate]:
    """The candidate with one element type in place of another; none where a number does not fit.

    A parameter (a shape, axes) keeps its type, which the standard fixes.
    """
    proto = candidate.proto()
    kept = know(candidate).parameters
    old, new = BY_NAME[before].code, BY_NAME[after].code
    feeds = [{n: v if n in kept else _cast(v, before, after) for n, v in feed.items()} for feed in candidate.feeds]
    for info in proto.graph.input:
        kind = info.type.tensor_type
        if info.name not in kept and info.type.WhichOneof("value") == "tensor_type" and kind.elem_type == old:
            kind.elem_type = new
    for graph in graphs(proto.graph):
        for tensor in graph.initializer:
            if tensor.data_type == old and tensor.name not in kept:
                value = _cast(from_numpy(onnx.numpy_helper.to_array(tensor)), before, after)
                tensor.CopyFrom(onnx.TensorProto.FromString(encode_value(tensor.name, value)))
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in _TYPED and attribute.i == old:
                    attribute.i = new
    for info in proto.graph.output:
        info.ClearField("type")
    forget_shapes(proto)
    made = encoded(proto, feeds)
    return [made] if made != candidate else []


def _cast(value: Value, before: str, after: str) -> Value:
    """Raises ValueError where a number does not fit."""
    if not isinstance(value, Tensor) or value.element_type != before:
        return value
    array = to_numpy(value)
    with np.errstate(all="ignore"):
        changed = array.astype(BY_NAME[after].numpy)
    if BY_NAME[after].is_integer and not np.array_equal(changed.astype(np.float64), array.astype(np.float64)):
        message = f"a number does not fit into {after}"
        raise ValueError(message)
    if not BY_NAME[after].is_integer and np.any(np.isfinite(array.astype(np.float64)) & ~np.isfinite(changed)):
        message = f"a number is too large for {after}"
        raise ValueError(message)
    return from_numpy(changed)
