"""Two results that must agree: how far they may lie apart, and which of them is off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_NAME
from abstract.program import to_carrier
from abstract.reference import Bounded
from backends.tensor import Tensor, Value, to_numpy
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from fuzz.relations.variant import View

__all__ = ["agreement", "bounded_rows", "sides", "value_rows"]


def agreement(one: Value, other: Value, due: Bounded, also_due: Bounded, *, same_program: bool = False) -> Comparison:
    """Whether two results agree: element by element, they may differ by both bounds together.

    ``one`` is the original's, for which the reference says ``due``; ``other`` and ``also_due`` are the variant's. The
    comparison has ``one`` for what is expected. Where no bound is known nothing is compared, unless both sides are the
    ``same_program``: then even what the specification leaves open must come out alike.
    """
    plain = _plain(one)
    if not isinstance(plain.value, np.ndarray) or not isinstance(due.value, np.ndarray):
        return compare(other, plain)
    if same_program and not (due.shaped and also_due.shaped):
        return compare(other, plain)
    if plain.value.shape != due.value.shape or not (due.shaped and also_due.shaped):
        # The original itself has another shape than the reference says: there are no bounds for these elements.
        return compare(other, Bounded(plain.value, np.inf, plain.dtype, shaped=due.shaped and also_due.shaped))
    allowed = _allowed(due, also_due)
    return compare(other, Bounded(plain.value, np.where(np.isinf(allowed), 0.0, allowed) if same_program else allowed,
                                  plain.dtype))  # fmt: skip


def _allowed(due: Bounded, also_due: Bounded) -> Any:
    own, others = np.asarray(due.bound, np.float64), np.asarray(also_due.bound, np.float64)
    value, also = np.asarray(due.value), np.asarray(also_due.value)
    if value.dtype.kind == "f" and also.shape == value.shape:
        with np.errstate(all="ignore"):
            # What the reference's own float64 loses on the way from one form to the other.
            apart = np.where(value == also, 0.0, np.abs(value - also))
        return own + others + np.where(np.isnan(apart), 0.0, apart)
    return own + others


def sides(one: Value, other: Value, due: Bounded, also_due: Bounded) -> str:
    """Which of the two the reference finds off, in words."""
    return f"against the reference the original is {_word(one, due)}, the variant {_word(other, also_due)}"


def _word(value: Value, due: Bounded) -> str:
    found = compare(value, due)
    if found.ratio is None or found.word is Word.OK:
        return found.word.value
    return f"{found.word.value} ({found.ratio:.3g} times its bound)"


def value_rows(value: Value, view: View) -> Value:
    """The rows of a result that a view stands for; elements are of whole bytes there (``fuzz/relations/batch.py``)."""
    if view.rows is None or not isinstance(value, Tensor) or not value.shape or not value.shape[0]:
        return value
    first, last = view.rows[0], min(view.rows[1], value.shape[0])
    size = len(value.data) // value.shape[0]
    return Tensor(value.element_type, (max(last - first, 0), *value.shape[1:]), value.data[first * size : last * size])


def bounded_rows(due: Bounded, view: View) -> Bounded:
    """The rows of what the reference says that a view stands for."""
    if view.rows is None or not isinstance(due.value, np.ndarray):
        return due
    first, last = view.rows
    bound = due.bound if np.ndim(due.bound) == 0 else np.broadcast_to(due.bound, due.value.shape)[first:last]
    return replace(due, value=due.value[first:last], bound=bound)


def _plain(value: Value) -> Bounded:
    """A target's own result in the role of what is expected."""
    if isinstance(value, Tensor):
        own = BY_NAME[value.element_type]
        return Bounded(to_carrier(to_numpy(value), own), 0.0, own)
    return Bounded(_content(value), 0.0, None)


def _content(value: Value) -> Any:
    if isinstance(value, list):
        return [_content(item) for item in value]
    return None if value is None else to_numpy(value)
