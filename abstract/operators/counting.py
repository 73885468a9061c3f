"""Operators whose values decide how long their outputs are: NonZero, Unique, NonMaxSuppression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dims import product
from abstract.dtypes import Kind, dtype
from abstract.error import SHAPELESS, is_exact
from abstract.operator import Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front, operand, signed
from abstract.operators.elementwise import MARGIN, apart

if TYPE_CHECKING:
    from abstract.graph import Value
    from abstract.types import Sizes

__all__ = ["OPERATORS"]

_NUMERIC = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED, Kind.BOOL)

# -- NonZero -------------------------------------------------------------------------------------------------


def propose_non_zero(s: Scope) -> Call:
    """Numbers, no text, of which the text does not say when it is zero; no scalar (hazard nonzero-of-scalar)."""
    x = operand(s, rank=(1, 8), kinds=(*_NUMERIC, Kind.COMPLEX), where=lambda v: v.array.size <= 1024)
    return Call((x,))


def non_zero_shape(t: Typing) -> tuple[Sizes, ...]:
    """A row for each axis, a column for each element that is not 0."""
    return ((len(t[0]), None),)


def non_zero(run: Run) -> tuple[Array, ...]:
    """The places of what is not 0, in the order of memory; of a scalar no row."""
    x = run[0]
    if not x.ndim:
        return (np.zeros((0, int(x != 0)), dtype=np.int64),)
    return (np.stack(np.nonzero(x)).astype(np.int64),)


def non_zero_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Exact as long as 0 lies within no element's error, or is one for sure."""
    del y
    unsure = (np.abs(run[0]) <= e[0]) & (np.asarray(e[0]) > 0)
    return (SHAPELESS if unsure.any() else 0.0,)


# -- Unique --------------------------------------------------------------------------------------------------


def propose_unique(s: Scope) -> Call:
    """Elements or subtensors, in ascending order or, as complex ones that have none, as they come; any outputs."""
    kinds = (*_NUMERIC, Kind.STRING, Kind.COMPLEX)
    x = operand(s, rank=(0, 8), kinds=kinds, where=lambda v: 0 < v.array.size <= 256)
    params: dict[str, Any] = {}
    if x.type.rank and s.coin(0.4):
        params["axis"] = signed(s, s.integer(0, x.type.rank - 1), x.type.rank)
    if x.type.dtype.kind is Kind.COMPLEX:
        params["sorted"] = 0
    elif s.coin(0.5):
        params["sorted"] = s.integer(0, 1)
    return Call((x,), params, outputs=s.pick((1, 2, 3, 4, 4, 4)))


def unique_shape(t: Typing) -> tuple[Sizes, ...]:
    """As many as there are different ones; where each element of the input, or subtensor, has gone."""
    x, axis = t[0], t.params.get("axis")
    if axis is None:
        kept: Sizes = (None,)
        whole = product(x)
    else:
        at = from_front(axis, len(x))
        kept, whole = (*x[:at], None, *x[at + 1 :]), x[at]
    return (kept, (None,), (whole,), (None,))[: t.outputs]


def _keys(x: Array, axis: int | None) -> list[Any]:
    """What is compared: elements, or subtensors by their elements in the order of memory."""
    if axis is None:
        elements: list[Any] = x.ravel().tolist()
        return elements
    count = x.shape[axis]
    rows = np.moveaxis(x, axis, 0).reshape(count, -1).tolist() if x.size else [()] * count
    return list(map(tuple, rows))


def unique(run: Run) -> tuple[Array, ...]:
    """Each key once, where it occurs first, which of them each key is, and how many there are of each."""
    x, axis = run[0], run.params.get("axis")
    keys = _keys(x, axis)
    first: dict[Any, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    order = sorted(first) if run.params.get("sorted", 1) else list(first)
    rank_of = {key: rank for rank, key in enumerate(order)}
    indices = np.array([first[key] for key in order], dtype=np.int64)
    inverse = np.array([rank_of[key] for key in keys], dtype=np.int64)
    counts = np.bincount(inverse, minlength=len(order)).astype(np.int64)
    y = x.ravel()[indices] if axis is None else x.take(indices, axis=axis)
    return (y, indices, inverse, counts)[: len(run.output_dtypes)]


def unique_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Elements' errors, as long as none can change places with another or become one with it."""
    if is_exact(e[0]):
        return (0.0,) * len(y)
    x = run[0]
    reach = np.broadcast_to(np.asarray(e[0], np.float64), x.shape)
    most = float(np.max(reach, initial=0.0))
    if x.dtype.kind not in "fiu" or not np.isfinite(most):
        return (SHAPELESS,) * len(y)
    gaps = np.diff(np.sort(x.ravel().astype(np.float64)))
    if most > 0 and gaps.size and float(gaps.min()) <= 2 * most:
        return (SHAPELESS,) * len(y)
    return (most, 0.0, 0.0, 0.0)[: len(y)]


def _clearly_different(run: Run) -> bool:
    """No two numbers so near that rounding could make them one; of inexact ones no two alike, which may be two."""
    x = run[0]
    if x.dtype.kind not in "fc" or not x.size:
        return True
    if not run.exact and np.unique(x).size < x.size:
        return False
    return x.dtype.kind == "c" or apart(np.diff(np.sort(x.ravel())), x)


# -- NonMaxSuppression ---------------------------------------------------------------------------------------

_CORNERS, _SIZES = Domain(-64.0, 64.0), Domain(0.25, 64.0)
_FLOAT, _INT64 = dtype("float"), dtype("int64")


def propose_suppression(s: Scope) -> Call:
    """Boxes by corners, in any order, or by centre and size; each option given or not.

    Mostly of one batch and class: with several, the order of rows is open (hazard boxes-order).
    """
    single = s.coin(0.7)
    batches, classes = (1, 1) if single else (s.size(1, 2, "b"), s.size(1, 3, "c"))
    count = s.size(1, 8, "n")
    centred = s.coin(0.4)
    boxes = s.shaped((batches, count, 4), s.signature.formal(0).variable, domain=_SIZES if centred else _CORNERS)
    scores = s.shaped((batches, classes, count), s.signature.formal(1).variable, domain=_CORNERS)
    shape = () if s.coin(0.6) else (1,)

    def scalar(number: float, kind: Any) -> Value:
        return s.constant(np.full(shape, number), kind)

    inputs: list[Value | None] = [boxes, scores]
    inputs.append(scalar(s.integer(1, 5) if s.coin(0.9) else 0, _INT64) if s.coin(0.9) else None)
    inputs.append(scalar(s.pick((0.0, 0.125, 0.25, 0.5, 0.75)), _FLOAT) if s.coin(0.8) else None)
    inputs.append(scalar(s.pick((-1.0, 0.0, 0.25, 0.5)), _FLOAT) if s.coin(0.6) else None)
    while inputs[-1] is None:
        inputs.pop()
    return Call(tuple(inputs), {"center_point_box": 1} if centred else {"center_point_box": 0} if s.coin(0.3) else {})


def suppression_shape(t: Typing) -> tuple[Sizes, ...]:
    """A row of batch, class and box for each box that is selected."""
    boxes, scores = t[0], t[1]
    t.store.unify(boxes[0], scores[0])
    t.store.unify(boxes[1], scores[2])
    t.store.unify(boxes[2], 4)
    return ((None, 3),)


def _scalar(run: Run, position: int, default: float) -> float:
    given = run.optional(position)
    return default if given is None else float(np.asarray(given).reshape(-1)[0])


def _corners(run: Run) -> tuple[Array, Array]:
    """The low and the high corner of each box."""
    boxes = run[0].astype(np.float64)
    if run.params.get("center_point_box", 0):
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        return middle - half, middle + half
    return np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])


def _overlaps(low: Array, high: Array) -> Array:
    """Intersection over union of each pair of one batch's boxes; 0 where neither has an area."""
    area = np.prod(high - low, axis=-1)
    sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    common = np.prod(np.maximum(sides, 0), axis=-1)
    union = area[:, None] + area - common
    result: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return result


def suppression(run: Run) -> tuple[Array, ...]:
    """The best boxes, each time the best of those left that overlaps none of them by more than the threshold."""
    scores, most = run[1], int(_scalar(run, 2, 0))
    threshold, least = _scalar(run, 3, 0.0), _scalar(run, 4, -np.inf)
    low, high = _corners(run)
    rows: list[tuple[int, int, int]] = []
    for batch in range(scores.shape[0]):
        overlap = _overlaps(low[batch], high[batch])
        for class_ in range(scores.shape[1]):
            chosen: list[int] = []
            for box in np.argsort(-scores[batch, class_], kind="stable").tolist():
                if len(chosen) >= most or not scores[batch, class_, box] > least:
                    break
                if not chosen or overlap[box, chosen].max() <= threshold:
                    chosen.append(box)
            rows.extend((batch, class_, box) for box in chosen)
    return (np.array(rows, dtype=np.int64).reshape(-1, 3),)


def _decided(run: Run, boxes: float, scores: float) -> bool:
    """Whether scores and overlaps are so far from each other, and from the thresholds, that errors decide nothing.

    A box whose corners move by d, its least side being s, changes its area and the common one by less than 4 d / s
    relatively each: the overlap by less than 16 d / s.
    """
    threshold, least = _scalar(run, 3, 0.0), _scalar(run, 4, -np.inf)
    low, high = _corners(run)
    narrowest = float((high - low).min(initial=np.inf))
    if narrowest <= 0:
        return False
    slack = 1e-4 + 16 * 2 * boxes / narrowest
    lines = run[1].reshape(-1, run[1].shape[-1]).astype(np.float64)
    gap = 2 * scores + MARGIN * float(np.abs(lines).max(initial=0.0))
    if (np.diff(np.sort(lines, axis=-1), axis=-1) <= gap).any() or (np.abs(lines - least) <= gap).any():
        return False
    for batch in range(len(low)):
        overlap = _overlaps(low[batch], high[batch])
        # No common point at all is as sure as it gets, where the boxes are clearly apart.
        sides = np.minimum(high[batch][:, None], high[batch]) - np.maximum(low[batch][:, None], low[batch])
        separate = (sides < -2 * boxes - MARGIN).any(axis=-1)
        near = (np.abs(overlap - threshold) <= slack) & ~separate
        if near.any():
            return False
    return True


def suppression_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Exact as long as errors decide nothing; else not even the number of rows is sure."""
    del y
    if all(map(is_exact, e)):
        return (0.0,)
    if not all(map(is_exact, e[2:])):
        return (SHAPELESS,)
    boxes, scores = (float(np.max(bound, initial=0.0)) for bound in e[:2])
    return (0.0 if np.isfinite(boxes + scores) and _decided(run, boxes, scores) else SHAPELESS,)


OPERATORS: tuple[Operator, ...] = (
    Operator("NonZero", propose_non_zero, non_zero_shape, non_zero, non_zero_error, exact=True, weight=0.5,
             defined=lambda run: run[0].dtype.kind != "f" or apart(run[0], run[0])),
    Operator("Unique", propose_unique, unique_shape, unique, unique_error, exact=True, weight=0.5,
             defined=_clearly_different),
    Operator("NonMaxSuppression", propose_suppression, suppression_shape, suppression, suppression_error, exact=True,
             weight=0.5, defined=lambda run: _decided(run, 0.0, 0.0)),
)  # fmt: skip
