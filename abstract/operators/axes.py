"""Drawing axes and indices: what the proposals of the moving, selecting and reducing operators share."""

from __future__ import annotations

from contextlib import suppress
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least
from abstract.dims import Dim, Expr
from abstract.dtypes import Kind
from abstract.operator import EVERYWHERE, Array, Domain, Scope, Typing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["counted", "drawn_indices", "from_either_end", "from_front", "index_constant", "index_shape", "is_one",
           "long_axis", "not_empty", "operand", "permutation", "pinned", "reach", "signed", "spelt", "subset",
           "unique_indices", "whole_number"]  # fmt: skip


def operand(
    s: Scope,
    position: int = 0,
    *,
    rank: tuple[int, int] = (0, 8),
    kinds: Sequence[Kind] | None = None,
    domain: Domain = EVERYWHERE,
    where: Callable[[Value], bool] | None = None,
) -> Value:
    """An operand for a formal input, under whatever name the opset's schema has for its type variable."""
    variable = s.signature.formal(position).variable
    return s.tensor(variable, rank=rank, kinds=kinds, domain=domain, where=where)


def not_empty(value: Value) -> bool:
    """Whether a value has elements."""
    return value.array.size > 0


def signed(s: Scope, axis: int, rank: int) -> int:
    """One axis, counted from the front or now and then from the back."""
    return axis - rank if s.coin(0.3) else axis


def spelt(s: Scope, axes: Iterable[int], rank: int) -> tuple[int, ...]:
    """Several axes, each counted from the front or from the back."""
    backwards = s.integer(0, 3)
    if backwards == 0:
        return tuple(a - rank for a in axes)
    return tuple(a - rank if backwards == 1 and a % 2 else a for a in axes)


def from_front(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises ValueError for one that a tensor of this rank has not got."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def counted(axes: Iterable[int], rank: int) -> tuple[int, ...]:
    """Several axes counted from the front: see ``from_front``."""
    return tuple(from_front(a, rank) for a in axes)


def subset(s: Scope, count: int) -> list[int]:
    """A random subset of range(count) in ascending order, with at least one element where there is one."""
    if count == 0:
        return []
    bits = s.integer(1, 2**count - 1)
    return [i for i in range(count) if bits >> i & 1]


def permutation(s: Scope, count: int) -> list[int]:
    """A random order of range(count)."""
    left = list(range(count))
    return [left.pop(s.integer(0, len(left) - 1)) for _ in range(count)]


def is_one(t: Typing, dim: Dim) -> bool:
    """Whether a dimension is 1 under the witness; if so it is 1 from now on."""
    if isinstance(dim, int):
        return dim == 1
    if t.store.value(dim) != 1:
        return False
    t.store.unify(dim, 1)
    return True


def pinned(t: Typing, dim: Dim) -> int:
    """The witness of a dimension, which it has from now on."""
    size = t.store.value(dim)
    if isinstance(dim, Expr):
        t.store.unify(dim, size)
    return size


def whole_number(given: Any) -> Any:
    """A parameter that may be a scalar or a tensor of one element."""
    number = given[0] if isinstance(given, tuple) else given
    return int(number) if isinstance(number, np.integer) else number


def unique_indices(s: Scope, count: int, size: int) -> Array:
    """``count`` different indices in [0, size), in a scattered order."""
    if not 0 < count <= size:
        raise Infeasible(f"{count} different indices below {size}")
    start, step = s.integer(0, size - 1), s.integer(1, size)
    while gcd(step, size) != 1:
        step += 1
    return (np.arange(count) * step + start) % size


def from_either_end(s: Scope, indices: Array, size: int) -> Array:
    """The same positions along an axis of this size; now and then some are counted from the back."""
    return np.where(indices % 3 == 0, indices - size, indices) if s.coin(0.3) else indices


def drawn_indices(
    s: Scope, position: int, dim: Dim, *, rank: tuple[int, int] = (0, 3), backwards: float = 0.3
) -> Value:
    """Indices into an axis of this size: a constant of a few numbers, or integers in range that exist.

    Out of range is an error by the specification and anything at all in practice (hazard H3.1). ``backwards`` is
    the chance that some count from the back.
    """
    size = s.store.value(dim)
    if size < 1:
        raise Infeasible("no index into an empty axis")
    low = -size if s.coin(backwards) else 0
    if s.coin(0.3):
        with suppress(Infeasible):  # where the model has no integers of its own
            found = operand(s, position, kinds=(Kind.SIGNED,), rank=rank, domain=Domain(low, size - 1))
            s.store.require(at_least(dim, size))
            return found
    shape = tuple(s.integer(1, 4) for _ in range(s.integer(*rank)))
    count = prod(shape)
    numbers = np.array([s.integer(low, size - 1) for _ in range(min(count, 6))])
    array = numbers[np.arange(count) % 6 if count > 6 else np.arange(count)].reshape(shape)
    reach(s, dim, array)
    return index_constant(s, position, array)


def index_constant(s: Scope, position: int, array: Array) -> Value:
    """A constant of indices, in a type that the operator takes: the model's own types need have no integers."""
    variable = s.signature.formal(position).variable
    return s.constant(array, s.pick([d for d in s.signature.types[variable] if d.name in ("int32", "int64")]))


def reach(s: Scope, dim: Dim, indices: Array) -> None:
    """Keep an axis long enough for constant indices into it at every other size as well."""
    if isinstance(dim, Expr) and indices.size:
        s.store.require(at_least(dim, int(max(indices.max() + 1, -indices.min()))))


def long_axis(s: Scope, shape: tuple[int, ...]) -> int:
    """An axis that is not empty."""
    axes = [a for a, n in enumerate(shape) if n > 0]
    if not axes:
        raise Infeasible("no axis to index")
    return int(s.pick(axes))


def index_shape(s: Scope, shape: Shape, axis: int, longest: int, *, whole: bool = False) -> tuple[int, ...]:
    """Sizes of an index tensor that fits a tensor's other axes; along the axis of indices any up to ``longest``.

    ``whole`` keeps the other axes as long as the tensor's: of GatherElements the specification says no more than that
    the ranks agree, and backends differ on shorter ones.
    """
    sizes = []
    room = 256
    for a, dim in enumerate(shape):
        size = s.store.value(dim)
        most = max(min(size if a != axis else longest, room), 1)
        if a != axis and whole and size > most:
            raise Infeasible("the indices would be too many")
        count = size if a != axis and size <= most and (whole or s.coin(0.6)) else s.integer(1, most)
        room //= count
        if a != axis:
            s.store.require(at_least(dim, count))
        sizes.append(count)
    return tuple(sizes)
