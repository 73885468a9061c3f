"""From a changed model to a mutant: typed anew, accepted by ONNX's strict checker, run by the reference."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import BY_NAME, DType
from abstract.inference import infer_types
from abstract.program import parse
from abstract.reference import interpret
from backends.graph import graphs
from fuzz.case import DataSet
from fuzz.generate.run import to_tensor, to_value
from fuzz.generate.sizes import sound
from fuzz.mutate.parent import LIMIT, Feed, Unfit, element_type
from fuzz.relations.variant import check
from fuzz.signature import signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import onnx

    from abstract.bounded import Bounded
    from abstract.program import Program

__all__ = ["Draft", "Mutant", "close", "line", "settled", "settled_inputs"]

_LARGEST = 1 << 26  # bytes of a model
_MARGIN = 8  # values stay so many times below the largest number of their type


@dataclass(frozen=True, slots=True)
class Draft:
    """A changed model with inputs that nobody has looked at yet; ``change`` says in words what was changed."""

    model: onnx.ModelProto
    feeds: tuple[Feed, ...]
    change: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A valid case: the model's bytes, data sets with the reference's outputs, and what ``case.json`` says of them."""

    model: bytes
    data_sets: tuple[DataSet, ...]
    record: Mapping[str, Any] = field(default_factory=dict)


def settled(draft: Draft) -> Mutant:
    """The mutant of a draft. Types of outputs and of what lies between are inferred anew.

    Data sets on which the new model is not defined are left out; its inputs are of fixed sizes then.
    Raises Unfit where the checker or the reference refuses it.
    """
    model = deepcopy(draft.model)
    _loosen(model)
    model = _checked(model)
    try:
        program = parse(model)
    except Exception as error:
        raise Unfit(f"the reference cannot read it: {line(error)}") from error
    first = _known(program, draft.feeds[0])
    kept = [(draft.feeds[0], first)]
    for feed in draft.feeds[1:]:
        try:
            kept.append((feed, _known(program, feed)))
        except Unfit:
            continue
    if len(kept) < len(draft.feeds):
        kept = kept[:1]
        close(model, draft.feeds[0])
        model = _checked(model)
    _declare(model, first)
    content = model.SerializeToString(deterministic=True)
    if len(content) > _LARGEST:
        raise Unfit("too large: the model")
    return Mutant(content, _data_sets(content, kept), {"change": draft.change})


def settled_inputs(content: bytes, program: Program, feeds: Iterable[tuple[Feed, str]], wanted: int) -> Mutant:
    """The same model on other inputs: the first of the feeds on which it is defined; each comes with its change.

    Raises Unfit where it is on none.
    """
    kept: list[tuple[Feed, dict[str, Bounded]]] = []
    changes, problem = [], Unfit("no inputs: none were drawn")
    for feed, change in feeds:
        if len(kept) == wanted:
            break
        try:
            kept.append((feed, _known(program, feed)))
            changes.append(change)
        except Unfit as error:
            problem = error
    if not kept:
        raise problem
    return Mutant(content, _data_sets(content, kept), {"change": "; ".join(changes)})


# --- types ------------------------------------------------------------------------------------------------------


def _loosen(model: onnx.ModelProto) -> None:
    """Forget all that was inferred or declared of values that nodes compute."""
    inputs = {info.name for info in model.graph.input}
    for function in model.functions:
        del function.value_info[:]
    for graph in graphs(model.graph):
        del graph.value_info[:]
        for info in graph.output if graph is model.graph else (*graph.input, *graph.output):
            if graph is not model.graph:
                _forget_sizes(info.type)
            elif info.name not in inputs:
                info.ClearField("type")


def _forget_sizes(kind: onnx.TypeProto) -> None:
    while (which := kind.WhichOneof("value")) in ("sequence_type", "optional_type"):
        kind = getattr(kind, which).elem_type
    if which == "tensor_type":
        kind.tensor_type.ClearField("shape")


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types of its outputs, as far as ONNX infers them."""
    try:
        inferred = infer_types(model, strict=True, data_prop=True)
    except Exception as error:
        raise Unfit(f"inference refuses it: {line(error)}") from error
    for mine, theirs in zip(model.graph.output, inferred.graph.output, strict=True):
        if theirs.type.WhichOneof("value"):
            mine.type.CopyFrom(theirs.type)
    return model


def _declare(model: onnx.ModelProto, known: Mapping[str, Bounded]) -> None:
    """Types of outputs that were not inferred, as the reference has them; then the checker's last word."""
    for info in model.graph.output:
        found = known[info.name]
        tensor = info.type.tensor_type
        if info.type.WhichOneof("value") in (None, "tensor_type") and isinstance(found.value, np.ndarray):
            if not tensor.elem_type:
                if found.dtype is None:
                    raise Unfit("an output of unknown type: inference and the reference do not say")
                tensor.elem_type = found.dtype.code
            if not tensor.HasField("shape"):
                tensor.shape.SetInParent()
                for _ in found.value.shape:
                    tensor.shape.dim.add()
            _compare(info.name, tensor, found)
        elif not info.type.WhichOneof("value"):
            raise Unfit("an output of unknown type: a container")
    try:
        check(model)
    except Exception as error:
        raise Unfit(f"the checker refuses it: {line(error)}") from error


def _compare(name: str, tensor: onnx.TypeProto.Tensor, found: Bounded) -> None:
    """Unfit where inference and the reference differ: one of the two has a bug, and this is no place to tell which."""
    sizes = np.asarray(found.value).shape
    declared = tensor.shape.dim
    same = len(declared) == len(sizes) and all(
        d.dim_value == size for d, size in zip(declared, sizes, strict=True) if d.HasField("dim_value")
    )
    if not same or (found.dtype is not None and found.dtype.code != tensor.elem_type):
        raise Unfit(f"inference and reference differ: output {name}")


def close(model: onnx.ModelProto, feed: Feed) -> None:
    """Give the inputs of a model the sizes that they have in a data set."""
    for info in model.graph.input:
        value = feed.get(info.name)
        if info.type.HasField("tensor_type") and isinstance(value, np.ndarray):
            for dim, size in zip(info.type.tensor_type.shape.dim, value.shape, strict=True):
                dim.dim_value = size


# --- values -----------------------------------------------------------------------------------------------------


def _known(program: Program, feed: Feed) -> dict[str, Bounded]:
    """Every value on a feed. Raises Unfit where the model is not defined there, or nothing could be judged."""
    try:
        values = interpret(program, feed, limit=LIMIT, strict=True)
    except Exception as error:
        raise Unfit(f"undefined: {line(error)}") from error
    for step in program.steps:
        for name in step.outputs:
            if name and not _sound(values[name]):
                raise Unfit("out of range: a value is not finite, or near the end of its type")
    if not any(_decidable(values[name]) for name in program.outputs):
        raise Unfit("undecidable: the reference can say nothing of any output")
    return values


def _sound(known: Bounded) -> bool:
    """Finite and well inside of its type, where it is a float of more than a few numbers."""
    return sound(known, 1 if known.dtype is not None and known.dtype.bits <= 8 else _MARGIN)


def _decidable(known: Bounded) -> bool:
    bound = np.asarray(known.bound)
    return known.shaped and (not bound.size or bool(np.isfinite(bound).any()))


def _data_sets(content: bytes, kept: Sequence[tuple[Feed, Mapping[str, Bounded]]]) -> tuple[DataSet, ...]:
    """The data sets as they go to disk."""
    ports = signature(content)
    types = {
        port.name: BY_NAME[name]
        for port in (*ports.inputs, *ports.defaults, *ports.outputs) if (name := element_type(port.type)) is not None
    }  # fmt: skip
    names = [port.name for port in (*ports.inputs, *ports.defaults)]
    try:
        return tuple(
            DataSet(
                {name: to_value(feed[name], types[name]) for name in names if name in feed},
                {port.name: _stored(known[port.name], types[port.name]) for port in ports.outputs},
            )
            for feed, known in kept
        )
    except KeyError as error:
        raise Unfit(f"a type that is no tensor's: {error}") from error


def _stored(known: Bounded, dtype: DType) -> Any:
    if isinstance(known.value, np.ndarray):
        with np.errstate(invalid="ignore", over="ignore"):
            return to_tensor(known.value, dtype)
    return to_value(known.value, dtype)


def line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:200]
