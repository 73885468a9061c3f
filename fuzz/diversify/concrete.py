"""One concrete model of a symbolic graph: every size a number, the data drawn anew, everything evaluated and checked.

Nobody is trusted: sizes are checked against the constraint store, the model by ONNX's strict checker, the values by the
reference, and the shapes that it finds against those that the graph says.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx
import onnx.checker
import onnx.shape_inference

from abstract.inference import check_fully, infer_types
from abstract.program import parse
from abstract.reference import TooLarge, Undefined, interpret
from abstract.types import ContainerType
from fuzz.case import DataSet
from fuzz.diversify.freedom import elements, placeholders
from fuzz.generate.emit import emit
from fuzz.generate.run import to_value
from fuzz.generate.sizes import chosen, misshapen, sound
from fuzz.generate.tensors import fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from abstract.bounded import Bounded
    from abstract.dims import Symbol
    from abstract.dtypes import DType
    from abstract.graph import Graph
    from abstract.operator import Array

__all__ = ["Concrete", "Dropped", "at_sizes", "check", "concrete"]


class Dropped(Exception):
    """Why a graph has no model at some sizes: ``reason`` is the same for like cases, ``detail`` says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Concrete:
    """A static model, and one data set for it."""

    model: bytes
    data_set: DataSet


@contextmanager
def at_sizes(graph: Graph, sizes: Mapping[Symbol, int]) -> Iterator[None]:
    """The graph with these values of its symbols as its witness, its inputs and initializers drawn anew.

    What nodes compute is stale inside of the block. Afterwards all is as it was.
    """
    store = graph.store
    before = {symbol: store.witness(symbol) for symbol in sizes}
    drawn: list[tuple[Any, Array]] = []
    try:
        store.adopt(sizes)
        for value in placeholders(graph):
            if value.recipe is None or isinstance(value.type, ContainerType):
                continue
            shape = tuple(store.value(dim) for dim in value.type.shape)
            if shape != value.array.shape:
                drawn.append((value, value.array))
                value.replace(fill(value.recipe, shape, value.type.dtype))
        yield
    finally:
        store.adopt(before)
        for value, array in drawn:
            value.replace(array)


def concrete(graph: Graph, sizes: Mapping[Symbol, int], most: int) -> Concrete:
    """The static model of a graph at these values of its free symbols; no tensor may have more than ``most`` elements.

    Raises Dropped.
    """
    value = chosen(graph, sizes)
    if not graph.store.satisfied(value):
        raise Dropped("a constraint does not hold at the sizes that the solver gave")
    count = elements(graph, value)
    if count is None:
        raise Dropped("a size makes no sense")
    if count > most:
        raise Dropped("a tensor gets too large")
    with at_sizes(graph, sizes):
        inputs = {v.name: v.array for v in graph.inputs}
        model = emit(graph, dynamic=False).model
        values = _evaluated(graph, model, inputs, most)
    return Concrete(model, _stored(graph, inputs, {v.name: values[v.name].value for v in graph.outputs}))


def _stored(graph: Graph, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> DataSet:
    """Inputs and outputs in carrier types as they go to disk."""
    dtypes: dict[str, DType] = {v.name: v.type.dtype for v in (*graph.inputs, *graph.outputs)}
    return DataSet(
        {name: to_value(content, dtypes[name]) for name, content in inputs.items()},
        {name: to_value(content, dtypes[name]) for name, content in outputs.items()},
    )


def _evaluated(graph: Graph, model: bytes, inputs: Mapping[str, Array], most: int) -> dict[str, Bounded]:
    """All values of the model, which the checker accepts and whose shapes are those of the graph. Raises Dropped."""
    parsed = onnx.ModelProto.FromString(model)
    try:
        values = interpret(parse(parsed), inputs, limit=most, strict=True)
    except TooLarge as error:
        raise Dropped("a tensor gets too large", str(error)) from None
    except Undefined as error:
        raise Dropped("an operator is not defined on the values", str(error)) from None
    except Exception as error:  # noqa: BLE001 - a node without a row may raise anything
        raise Dropped("the reference cannot run it", f"{type(error).__name__}: {error}") from None
    if not all(map(sound, values.values())):
        raise Dropped("a value leaves the range of its type")
    found = misshapen(graph, graph.store.witness, values)
    if found:
        raise Dropped("a shape is not what the graph says", found)
    check(parsed)
    return values


def check(model: onnx.ModelProto) -> None:
    """Have ONNX's checker and its strict inference accept a model. Raises Dropped."""
    try:
        check_fully(model)
        infer_types(model, strict=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Dropped("ONNX's checker refuses it", str(error).strip().partition("\n")[0]) from None
