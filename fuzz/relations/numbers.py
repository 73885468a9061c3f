"""A dynamic model of our generator against the same graph with every size in it a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from backends.tensor import Tensor
from fuzz.diversify.concrete import Dropped
from fuzz.diversify.replay import Unreplayable, replay
from fuzz.diversify.specialise import specialised
from fuzz.relations.variant import Variant, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.relations.variant import Original

__all__ = ["NUMBERS", "number_variants"]

NUMBERS = "static:numbers"


def number_variants(original: Original) -> Iterator[Variant]:
    """One static form for each data set, where the nodes or the constants are others than those of the dynamic model.

    Where they are not, only the declared sizes would differ, and that is what ``static:specialised`` does.
    """
    model = original.base.model
    try:
        origin = replay(original.record, original.model)
    except Unreplayable:
        return
    if not origin.open:
        return
    for number, inputs in enumerate(original.data_sets):
        shapes = {name: value.shape for name, value in inputs.items() if isinstance(value, Tensor)}
        try:
            made = specialised(origin.graph, origin.open, shapes)
        except Dropped:
            continue
        if _body(onnx.ModelProto.FromString(made)) == _body(model):
            continue
        place = f"with every size a number, as in data set {number}"
        yield Variant(NUMBERS, place, made, (View(number, inputs),), original.same_outputs())


def _body(model: onnx.ModelProto) -> list[bytes]:
    """What a model computes, whatever sizes it declares."""
    parts = (*model.graph.node, *model.graph.initializer)
    return [part.SerializeToString(deterministic=True) for part in parts]
