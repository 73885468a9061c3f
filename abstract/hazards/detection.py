"""Which hazards arise while the reference runs: at which node, on how many elements, and what that leaves unjudged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx.defs

from abstract.capture import captured
from abstract.contributed import qualified
from abstract.dtypes import BY_CODE
from abstract.hazards import BY_ID, Treatment, hazards_of
from abstract.hazards.arithmetic import NARROW_OVERFLOW, WIDE_OVERFLOW
from abstract.operator import Run
from abstract.operators import TABLE
from abstract.program import attribute, parameter
from abstract.schema import signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from abstract.bounded import Bounded
    from abstract.dtypes import DType
    from abstract.hazards.hazard import Detector, Hazard, Mask
    from abstract.operator import Arithmetic, Array, Bound
    from abstract.program import Program, Step

__all__ = ["Arising", "Hazardous", "Trace", "Watch", "avoided", "reaching", "site"]


class Hazardous(ValueError):
    """A node of which nothing can be computed, since the specification leaves it open; the text names the hazard."""


@dataclass(frozen=True, slots=True)
class Arising:
    """A hazard that arose: its id, the node, the output that it reaches and on how many elements of it.

    ``elements`` is None where they cannot be counted, since the node was not run.
    """

    hazard: str
    node: str
    operator: str
    output: str
    elements: int | None

    @property
    def stops(self) -> bool:
        """Whether an implementation may refuse it, trap or abort."""
        return BY_ID[self.hazard].stops

    def __str__(self) -> str:
        count = "" if self.elements is None else f" ({self.elements} element{'s' if self.elements != 1 else ''})"
        return f"{self.hazard} at {self.operator} {self.node or self.output!r}{count}"


@dataclass(slots=True)
class Trace:
    """What a run of the reference is to keep: the hazards that arose, and why elements are not judged.

    ``masked`` and ``overflown`` have, by value, the elements that a hazard reaches (by its id) and those of which
    nothing is known because their type may overflow. ``ruled`` is the bound that the rules gave what is masked.
    """

    arisings: list[Arising] = field(default_factory=list)
    masked: dict[str, dict[str, Array]] = field(default_factory=dict)
    overflown: dict[str, Array] = field(default_factory=dict)
    ruled: dict[str, Bound] = field(default_factory=dict)

    def overflow(self, names: Sequence[str], rules: Sequence[Bound], results: Sequence[Bounded]) -> None:
        """Note the elements whose bound the rules knew and the range of their type did not allow."""
        for name, before, result in zip(names, rules, results, strict=False):
            if result.shaped and isinstance(result.bound, np.ndarray):
                lost = np.isinf(result.bound) & np.isfinite(before)
                if lost.any():
                    self.overflown[name] = lost


Found = tuple["Hazard", "tuple[Mask, ...]"]


class Watch:
    """The hazards of one step. ``before`` its outputs are computed, then ``after``, then ``settled``."""

    __slots__ = ("_found", "_rows", "_step", "_trace")

    def __init__(self, step: Step, trace: Trace | None) -> None:
        self._step = step
        self._trace = trace
        self._rows = rows_of(step)
        self._found: list[Found] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def found(self) -> list[Found]:
        """What arose so far."""
        return self._found

    def before(self, run: Run) -> Run:
        """Ask for what may stop an implementation; the operands with which the other elements can be computed."""
        repaired = run
        for row in self._rows:
            if not row.stops or row.detect is None:
                continue
            masks = row.detect(run, ())
            if masks:
                self._found.append((row, masks))
                repaired = repaired if row.repair is None else row.repair(repaired)
        return repaired

    def after(self, run: Run, y: tuple[Array, ...]) -> None:
        """Ask for all others, given the outputs."""
        for row in self._rows:
            if row.detect is None or row.stops:
                continue
            masks = row.detect(run, y)
            if masks:
                self._found.append((row, masks))

    def wrapped(self, raw: Sequence[Any], y: Sequence[Array], dtypes: Sequence[DType]) -> None:
        """Note where integer outputs were wrapped into their type."""
        for position, (before, after, dtype) in enumerate(zip(raw, y, dtypes, strict=False)):
            if after is not before and dtype.is_integer:
                lost = np.asarray(before) != after
                if lost.any():
                    row = NARROW_OVERFLOW if dtype.bits < 32 else WIDE_OVERFLOW
                    self._found.append((row, (*(False,) * position, lost)))

    @property
    def avoided(self) -> str:
        """The first hazard that arose and that the generator avoids; empty where there is none."""
        return next((row.id for row, _ in self._found if row.treatment is Treatment.AVOID), "")

    def stopped(self, problem: str) -> Hazardous:
        """What to raise where a node cannot be run; the hazards are on record then."""
        for row, _ in self._found:
            self._note(row, 0, None)
        names = ", ".join(row.id for row, _ in self._found)
        node = self._step.node
        return Hazardous(f"{names} at {node.op_type} {node.name or node.output[0]!r}" + (problem and f": {problem}"))

    def settled(self, results: Iterable[Bounded]) -> list[Bounded]:
        """The step's outputs with the elements that a hazard reaches taken from judgement."""
        settled = list(results)
        for row, masks in self._found:
            for position, mask in enumerate(masks[: len(settled)]):
                if mask is not False:
                    settled[position] = self._masked(row, position, mask, settled[position])
        return settled

    def _masked(self, row: Hazard, position: int, mask: Mask, result: Bounded) -> Bounded:
        if not isinstance(result.value, np.ndarray):
            self._note(row, position, None)
            return replace(result, bound=np.inf, shaped=result.shaped and not row.shape) if row.masks else result
        try:
            reached = np.broadcast_to(np.asarray(mask), result.value.shape)
        except ValueError:  # the reference, or the model, made another shape than the detector knows
            reached = np.ones(result.value.shape, bool)
        self._note(row, position, int(np.count_nonzero(reached)), reached)
        if self._trace is not None and position < len(self._step.node.output):
            self._trace.ruled.setdefault(self._step.node.output[position], result.bound)
        if not row.masks:
            return result
        if row.shape:
            return replace(result, bound=np.inf, shaped=False)
        return replace(result, bound=np.where(reached, np.inf, result.bound))

    def _note(self, row: Hazard, position: int, elements: int | None, reached: Array | None = None) -> None:
        if self._trace is None:
            return
        node = self._step.node
        output = node.output[position] if position < len(node.output) else ""
        self._trace.arisings.append(Arising(row.id, node.name, node.op_type, output, elements))
        if reached is not None and row.masks:
            self._trace.masked.setdefault(output, {})[row.id] = reached


def rows_of(step: Step) -> tuple[Hazard, ...]:
    """The rows of the table that apply to a step."""
    return _rows(qualified(step.node.domain, step.node.op_type), step.opset)


@cache
def _rows(operator: str, opset: int) -> tuple[Hazard, ...]:
    try:
        return hazards_of(operator, signature(operator, opset).since)
    except onnx.defs.SchemaError:
        return ()


def avoided(operator: str, version: int, run: Run, y: tuple[Array, ...] | None) -> str:
    """The id of a hazard that the generator avoids and that arises here; empty where none does.

    ``y`` is None before outputs are computed: only what may stop an implementation is asked for then.
    """
    for row_id, detect in _avoidable(operator, version, y is None):
        if detect(run, y or ()):
            return row_id
    return ""


@cache
def _avoidable(operator: str, version: int, stops: bool) -> tuple[tuple[str, Detector], ...]:
    """The ids and detectors of what the generator avoids, before (``stops``) or after outputs are computed."""
    rows = (row for row in hazards_of(operator, version) if row.treatment is Treatment.AVOID and row.stops is stops)
    return tuple((row.id, row.detect) for row in rows if row.detect is not None)


def site(step: Step, values: Mapping[str, Bounded], arithmetic: Arithmetic) -> Run:
    """A step without rules as detectors see it: what its operator's row calls parameters, apart from the others."""
    node = step.node
    name = qualified(node.domain, node.op_type)
    sign, row = signature(name, step.opset), TABLE.get(name)
    params: dict[str, Any] = {**sign.defaults, **{a.name: attribute(a) for a in node.attribute}}
    inputs: list[Any] = []
    dtypes = []
    for position, name in enumerate(node.input):
        known = values[name] if name else None
        formal = sign.formal(position).name
        if row is not None and formal in row.parameters and not row.opaque:
            if known is not None:
                params[formal] = parameter(formal, np.asarray(known.value))
            continue
        inputs.append(None if known is None else known.value)
        dtypes.append(None if known is None else known.dtype)
    outputs: tuple[Any, ...] = step.output_dtypes
    if "to" in params:
        outputs = (BY_CODE[params["to"]],)
    return Run(params, tuple(inputs), tuple(dtypes), outputs, arithmetic)


def reaching(program: Program, arisings: Sequence[Arising], output: str) -> list[Arising]:
    """Those whose node an output depends on, in the order of the nodes."""
    wanted = {output}
    for step in reversed(program.steps):
        if wanted.intersection(step.node.output):
            wanted.update(step.node.input, captured(step.node))
    return [a for a in arisings if a.output in wanted]
