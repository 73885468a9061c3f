"""Execution to verdict: what a case's targets answered, against the reference or against one another."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx

from abstract.contract import PERMISSIVE, Contract
from abstract.dtypes import BY_NAME
from abstract.fallback import Unrunnable
from abstract.hazards.detection import Trace, reaching
from abstract.program import Program, parse, to_carrier
from abstract.reference import Bounded, TooLarge, interpret
from backends.protocol import COMPARED, ELSEWHERE, UNTRANSFORMED, Outcome
from backends.registry import BACKENDS
from backends.tensor import Tensor, Value, to_numpy
from fuzz.judge.compare import Comparison, compare, worst
from fuzz.judge.crash import crash_signature
from fuzz.judge.hazards import excuse, told
from fuzz.judge.refusal import refusal
from fuzz.judge.verdict import Verdict, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.hazards.detection import Arising
    from abstract.operator import Array
    from fuzz.execute.execution import Execution

__all__ = ["Oracle", "Sample", "contract", "judge", "reference_values"]


@dataclass(frozen=True, slots=True)
class Oracle:
    """How outputs are judged.

    ``bound``: within the case's own error bound. ``allclose``: |a - b| <= atol + rtol |b|, b being the reference or
    the target named in ``against``. ``apart``: each target is judged by itself, whatever the others answer. ``only``:
    the targets that are judged, all if empty.
    """

    name: Literal["bound", "allclose"] = "bound"
    rtol: float = 1e-3
    atol: float = 1e-5
    against: str | None = None
    apart: bool = False
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One data set of a case: inputs by name, and the outputs that its author expects, where there are any.

    ``foreign`` says that the expected outputs are not the reference's own: then they are a second opinion.
    """

    inputs: Mapping[str, Value]
    expected: tuple[Value, ...] = ()
    foreign: bool = False


def _content(value: Value) -> Any:
    if isinstance(value, list):
        return [_content(v) for v in value]
    return None if value is None else to_numpy(value)


def contract(target: str) -> Contract:
    """What a target may do with numbers; anything careful for a backend that is not in the table."""
    row = BACKENDS.get(base_name(target))
    if row is None:
        return PERMISSIVE
    return Contract(**asdict(row.contract(_options(target), _device(target))))


def _device(target: str) -> str:
    """The device in a target's text; empty for the default."""
    found = re.search(r"@(\w+)$", target)
    return found[1] if found else ""


def _options(target: str) -> dict[str, str]:
    """The options in a target's text: what stands between the colon and the device."""
    text = target.partition(":")[2].partition("@")[0]
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def base_name(target: str) -> str:
    """The backend of a target: its text without version, options and device."""
    return re.split("[:@=]", target, maxsplit=1)[0]


def _other(target: str) -> str:
    """The runtime that is asked where a tool's plain runtime gives another result than before."""
    return "onnxruntime" if _options(target).get("runtime") == "reference" else "reference"


def kin(target: str) -> str:
    """Whose arithmetic a target's is: its backend's, or of a graph-to-graph tool that of its plain runtime."""
    row = BACKENDS.get(base_name(target))
    return _options(target).get("runtime", "onnxruntime") if row is not None and row.tool else base_name(target)


def reference_values(
    program: Program, inputs: Mapping[str, Value], target: str = "", limit: int = 2**26, trace: Trace | None = None
) -> dict[str, Bounded]:
    """Every value of the model on these inputs, with the bounds that a target's numerics contract gives.

    ``trace`` is told which hazards arise. Raises what the reference cannot do.
    """
    carried: dict[str, Any] = {}
    for name, value in inputs.items():
        content, own = _content(value), program.dtypes.get(name)
        carried[name] = to_carrier(content, own) if isinstance(content, np.ndarray) and own else content
    return interpret(program, carried, limit=limit, contract=contract(target), extended=True, trace=trace)


def judge(
    case: str, model: bytes, folder: str, samples: Sequence[Sample], executions: Sequence[Execution],
    oracle: Oracle = Oracle(),
) -> list[Verdict]:  # fmt: skip
    """One verdict for each execution of a case."""
    ran = [e for e in executions if e.outcome is Outcome.OK]
    judge_ = _Judge(case, model, folder, samples, oracle)
    verdicts = {id(e): _outcome(case, model, e, judge_) for e in executions if e.outcome is not Outcome.OK}
    if ran:
        verdicts.update(judge_.all(ran))
    return [verdicts[id(e)] for e in executions]


_BAD = frozenset({Word.WRONG, Word.SUSPECT})

_EVALUATOR = "reference"
"""The backend that is ONNX's evaluator."""

_EXCUSABLE = frozenset({Word.REJECTED, Word.CRASH, Word.TIMEOUT})
"""What a hazard may bring about that stops implementations."""


def _outcome(case: str, model: bytes, execution: Execution, judge_: _Judge) -> Verdict:
    """What did not run is judged by its outcome; a refusal needs a witness that the model is valid.

    Where the specification leaves open what happens (an integer divided by zero, an index out of range), it is no
    finding that a backend refuses, traps or does not come back.
    """
    word, data_set = Word(execution.outcome.value), len(execution.outputs)
    message = crash_signature(execution.outcome, execution.stage, execution.message, execution.stderr)
    reason = excuse(judge_.hazards(data_set, execution.target), message) if word in _EXCUSABLE else ""
    if word is Word.REJECTED:
        asked = min(data_set, max(len(judge_.samples) - 1, 0))
        runs = judge_.reference(asked, execution.target) is not None
        word, message = refusal(model, judge_.folder, execution, runs=runs, problem=judge_.problem)
        unsure = judge_.unsure(asked, execution.target)
        if unsure and word is Word.REJECTED:
            word, message = Word.UNDECIDABLE, f"how large {unsure} is hangs on last bits"
    if reason and word in _EXCUSABLE:
        word, message = Word.UNDECIDABLE, reason
    return Verdict(case, execution.target, data_set, word.value, message=message)


# What the data of a model may bring about in a rule (an index out of range, shapes that do not fit), and nodes that
# ONNX's reference lacks: the limits of the reference. Any other exception is a bug of ours, and is told as one.
_LIMITS = (Unrunnable, ValueError, IndexError, ArithmeticError, MemoryError)


class _Judge:
    def __init__(self, case: str, model: bytes, folder: str, samples: Sequence[Sample], oracle: Oracle) -> None:
        self.case = case
        self.folder = folder
        self.samples = samples
        self.oracle = oracle
        self.problem = ""
        self.failed = False
        self._references: dict[tuple[int, Contract], list[Bounded] | None] = {}
        self._hazards: dict[tuple[int, Contract], list[Arising]] = {}
        self._unsure: dict[tuple[int, Contract], str] = {}
        try:
            self.program = parse(onnx.ModelProto.FromString(model), folder)
            self.names = self.program.outputs
        except Exception as error:  # noqa: BLE001 - a model that cannot be read is reported, not raised
            self.problem = f"the reference cannot read the model: {_line(error)}"
            self.names = ()

    def reference(self, number: int, target: str) -> list[Bounded] | None:
        """The outputs' values and bounds on a data set, None where the reference cannot tell (see ``problem``)."""
        if not self.names or number >= len(self.samples):
            return None
        key = (number, contract(target))
        if key not in self._references:
            trace = Trace()
            self._references[key], self._unsure[key] = self._interpreted(self.samples[number], target, trace)
            self._hazards[key] = trace.arisings
        return self._references[key]

    def hazards(self, number: int, target: str, output: str | None = None) -> list[Arising]:
        """What arose on a data set, or of that what one output depends on."""
        self.reference(number, target)
        arisings = self._hazards.get((number, contract(target)), [])
        return arisings if output is None or not arisings else reaching(self.program, arisings, output)

    def unsure(self, number: int, target: str) -> str:
        """The first value of a data set whose size another legal computation may change; what follows may not fit."""
        self.reference(number, target)
        return self._unsure.get((number, contract(target)), "")

    def _interpreted(self, sample: Sample, target: str, trace: Trace) -> tuple[list[Bounded] | None, str]:
        try:
            values = reference_values(self.program, sample.inputs, target, trace=trace)
            return [values[name] for name in self.names], next((n for n, v in values.items() if not v.shaped), "")
        except _LIMITS as error:
            self.problem = f"the reference cannot run the model: {_line(error)}"
        except TooLarge as error:
            self.problem = f"too large to judge: {error}"
        except Exception as error:  # noqa: BLE001 - one case must not end the run
            self.problem, self.failed = f"the reference failed, which is our bug: {_line(error)}", True
        return None, ""

    def all(self, executions: Sequence[Execution]) -> dict[int, Verdict]:
        result = {id(e): self.one(e, executions) for e in executions}
        if self.oracle.apart:
            return result
        # A graph-to-graph tool has no arithmetic of its own: it is no witness for the runtime that it shares. Nor is
        # ONNX's evaluator one for our reference, which runs what has no row on its operators.
        own = [e for e in executions if kin(e.target) == base_name(e.target) != _EVALUATOR]
        settled = any(v.verdict == Word.OK and kin(v.target) != _EVALUATOR for v in result.values())
        if not settled and self.disputed(own, [result[id(e)] for e in own]):
            return {k: _disputed(v) if v.verdict in _BAD else v for k, v in result.items()}
        agreeing = sorted(v.target for v in result.values() if v.verdict == Word.OK and kin(v.target) != _EVALUATOR)
        return {k: _outvoted(v, agreeing) for k, v in result.items()}

    def one(self, execution: Execution, executions: Sequence[Execution]) -> Verdict:
        """The worst of all outputs of all data sets."""
        found: list[tuple[Comparison, int, str]] = []
        other = next((e for e in executions if e.target == self.oracle.against), None)
        for number, outputs in enumerate(execution.outputs):
            if number >= len(self.samples):
                break
            if self.names and len(outputs) != len(self.names):
                message = f"{len(outputs)} outputs where {len(self.names)} are due"
                found.append((Comparison(Word.WRONG, message=message), number, self.names[0]))
                continue
            for position, actual in enumerate(outputs):
                name = self.names[position] if self.names else f"output {position}"
                found.append((self.fair(execution, number, position, actual, other), number, name))
        if not found:
            message = self.problem or "there is no output to judge"
            return Verdict(self.case, execution.target, 0, Word.UNDECIDABLE.value, message=message)
        chosen = worst([c for c, _, _ in found])
        _, number, name = next(f for f in found if f[0] is chosen)
        return Verdict(
            self.case, execution.target, number, chosen.word.value, name, chosen.ratio, chosen.index,
            chosen.expected, chosen.actual, chosen.bound, None, chosen.message,
        )  # fmt: skip

    def fair(
        self, execution: Execution, number: int, position: int, actual: Value, other: Execution | None
    ) -> Comparison:
        """As ``output``; a graph-to-graph tool is not blamed for what its plain runtime gets wrong."""
        found = self.output(execution.target, number, position, actual, other)
        if execution.message != COMPARED or found.word not in _BAD:
            return found
        plain = execution.beside.get((UNTRANSFORMED, number, position), actual)
        elsewhere = execution.beside.get((ELSEWHERE, number, position))
        second = _other(execution.target)
        if plain is actual:
            reason = "computes the same from the untransformed model"
        elif self.output(execution.target, number, position, plain, other).word in _BAD:
            reason = "is wrong on the untransformed model too"
        elif elsewhere is not None and self.output(second, number, position, elsewhere, other).word is Word.OK:
            reason = f"is wrong on the transformed model, from which {second} computes what is due"
        else:
            return found
        told = f"the plain runtime {reason}" + (f": {found.message}" if found.message else "")
        return replace(found, word=Word.UNDECIDABLE, message=told)

    def output(self, target: str, number: int, position: int, actual: Value, other: Execution | None) -> Comparison:
        if self.oracle.against is not None:
            return self.other(number, position, actual, other)
        known = self.reference(number, target)
        sample = self.samples[number]
        opinion = sample.expected[position] if sample.foreign and position < len(sample.expected) else None
        if known is None:
            return self.unknown(actual, opinion)
        if self.oracle.name == "allclose":
            return compare(actual, self.tolerated(known[position]))
        found = self.named(compare(actual, known[position]), number, position, target)
        if found.word in _BAD and opinion is not None:
            return _second(found, compare(actual, _opinion(opinion)))
        return found

    def named(self, found: Comparison, number: int, position: int, target: str) -> Comparison:
        """With the hazards in the message that an output depends on which is not simply right."""
        if found.word is Word.OK:
            return found
        hazards = told(self.hazards(number, target, self.names[position]))
        if not hazards:
            return found
        if found.word is not Word.UNDECIDABLE:
            hazards = f"it also depends, elsewhere, on what the specification leaves open: {hazards}"
        return replace(found, message=f"{found.message}: {hazards}" if found.message else hazards)

    def unknown(self, actual: Value, opinion: Value) -> Comparison:
        """Without a reference value: the outputs that came with the case decide, if there are any."""
        if self.failed or opinion is None:
            return Comparison(Word.ERROR if self.failed else Word.UNDECIDABLE, message=self.problem)
        return compare(actual, _opinion(opinion))

    def other(self, number: int, position: int, actual: Value, other: Execution | None) -> Comparison:
        """Against another target's output."""
        if other is None or number >= len(other.outputs) or position >= len(other.outputs[number]):
            return Comparison(Word.UNDECIDABLE, message=f"{self.oracle.against} has no result to compare with")
        return compare(actual, self.tolerated(_plain(other.outputs[number][position])))

    def tolerated(self, reference: Bounded) -> Bounded:
        """The same value with allclose's tolerance for its bound."""
        value = reference.value
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
            return reference
        if value.dtype.kind == "b":
            return Bounded(value, 0.0, reference.dtype)
        return Bounded(value, _within(value, self.oracle.rtol, self.oracle.atol), reference.dtype)

    def disputed(self, executions: Sequence[Execution], verdicts: Sequence[Verdict]) -> bool:
        """Whether several independent backends agree with one another on all outputs, and none with the reference."""
        independent = {base_name(e.target) for e in executions}
        if self.oracle.name != "bound" or self.oracle.against or len(independent) < 2:
            return False
        if any(v.verdict not in _BAD for v in verdicts):
            return False
        return all(self.agree(executions[0], other) for other in executions[1:])

    def agree(self, one: Execution, other: Execution) -> bool:
        """Whether two targets gave the same outputs, each granted its own bound."""
        for number, outputs in enumerate(one.outputs):
            references = self.reference(number, other.target)
            if references is None or number >= len(other.outputs):
                return False
            for mine, theirs, known in zip(outputs, other.outputs[number], references, strict=False):
                plain = _plain(mine)
                twice = Bounded(plain.value, 2 * np.asarray(known.bound), known.dtype)
                if compare(theirs, twice).word not in (Word.OK, Word.UNDECIDABLE):
                    return False
        return True


def _second(found: Comparison, second: Comparison) -> Comparison:
    """What differs from the reference but is what the case's author expects is a dispute between the two."""
    if second.word is not Word.OK:
        return found
    message = "it agrees with the outputs that came with the case, not with the reference"
    return replace(found, word=Word.DISPUTE, message=message)


def _disputed(verdict: Verdict) -> Verdict:
    return replace(verdict, verdict=Word.DISPUTE.value, message="all backends agree, and not with the reference")


def _outvoted(verdict: Verdict, agreeing: Sequence[str]) -> Verdict:
    """Who is wrong: a target that differs from the reference while other backends give what the reference does."""
    others = [target for target in agreeing if kin(target) != kin(verdict.target)]
    if verdict.verdict not in _BAD or not others:
        return verdict
    told = f"{', '.join(others)} {'agrees' if len(others) == 1 else 'agree'} with the reference"
    return replace(verdict, message=f"{verdict.message}; {told}" if verdict.message else told)


def _plain(value: Value) -> Bounded:
    """A backend's own output in the role of a reference."""
    if isinstance(value, Tensor):
        own = BY_NAME[value.element_type]
        return Bounded(to_carrier(to_numpy(value), own), 0.0, own)
    return Bounded(_content(value), 0.0, None)


def _opinion(value: Value) -> Bounded:
    """The expected outputs of a case that someone else made, with the tolerance of ONNX's backend tests."""
    plain = _plain(value)
    if isinstance(plain.value, np.ndarray) and plain.value.dtype.kind == "f":
        relative = max(1e-3, 4 * plain.dtype.unit) if plain.dtype is not None else 1e-3
        return Bounded(plain.value, _within(plain.value, relative, 1e-7), plain.dtype)
    return plain


def _within(value: Array, relative: float, absolute: float) -> Array:
    """A tolerance for each number; none for infinities and NaN, which are near to themselves alone."""
    size = np.abs(value.astype(np.float64))
    return np.where(np.isfinite(size), absolute + relative * size, 0.0)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:200]
