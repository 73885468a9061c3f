"""Sequences and optionals that go into a model from outside, each read by an operator that takes one.

Their parts have sizes that are numbers: nothing that a model leaves open hangs on what lies in a container. Parts of
several shapes leave the shape out of the input's type; an optional may be empty.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.constraints import Infeasible
from abstract.graph import Origin
from abstract.operator import EVERYWHERE
from abstract.operators import TABLE
from abstract.schema import signature
from abstract.types import Container, ContainerType, Parts
from fuzz.generate.scope import Scope
from fuzz.generate.tensors import choose_recipe, fill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.graph import Value
    from fuzz.generate.builder import Builder

__all__ = ["add_containers"]

_READERS: Mapping[Container, tuple[str, ...]] = MappingProxyType({
    Container.SEQUENCE: (
        "SequenceAt", "ConcatFromSequence", "SequenceLength", "SequenceInsert", "SequenceErase", "SequenceMap",
        "Optional",
    ),
    Container.OPTIONAL: ("OptionalGetElement", "OptionalHasElement"),
    Container.OPTIONAL_SEQUENCE: ("OptionalGetElement", "OptionalHasElement"),
})  # fmt: skip
_KINDS = (Container.SEQUENCE,) * 4 + (Container.OPTIONAL,) * 2 + (Container.OPTIONAL_SEQUENCE,)
_TRIES = 6
_SIZES = (1, 1, 2, 2, 3, 4, 5, 7, 0)


def add_containers(builder: Builder, names: Sequence[str]) -> None:
    """One or two inputs that are containers, before anything else; ``names`` are the operators that are allowed."""
    wanted = builder.choices.integer(1, 2)
    for _ in range(_TRIES):
        if len(builder.graph.inputs) >= wanted:
            return
        kind = _KINDS[builder.choices.integer(0, len(_KINDS) - 1)]
        readers = [name for name in _READERS[kind] if name in names]
        if readers:
            _add(builder, kind, readers[builder.choices.integer(0, len(readers) - 1)])


def _add(builder: Builder, kind: Container, reader: str) -> None:
    """An input with its reader, or nothing."""

    def place() -> Sequence[Value]:
        sign = signature(reader, builder.plan.opset)
        if not builder.plan.runs(reader, sign):
            raise Infeasible(f"the targets do not run {reader}")
        value = _drawn(builder, kind, builder.plan.allowed(reader, sign, sign.inputs[0].variable))
        # What reads it is proposed as ever, with this container to be found.
        builder.containers.append(value)
        try:
            call = TABLE[reader].propose(Scope(builder, sign, reader))
        finally:
            builder.containers.remove(value)
        return builder.apply(reader, call)

    builder.transact(place)


def _drawn(builder: Builder, kind: Container, kinds: Sequence[DType]) -> Value:
    """A container of one of these types with up to four parts, more often than not all of one shape."""
    integer = builder.choices.integer
    if not kinds:
        raise Infeasible("no type of the model goes into a container")
    dtype = kinds[integer(0, len(kinds) - 1)]
    count = integer(0, 4) if kind is not Container.OPTIONAL else 1
    present = kind is Container.SEQUENCE or integer(0, 4) > 0
    alike = integer(0, 9) < 6
    shapes: list[tuple[int, ...]] = []
    for _ in range(count if present else 0):
        shapes.append(shapes[0] if shapes and alike else _shape(builder))
    recipe = choose_recipe(dtype, EVERYWHERE, integer, builder.plan.palettes)
    parts = [fill(replace(recipe, seed=recipe.seed ^ k), shape, dtype) for k, shape in enumerate(shapes)]
    content: Any = parts
    if not present:
        content = None
    elif kind is Container.OPTIONAL:
        content = parts[0]
    type_ = ContainerType(dtype, (), Parts(kind, tuple(shapes), present))
    return builder.placeholder(type_, content, Origin.INPUT, None)


def _shape(builder: Builder) -> tuple[int, ...]:
    integer = builder.choices.integer
    low, high = builder.plan.rank
    last = len(_SIZES) - 1 if builder.plan.shaping.empty else len(_SIZES) - 2
    return tuple(_SIZES[integer(0, last)] for _ in range(integer(low, max(low, min(high, 3)))))
