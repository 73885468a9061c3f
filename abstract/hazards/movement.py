"""Hazards of shapes: cutting, padding, splitting, counting."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment, each
from abstract.operators.creation import uncertain_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]



def _axes(run: Run, given: int) -> list[int]:
    """The axes that a node names, counted from the front; the first ones where it names none."""
    axes = run.params.get("axes")
    axes = range(given) if axes is None else (axes,) if isinstance(axes, int) else axes
    return [int(a) % max(run[0].ndim, 1) for a in axes]


def _repeated(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    axes = run.params.get("axes")
    if axes is None or isinstance(axes, int):
        return NONE
    named = _axes(run, 0)
    return ALL if len(set(named)) < len(named) else NONE


def _odd_ends(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Backward slices with an end before the first element, and negative positions beyond the axis.

    Versions 10 and 11 clamp only what is larger than the axis.
    """
    del y
    starts, ends = run.params.get("starts", ()), run.params.get("ends", ())
    steps = run.params.get("steps") or (1,) * len(starts)
    for axis, start, end, step in zip(_axes(run, len(starts)), starts, ends, steps, strict=True):
        size = run[0].shape[axis]
        if start < -size or end < -size or (step < 0 and (start >= size or end >= size)):
            return ALL
    return NONE


def _no_step(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if 0 in (run.params.get("steps") or ()) else NONE


def _nothing_over(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """-1 beside sizes whose product is 0: any number would do."""
    del y
    shape = tuple(run.params.get("shape", ()))
    if -1 not in shape:
        return NONE
    copied = run[0].shape if not run.params.get("allowzero", 0) else ()
    others = [copied[i] if n == 0 and i < len(copied) else n for i, n in enumerate(shape) if n != -1]
    return ALL if prod(others) == 0 else NONE


def _expanded_to_nothing(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if 0 in tuple(run.params.get("shape", ())) and 0 not in run[0].shape else NONE


# -- Pad -------------------------------------------------------------------------------------------------------


def _pads(run: Run) -> tuple[list[int], list[int], list[int]]:
    """Axes, and what is put before and after each."""
    pads = [int(p) for p in run.params.get("pads", ())]
    half = len(pads) // 2
    return _axes(run, half), pads[:half], pads[half:]


def _mode(run: Run) -> bytes:
    mode: bytes = run.params.get("mode", b"constant")
    return mode


def _far_pad(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The elements that one reflection does not reach."""
    del y
    x = run[0]
    if _mode(run) != b"reflect":
        return NONE
    mask: Any = False
    for axis, before, after in zip(*_pads(run), strict=True):
        size = x.shape[axis]
        reach = size - 1
        if before <= reach and after <= reach:
            continue
        at = np.arange(-before, size + after)
        far = (at < -reach) | (at >= size + reach)
        mask = mask | far.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
    return NONE if mask is False else each(mask)


def _cutting_pad(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    if _mode(run) == b"constant":
        return NONE
    _, before, after = _pads(run)
    return ALL if min((*before, *after), default=0) < 0 else NONE


def _pad_of_nothing(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    if _mode(run) == b"constant" or run[0].size:
        return NONE
    return ALL if any(run[0].shape[a] == 0 and (b > 0 or e > 0) for a, b, e in zip(*_pads(run), strict=True)) else NONE


# -- Split, Range ----------------------------------------------------------------------------------------------


def _uneven(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Chunks of ceil(size / n), of which the last would be empty, or not only the last would be smaller."""
    del y
    count = run.params.get("num_outputs")
    if not count:
        return NONE
    size = run[0].shape[int(run.params.get("axis", 0))]
    return ALL if size % count and -(-size // count) * (count - 1) >= size else NONE


def _zero_chunk(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    split = run.optional(1)
    return ALL if split is not None and np.any(split == 0) else NONE


def _number(run: Run, name: str) -> float:
    """A scalar parameter, which may come as a tensor of one element."""
    given = run.params[name]
    return float(given[0] if isinstance(given, tuple) else given)


def _no_delta(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if _number(run, "delta") == 0 else NONE


def _uncertain_count(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Floats whose number of steps is whole but for a rounding, unless start, limit and step are multiples."""
    del y
    kind = run.output_dtypes[0]
    start, limit, delta = (_number(run, name) for name in ("start", "limit", "delta"))
    if not kind.is_float or delta == 0:
        return NONE
    if start.is_integer() and delta.is_integer() and limit.is_integer() and abs(start) + abs(limit) < 2**kind.precision:
        return NONE
    return ALL if uncertain_count(start, limit, delta, kind) else NONE


def _negative_size(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    return ALL if min(_sizes(run), default=0) < 0 else NONE


def _sizes(run: Run) -> Sequence[int]:
    sizes: Sequence[int] = run.params.get("input", ())
    return sizes


# -- text, pictures --------------------------------------------------------------------------------------------


def _foreign_letters(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Letters beyond ASCII whose case is to change, or to be overlooked where they are compared with stopwords."""
    del y
    changed = run.params.get("case_change_action", b"NONE") != b"NONE"
    stopwords = () if run.params.get("is_case_sensitive", 0) else run.params.get("stopwords", ())
    if not (changed or stopwords) or run[0].dtype != object:
        return NONE
    foreign = any(not str(text).isascii() for text in run[0].ravel()) or not all(word.isascii() for word in stopwords)
    return ALL if foreign else NONE


def _split_nothing(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """Empty text parted at a delimiter: one empty part, or none."""
    del y
    if run[0].dtype != object or not run.params.get("delimiter"):
        return NONE
    empty = np.array([text == "" for text in run[0].ravel()], bool).reshape(run[0].shape)
    return (False, empty) if empty.any() and not empty.all() else ALL if empty.any() else NONE


def _blank_rest(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    """The rest behind the last of so many blanks, with blanks at its own end."""
    del y
    if run[0].dtype != object or run.params.get("delimiter") or run.params.get("maxsplit") is None:
        return NONE
    trailing = np.array([str(text) != str(text).rstrip() for text in run[0].ravel()], bool).reshape(run[0].shape)
    return (trailing[..., None], trailing) if trailing.any() else NONE


def _displaced_weights(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    weights, places = run.params.get("weights"), run.params.get("ngram_indexes", ())
    counted = run.params.get("mode", b"TF") != b"TF"
    return ALL if counted and weights and tuple(places) != tuple(range(len(places))) else NONE


def _always(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del run, y
    return ALL


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "slice-odd-end", ("Slice",),
        "a position before the axis, or a backward slice that starts or ends behind it, below version 13",
        Says.SILENT, "text: only positions behind the axis are clamped, before version 13", Treatment.AVOID,
        _odd_ends, since=10, until=13, words="clamped", shape=True),
    Hazard(
        "slice-clamping", ("Slice",), "positions outside of the axis are clamped, by direction",
        Says.DEFINED, "text", Treatment.COMPARE, since=13, words="clamped"),
    Hazard(
        "slice-step-zero", ("Slice",), "a step of 0", Says.ERROR, "steps; version 10 does not speak of it",
        Treatment.AVOID, _no_step, since=11, words="cannot be 0", shape=True, stops=True),
    Hazard(
        "repeated-axis", ("CenterCropPad", "Pad", "Resize"), "an axis that is named twice, also as -1 and r - 1",
        Says.UNDEFINED, "axes", Treatment.AVOID, _repeated, since=18, words="undefined if an axis is repeated",
        shape=True, stops=True),
    Hazard(
        "repeated-slice-axis", ("Slice",), "an axis that is named twice, also as -1 and r - 1",
        Says.UNDEFINED, "axes", Treatment.AVOID, _repeated, since=13, words="undefined if an axis is repeated",
        shape=True, stops=True),
    Hazard(
        "reshape-unknown-of-nothing", ("Reshape",), "-1 beside sizes whose product is 0: no one number follows",
        Says.UNDEFINED, "text: forbidden with allowzero, not discussed without", Treatment.AVOID, _nothing_over,
        since=14, words="cannot be determined", shape=True, stops=True),
    Hazard(
        "early-reshape-unknown-of-nothing", ("Reshape",), "the same below version 14", Says.SILENT, "text",
        Treatment.AVOID, _nothing_over, since=5, until=14, words="cannot be determined|empty tensor", shape=True,
        stops=True),
    Hazard(
        "expand-to-nothing", ("Expand",), "an axis of 1 expanded to 0", Says.SILENT, "text", Treatment.AVOID,
        _expanded_to_nothing, since=8, words="zero|empty", shape=True, stops=True),
    Hazard(
        "tile-zero", ("Tile",), "a repeat of 0 makes an empty tensor", Says.SILENT, "repeats", Treatment.COMPARE,
        since=6, words="zero|empty"),
    Hazard(
        "pad-too-wide", ("Pad",), "reflect by more than the axis less one: once, or again and again",
        Says.SILENT, "text", Treatment.AVOID, _far_pad, since=2, words="wider|exceed|larger than the", stops=True),
    Hazard(
        "pad-wrap", ("Pad",), "wrap by more than the axis: round and round, as on a torus",
        Says.DEFINED, "text", Treatment.COMPARE, since=19, words="torus"),
    Hazard(
        "pad-cutting", ("Pad",), "a negative pad in a mode other than constant", Says.SILENT, "text, pads",
        Treatment.AVOID, _cutting_pad, since=2, words="negative pads? (is|are) only", stops=True),
    Hazard(
        "pad-of-nothing", ("Pad",), "an axis without elements padded from its elements", Says.SILENT, "text",
        Treatment.AVOID, _pad_of_nothing, since=2, words="zero-size|empty tensor", stops=True),
    Hazard(
        "crop-odd", ("CenterCropPad",), "an odd difference: one more element goes at the end",
        Says.DEFINED, "text", Treatment.COMPARE, since=18, words="odd"),
    Hazard(
        "split-uneven", ("Split",), "so many outputs that chunks of the rounded-up size leave none for the last",
        Says.SILENT, "num_outputs", Treatment.AVOID, _uneven, since=18, shape=True, stops=True,
        words="empty|zero-size"),
    Hazard(
        "split-to-nothing", ("SplitToSequence",), "a chunk of 0: positive sizes are asked for here, 0 allowed there",
        Says.IMPLEMENTATION, "text, split", Treatment.AVOID, _zero_chunk, since=11, words="positive", shape=True,
        stops=True),
    Hazard(
        "range-delta-zero", ("Range",), "a step of 0", Says.SILENT, "delta", Treatment.AVOID, _no_delta, since=11,
        words="delta (must|cannot|should)|non-zero", shape=True, stops=True),
    Hazard(
        "range-inexact-step", ("Range",), "floats whose count of steps hangs on a rounding",
        Says.SILENT, "text: formula", Treatment.AVOID, _uncertain_count, since=11, words="rounding|precision issue",
        shape=True),
    Hazard(
        "negative-size", ("ConstantOfShape",), "a size below 0", Says.ERROR, "input", Treatment.AVOID, _negative_size,
        since=9, words=">= ?0|non-negative", shape=True, stops=True),
    Hazard(
        "case-of-foreign-letters", ("StringNormalizer",), "the case of letters beyond ASCII hangs on the locale",
        Says.IMPLEMENTATION, "locale", Treatment.AVOID, _foreign_letters, since=10, words="locale"),
    Hazard(
        "split-nothing", ("StringSplit",), "empty text parted at a delimiter: one empty part or none",
        Says.SILENT, "text", Treatment.AVOID, _split_nothing, since=20, words="empty input|input is empty", shape=True),
    Hazard(
        "split-blank-rest", ("StringSplit",), "blanks behind the rest that a limited number of blanks leaves over",
        Says.SILENT, "text, maxsplit", Treatment.AVOID, _blank_rest, since=20, words="trailing suffix .*(strip|trim)"),
    Hazard(
        "ngram-weights", ("TfIdfVectorizer",), "weights of n-grams whose places are others: which of both counts",
        Says.DEFINED, "weights: they go by n-gram; implementations go by place", Treatment.AVOID, _displaced_weights,
        since=9, words="weight of the i-th n-gram in pool"),
    Hazard(
        "decoded-picture", ("ImageDecoder",), "a compressed picture: decoders differ by some levels",
        Says.IMPLEMENTATION, "text", Treatment.PROPERTIES, _always, since=20, words="implementation|decod"),
    Hazard(
        "upsample", ("Upsample",), "coordinates of a deprecated operator", Says.SILENT, "text", Treatment.AVOID,
        _always, since=7, until=10, words="half_pixel|asymmetric|align_corners"),
)  # fmt: skip
