"""Nodes without rules: run by ONNX's own reference operators, their bound found by perturbation.

Covers what neither the operator table nor ``abstract/body.py`` does: sequences, optionals, strings,
training operators, opsets below 13. The node is evaluated in its declared types. Its bound is coarse: how
far the outputs move when inexact inputs move inside their intervals, plus the relative error that ONNX's own backend
tests allow (1e-3; more in narrow types), since nothing is known of how the operator computes. What moves elements in
and out of sequences moves their bounds.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.bounded import Bounded
from abstract.capture import captured
from abstract.dtypes import DTYPES, DType, Kind
from abstract.effort import limited
from abstract.error import is_exact
from abstract.program import Step, to_carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from abstract.operator import Array, Bound

__all__ = ["RANDOM", "Unrunnable", "draws", "run_node"]

RANDOM = frozenset({
    "Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""Operators whose generator the specification leaves open: only shape and type of their outputs can be judged.

Dropout is here in its training mode; what it does in inference has a row.
"""

_ROUNDING: Mapping[str, Callable[[int], float]] = MappingProxyType({
    "QuantizeLinear": lambda _rank: 1.0,
    "Resize": lambda rank: float(max(rank, 1)),
})
"""Operators that round to integers, and by how much two ways to do it come out apart in a result of this rank.

QuantizeLinear (what comes here of it is scaled by integers): next to a tie, x / scale and x * (1 / scale) differ by
one. Resize of integers that interpolates: the text does not say how to round, nor whether after each axis.
"""

_MOVING: Mapping[str, int | None] = MappingProxyType({
    "ConcatFromSequence": None, "Identity": None, "Optional": None, "OptionalGetElement": None, "SequenceAt": 1,
    "SequenceConstruct": None, "SequenceErase": 1, "SequenceInsert": 2, "SplitToSequence": 1,
})  # fmt: skip
"""Operators that move elements, and which of their inputs says where to."""

_AS_DECLARED: Mapping[DType, DType] = MappingProxyType({})
_RELATIVE, _ABSOLUTE = 1e-3, 1e-6
_TRIALS = 3
_BY_NUMPY = {row.numpy.str if not row.extension else row.numpy.name: row for row in DTYPES if row.name != "float8e8m0"}


class Unrunnable(Exception):
    """ONNX's reference operators cannot run a node; the text says which and why."""


def run_node(
    model: onnx.ModelProto, step: Step, values: Mapping[str, Bounded], held: Mapping[DType, DType] = _AS_DECLARED,
    operand_unit: float = 0.0,
) -> Iterator[Bounded]:  # fmt: skip
    """The outputs of one node given every value so far (captured ones included).

    ``held`` names the types that a target may hold in narrower ones: the bound is that of the narrower type.
    ``operand_unit`` is what operands may lose to rounding before they are used, relatively.
    Raises Unrunnable where ONNX's reference cannot run the node.
    """
    node = step.node
    names = [n for n in dict.fromkeys((*node.input, *captured(node))) if n in values]
    feeds = {n: _declared(values[n].value, values[n].dtype) for n in names}
    try:
        single = _Single(model, node, names)
        with limited():
            results = single.run(feeds)
    except Exception as error:
        raise Unrunnable(f"{node.op_type}: {type(error).__name__}: {error}") from error
    inexact = [n for n in names if not is_exact(values[n].bound)]
    if node.op_type in _MOVING and not node.domain:
        yield from _moved(single, step, values, results)
        return
    shaped = all(_movable(values[n]) for n in inexact)
    open_ = _is_random(node, model.functions) or not shaped
    reaches = {} if open_ else _reaches(node, model, {n: values[n] for n in names}, operand_unit)
    moved = _trials(single, _perturbed(feeds, values, reaches))
    if moved is None:
        open_, shaped, moved = True, False, []
    for position, name in enumerate(node.output):
        if not name:
            yield Bounded(None, 0.0, None)
            continue
        result = results[name]
        dtype = step.output_dtypes[position] or _dtype_of(result)
        if isinstance(result, list) or result is None or dtype is None:
            yield Bounded(result, np.inf if open_ or inexact else 0.0, dtype, shaped)
            continue
        array = to_carrier(np.asarray(result), dtype)
        bound = np.inf if open_ else _bound(array, dtype, held.get(dtype, dtype), [m[name] for m in moved])
        if dtype.is_integer and node.op_type in _ROUNDING and not node.domain:
            bound = np.maximum(bound, _ROUNDING[node.op_type](array.ndim))
        yield Bounded(array, bound, dtype, shaped and all(np.shape(m[name]) == array.shape for m in moved))


def _reaches(
    node: onnx.NodeProto, model: onnx.ModelProto, operands: Mapping[str, Bounded], operand_unit: float
) -> dict[str, Any]:
    """How far from its value each operand may lie, of those that may at all."""
    reaches = {n: np.asarray(v.bound) for n, v in operands.items() if not is_exact(v.bound)}
    movable = {n: v for n, v in operands.items() if _movable(v)}
    if _has_body(node, model.functions):
        # What rounds inside of a body is unknown to us, but not how far roundings of its inputs carry.
        reaches |= {n: _roundings(v) for n, v in movable.items() if n not in reaches}
    if operand_unit:
        for n, v in movable.items():
            lost = np.abs(np.asarray(v.value, dtype=np.float64)) * operand_unit
            reaches[n] = lost + reaches.get(n, 0.0)
    return reaches


class _Single:
    """A model of one node, on ONNX's reference evaluator."""

    def __init__(self, model: onnx.ModelProto, node: onnx.NodeProto, names: Sequence[str]) -> None:
        from onnx.reference import ReferenceEvaluator

        from abstract.corrections import CORRECTED

        single = onnx.ModelProto(ir_version=model.ir_version)
        single.opset_import.extend(model.opset_import)
        if node.domain:  # what a node of ONNX's own calls runs elsewhere, and this evaluator prepares all that it has
            single.functions.extend(model.functions)
        single.graph.name = "node"
        single.graph.node.append(node)
        single.graph.input.extend(onnx.ValueInfoProto(name=n) for n in names)
        self.kept = [n for n in node.output if n]
        single.graph.output.extend(onnx.ValueInfoProto(name=n) for n in self.kept)
        self.session = ReferenceEvaluator(single, new_ops=list(CORRECTED))

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs that have names."""
        return dict(zip(self.kept, self.session.run(None, dict(inputs)), strict=True))


def _trials(single: _Single, feeds: Iterable[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The outputs on moved inputs; None where the operator breaks down on some of them, or they take too long."""
    try:
        with limited():
            return [single.run(feed) for feed in feeds]
    except Exception:  # noqa: BLE001 - on what lies inside of the interval the operator may not be defined
        return None


def _moved(
    single: _Single, step: Step, values: Mapping[str, Bounded], results: Mapping[str, Any]
) -> Iterator[Bounded]:
    """What moves elements moves their bounds: the operator once more, on them."""
    place = _MOVING[step.node.op_type]
    where = step.node.input[place] if place is not None and place < len(step.node.input) else ""
    operands = {n: values[n] for n in step.node.input if n and n != where}
    certain = all(v.shaped for v in operands.values()) and (not where or is_exact(values[where].bound))
    if not certain or all(is_exact(v.bound) for v in operands.values()):
        bounds: Mapping[str, Any] = {}
    else:
        place_feed = {where: values[where].value} if where else {}
        bounds = single.run({n: _bounds(v) for n, v in operands.items()} | place_feed)
    own = next((v.dtype for v in operands.values() if v.dtype is not None), None)
    for position, name in enumerate(step.node.output):
        result = results[name]
        dtype = step.output_dtypes[position] or own or _dtype_of(result)
        bound = bounds.get(name, 0.0 if certain else np.inf)
        if isinstance(result, list):
            parts = tuple(bound) if isinstance(bound, list) else (bound,) * len(result)
            exact = not any(np.any(part) for part in parts)
            yield Bounded(result, 0.0 if exact else np.inf, dtype, certain, parts)
            continue
        array = result if result is None or dtype is None else to_carrier(np.asarray(result), dtype)
        yield Bounded(array, bound, dtype, certain)


def _bounds(value: Bounded) -> Any:
    """The bounds of a value's elements, in its own form; a tensor that errs is rounded to its type besides."""
    if isinstance(value.value, list):
        parts = value.parts or (value.bound,) * len(value.value)
        pairs = zip(parts, value.value, strict=True)
        return [np.broadcast_to(np.asarray(bound, np.float64), np.shape(part)) for bound, part in pairs]
    if value.value is None or is_exact(value.bound):
        return None if value.value is None else np.zeros(value.value.shape)
    lost: Bound = 0.0
    if value.dtype is not None and value.dtype.is_float:
        lost = np.abs(value.value) * value.dtype.unit + value.dtype.smallest_normal
    return np.broadcast_to(np.asarray(value.bound, np.float64) + lost, value.value.shape)


def _has_body(node: onnx.NodeProto, functions: Iterable[onnx.FunctionProto]) -> bool:
    """Whether a node stands for others: control flow, or a function of the model."""
    if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        return True
    return any((f.domain, f.name) == (node.domain, node.op_type) for f in functions)


def _roundings(value: Bounded) -> Array:
    """Two roundings of each element."""
    size: Array = np.abs(np.asarray(value.value, dtype=np.float64))
    return size * (2 * value.dtype.unit if value.dtype is not None else 0.0)


def _fits(array: Array, own: DType) -> Array:
    """Which elements lie in the type that they are held in; where they are no integers, all."""
    if own.is_integer:
        return np.asarray((array >= own.minimum) & (array <= own.maximum))
    return np.ones(array.shape, bool)


def _movable(value: Bounded) -> bool:
    """Whether an inexact value is a tensor of floats in intervals, which trials can sample; else it is unknown."""
    known = value.dtype is not None and value.dtype.is_float and isinstance(value.value, np.ndarray)
    return known and bool(np.isfinite(value.bound).all())


def draws(model: onnx.ModelProto) -> bool:
    """Whether random numbers are drawn anywhere in a model."""
    return any(_is_random(node, model.functions) for node in model.graph.node)


def _is_random(node: onnx.NodeProto, functions: Iterable[onnx.FunctionProto]) -> bool:
    """Whether random numbers are drawn by a node, inside of its subgraphs, or inside of the functions that it calls."""
    if node.op_type in RANDOM and not node.domain:
        # Dropout draws in training mode alone, which it is told by its third input.
        return node.op_type != "Dropout" or len(node.input) > 2
    bodies = [g.node for attribute in node.attribute for g in (attribute.g, *attribute.graphs)]
    bodies += [f.node for f in functions if (f.domain, f.name) == (node.domain, node.op_type)]
    return any(_is_random(inner, functions) for body in bodies for inner in body)


def _declared(value: Any, dtype: DType | None) -> Any:
    if isinstance(value, np.ndarray) and dtype is not None and value.dtype in (dtype.carrier, np.longdouble):
        return value.astype(dtype.numpy)
    return value


def _dtype_of(result: Any) -> DType | None:
    if not isinstance(result, np.ndarray | np.generic):
        return None
    kind = result.dtype
    if kind.kind in "OUS":
        return _BY_NUMPY[np.dtype(object).str]
    return _BY_NUMPY.get(kind.str) or _BY_NUMPY.get(kind.name)


def _perturbed(
    feeds: Mapping[str, Any], values: Mapping[str, Bounded], reaches: Mapping[str, Array]
) -> Iterator[dict[str, Any]]:
    """The inputs moved to random corners of their intervals, and to 0 where that lies inside.

    Drawn from a fixed seed, so always the same.
    """
    bits = np.random.PCG64(0)
    for trial in range(_TRIALS + 1 if reaches else 0):
        feed = dict(feeds)
        for name, reach in reaches.items():
            value, dtype = values[name].value, values[name].dtype
            if not isinstance(value, np.ndarray) or dtype is None:
                continue
            if trial == _TRIALS:
                place = np.where(np.abs(value) <= reach, 0.0, value)
            else:
                signs = (bits.random_raw(value.size).reshape(value.shape) & np.uint64(1)).astype(np.float64) * 2 - 1
                place = value + signs * reach
            feed[name] = place.astype(dtype.numpy)
        yield feed


def _bound(array: Array, dtype: DType, own: DType, moved: Sequence[Any]) -> Bound:
    """How far an output may be off, which is declared in one type and held in its ``own``."""
    others = [to_carrier(np.asarray(m), dtype) for m in moved]
    if any(o.shape != array.shape for o in others):
        return np.inf
    if dtype.kind is Kind.COMPLEX:
        return np.abs(array) * _RELATIVE + _ABSOLUTE if not others else np.inf
    if not dtype.is_float:
        same = np.all([o == array for o in others], axis=0) & _fits(array, own)
        return 0.0 if same.all() else np.where(same, 0.0, np.inf)
    spread: Bound = 0.0
    for other in others:
        spread = np.maximum(spread, np.abs(other - array))
    # Sums that cancel (DFT, STFT) err relative to what was summed: the greatest output stands for that.
    scale = max(1.0, float(np.nanmax(np.abs(array[np.isfinite(array)]), initial=0.0)))
    relative = max(_RELATIVE, 8 * own.unit)
    bound = 8 * spread + np.abs(array) * relative + _ABSOLUTE * scale * max(1.0, own.unit / 2**-24)
    bound = np.where(np.abs(array) + bound <= own.maximum, bound, np.inf)
    return np.where(np.isfinite(array), np.nan_to_num(bound, nan=np.inf), 0.0 if not others else np.inf)
