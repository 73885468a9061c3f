"""How a wrong answer relates to what is due: an operand passed through, the sign flipped, rounded to fewer bits.

A table of relations, each a plain function of arrays; the first that holds names the mistake. No relation looks at the
operator: that is what ``fuzz.triage.extent`` does.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ALONG", "ANYWHERE", "BROADCAST", "EXCHANGED", "OTHER", "RELATIONS", "relation"]

Array = NDArray[Any]

OTHER = "other values"
"""What no relation of the table explains."""

ALONG = "along another axis"
BROADCAST = "of an operand broadcast"
EXCHANGED = "of an operand in place of another"
"""What ``fuzz.triage.misreading`` tells, by asking the reference."""

_HELD = ("bfloat16", "float16", "tf32", "float32")  # fewest bits of fraction first; tf32 has 10 and float32's range
_CLOSE = {2: 2.0**-7, 4: 1e-5, 8: 1e-10}  # relative, by bytes of the element type
_IMPRECISE = 0.05  # relative: further off is not called a lack of precision
_MANY = 6  # elements that are off in the same direction: not by chance
_MOST_AXES = 5  # whose orders are tried

ANYWHERE = frozenset(
    {
        "another element type", "axes of size 1 more", "axes of size 1 less", "outputs exchanged", ALONG, BROADCAST,
        EXCHANGED,
        *(f"held in {kind}" for kind in _HELD),
    }
)  # fmt: skip
"""Relations that name one mistake whatever the operator; others need it."""


def relation(due: Array, got: Array, operands: Sequence[Array] = ()) -> str:
    """How ``got`` relates to ``due``; empty where they are the same. ``operands`` are what the node was given."""
    if got.dtype != due.dtype:
        return "another element type"
    if got.shape != due.shape:
        return _of_shapes(due.shape, got.shape)
    if due.dtype.kind in "OSU":
        return "" if np.array_equal(due, got) else OTHER
    with np.errstate(all="ignore"):
        if _alike(due, got):
            return ""
        return next((name for name, holds in RELATIONS if holds(due, got, operands)), OTHER)


def _of_shapes(due: tuple[int, ...], got: tuple[int, ...]) -> str:
    if [n for n in due if n != 1] == [n for n in got if n != 1]:
        return "axes of size 1 more" if len(got) > len(due) else "axes of size 1 less"
    return "shape in another order" if sorted(due) == sorted(got) else "another shape"


def _alike(one: Array, other: Array) -> bool:
    """The same up to what two good implementations differ by."""
    if one.shape != other.shape:
        return False
    if _floating(one) and _floating(other):
        near = _CLOSE.get(one.dtype.itemsize, 0.0)
        return np.allclose(_wide(one), _wide(other), rtol=near, atol=0.0, equal_nan=True)
    return bool(np.array_equal(one, other))


def _floating(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16


def _wide(array: Array) -> Array:
    return array.astype(np.float64)


def _numeric(array: Array) -> bool:
    return array.dtype.kind in "fiu" or array.dtype == ml_dtypes.bfloat16


# --- the relations: of what is due, what came, and what the node was given -------------------------------------------


def _passed(due: Array, got: Array, operands: Sequence[Array]) -> bool:
    return any(
        operand.dtype == due.dtype and operand.ndim <= due.ndim and _fits(operand.shape, due.shape)
        and _alike(np.broadcast_to(operand, due.shape), got)
        for operand in operands
    )  # fmt: skip


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    return all(n in {1, m} for n, m in zip(reversed(shape), reversed(into), strict=False))


def _constant(_: Array, got: Array, __: Sequence[Array]) -> bool:
    return got.size > 1 and bool(np.all(got == got.flat[0]))


def _negated(due: Array, got: Array, _: Sequence[Array]) -> bool:
    if due.dtype == np.bool_:
        return bool(np.array_equal(~due, got))
    return _numeric(due) and _alike(-due, got)


def _reciprocal(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return _floating(due) and _alike((1 / _wide(due)).astype(due.dtype), got)


def _magnitude(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return _numeric(due) and _alike(np.abs(due), np.abs(got))


def _transposed(due: Array, got: Array, _: Sequence[Array]) -> bool:
    if due.ndim > _MOST_AXES:
        return False
    return any(_alike(np.transpose(due, axes), got) for axes in permutations(range(due.ndim)))


def _turned(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return any(_alike(np.flip(due, axis), got) for axis in range(due.ndim))


def _shifted(due: Array, got: Array, _: Sequence[Array]) -> bool:
    """All but the elements at one end lie one further along an axis."""
    for axis, n in enumerate(due.shape):
        head, tail = np.arange(n - 1), np.arange(1, n)
        for here, there in ((head, tail), (tail, head)):
            if n > 2 and _alike(due.take(here, axis), got.take(there, axis)):
                return True
    return False


def _permuted(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return due.size > 1 and _alike(np.sort(due, axis=None), np.sort(got, axis=None))


def _held(kind: str) -> Callable[[Array, Array, Sequence[Array]], bool]:
    def holds(due: Array, got: Array, _: Sequence[Array]) -> bool:
        if not _floating(due) or due.dtype.itemsize <= (4 if kind == "float32" else 2):
            return False
        if not np.array_equal(_rounded(got, kind), got, equal_nan=True):
            return False
        return np.allclose(_wide(_rounded(due, kind)), _wide(got), rtol=2.0**-6, atol=1e-6, equal_nan=True)

    return holds


def _rounded(array: Array, kind: str) -> Array:
    match kind:
        case "bfloat16":
            return array.astype(ml_dtypes.bfloat16).astype(array.dtype)
        case "tf32":
            bits = array.astype(np.float32).view(np.uint32)
            return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32).astype(array.dtype)
    return array.astype(np.dtype(kind)).astype(array.dtype)


def _imprecise(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return _floating(due) and np.allclose(_wide(due), _wide(got), rtol=_IMPRECISE, atol=1e-4, equal_nan=True)


def _too(*, large: bool) -> Callable[[Array, Array, Sequence[Array]], bool]:
    """Every element further from 0 than is due, or every one nearer."""

    def holds(due: Array, got: Array, _: Sequence[Array]) -> bool:
        if not _floating(due) or due.size < _MANY or np.any(np.signbit(_wide(due)) != np.signbit(_wide(got))):
            return False
        apart = np.abs(_wide(got)) - np.abs(_wide(due))
        return bool(np.all(apart > 0) if large else np.all(apart < 0))

    return holds


def _not_finite(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return _floating(due) and not np.array_equal(np.isfinite(_wide(due)), np.isfinite(_wide(got)))


def _scaled(due: Array, got: Array, _: Sequence[Array]) -> bool:
    if not _floating(due) or np.count_nonzero(due) < 2:
        return False
    ratios = _wide(got)[due != 0] / _wide(due)[due != 0]
    return bool(np.allclose(ratios, ratios[0], rtol=1e-4) and np.all(got[due == 0] == 0))


def _moved(due: Array, got: Array, _: Sequence[Array]) -> bool:
    apart = _wide(got) - _wide(due)
    return _numeric(due) and due.size > 1 and bool(np.allclose(apart, apart.flat[0], rtol=1e-4))


def _saturated(due: Array, got: Array, _: Sequence[Array]) -> bool:
    if due.dtype.kind not in "iu":
        return False
    ends, off = np.iinfo(due.dtype), due != got
    return bool(np.all((got[off] == ends.max) | (got[off] == ends.min)))


def _off_by_one(due: Array, got: Array, _: Sequence[Array]) -> bool:
    return due.dtype.kind in "iu" and bool(np.all(np.isin(np.abs(_wide(due) - _wide(got)), (0.0, 1.0))))


def _at_end(index: int) -> Callable[[Array, Array, Sequence[Array]], bool]:
    def holds(due: Array, got: Array, _: Sequence[Array]) -> bool:
        off = due != got
        return any(
            n > 2 and not np.delete(off, index, axis).any() for axis, n in enumerate(due.shape)
        )  # fmt: skip

    return holds


RELATIONS: tuple[tuple[str, Callable[[Array, Array, Sequence[Array]], bool]], ...] = (
    ("an operand passed through", _passed),
    ("a constant", _constant),
    ("negated", _negated),
    ("the reciprocal", _reciprocal),
    ("of another sign in places", _magnitude),
    *((f"held in {kind}", _held(kind)) for kind in _HELD),
    ("transposed", _transposed),
    ("in reverse", _turned),
    ("shifted by one", _shifted),
    ("permuted", _permuted),
    ("times a constant", _scaled),
    ("too large", _too(large=True)),
    ("too small", _too(large=False)),
    ("imprecise", _imprecise),
    ("finite elsewhere", _not_finite),
    ("plus a constant", _moved),
    ("saturated", _saturated),
    ("off by one", _off_by_one),
    ("wrong at the end", _at_end(-1)),
    ("wrong at the beginning", _at_end(0)),
)
"""In this order: what explains more comes first."""
