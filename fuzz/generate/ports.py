"""What goes in and out of a model beside what its nodes need: values that nothing reads, inputs that are outputs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.constraints import Infeasible
from abstract.graph import Origin
from abstract.operator import EVERYWHERE, Call
from abstract.program import parse
from abstract.reference import TooLarge, interpret
from abstract.schema import signature
from abstract.types import ContainerType, TensorType
from fuzz.generate.sizes import LARGEST, Resized, sound
from fuzz.generate.tensors import choose_recipe, fill

if TYPE_CHECKING:
    from abstract.graph import Graph, Value
    from fuzz.generate.builder import Builder
    from fuzz.generate.choices import Choices

__all__ = ["add_ports", "overridden"]

_ROWS = (1 << 11, 1 << 13, 1 << 15)  # of 8 numbers: 64 KiB, 256 KiB and 1 MiB of float
_COLUMNS = 8


def add_ports(builder: Builder) -> None:
    """Add what the model's structure asks for to a graph whose outputs are chosen."""
    structure = builder.plan.structure
    if "large" in structure:
        _large(builder)
    if "duplicates" in structure:
        _duplicate(builder)
    if "passing" in structure:
        _pass(builder)
    if "unread" in structure:
        _unread(builder)
    if "defaults" in structure:
        _open(builder)


def _any(builder: Builder, values: list[Value]) -> Value:
    return values[builder.choices.integer(0, len(values) - 1)]


def _pass(builder: Builder) -> None:
    """Let an input be an output, now and then an initializer: a graph's output may be any value that it has."""
    graph = builder.graph
    given = graph.initializers if graph.initializers and not builder.choices.integer(0, 3) else graph.inputs
    if given:
        graph.outputs.insert(builder.choices.integer(0, len(graph.outputs)), _any(builder, given))


def _duplicate(builder: Builder) -> None:
    """Give an output, or an input, a second time: by an Identity, for names of outputs are unique (IR.md)."""
    graph = builder.graph
    sign = signature("Identity", builder.plan.opset)
    kinds = builder.plan.allowed("Identity", sign, sign.inputs[0].variable)
    given = (*graph.outputs, *graph.inputs)
    values = [v for v in given if v.type.dtype in kinds and not isinstance(v.type, ContainerType)]
    if not values:
        return
    chosen = _any(builder, values)
    for _ in range(builder.choices.integer(1, 2)):
        try:
            (again,) = builder.place("Identity", Call((chosen,)))
        except Infeasible:
            return
        graph.outputs.insert(builder.choices.integer(0, len(graph.outputs)), again)


def _unread(builder: Builder) -> None:
    """An input that nothing reads, an initializer, or both."""
    which = builder.choices.integer(0, 2)
    for origin, values in ((Origin.INPUT, builder.graph.inputs), (Origin.INITIALIZER, builder.graph.initializers)):
        if (which, origin) not in ((0, Origin.INITIALIZER), (1, Origin.INPUT)):
            with suppress(Infeasible):
                values.insert(builder.choices.integer(0, len(values)), _drawn(builder, origin))


def _drawn(builder: Builder, origin: Origin) -> Value:
    """A tensor of any type of the model, of sizes that it has already or of new ones."""
    integer = builder.choices.integer
    sign = signature("Identity", builder.plan.opset)  # which takes all types that targets have
    kinds = builder.plan.allowed("Identity", sign, sign.inputs[0].variable)
    if not kinds:
        raise Infeasible("no type of the model may be given for nothing")
    dtype = kinds[integer(0, len(kinds) - 1)]
    dims = [*builder.dims[:8], 0, 1, 3]
    low, high = builder.plan.rank
    shape = tuple(dims[integer(0, len(dims) - 1)] for _ in range(integer(low, min(high, low + 2))))
    recipe = choose_recipe(dtype, EVERYWHERE, integer, builder.plan.palettes)
    sizes = tuple(builder.graph.store.value(d) for d in shape)
    return builder.placeholder(TensorType(dtype, shape), fill(recipe, sizes, dtype), origin, recipe)


def _large(builder: Builder) -> None:
    """A lookup in a table of 64 KiB to 2 MiB: what is computed of it is small."""
    plan, integer = builder.plan, builder.choices.integer
    sign = signature("Gather", plan.opset)
    kinds = [d for d in plan.allowed("Gather", sign, "T") if d.is_float and d.bits in (32, 64)]
    indices = plan.allowed("Gather", sign, "Tind", kinds[0].name) if kinds else ()
    if not indices or not plan.constant_data or plan.rank[0] > 1:
        return
    rows = _ROWS[integer(0, len(_ROWS) - 1)] + integer(0, 1)
    recipe = choose_recipe(kinds[0], EVERYWHERE, integer, plan.palettes)
    shape = (rows, _COLUMNS)
    table = builder.placeholder(
        TensorType(kinds[0], shape), fill(recipe, shape, kinds[0]), Origin.INITIALIZER, recipe
    )
    wanted = np.array([integer(0, rows - 1) for _ in range(3)], indices[-1].carrier)
    place = builder.placeholder(TensorType(indices[-1], (3,)), wanted, Origin.INITIALIZER, None)
    try:
        (found,) = builder.place("Gather", Call((table, place), {"axis": 0}))
    except Infeasible:
        return
    builder.graph.outputs.append(found)


# -- initializers that are inputs too ----------------------------------------------------------------------------


def _open(builder: Builder) -> None:
    """Let one or two initializers be inputs as well: defaults that a caller may override."""
    graph = builder.graph
    drawn = [v for v in graph.initializers if v.recipe is not None and v.uses and v not in graph.outputs]
    for _ in range(builder.choices.integer(1, 2)):
        if drawn:
            graph.defaults.append(drawn.pop(builder.choices.integer(0, len(drawn) - 1)))


def overridden(graph: Graph, model: bytes, choices: Choices) -> Resized | None:
    """A data set that overrides some of the defaults by other numbers; None where the model is not defined on them."""
    given = {v.name: v.array for v in graph.inputs}
    for value in graph.defaults[: choices.integer(1, len(graph.defaults))]:
        if value.recipe is None:
            return None
        recipe = replace(value.recipe, seed=choices.integer(0, 2**32 - 1))
        given[value.name] = fill(recipe, value.array.shape, value.type.dtype)
    try:
        values = interpret(parse(onnx.ModelProto.FromString(model)), given, limit=LARGEST, strict=True)
    except (TooLarge, ValueError, IndexError):
        return None
    if not all(map(sound, values.values())):
        return None
    return given, {v.name: values[v.name].value for v in graph.outputs}
