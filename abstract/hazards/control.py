"""Hazards of control flow, sequences in time, transforms, and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each
from abstract.operators.attention import admitted, unsettled_rows
from abstract.operators.recurrent import clipped_cell

if TYPE_CHECKING:
    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]

_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


def _always(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del run, y
    return ALL


def _drawn(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Dropout that trains with a ratio other than 0."""
    del y
    return ALL if run.params.get("training_mode", False) and run.params.get("ratio", 0.5) != 0 else NONE


def _stray_ratio(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return NONE if 0 <= run.params.get("ratio", 0.5) < 1 else ALL


# -- control flow ----------------------------------------------------------------------------------------------


def _no_end(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run.optional(0) is None and run.optional(1) is None else NONE


def _no_trip(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The collected outputs of a loop that is not entered."""
    del y
    trips, condition = run.optional(0), run.optional(1)
    entered = (trips is None or int(trips.item()) > 0) and (condition is None or bool(condition.all()))
    carried = max(len(run.inputs) - 2, 0)
    collected = max(len(run.output_dtypes) - carried, 0)
    return NONE if entered or not collected else (False,) * carried + (True,) * collected


def _no_step(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """A scan along axes without elements."""
    del y
    count = int(run.params.get("num_scan_inputs", 1))
    axes = run.params.get("scan_input_axes") or (0,) * count
    scanned = run.inputs[len(run.inputs) - count :]
    return ALL if any(x is not None and x.shape[a] == 0 for x, a in zip(scanned, axes, strict=True)) else NONE


def _nothing_inside(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if run.inputs and run.inputs[0] is None else NONE


# -- time ------------------------------------------------------------------------------------------------------


def _tail(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The steps beyond each sequence's length, in the output of all steps."""
    lengths = run.optional(4)
    if lengths is None or not y or y[0] is None:
        return NONE
    batch_first = bool(run.params.get("layout", 0))
    time = run[0].shape[1 if batch_first else 0]
    beyond = np.arange(time)[:, None] >= lengths  # (time, batch)
    if not beyond.any():
        return NONE
    return (beyond.T[:, :, None, None] if batch_first else beyond[:, None, :, None],)


def _wrong_length(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    lengths = run.optional(4)
    if lengths is None:
        return NONE
    time = run[0].shape[1 if run.params.get("layout", 0) else 0]
    return ALL if np.any((lengths < 1) | (lengths > time)) else NONE


def _clipped_cell(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    masks = clipped_cell(run, y)
    return masks if any(mask.any() for mask in masks) else NONE


# -- transforms and attention ----------------------------------------------------------------------------------


def _short_window(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if int(np.asarray(run.params["size"]).item()) < 2 else NONE


def _stretched_label(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """One label with sizes 1 and another: whether it is stretched."""
    del y
    terms = run.params.get("equation", b"").decode().replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, set[int]] = {}
    for term, x in zip(terms, run.inputs, strict=False):
        if "." in term or x is None:
            continue
        for label, size in zip(term, x.shape, strict=False):
            sizes.setdefault(label, set()).add(size)
    return ALL if any(len(found) > 1 for found in sizes.values()) else NONE


def _of_queries(run: Run, rows: Array) -> tuple[Mask, ...]:
    """The outputs' elements that belong to queries: rows (batch, heads, queries, 1), or what broadcasts to that."""
    if not rows.any():
        return NONE
    full = rows.reshape((1,) * (4 - rows.ndim) + rows.shape)
    return (full if run[0].ndim == 4 else np.asarray(full.any(axis=1)), False, False, full)


def _masked_row(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """A query that may attend to nothing."""
    del y
    seen = admitted(run)
    return NONE if seen is None or not seen.size else _of_queries(run, np.asarray(~seen.any(axis=-1, keepdims=True)))


def _unequal_causal(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return _of_queries(run, unsettled_rows(run)) if run.params.get("is_causal", 0) else NONE


def _stray_position(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    positions: Any = run.optional(3)
    if positions is None or not positions.size:
        return NONE
    return ALL if positions.min() < 0 or positions.max() >= run[1].shape[0] else NONE


def _open_addend(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """A factor beta of 0 with addends that are not finite: 0 * NaN, or left out."""
    del y
    c = run.optional(2)
    if c is None or run.params.get("beta", 1.0) != 0 or c.dtype.kind != "f":
        return NONE
    return each(~np.isfinite(c))


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "random-numbers", _RANDOM, "which numbers are drawn, with a seed or without",
        Says.IMPLEMENTATION, "text; Bernoulli says that implementations differ even with a seed", Treatment.PROPERTIES,
        _always, words="random|samples|non-deterministic"),
    Hazard(
        "dropout-training", ("Dropout",), "training: which elements are dropped", Says.IMPLEMENTATION, "text",
        Treatment.PROPERTIES, _drawn, since=12, words="random"),
    Hazard(
        "dropout-ratio", ("Dropout",), "a ratio below 0, or of 1 and beyond", Says.UNDEFINED, "ratio", Treatment.AVOID,
        _stray_ratio, since=12, words="value in \\[0, 1\\)", stops=True),
    Hazard(
        "loop-without-end", ("Loop",), "neither a trip count nor a condition: the text's pseudocode does not end",
        Says.DEFINED, "text: an unbounded loop, which ignores the body's condition; runtimes heed it", Treatment.AVOID,
        _no_end, words="int i=0; ; \\+\\+i", shape=True, stops=True),
    Hazard(
        "loop-without-trips", ("Loop",), "a loop that is not entered: the shape of what it would have collected",
        Says.SILENT, "text: scan outputs", Treatment.AVOID, _no_trip, words="zero iterations|zero trip", shape=True,
        stops=True),
    Hazard(
        "scan-of-nothing", ("Scan",), "a scan along an axis without elements", Says.SILENT, "text", Treatment.AVOID,
        _no_step, since=9, words="zero-length|sequence length (is|of) 0", shape=True, stops=True),
    Hazard(
        "loop-changing-shape", ("Loop",), "collected outputs whose shape changes from trip to trip",
        Says.ERROR, "text: scan outputs", Treatment.AVOID, since=11, words="error if the dimensions", stops=True),
    Hazard(
        "branch-shapes", ("If",), "branches of other shapes: allowed while the declared output fits both",
        Says.DEFINED, "text, then_branch", Treatment.COMPARE, since=11, words="shape|rank|compatible"),
    Hazard(
        "optional-without-element", ("OptionalGetElement",), "an element is taken from an empty optional",
        Says.ERROR, "text", Treatment.AVOID, _nothing_inside, since=15, words="error if the input", shape=True,
        stops=True),
    Hazard(
        "recurrent-tail", ("GRU", "LSTM", "RNN"), "steps beyond a sequence's length: zeros by practice",
        Says.SILENT, "sequence_lens, Y", Treatment.MASK, _tail, since=7, words="padded with zero|zero-padded"),
    Hazard(
        "recurrent-length", ("GRU", "LSTM", "RNN"), "a length of 0 or beyond the time axis",
        Says.SILENT, "sequence_lens", Treatment.AVOID, _wrong_length, since=7, stops=True,
        words="out of range|must be (in|at least)"),
    Hazard(
        "clipped-cell", ("LSTM",), "clip is smaller than the cell: whether that is clipped before its activation",
        Says.SILENT, "clip, equations: gates alone in practice, though the cell enters an activation", Treatment.AVOID,
        _clipped_cell, since=7, words="clip[^.]*cell state|h\\(clip"),
    Hazard(
        "short-window", ("BlackmanWindow", "HammingWindow", "HannWindow"), "a window of one element: division by 0",
        Says.SILENT, "size", Treatment.AVOID, _short_window, since=17, words="size (is|of) (0|1)|zero"),
    Hazard(
        "stretched-label", ("Einsum",), "a label of size 1 in one operand and another size elsewhere",
        Says.SILENT, "text", Treatment.AVOID, _stretched_label, since=12, stops=True,
        words="size (is|of) 1|dimension 1"),
    Hazard(
        "onesided-bins", ("STFT",), "onesided: the list of frequencies is one longer than the size of the output",
        Says.DEFINED, "onesided, output: the size decides", Treatment.COMPARE, since=17, words="onesided"),
    Hazard(
        "transform-axis", ("DFT",), "the axis is an attribute at version 17, an input from 20 on; sums cancel",
        Says.DEFINED, "axis", Treatment.COMPARE, since=17, words="axis"),
    Hazard(
        "masked-query", ("Attention",), "a query that may attend to nothing: 0 by an erratum, NaN in older releases",
        Says.DEFINED, "text: erratum", Treatment.AVOID, _masked_row, since=23, words="fully-masked"),
    Hazard(
        "causal-alignment", ("Attention",),
        "causal with queries and keys of other lengths: bottom right by an erratum, top left in older releases",
        Says.DEFINED, "is_causal", Treatment.AVOID, _unequal_causal, since=23, words="bottom-right"),
    Hazard(
        "stray-rotation", ("RotaryEmbedding",), "a position outside of the caches", Says.SILENT, "position_ids",
        Treatment.AVOID, _stray_position, since=23, words="out of|within", stops=True),
    Hazard(
        "addend-times-zero", ("Gemm",), "beta = 0 and an addend that is not finite: NaN, or the addend is left out",
        Says.SILENT, "beta", Treatment.AVOID, _open_addend, since=7, words=r"(?-i:\bNaN\b)|infinit"),
    Hazard(
        "singular-matrix", ("Det",), "a matrix next to singular: the determinant keeps no digits",
        Says.SILENT, "text", Treatment.COMPARE, since=11, words="singular|pivot"),
)  # fmt: skip
