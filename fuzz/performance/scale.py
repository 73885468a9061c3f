"""The same case at larger sizes: generated cases are tiny, and a time says something only from a millisecond up.

A generated case is made again from its record and emitted with its free dims multiplied; a model of somebody else's
has the dims multiplied that it leaves open, and its data repeated along them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from abstract.dims import symbols
from abstract.types import ContainerType
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.case import read_inputs, read_record
from fuzz.generate.choices import Replayed
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.run import to_tensor
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_support
from fuzz.generate.tensors import fill
from fuzz.performance.timer import Subject
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from abstract.dims import Symbol
    from abstract.graph import Graph
    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.signature import Port

__all__ = ["Rung", "ladder"]

_LARGEST = 1 << 22  # elements of one tensor
_TOTAL = 1 << 24  # elements of all values of a model together
_STEP = 4  # by how much all elements together grow at least from one rung to the next
_RUNGS = 8  # at most, the case itself included
_HIGHEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Rung:
    """A case with its dims multiplied by ``scale`` (1: as it is), with one data set; ``elements`` of all its values."""

    scale: int
    subject: Subject
    elements: int


def ladder(case: Case) -> Iterator[Rung]:
    """The case as it is (its largest data set), then ever larger, as long as it can grow.

    Raises CaseError where the case cannot be read.
    """
    model = case.model_path.read_bytes()
    ports = read_signature(case.model_path)
    data_sets = [read_inputs(case, data_set, ports) for data_set in case.data_sets]
    inputs = max(data_sets, key=_elements, default=())
    folder = str(case.folder.resolve())
    yield Rung(1, Subject(model, (inputs,), folder), _elements(inputs))
    graph = _replayed(case, model)
    if graph is not None:
        yield from _climb(graph, model, dynamic=bool(read_record(case).get("open")))
    elif "choices" not in read_record(case):
        yield from _repeated(Subject(model, (inputs,), folder), ports.inputs)


def _elements(values: Iterable[Value]) -> int:
    """Elements of tensors, and of those in sequences."""
    total = 0
    for value in values:
        if isinstance(value, Tensor):
            total += prod(value.shape)
        elif value is not None:
            total += _elements(value)
    return total


def _scales() -> Iterator[int]:
    """2, 3, 4, 6, 8, 12, 16, ... up to a limit."""
    for exponent in count(1):
        for scale in (1 << exponent, 3 << (exponent - 1)):
            if scale > _HIGHEST:
                return
            yield scale


# --- generated cases ----------------------------------------------------------------------------------------------


def _replayed(case: Case, model: bytes) -> Graph | None:
    """The graph of a generated case; None where its record does not make the same model (any more)."""
    record = read_record(case)
    try:
        settings = Settings.from_json(record["settings"])
        graph, plan = generate_graph(Replayed(record["choices"]), settings, joint_support(settings.targets))
    except (KeyError, TypeError, ValueError, NothingFits):
        return None
    return graph if emit(graph, dynamic=plan.dynamic, computed=plan.shaping.computed).model == model else None


def _climb(graph: Graph, model: bytes, *, dynamic: bool) -> Iterator[Rung]:
    if any(node.bodies or any(isinstance(v.type, ContainerType) for v in node.outputs) for node in graph.nodes):
        return  # what a body or a sequence becomes at other sizes, the shapes outside do not tell
    scalable = _scalable(graph, dynamic=dynamic)
    start = {symbol: graph.store.witness(symbol) for symbol in scalable}
    last = _all_elements(graph) or 0
    found = 1
    for scale in _scales():
        sizes = _satisfying(graph, start, scale)
        graph.store.adopt({**start, **sizes})
        total = _all_elements(graph)
        if not sizes or total is None or total > _TOTAL or found == _RUNGS:
            return
        if total < _STEP * last:
            continue
        inputs = _resize(graph)
        emitted = model if dynamic else emit(graph, dynamic=False).model
        last, found = total, found + 1
        yield Rung(scale, Subject(emitted, (tuple(inputs),)), total)


def _scalable(graph: Graph, *, dynamic: bool) -> list[Symbol]:
    """The dims that inputs and initializers hang on, but for those of tensors whose numbers were given.

    Names that begin with d belong to dims; the others to sizes of kernels and the like, which stay as they are.
    """
    drawn = [v for v in (*graph.inputs, *graph.initializers) if v.recipe is not None]
    given = [v for v in (*graph.inputs, *graph.initializers) if v.recipe is None]
    resolve = graph.store.resolve
    pinned = {s for v in given for d in v.type.shape for s in symbols(resolve(d))}
    found = dict.fromkeys(s for v in drawn for d in v.type.shape for s in symbols(resolve(d)))
    if dynamic:
        opened = set(emit(graph, dynamic=True).open)
        found = {s: None for s in found if s in opened}
    return [s for s in found if s not in pinned and s.name.startswith("d") and graph.store.witness(s) > 0]


def _satisfying(graph: Graph, start: dict[Symbol, int], scale: int) -> dict[Symbol, int]:
    """The scaled sizes, symbol by symbol, that break no constraint beside those taken before."""
    taken: dict[Symbol, int] = {}
    wished = {symbol: size * scale for symbol, size in start.items()}
    for candidate in (wished, *({symbol: size} for symbol, size in wished.items())):
        sizes = {**start, **taken, **candidate}
        if graph.store.satisfied(lambda s, sizes=sizes: sizes[s] if s in sizes else graph.store.witness(s)):  # type: ignore[misc]
            taken.update(candidate)
        if len(taken) == len(wished):
            break
    return taken


def _all_elements(graph: Graph) -> int | None:
    """Elements of all values at the witness; None where a shape makes no sense or a tensor is too large."""
    total = 0
    values = [*graph.inputs, *graph.initializers, *(v for node in graph.nodes for v in node.outputs)]
    for value in values:
        try:
            shape = [graph.store.value(dim) for dim in value.type.shape]
        except ZeroDivisionError:
            return None
        size = prod(shape)
        if min(shape, default=0) < 0 or size > _LARGEST:
            return None
        total += size
    return total


def _resize(graph: Graph) -> list[Tensor]:
    """Draw inputs and initializers at the witness, give computed values its shapes; the inputs."""
    for value in (*graph.inputs, *graph.initializers):
        shape = tuple(graph.store.value(dim) for dim in value.type.shape)
        if value.recipe is not None and shape != value.array.shape:
            value.replace(fill(value.recipe, shape, value.type.dtype))
    for node in graph.nodes:
        for value in node.outputs:
            shape = tuple(graph.store.value(dim) for dim in value.type.shape)
            value.replace(np.broadcast_to(value.array.dtype.type(), shape))  # emitted is the shape alone
    return [to_tensor(value.array, value.type.dtype) for value in graph.inputs]


# --- models of others ---------------------------------------------------------------------------------------------


def _repeated(subject: Subject, ports: Sequence[Port]) -> Iterator[Rung]:
    """The data repeated along the axes that the model leaves open."""
    (inputs,) = subject.data_sets
    last = _elements(inputs)
    larger = ((scale, [_repeat(value, port, scale) for value, port in zip(inputs, ports, strict=False)])
              for scale in _scales())  # fmt: skip
    for scale, values in islice(larger, 2 * _HIGHEST.bit_length()):
        total = _elements(values)
        if total > _LARGEST or total <= _elements(inputs):
            return
        if total >= _STEP * last:
            last = total
            yield Rung(scale, Subject(subject.model, (tuple(values),), subject.folder), total)


def _repeat(value: Value, port: Port, scale: int) -> Value:
    shape = port.type.shape
    if not isinstance(value, Tensor) or shape is None or prod(value.shape) * scale > _LARGEST:
        return value
    axes = [scale if not isinstance(dim, int) and size else 1 for dim, size in zip(shape, value.shape, strict=True)]
    if prod(axes) * prod(value.shape) > _LARGEST:
        return value
    return from_numpy(np.tile(to_numpy(value), axes)) if prod(axes) > 1 else value
