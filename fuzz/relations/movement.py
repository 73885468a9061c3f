"""Data that is moved there and back: no element changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abstract.dtypes import BY_NAME, Kind
from fuzz.relations.rewrite import Rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dtypes import DType
    from fuzz.relations.site import Site, ValueType

__all__ = ["MOVEMENT"]

_FAR = np.iinfo(np.int64).max
# What each type may be cast to and back from without a loss.
_WIDER = {
    "bool": ("int32", "int64", "float"), "int8": ("int16", "int32", "float"), "uint8": ("int16", "int32", "float"),
    "int16": ("int32", "int64", "float"), "uint16": ("int32", "int64", "float"), "int32": ("int64", "double"),
    "uint32": ("int64", "double"), "float16": ("float", "double"), "bfloat16": ("float", "double"),
    "float": ("double",), "int4": ("int8", "int16"), "uint4": ("uint8", "int16"), "int2": ("int8", "int32"),
    "uint2": ("uint8", "int32"), "float8e4m3fn": ("float16", "float"), "float8e4m3fnuz": ("float16", "float"),
    "float8e5m2": ("float16", "float"), "float8e5m2fnuz": ("float16", "float"), "float4e2m1": ("float16", "float"),
}  # fmt: skip


_ALLOWZERO = 14  # the opset from which Reshape can be told that 0 is 0


def _fits(site: Site, *operators: str, rank: int = 0, static: bool = False) -> Callable[[ValueType], bool]:
    """Types on which these operators are defined, of at least this rank."""

    def accept(kind: ValueType) -> bool:
        if kind.rank < rank or (static and kind.static is None):
            return False
        return all(site.allows(operator, kind.dtype) for operator in operators)

    return accept


def _axis(site: Site, kind: ValueType, least: int) -> tuple[int, int] | None:
    """An axis of a known size that is large enough, and that size."""
    found: tuple[int, int] | None = site.pick(
        [(axis, d) for axis, d in enumerate(kind.shape) if isinstance(d, int) and d >= least]
    )
    return found


def _identity(site: Site) -> bool:
    return site.wrap(_fits(site, "Identity"), lambda name, _: site.node("Identity", [name]))


def _dropout(site: Site) -> bool:
    return site.wrap(_fits(site, "Dropout"), lambda name, _: site.node("Dropout", [name]))


def _transpose_twice(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        order = site.permutation(kind.rank)
        there = site.node("Transpose", [name], perm=order)
        return site.node("Transpose", [there], perm=[order.index(i) for i in range(kind.rank)])

    return site.wrap(_fits(site, "Transpose", rank=2), build)


def _reshape_back(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        flat = site.node("Reshape", [name, site.constant([-1])])
        return site.node("Reshape", [flat, site.constant(list(kind.static or ()))])

    # A size of 0 in a target shape would copy a size of the flat tensor.
    return site.wrap(lambda k: _fits(site, "Reshape", static=True)(k) and 0 not in k.shape, build)


def _reshape_by_shape(site: Site) -> bool:
    def build(name: str, _: ValueType) -> str:
        flat = site.node("Reshape", [name, site.constant([-1])])
        return site.node("Reshape", [flat, site.node("Shape", [name])], **zeros)

    # A size that is 0 with other inputs would copy one of the flat tensor, where that cannot be told apart.
    zeros = {"allowzero": 1} if site.opset >= _ALLOWZERO else {}
    fits = _fits(site, "Reshape", "Shape", rank=1, static=not zeros)
    return site.wrap(lambda k: fits(k) and (bool(zeros) or 0 not in k.shape), build)


def _unsqueeze_squeeze(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        axes = site.constant([site.draw(kind.rank + 1)])
        return site.node("Squeeze", [site.node("Unsqueeze", [name, axes]), axes])

    return site.wrap(_fits(site, "Unsqueeze", "Squeeze"), build)


def _slice(site: Site, name: str, start: int, end: int, axis: int, step: int = 1) -> str:
    return site.node("Slice", [name, *(site.constant([v]) for v in (start, end, axis, step))])


def _slice_concat(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 2)
        if found is None:
            return None
        axis, size = found
        at = 1 + site.draw(size - 1)
        halves = [_slice(site, name, 0, at, axis), _slice(site, name, at, _FAR, axis)]
        return site.node("Concat", halves, axis=axis)

    return site.wrap(_fits(site, "Slice", "Concat", rank=1), build)


def _split_concat(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 2)
        if found is None:
            return None
        axis, size = found
        at = 1 + site.draw(size - 1)
        parts = site.multiple("Split", [name, site.constant([at, size - at])], 2, axis=axis)
        return site.node("Concat", parts, axis=axis - kind.rank)

    return site.wrap(_fits(site, "Split", "Concat", rank=1), build)


def _pad_slice(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 1)
        if found is None:
            return None
        axis, size = found
        before, after = site.draw(3), 1 + site.draw(3)
        pads = [0] * (2 * kind.rank)
        pads[axis], pads[kind.rank + axis] = before, after
        padded = site.node("Pad", [name, site.constant(pads)])
        return _slice(site, padded, before, before + size, axis)

    return site.wrap(_fits(site, "Pad", "Slice", rank=1), build)


def _gather_all(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 1)
        if found is None:
            return None
        axis, size = found
        return site.node("Gather", [name, site.constant(list(range(size)))], axis=axis)

    return site.wrap(_fits(site, "Gather", rank=1), build)


def _gather_reversed(site: Site) -> bool:
    """Backwards by negative indices of Gather, and back by a Slice with step -1."""

    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 1)
        if found is None:
            return None
        axis, size = found
        backwards = site.node("Gather", [name, site.constant([-1 - i for i in range(size)])], axis=axis)
        return _slice(site, backwards, -1, -_FAR, axis, -1)

    return site.wrap(_fits(site, "Gather", "Slice", rank=1), build)


def _reverse_twice(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        axis = site.draw(kind.rank)
        return _slice(site, _slice(site, name, -1, -_FAR, axis, -1), -1, -_FAR, axis - kind.rank, -1)

    return site.wrap(_fits(site, "Slice", rank=1), build)


def _expand_same(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        own = list(kind.static or ())
        return site.node("Expand", [name, site.constant(own if site.draw(2) else [1] * kind.rank)])

    return site.wrap(_fits(site, "Expand", static=True), build)


def _tile_once(site: Site) -> bool:
    return site.wrap(
        _fits(site, "Tile", rank=1), lambda name, kind: site.node("Tile", [name, site.constant([1] * kind.rank)])
    )


def _concat_slice(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str | None:
        found = _axis(site, kind, 1)
        if found is None:
            return None
        axis, size = found
        start = size if site.draw(2) else 0
        return _slice(site, site.node("Concat", [name, name], axis=axis), start, start + size, axis)

    return site.wrap(_fits(site, "Concat", "Slice", rank=1), build)


def _cast_wider(site: Site) -> bool:
    def targets(kind: ValueType) -> list[DType]:
        rows = [BY_NAME[name] for name in _WIDER.get(kind.dtype.name, ())]
        return [row for row in rows if site.allows("Cast", kind.dtype, row)]

    def build(name: str, kind: ValueType) -> str:
        there = site.node("Cast", [name], to=site.pick(targets(kind)).code)
        return site.node("Cast", [there], to=kind.dtype.code)

    return site.wrap(lambda kind: bool(targets(kind)), build)


def _where_true(site: Site) -> bool:
    def build(name: str, kind: ValueType) -> str:
        condition = site.constant(1, BY_NAME["bool"])
        other = site.constant(1 if kind.dtype.kind is Kind.BOOL else 3, kind.dtype)
        return site.node("Where", [condition, name, other])

    return site.wrap(lambda k: site.opset >= 16 and site.allows("Identity", k.dtype) and _numeric(k), build)


def _numeric(kind: ValueType) -> bool:
    return kind.dtype.bits >= 8 and (kind.dtype.kind is Kind.BOOL or not kind.dtype.extension)


def _flatten_as_reshape(site: Site) -> bool:
    def accept(node: object) -> bool:
        out = site.type(node.output[0])  # type: ignore[attr-defined]
        return out is not None and out.static is not None and 0 not in out.shape

    node = site.find("Flatten", "Squeeze", "Unsqueeze", accept=accept)
    if node is None:
        return False
    sizes = site.constant(list(site.known(node.output[0]).shape))
    return site.substitute(node, [site.node("Reshape", [node.input[0], sizes])])


def _concat_associated(site: Site) -> bool:
    node = site.find("Concat", accept=lambda n: len(n.input) > 2)
    if node is None:
        return False
    axis, names = site.attribute(node, "axis"), list(node.input)
    at = site.draw(len(names) - 1)
    pair = site.node("Concat", names[at : at + 2], axis=axis)
    return site.substitute(node, [site.node("Concat", [*names[:at], pair, *names[at + 2 :]], axis=axis)])


def _split_as_slices(site: Site) -> bool:
    def sizes(node: object) -> list[int] | None:
        axis = site.attribute(node, "axis", 0)  # type: ignore[arg-type]
        kinds = [site.type(name) for name in node.output]  # type: ignore[attr-defined]
        found = [kind.shape[axis] for kind in kinds if kind is not None]
        if len(found) != len(kinds) or not all(isinstance(d, int) for d in found):
            return None
        return [d for d in found if isinstance(d, int)]

    node = site.find("Split", accept=lambda n: sizes(n) is not None)
    if node is None:
        return False
    axis, start, names = site.attribute(node, "axis", 0), 0, []
    for size in sizes(node) or ():
        names.append(_slice(site, node.input[0], start, start + size, axis))
        start += size
    return site.substitute(node, names)


MOVEMENT = (
    Rewrite("identity", "x = Identity(x)", _identity),
    Rewrite("dropout", "x = Dropout(x) in inference", _dropout),
    Rewrite("transpose-twice", "x = Transpose(Transpose(x, p), inverse of p)", _transpose_twice),
    Rewrite("reshape-back", "x = Reshape(Reshape(x, [-1]), its sizes)", _reshape_back),
    Rewrite("reshape-by-shape", "x = Reshape(Reshape(x, [-1]), Shape(x))", _reshape_by_shape),
    Rewrite("unsqueeze-squeeze", "x = Squeeze(Unsqueeze(x, a), a)", _unsqueeze_squeeze),
    Rewrite("slice-concat", "x = Concat(x[:k], x[k:])", _slice_concat),
    Rewrite("split-concat", "x = Concat(Split(x))", _split_concat),
    Rewrite("pad-slice", "x = Slice(Pad(x)), the padding cut off", _pad_slice),
    Rewrite("gather-all", "x = Gather(x, [0, 1, ..., n-1])", _gather_all),
    Rewrite("gather-reversed", "x = Gather(x, [-1, -2, ...]) sliced by step -1", _gather_reversed),
    Rewrite("reverse-twice", "x = x[::-1][::-1]", _reverse_twice),
    Rewrite("expand-same", "x = Expand(x, its sizes or ones)", _expand_same),
    Rewrite("tile-once", "x = Tile(x, ones)", _tile_once),
    Rewrite("concat-slice", "x = one half of Concat(x, x)", _concat_slice),
    Rewrite("cast-wider", "x = Cast(Cast(x, wider), its type)", _cast_wider),
    Rewrite("where-true", "x = Where(true, x, c)", _where_true),
    Rewrite(
        "flatten-as-reshape", "Flatten, Squeeze, Unsqueeze = Reshape to the sizes", _flatten_as_reshape,
        operators=("Flatten", "Squeeze", "Unsqueeze"),
    ),
    Rewrite(
        "concat-associated", "Concat(a, b, c) = Concat(Concat(a, b), c)", _concat_associated, operators=("Concat",)
    ),
    Rewrite("split-as-slices", "Split(x) = its Slices", _split_as_slices, operators=("Split",)),
)  # fmt: skip
