"""Hazards of picking and placing by index, and of positions in sequences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.hazards.arithmetic import nan_result
from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]


# -- indices out of range ------------------------------------------------------------------------------------


def _along(run: Run) -> tuple[int, ...]:
    """The size that each index counts, for indices into one axis."""
    return (run[0].shape[int(run.params.get("axis", 0))],)


def _tuples(run: Run) -> tuple[int, ...]:
    """The sizes that the numbers of each index tuple count."""
    first = int(run.params.get("batch_dims", 0))
    return run[0].shape[first : first + run[1].shape[-1]]


def _strays(sizes: Callable[[Run], tuple[int, ...]], run: Run) -> Array | None:
    """Which indices are out of range, or None."""
    indices, size = run[1], np.array(sizes(run), np.int64)
    if not indices.size or (size.size == 1 and indices.min() >= -size[0] and indices.max() < size[0]):
        return None
    stray: Array = (indices < -size) | (indices >= size)
    return stray if stray.any() else None


def _gather(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    stray = _strays(_along, run)
    if stray is None:
        return NONE
    axis = int(run.params.get("axis", 0)) % run[0].ndim
    return (stray.reshape(stray.shape + (1,) * (run[0].ndim - 1 - axis)),)


def _gather_elements(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    stray = _strays(_along, run)
    return NONE if stray is None else (stray,)


def _gather_nd(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    stray = _strays(_tuples, run)
    if stray is None:
        return NONE
    spoilt = np.logical_or.reduce(stray, axis=-1)
    left = run[0].ndim - int(run.params.get("batch_dims", 0)) - stray.shape[-1]
    return (spoilt.reshape(spoilt.shape + (1,) * left),)


def _anywhere(sizes: Callable[[Run], tuple[int, ...]]) -> Callable[[Run, tuple[Array, ...]], tuple[Mask, ...]]:
    """A write out of range may hit any element."""

    def detect(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
        del y
        return NONE if _strays(sizes, run) is None else ALL

    return detect


def _folded(sizes: Callable[[Run], tuple[int, ...]]) -> Callable[[Run], Run]:
    """The indices brought into range, so that the others can be followed; ValueError where nothing can be indexed."""

    def repair(run: Run) -> Run:
        size = np.array(sizes(run), np.int64)
        if not size.all():
            raise ValueError("no index into an empty axis")
        indices = np.where((run[1] < -size) | (run[1] >= size), 0, run[1])
        return replace(run, inputs=(run.inputs[0], indices, *run.inputs[2:]))

    return repair


# -- duplicates ------------------------------------------------------------------------------------------------


def _several(run: Run, index: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The elements to which more than one update goes where none is to be combined with another."""
    if run.params.get("reduction", b"none") not in (b"none", ""):
        return NONE
    count = np.zeros(run[0].shape, np.int64)
    try:
        np.add.at(count, index, 1)
    except IndexError:
        return NONE  # another row of the table
    return (count > 1,) if count.size and count.max() > 1 else NONE


def _twice_elements(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    indices, axis = run[1], int(run.params.get("axis", 0))
    mesh: list[Array] = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    mesh[axis] = indices
    return _several(run, tuple(mesh))


def _twice_tuples(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return _several(run, tuple(run[1][..., i] for i in range(run[1].shape[-1])))


def _scattered_nan(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    return nan_result(run, y) if run.params.get("reduction") in (b"max", b"min") else NONE


# -- what is left over ---------------------------------------------------------------------------------------


def _scalar(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run[0].ndim == 0 else NONE


def _long_condition(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    axis = run.params.get("axis")
    length = run[0].size if axis is None else run[0].shape[int(axis)]
    return ALL if len(run.params.get("condition", ())) > length else NONE


def _stray_position(place: int, beyond: int) -> Callable[[Run, tuple[Array, ...]], tuple[Mask, ...]]:
    """A position (operand ``place``) outside of the sequence; ``beyond`` more are inside where one is inserted."""

    def detect(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
        del y
        sequence: Any = run.inputs[0]
        position = run.optional(place)
        if position is None or not isinstance(sequence, list):
            return NONE
        return NONE if -len(sequence) <= int(position.item()) < len(sequence) + beyond else ALL

    return detect


def _stray_length(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The batch entries whose length is below 1 or beyond the time axis."""
    del y
    x, lengths = run[0], run[1]
    time, batch = int(run.params.get("time_axis", 0)), int(run.params.get("batch_axis", 1))
    stray = (lengths < 1) | (lengths > x.shape[time])
    return each(stray.reshape([-1 if a == batch else 1 for a in range(x.ndim)]))


def _overrun(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Writes that start before the cache or end behind it, where it is no ring."""
    del y
    start, axis = run.optional(2), int(run.params.get("axis", -2))
    if start is None or run.params.get("mode", b"linear") == b"circular":
        return NONE
    return ALL if np.any(start < 0) or np.any(start + run[1].shape[axis] > run[0].shape[axis]) else NONE


_GATHER = "All index values are expected to be within bounds|error|out of bounds|out-of-bounds"

HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "gather-out-of-range", ("Gather",), "an index before the first element of the axis or behind its last",
        Says.ERROR, "indices", Treatment.AVOID, _gather, words=_GATHER, stops=True, repair=_folded(_along)),
    Hazard(
        "gather-elements-out-of-range", ("GatherElements",),
        "an index before the first element of the axis or behind its last",
        Says.ERROR, "indices", Treatment.AVOID, _gather_elements, since=11, words=_GATHER, stops=True,
        repair=_folded(_along)),
    Hazard(
        "gather-nd-out-of-range", ("GatherND",), "an index tuple that points outside of the operand",
        Says.ERROR, "indices", Treatment.AVOID, _gather_nd, since=11, words=_GATHER, stops=True,
        repair=_folded(_tuples)),
    Hazard(
        "scatter-out-of-range", ("ScatterElements",), "an index outside of the axis: the write may hit anything",
        Says.ERROR, "indices", Treatment.AVOID, _anywhere(_along), since=11, words=_GATHER, stops=True,
        repair=_folded(_along)),
    Hazard(
        "scatter-nd-out-of-range", ("ScatterND",), "an index tuple outside of the operand: the write may hit anything",
        Says.SILENT, "text, indices: a valid range is expected, no more", Treatment.AVOID, _anywhere(_tuples), since=11,
        stops=True, words=_GATHER,
        repair=_folded(_tuples)),
    Hazard(
        "scatter-duplicate", ("ScatterElements",), "two updates for one element, and no reduction to combine them",
        Says.UNDEFINED, "text: indices should not repeat", Treatment.AVOID, _twice_elements, since=16,
        words="should not have duplicate"),
    Hazard(
        "early-scatter-duplicate", ("Scatter", "ScatterElements"), "the same below version 16",
        Says.SILENT, "text", Treatment.AVOID, _twice_elements, since=9, until=16, words="duplicate"),
    Hazard(
        "scatter-nd-duplicate", ("ScatterND",), "two updates for one place, and no reduction to combine them",
        Says.UNDEFINED, "text: indices should not repeat", Treatment.AVOID, _twice_tuples, since=11,
        words="should not have duplicate"),
    Hazard(
        "scatter-order", ("ScatterElements", "ScatterND"),
        "the order in which updates of one element are combined; the bound covers any",
        Says.SILENT, "text: reduction", Treatment.COMPARE, since=16, words="in order|sequentially"),
    Hazard(
        "scatter-nan-extremum", ("ScatterElements", "ScatterND"), "NaN combined by max or min",
        Says.SILENT, "text: reduction", Treatment.AVOID, _scattered_nan, since=18, words=r"(?-i:\bNaN\b)"),
    Hazard(
        "tensor-scatter-overrun", ("TensorScatter",), "a write that ends behind the cache in linear mode",
        Says.UNDEFINED, "write_indices, mode", Treatment.AVOID, _overrun, since=24, words="linear", stops=True),
    Hazard(
        "one-hot-out-of-range", ("OneHot",), "an index outside of the depth is on nowhere",
        Says.DEFINED, "text, indices", Treatment.COMPARE, since=9, words="all 'off_value' values"),
    Hazard(
        "nonzero-of-scalar", ("NonZero",), "a scalar: a result of no row, or of one as in numpy",
        Says.DEFINED, "text: says (0, N), and that numpy differs; backends follow either", Treatment.AVOID, _scalar,
        since=9, words="scalar", shape=True),
    Hazard(
        "compress-too-long", ("Compress",), "more conditions than elements",
        Says.SILENT, "condition", Treatment.AVOID, _long_condition, since=9, words="longer|greater than", stops=True,
        shape=True),
    Hazard(
        "sequence-position", ("SequenceAt", "SequenceErase"), "a position outside of the sequence",
        Says.ERROR, "position", Treatment.AVOID, _stray_position(1, 0), since=11, stops=True, shape=True,
        words="error"),
    Hazard(
        "insert-position", ("SequenceInsert",), "a position outside of the sequence and not behind its last element",
        Says.ERROR, "position", Treatment.AVOID, _stray_position(2, 1), since=11, stops=True, shape=True,
        words="error"),
    Hazard(
        "reverse-sequence-length", ("ReverseSequence",), "a length of 0 or beyond the time axis",
        Says.SILENT, "sequence_lens", Treatment.AVOID, _stray_length, since=10, words="greater than|at least 1|error",
        stops=True),
    Hazard(
        "diagonal-beyond", ("EyeLike",), "a diagonal outside of the matrix: nothing is on it",
        Says.SILENT, "k", Treatment.COMPARE, since=9, words="beyond|outside"),
)  # fmt: skip
