"""How sharp the judge is: how wide its bounds are, of how much it says nothing, how small a fault it sees.

All with the contract of ONNX Runtime, on generated models of 10 nodes (bounds) or of the default distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from figure import Figure, Scale, clock
from onnx import numpy_helper

from abstract.dtypes import dtype as named
from abstract.program import parse
from backends.tensor import from_numpy
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import menu
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.judge.compare import compare
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from abstract.program import Program
    from abstract.reference import Bounded
    from backends.tensor import Value

__all__ = ["bounds", "injected", "undecidable"]

_TARGET = "onnxruntime"
_STEPS = frozenset({
    "ArgMax", "ArgMin", "BitShift", "Cast", "CastLike", "Ceil", "DequantizeLinear", "DynamicQuantizeLinear", "Equal",
    "Floor", "Greater", "GreaterOrEqual", "Hardmax", "IsInf", "IsNaN", "Less", "LessOrEqual", "MaxPool", "MaxUnpool",
    "Mod", "NonMaxSuppression", "NonZero", "QuantizeLinear", "QLinearConv", "QLinearMatMul", "Resize", "Round",
    "Shrink", "Sign", "ThresholdedRelu", "TopK", "Unique", "Upsample",
})  # fmt: skip
"""Operators with a value that jumps, or that pick an element by its size or its place."""

_FEWEST = 1e-5  # of a tensor's largest magnitude: the smallest fault that is planted; the largest is as large as that


def bounds(scale: Scale) -> Iterator[Figure]:
    """The median over float outputs of the median bound of their elements, relative to their largest magnitude."""
    continuous = tuple(name for name in menu(Settings()) if name not in _STEPS)
    settings = Settings(nodes=(10, 10), operators=continuous, dtypes=("float", "int64", "bool"))
    found: list[float] = []
    with clock() as spent:
        for seed in range(60 if scale.quick else 1000):
            for bounded in _outputs(seed, settings):
                largest = float(np.abs(bounded.value).max(initial=0.0))
                if bounded.dtype is named("float") and largest > 0:
                    each = np.broadcast_to(np.asarray(bounded.bound, np.float64), bounded.value.shape)
                    found.append(float(np.median(each)) / largest)
    yield Figure(
        "median bound of float outputs, 10 nodes without discontinuities, of their scale",
        float(f"{median(found):.3g}"), "", 1e-5, cpu=spent.cpu,
        detail=f"{len(found):,} outputs; 90 % of them below {np.quantile(found, 0.9):.2g}",
    )  # fmt: skip


def undecidable(scale: Scale) -> Iterator[Figure]:
    """The share of elements of default models of which nothing can be said."""
    elements = open_ = 0
    with clock() as spent:
        for seed in range(100 if scale.quick else 3000):
            for bounded in _outputs(seed, Settings()):
                each = np.broadcast_to(np.asarray(bounded.bound, np.float64), bounded.value.shape)
                elements += each.size
                open_ += each.size if not bounded.shaped else int(np.isinf(each).sum())
    yield Figure(
        "undecidable elements of default models", round(100 * open_ / elements, 3), "%", 2, cpu=spent.cpu,
        detail=f"{open_:,} of {elements:,}",
    )  # fmt: skip


def _outputs(seed: int, settings: Settings) -> Iterator[Bounded]:
    made = generate_case(Seeded(seed), settings)
    program = parse(onnx.ModelProto.FromString(made.model))
    values = reference_values(program, made.data_sets[0].inputs, _TARGET)
    yield from (values[name] for name in program.outputs if isinstance(values[name].value, np.ndarray))


# -- faults ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Injection:
    """One fault: its largest effect on an output, relative to that output's largest magnitude, and whether it shows."""

    effect: float
    found: bool


def injected(scale: Scale) -> Iterator[Figure]:
    """Which share of the faults in one element of a random intermediate value is flagged, by their effect."""
    with clock() as spent:
        found = [made for seed in range(150 if scale.quick else 4000) if (made := _inject(seed)) is not None]
    for least, target in ((1e-4, 60), (1e-2, 90)):
        seen = [made.found for made in found if made.effect >= least]
        yield Figure(
            f"faults injected into an intermediate value, effect ≥ {least:g}: flagged",
            round(100 * sum(seen) / len(seen), 1), "%", target, "at_least", spent.cpu if least == 1e-4 else None,
            f"{sum(seen):,} of {len(seen):,}",
        )  # fmt: skip


def _inject(seed: int) -> _Injection | None:
    """A default model with a fault of random size in one element of one float value; None where there is none.

    The faulty model has an Add behind the value; its answers are those of the reference, rounded to their types.
    """
    try:
        made = generate_case(Seeded(seed), Settings())
    except NothingFits:
        return None
    proto = onnx.ModelProto.FromString(made.model)
    program = parse(proto)
    inputs = made.data_sets[0].inputs
    due = reference_values(program, inputs, _TARGET)
    draw = np.random.default_rng(seed)
    names = [name for step in program.steps for name in step.outputs if name and name not in program.outputs]
    places = [name for name in names if _float(due[name])]
    if not places:
        return None
    place = places[draw.integers(len(places))]
    faulty = parse(_with_fault(proto, place, due[place], draw))
    got = reference_values(faulty, inputs, _TARGET)
    if any(not due[name].shaped for name in program.outputs):
        return None
    return _effect(program, due, got)


def _float(value: Bounded) -> bool:
    array = value.value
    return isinstance(array, np.ndarray) and array.dtype.kind == "f" and bool(np.abs(array).max(initial=0.0) > 0)


def _with_fault(proto: onnx.ModelProto, place: str, value: Bounded, draw: np.random.Generator) -> onnx.ModelProto:
    """The model with one element of a value off by a size between the least and the value's largest magnitude."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    dtype = value.dtype or named("float")
    off = np.zeros(value.value.shape, np.float64)
    size = float(np.abs(value.value).max()) * math.exp(draw.uniform(math.log(_FEWEST), 0))
    off.reshape(-1)[draw.integers(off.size)] = size * draw.choice([-1, 1])
    inner = place + "_due"
    for node in result.graph.node:
        for position, name in enumerate(node.output):
            if name == place:
                node.output[position] = inner
    index = next(i for i, node in enumerate(result.graph.node) if inner in node.output)
    result.graph.initializer.append(numpy_helper.from_array(off.astype(dtype.numpy), place + "_off"))
    result.graph.node.insert(index + 1, onnx.helper.make_node("Add", [inner, place + "_off"], [place]))
    return result


def _effect(program: Program, due: Mapping[str, Bounded], got: Mapping[str, Bounded]) -> _Injection:
    effect, flagged = 0.0, False
    for name in program.outputs:
        one, other = due[name], got[name]
        answer = _answer(other)
        if answer is None or not isinstance(one.value, np.ndarray) or one.value.shape != other.value.shape:
            continue
        effect = max(effect, _relative(one.value, other.value))
        flagged |= compare(answer, one).word is Word.WRONG
    return _Injection(effect, flagged)


def _answer(value: Bounded) -> Value | None:
    if value.dtype is None or not isinstance(value.value, np.ndarray):
        return None
    with np.errstate(all="ignore"):
        return from_numpy(value.value.astype(value.dtype.numpy))


def _relative(one: Any, other: Any) -> float:
    """The largest difference, relative to the largest magnitude of what is due."""
    if one.dtype.kind not in "fiu":
        return float(np.any(one != other))
    a, b = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(all="ignore"):
        apart, largest = np.abs(a - b), np.abs(a).max(initial=0.0)
    apart = np.where(np.isfinite(apart), apart, 0.0)
    return float(apart.max(initial=0.0) / largest) if largest > 0 else float(apart.max(initial=0.0) > 0)
