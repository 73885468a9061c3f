"""The operator table: a file a family, one row an operator. ``TABLE`` maps an operator's name to its row."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.operators import (
    attention,
    broadcast,
    cast,
    constant,
    contraction,
    contrib_activation,
    contrib_attention,
    contrib_grouped,
    contrib_linear,
    contrib_movement,
    contrib_normalization,
    contrib_products,
    contrib_quantized,
    contrib_rotary,
    contrib_selection,
    control,
    convolution,
    counting,
    creation,
    cropping,
    cumulation,
    deformable,
    determinant,
    elementwise,
    grid,
    joining,
    linear,
    logic,
    loss,
    mapping,
    mel,
    movement,
    normalization,
    placement,
    pooling,
    quantization,
    quantized,
    ranking,
    rearrangement,
    recurrent,
    reduction,
    region,
    resize,
    scaling,
    selection,
    sequence,
    signal,
    softmax,
    state,
    tapers,
    text,
    transformer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.operator import Operator

__all__ = ["FAMILIES", "TABLE"]

_FAMILIES = (
    elementwise, broadcast, logic, cast, linear, movement, joining, cropping, rearrangement, selection, ranking,
    creation, reduction, cumulation, resize, convolution, pooling, normalization, scaling, softmax,
    contraction, loss, text, counting, constant,
    determinant, signal, tapers, mel, grid, placement, region, deformable,
    recurrent,
    quantization, quantized,
    attention,
    control, mapping, sequence,
    transformer, state,
    contrib_activation, contrib_linear, contrib_normalization, contrib_quantized, contrib_products,
    contrib_attention, contrib_grouped, contrib_rotary, contrib_movement, contrib_selection,
)  # fmt: skip

TABLE: Mapping[str, Operator] = MappingProxyType(
    {row.name: row for family in _FAMILIES for row in family.OPERATORS}
)

FAMILIES: Mapping[str, str] = MappingProxyType(
    {row.name: family.__name__.rpartition(".")[2] for family in _FAMILIES for row in family.OPERATORS}
)
"""The file that each operator's row stands in."""
