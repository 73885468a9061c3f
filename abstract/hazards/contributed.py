"""Hazards of the operators of other domains than ONNX's: their texts are ONNX Runtime's, docs/ContribOperators.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abstract.hazards.hazard import ALL, NONE, Hazard, Says, Treatment

if TYPE_CHECKING:
    from abstract.hazards.hazard import Mask
    from abstract.operator import Array, Run

__all__ = ["HAZARDS"]


def _looked_up(run: Run) -> list[tuple[int, int]]:
    """The operands of EmbedLayerNormalization that are indices, with what they index."""
    pairs = [(0, 2), (1, 4), (8, 3)]
    return [(at, table) for at, table in pairs if run.optional(at) is not None and run.optional(table) is not None]


def _strays(run: Run) -> tuple[Mask, ...]:
    return tuple(
        (run[at] < 0) | (run[at] >= run[table].shape[0]) for at, table in _looked_up(run)
    )


def _embedding(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    del y
    short = run.optional(8) is None and run[3].shape[0] < run[0].shape[1]
    return ALL if short or any(np.any(stray) for stray in _strays(run)) else NONE


def _first(run: Run) -> Run:
    """The indices that stray taken as 0."""
    inputs = list(run.inputs)
    for (at, _), stray in zip(_looked_up(run), _strays(run), strict=True):
        inputs[at] = np.where(stray, 0, run[at])
    return replace(run, inputs=tuple(inputs))


def _gaps(run: Run, y: tuple[Array, ...]) -> tuple[Mask, ...]:
    mask = run.optional(7)
    if len(y) < 2:
        return NONE
    if mask is None:
        return False, True
    ones = mask == 1
    open_ = (ones != (np.cumsum(~ones, axis=-1) == 0)) | (~ones & (mask != 0))
    return (False, open_.any(axis=-1)) if open_.any() else NONE


HAZARDS: tuple[Hazard, ...] = (
    Hazard(
        "embedding-out-of-range", ("com.microsoft.EmbedLayerNormalization",),
        "an index before the first row of a table or behind its last", Says.SILENT, "inputs", Treatment.AVOID,
        _embedding, words=r"out.of.range|bounds", stops=True, repair=_first),
    Hazard(
        "embedding-mask-gaps", ("com.microsoft.EmbedLayerNormalization",),
        "a mask that is left out, or of other numbers than ones that are followed by zeros: the index is the place of "
        "the first 0, or the number of words", Says.UNDEFINED, "text: position of first 0, or number of words",
        Treatment.MASK, _gaps, words=r"position of first 0 in mask, or number of words"),
)  # fmt: skip
