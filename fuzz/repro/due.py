"""What is due of each output, and how far a right answer may be from it, as a script needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.program import parse
from fuzz.judge.compare import SUSPECT_FACTOR
from fuzz.judge.judge import reference_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.bounded import Bounded
    from abstract.dtypes import DType
    from backends.tensor import Value
    from fuzz.triage.candidate import Candidate

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["Due", "dues"]


@dataclass(frozen=True, slots=True)
class Due:
    """One tensor that is due: of which output, its element type as numpy calls it, its elements, their tolerance.

    ``tolerance`` is what the judge calls wrong (four times the error bound), infinite where nothing can be said. An
    output that is an absent optional is due nothing: ``value`` is None.
    """

    name: str
    kind: str
    value: Array | None
    tolerance: Array


def dues(candidate: Candidate, target: str) -> tuple[tuple[Due, ...], ...]:
    """For each data set what is due, under the numerics contract of a target. Raises what the reference raises."""
    program = parse(candidate.proto())
    return tuple(
        tuple(part for name in program.outputs for part in _parts(name, values[name]))
        for values in (_values(program, feed, target) for feed in candidate.feeds)
    )


def _values(program: Any, feed: Mapping[str, Value], target: str) -> dict[str, Bounded]:
    return reference_values(program, feed, target)


def _parts(name: str, found: Bounded) -> list[Due]:
    """A sequence is due as its elements."""
    if isinstance(found.value, list):
        bounds = found.parts or (found.bound,) * len(found.value)
        return [_due(f"{name}[{n}]", v, b, found) for n, (v, b) in enumerate(zip(found.value, bounds, strict=True))]
    return [_due(name, found.value, found.bound, found)]


def _due(name: str, value: Any, bound: Any, found: Bounded) -> Due:
    if value is None:
        return Due(name, "", None, np.zeros(()))
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        return Due(name, "object", array.astype(object), np.zeros(()))
    kind = _name(found.dtype, array)
    limit = np.asarray(bound, dtype=np.float64) * SUSPECT_FACTOR
    if not found.shaped:
        limit = np.asarray(np.inf)
    if array.dtype.kind in "fc":
        plain = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
        lost = np.abs(array - plain) if array.dtype.itemsize > plain.dtype.itemsize else 0.0
        with np.errstate(all="ignore"):
            limit = limit + np.where(np.isfinite(lost), lost, 0.0)
        array = plain
    return Due(name, kind, array, limit)


def _name(dtype: DType | None, array: Array) -> str:
    return str(np.dtype(dtype.numpy).name) if dtype is not None and dtype.bits else array.dtype.name
