"""One element type of a model replaced by another, wherever the operators' type variables tie values together."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.defs
import onnx.numpy_helper

from abstract.dtypes import DTYPES, DType
from abstract.program import to_carrier
from abstract.schema import signature
from backends.graph import graphs
from backends.tensor import from_numpy
from fuzz.generate.tensors import rounded
from fuzz.mutate.draw import pick
from fuzz.mutate.mutant import Draft, settled
from fuzz.mutate.parent import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from abstract.operator import Array
    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Feed, Parent

__all__ = ["mutate_types"]

_NUMBERS = tuple(d for d in DTYPES if d.is_float or d.is_integer)


class _Ties:
    """Which values share an element type, and which types each group may have: union and find over names."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._allowed: dict[str, tuple[DType, ...]] = {}

    def root(self, name: str) -> str:
        """The name that stands for the group of a value."""
        above = self._above.setdefault(name, name)
        while above != name:
            name, above = above, self._above[above]
        return name

    def tie(self, names: Sequence[str], allowed: Sequence[DType]) -> None:
        """These values are of one type, one of those allowed."""
        first = self.root(names[0])
        for name in names:
            root = self.root(name)
            narrowed = self.allowed(root)
            self._above[root] = first
            self._allowed[first] = tuple(d for d in self.allowed(first) if d in narrowed and d in allowed)

    def allowed(self, name: str) -> tuple[DType, ...]:
        """The types that the group of a value may have; none where it has to stay as it is."""
        return self._allowed.get(self.root(name), _NUMBERS)

    def groups(self) -> dict[str, set[str]]:
        """Each group by the name that stands for it, in the order in which they were met."""
        found: dict[str, set[str]] = {}
        for name in list(self._above):
            found.setdefault(self.root(name), set()).add(name)
        return found


def mutate_types(parent: Parent, choices: Choices) -> Mutant:
    """The parent with one group of values of another element type. Raises Unfit."""
    ties = _tied(parent)
    known = _known(parent)
    options = [
        (group, own, [d for d in ties.allowed(root) if d is not own])
        for root, group in ties.groups().items()
        if (own := next((known[name] for name in sorted(group) if name in known), None)) is not None
        and (own.is_float or own.is_integer) and any(d is not own for d in ties.allowed(root))
    ]  # fmt: skip
    if not options:
        raise Unfit("no type: every type is fixed by an operator")
    group, own, others = pick(choices, options)
    alike = [d for d in others if d.kind is own.kind or (d.is_integer and own.is_integer)]
    other = pick(choices, alike if alike and choices.integer(0, 3) else others)
    model = deepcopy(parent.model)
    _retype(model, group, own, other)
    feeds = tuple(_converted(feed, group, own, other) for feed in parent.feeds)
    return settled(Draft(model, feeds, f"{own} became {other} in {len(group)} values"))


# --- what is tied -----------------------------------------------------------------------------------------------


def _tied(parent: Parent) -> _Ties:
    ties = _Ties()
    for node in parent.model.graph.node:
        for names, allowed in _variables(node, parent.opset):
            ties.tie(names, allowed)
    return ties


def _variables(node: onnx.NodeProto, opset: int) -> Iterator[tuple[list[str], Sequence[DType]]]:
    """The values of each type variable of a node with the types that it may stand for; none: it stays what it is."""
    names = [name for name in (*node.input, *node.output) if name]
    bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    read = {name for body in bodies for inner in graphs(body) for part in inner.node for name in part.input if name}
    try:
        sign = signature(node.op_type, opset) if not node.domain and not bodies else None
    except onnx.defs.SchemaError:
        sign = None
    if sign is None:
        for name in dict.fromkeys((*names, *sorted(read))):
            yield [name], ()
        return
    found: dict[str, list[str]] = {}
    given = {a.name for a in node.attribute}
    for formals, values in ((sign.inputs, node.input), (sign.outputs, node.output)):
        for position, name in enumerate(values):
            formal = formals[min(position, len(formals) - 1)] if formals else None
            if not name or formal is None:
                continue
            if formal.mixed:
                yield [name], ()
                continue
            found.setdefault(formal.variable, []).append(name)
            if formals is sign.outputs and given & _DECIDING and not _is_cast(node):
                yield [name], ()  # an attribute says the type of what is made
    for variable, tied in found.items():
        yield tied, sign.types.get(variable, ())


_DECIDING = frozenset({"dtype", "to", "value", "value_float", "value_floats", "value_int", "value_ints", "output_dtype",
                       "output_datatype", "stash_type", "value_string", "value_strings", "sparse_value"})  # fmt: skip
"""Attributes that decide the type of an output."""


def _is_cast(node: onnx.NodeProto) -> bool:
    return node.op_type == "Cast" and not node.domain


def _known(parent: Parent) -> dict[str, DType]:
    """The types of inputs, initializers and what the reference read off the nodes."""
    return {**parent.program.dtypes, **parent.dtypes}


# --- another type -----------------------------------------------------------------------------------------------


def _retype(model: onnx.ModelProto, group: set[str], own: DType, other: DType) -> None:
    graph = model.graph
    for info in graph.input:
        if info.name in group:
            _set(info.type, other)
    for tensor in graph.initializer:
        if tensor.name in group:
            name = tensor.name
            tensor.CopyFrom(_tensor(_as(onnx.numpy_helper.to_array(tensor), own, other), other))
            tensor.name = name
    for node in graph.node:
        for attribute in node.attribute:
            if _is_cast(node) and attribute.name == "to" and node.output[0] in group:
                attribute.i = other.code


def _set(kind: onnx.TypeProto, other: DType) -> None:
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type"):
        kind = getattr(kind, which).elem_type
    kind.tensor_type.elem_type = other.code


def _tensor(array: Array, dtype: DType) -> onnx.TensorProto:
    stored = np.asarray(array).astype(dtype.numpy)
    raw = stored.tobytes() if dtype.bits >= 8 else from_numpy(stored).data
    return onnx.TensorProto(data_type=dtype.code, dims=stored.shape, raw_data=raw)


def _as(array: Array, own: DType, other: DType) -> Array:
    """Numbers in the carrier of another type, as it holds them. Raises Unfit where they lie outside of it."""
    carried = to_carrier(np.asarray(array), own)
    if not carried.size:
        return carried.astype(other.carrier)
    if other.is_float:
        made = carried.astype(np.float64)
        inside = not np.isfinite(made).all() or (made.min() >= other.minimum and made.max() <= other.maximum)
        result = rounded(made, other) if inside else made
        if not inside or (np.isfinite(made).all() and not np.isfinite(result).all()):
            raise Unfit(f"out of range: {other} does not hold the values")
        return result
    whole = np.rint(carried) if own.is_float else carried
    if not np.isfinite(whole).all() or whole.min() < other.minimum or whole.max() > min(other.maximum, 2**53):
        raise Unfit(f"out of range: {other} does not hold the values")
    return np.asarray(whole.astype(other.carrier))


def _converted(feed: Feed, group: set[str], own: DType, other: DType) -> Feed:
    return {name: _value(value, own, other) if name in group else value for name, value in feed.items()}


def _value(value: Any, own: DType, other: DType) -> Any:
    if isinstance(value, list):
        return [_value(part, own, other).astype(other.numpy) for part in value]
    return None if value is None else _as(value, own, other)
