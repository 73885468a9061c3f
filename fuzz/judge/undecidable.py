"""Of which elements nothing can be said, and why: the hazards of one model, and the share of what is not judged.

A cause is the id of a hazard, or one of

- ``straddled``: an interval contains a place where the operator jumps (a comparison, a rounding, an index, a pole);
- ``overflow``: an interval reaches beyond the range of its type, or of a type that the target holds it in;
- ``unknown``: the operator has no rules, and moving its inputs inside of their intervals showed nothing.

What is unknown of a node's inputs is passed on: an element that only inherits has the cause that most of the unknown
elements of those inputs have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.fallback import Unrunnable
from abstract.hazards.detection import Trace
from abstract.program import parse
from abstract.reference import TooLarge
from fuzz.judge.hazards import ModelHazards
from fuzz.judge.judge import reference_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.bounded import Bounded
    from abstract.hazards.detection import Arising
    from abstract.operator import Array
    from abstract.program import Program, Step
    from backends.tensor import Value

__all__ = ["OVERFLOW", "STRADDLED", "UNKNOWN", "Share", "model_hazards", "undecidable_share"]

STRADDLED, OVERFLOW, UNKNOWN = "straddled", "overflow", "unknown"


def model_hazards(model: bytes, folder: str, samples: Sequence[Mapping[str, Value]]) -> ModelHazards:
    """What arises on each of these inputs (by name). Nothing is raised for a model that the reference cannot run."""
    arisings: list[tuple[int, Arising]] = []
    problem = ""
    try:
        program = parse(onnx.ModelProto.FromString(model), folder)
        for number, inputs in enumerate(samples):
            trace = Trace()
            try:
                reference_values(program, inputs, trace=trace)
            except (ArithmeticError, IndexError, MemoryError, TooLarge, Unrunnable, ValueError) as error:
                problem = f"the reference cannot run the model: {error}".split("\n", 1)[0][:200]
            arisings.extend((number, arising) for arising in trace.arisings)
    except Exception as error:  # noqa: BLE001 - a model of a stranger: whatever it brings about is told
        problem = f"the reference cannot read the model: {type(error).__name__}: {error}".split("\n", 1)[0][:200]
    return ModelHazards(tuple(arisings), problem)


@dataclass(frozen=True, slots=True)
class Share:
    """Elements of outputs: how many there are, and of how many nothing is said, by cause."""

    elements: int
    causes: Mapping[str, int]

    @property
    def undecidable(self) -> float:
        """The share of which nothing is said, 0 where there are no elements."""
        return sum(self.causes.values()) / self.elements if self.elements else 0.0


def undecidable_share(program: Program, inputs: Mapping[str, Value], target: str = "") -> Share:
    """The outputs' elements that cannot be judged on these inputs under a target's contract, by cause.

    Raises what the reference cannot do.
    """
    trace = Trace()
    values = reference_values(program, inputs, target, trace=trace)
    mostly: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {}
    for step in program.steps:
        for name in filter(None, step.outputs):
            counts[name] = _causes(step, name, values, trace, mostly)
            if counts[name]:
                mostly[name] = counts[name].most_common(1)[0][0]
    total: Counter[str] = Counter()
    elements = 0
    for name in program.outputs:
        value = values[name].value
        elements += value.size if isinstance(value, np.ndarray) else 1
        total.update(counts.get(name, {}))
    return Share(elements, dict(sorted(total.items())))


def _causes(
    step: Step, name: str, values: Mapping[str, Bounded], trace: Trace, mostly: Mapping[str, str]
) -> Counter[str]:
    """How many elements of one output are unknown, by cause: its node's own hazards first, then what it inherits."""
    unknown = _unknown(values[name])
    causes: Counter[str] = Counter()
    own = {**trace.masked.get(name, {}), OVERFLOW: trace.overflown.get(name)}
    for cause, mask in own.items():
        if mask is None or not unknown.any():
            continue
        reached = unknown & (mask if mask.shape == unknown.shape else True)
        causes[cause] += int(np.count_nonzero(reached))
        unknown = unknown & ~reached
    left = int(np.count_nonzero(unknown))
    if left:
        inherited = next((mostly[n] for n in _operands(step) if n in mostly), None)
        causes[inherited or (UNKNOWN if step.row is None else STRADDLED)] += left
    return +causes


def _operands(step: Step) -> list[str]:
    return [*filter(None, step.inputs), *step.late.values()]


def _unknown(known: Bounded) -> Array:
    """Which elements have no finite bound; a value that is no tensor counts as one element."""
    if not isinstance(known.value, np.ndarray):
        return np.array(not bool(np.isfinite(known.bound).all()))
    if not known.shaped:
        return np.ones(known.value.shape, bool)
    return np.broadcast_to(~np.isfinite(np.asarray(known.bound)), known.value.shape)
