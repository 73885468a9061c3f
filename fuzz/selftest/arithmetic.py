"""Legal ways to form a sum: every order and every accumulator that a correct implementation may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from abstract.operator import Array
from abstract.reference import Float64

__all__ = ["ORDERS", "Order", "Ordered"]

Order = Callable[[Array], Array]
"""Sums over the last axis, each partial sum rounded to the array's type."""

_LANES = 8
_EXACT = Float64()


def _sequential(x: Array) -> Array:
    result: Array = np.add.accumulate(x, axis=-1)[..., -1]
    return result


def _reversed(x: Array) -> Array:
    return _sequential(x[..., ::-1])


def _pairwise(x: Array) -> Array:
    while x.shape[-1] > 1:
        if x.shape[-1] % 2:
            x = np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1)
        x = x[..., ::2] + x[..., 1::2]
    return x[..., 0]


def _blocked(x: Array) -> Array:
    """Eight running sums, as a vector unit keeps them, added pairwise at the end."""
    rest = -x.shape[-1] % _LANES
    if rest:
        x = np.concatenate([x, np.zeros_like(x[..., :1]).repeat(rest, axis=-1)], axis=-1)
    lanes = x.reshape(*x.shape[:-1], -1, _LANES).swapaxes(-1, -2)
    return _pairwise(_sequential(lanes))


ORDERS: Mapping[str, Order] = MappingProxyType(
    {"sequential": _sequential, "reversed": _reversed, "pairwise": _pairwise, "blocked": _blocked}
)


@dataclass(frozen=True, slots=True)
class Ordered:
    """An ``Arithmetic`` whose sums are formed in one order.

    ``narrow`` is the type of the operands where they are held in a wider one (bfloat16, which numpy does not know).
    ``wide``: 16-bit floats are multiplied and accumulated in float32, else in their own type, where each product is
    rounded. ``fused``: each product goes into the sum unrounded, one element after another.
    """

    order: Order
    wide: bool = False
    fused: bool = False
    narrow: np.dtype[Any] | None = None

    def sum(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        """Sum over axes, rounded to the type of ``x`` at the end."""
        if x.dtype.kind in "iub":
            return _EXACT.sum(x, axes, keepdims)
        axes = tuple(a % x.ndim for a in axes)
        if not axes:
            return x
        kept = [a for a in range(x.ndim) if a not in axes]
        shape = tuple(1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes)
        count = prod(x.shape[a] for a in axes)
        rows = self._accumulator(x).transpose(*kept, *axes).reshape(*(x.shape[a] for a in kept), count)
        return self._reduce(rows).astype(x.dtype).reshape(shape)

    def dot(self, a: Array, b: Array) -> Array:
        """As numpy's matmul: sums of products, formed in this order, rounded to the operands' type at the end."""
        if a.dtype.kind in "iub":
            return _EXACT.dot(a, b)
        if a.ndim == 1:
            return self.dot(a[None], b)[..., 0, :] if b.ndim > 1 else self.dot(a[None], b[:, None])[0, 0]
        if b.ndim == 1:
            return self.dot(a, b[:, None])[..., 0]
        storage = np.result_type(a, b)
        left = self._accumulator(a)[..., :, None, :]
        right = self._accumulator(b).swapaxes(-1, -2)[..., None, :, :]
        if self.fused and storage.itemsize <= 4:
            return _fused(left, right).astype(storage)
        return self._reduce(left * right).astype(storage)

    def _accumulator(self, x: Array) -> Array:
        if self.wide:
            return x.astype(np.float32) if x.dtype.itemsize == 2 else x
        return x if self.narrow is None else x.astype(self.narrow)

    def _reduce(self, rows: Array) -> Array:
        return self.order(rows) if rows.size else rows.sum(axis=-1)


def _fused(left: Array, right: Array) -> Array:
    """A chain of fused multiply-adds: a product of two floats is exact in float64."""
    storage = left.dtype
    shape = np.broadcast_shapes(left.shape[:-1], right.shape[:-1])
    total = np.zeros(shape, dtype=storage)
    for k in range(left.shape[-1]):
        product = left[..., k].astype(np.float64) * right[..., k].astype(np.float64)
        total = (total.astype(np.float64) + product).astype(storage)
    return total
