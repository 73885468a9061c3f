"""One built model judged: eager PyTorch, the exported program, the ONNX model and each backend against one another.

The measure is the ONNX model interpreted in float64 (`abstract.reference`). What is granted is the smaller of two:
the error bound that the interpretation carries, which is a proof and explodes in deep nets, and what rounding was
seen to do when it was drawn (`corpus.precise`). Where both are more than a tenth of the output's scale nothing can
be said.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.inference import check_fully
from abstract.program import Program, parse
from abstract.reference import Bounded
from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from corpus.places import place_of
from fuzz.case import read_inputs, read_outputs, read_values
from fuzz.judge.compare import Comparison, compare, worst
from fuzz.judge.judge import Sample, contract, judge, reference_values
from fuzz.judge.verdict import Verdict, Word
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.execute.execution import Execution

__all__ = [
    "EAGER", "EXPORTER", "FRONT_END", "PROGRAM", "SAMPLED", "TORCH_EXPORT", "TRANSLATION", "Answer", "Examination",
    "examine", "unsettled", "verdict_of",
]  # fmt: skip

EAGER, PROGRAM, TRANSLATION = "eager", "program", "onnx"
"""Who answers beside the backends: PyTorch, the exported program, the ONNX model in float64 against the program's."""

FRONT_END = TORCH_EXPORT, EXPORTER = ("torch.export", "exporter")
"""The two steps from a model to ONNX, either of which may be at fault."""

SAMPLED = "sampled"
"""The oracle of a verdict that rests on drawn rounding; that of one that rests on a bound is ``reference``."""

VACUOUS = 0.1
"""A tolerance that is more of the output's largest element says nothing."""

SHARP = 1e-3
"""A bound that is less of the output's largest element is preferred to what was sampled: it is a proof."""

_SEEN = 8.0
"""Another legal computation may be so many times as far from the exact outputs as the exported program itself is."""

_FOLDED = 16.0
"""Units of an output's largest element that constants computed ahead may cost, where no rounding was drawn."""

_LIMIT = 2**24  # elements of a tensor of the reference; a graph net with more took minutes
_NAMED = re.compile(r"node name: ([^)]+)\)")
_AGREEING = frozenset({Word.OK, Word.SUSPECT})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side's outputs are worth; ``decided`` is by what: ``bound``, ``sampled`` or nothing."""

    word: str
    decided: str = ""
    output: str | None = None
    ratio: float | None = None
    index: tuple[int, ...] | None = None
    expected: float | str | None = None
    actual: float | str | None = None
    limit: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found of one model: an answer of each side, and which side is at fault where they differ.

    ``side`` is empty where all agree; else one of `FRONT_END`, ``reference`` or the backends, by name. ``node`` is the
    place of what ONNX's checker refuses, where it names a node.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    side: str = ""
    message: str = ""
    node: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Due:
    """What one output is to be, in float64, and how it is known.

    ``drawn`` says that the bound was nowhere small enough to count: what was sampled is all that is granted.
    """

    name: str
    value: Bounded
    decided: str
    drawn: bool = False


def examine(case: Case, executions: Sequence[Execution], tolerances: Sequence[float]) -> Examination:
    """Judge a build of a cache. ``tolerances`` are those of `corpus.precise`, none where it was not run so.

    It parses the model: call it in a process apart. Raises CaseError, OSError, and what parsing raises.
    """
    import onnx

    model = case.model_path.read_bytes()
    program = parse(onnx.ModelProto.FromString(model), str(case.folder))
    ports = read_signature(case.model_path)
    inputs = dict(zip([port.name for port in ports.inputs], read_inputs(case, case.data_sets[0], ports), strict=False))
    eager = read_outputs(case, case.data_sets[0])
    exact = read_values(case.folder / "precise", "output") if tolerances else ()
    exported = read_values(case.folder / "program", "output")
    seen = [max(tolerance, _seen(one, two)) for tolerance, one, two in zip(tolerances, exported, exact, strict=True)]
    bench = _Bench(program, inputs, [port.name for port in ports.outputs], exact, seen)
    backends = {}
    for execution in executions:  # first, since PyTorch may do what any of them may
        if execution.outcome is Outcome.OK:
            backends[execution.target] = bench.answer(execution.outputs[0], execution.target)
        else:
            sample = Sample(inputs, eager, foreign=True)
            (verdict,) = judge(case.id, model, str(case.folder), [sample], [execution])
            told = verdict.message or execution.message
            backends[execution.target] = Answer(verdict.verdict, "outcome", message=told)
    front = {EAGER: bench.answer(eager), PROGRAM: bench.answer(exported), TRANSLATION: bench.translation()}
    answers = front | backends
    invalid = _invalid(program.model)
    if invalid:
        told = f"onnx.checker refuses the exported model: {invalid}"
        return Examination(answers, EXPORTER, told, _refused(program.model, invalid))
    return _settled(answers)


def _invalid(model: onnx.ModelProto) -> str:
    """What ONNX's full check has against a model."""
    try:
        check_fully(model)
    except Exception as problem:  # noqa: BLE001 - whatever the checker raises is its opinion
        told = str(problem).strip().split("\n", 1)[0][:200]
        # The text of ONNX leaves the shape of an output open; only the checker asks for it.
        return "" if "Field 'shape' of 'type' is required" in told else told
    return ""


def _refused(model: onnx.ModelProto, told: str) -> str:
    """The place of the node that the checker names, if it names one."""
    name = _NAMED.search(told)
    nodes = [node for node in model.graph.node if name is not None and node.name == name[1]]
    return place_of(nodes[0], nodes[0].output[0]) if nodes else ""


def unsettled(found: Examination, message: str) -> Examination:
    """The same of a model of which nothing can be said, such as one that draws random numbers."""
    return Examination(_softened(found.answers, Word.UNDECIDABLE, message))


def verdict_of(case: str, target: str, answer: Answer) -> Verdict:
    """An answer as the store keeps it."""
    return Verdict(
        case, target, 0, answer.word, answer.output, answer.ratio, answer.index, answer.expected, answer.actual,
        answer.limit, None, answer.message, oracle=SAMPLED if answer.decided == SAMPLED else "reference",
    )  # fmt: skip


class _Bench:
    """One model on its inputs: what is due for each contract."""

    def __init__(
        self, program: Program, inputs: Mapping[str, Value], names: Sequence[str], exact: Sequence[Value],
        tolerances: Sequence[float],
    ) -> None:  # fmt: skip
        self._program, self._inputs, self._names = program, inputs, names
        self._exact, self._tolerances = exact, tolerances
        self._known: dict[Any, list[_Due]] = {}
        self.problem = ""

    def due(self, target: str) -> list[_Due]:
        """What is due of a target: the reference's values, or the program's in float64 where there is none."""
        key = contract(target)
        if key not in self._known:
            # Where a bound did not count, no larger one does: the model is not interpreted again for it.
            same = [due for other, due in self._known.items() if key.admits(other) and all(one.drawn for one in due)]
            self._known[key] = same[0] if same else self._computed(target)
        return self._known[key]

    def _computed(self, target: str) -> list[_Due]:
        try:
            values = reference_values(self._program, self._inputs, target, limit=_LIMIT)
            return [self._merged(i, values[name]) for i, name in enumerate(self._names)]
        except Exception as problem:  # noqa: BLE001 - a stranger's model must not end the run; it is told
            self.problem = f"the reference cannot run the model: {type(problem).__name__}: {problem}"[:200]
            return [self._precise(i) for i in range(len(self._names))]

    def _tolerance(self, position: int) -> float:
        return self._tolerances[position] if position < len(self._tolerances) else np.inf

    def _merged(self, position: int, known: Bounded) -> _Due:
        value = known.value
        if not isinstance(value, np.ndarray):
            return _Due(self._names[position], known, "bound")
        scale, sampled = _scale(value), self._tolerance(position)
        if not known.shaped:
            # The bound admits other shapes; that all draws had this one says more.
            if sampled <= VACUOUS * scale and _shape(self._exact[position]) == value.shape:
                return _Due(self._names[position], Bounded(value, np.float64(sampled), known.dtype), SAMPLED)
            return _Due(self._names[position], known, "bound")
        proved = np.broadcast_to(np.asarray(known.bound, dtype=np.float64), value.shape)
        telling, sharp = proved <= VACUOUS * scale, proved <= SHARP * scale
        if bool(sharp.all()):
            limits, decided = proved, "bound"
        elif sampled <= VACUOUS * scale:
            limits, decided = np.where(sharp, proved, np.minimum(proved, sampled)), SAMPLED
        else:
            limits, decided = np.where(telling, proved, np.inf), "bound" if bool(telling.any()) else ""
        drawn = decided == SAMPLED and not bool(sharp.any()) and bool((proved >= sampled).all())
        return _Due(self._names[position], Bounded(value, limits, known.dtype), decided, drawn)

    def _folded(self, position: int, due: _Due) -> _Due:
        """What PyTorch is granted: the exporter computes constants ahead, and rounds them otherwise.

        Where the draws disagree the program itself leaves open what it gives, as `topk` does among equals, of which
        ONNX takes the first: PyTorch may differ then.
        """
        known = due.value
        if not isinstance(known.value, np.ndarray):
            return due
        scale, sampled = _scale(known.value), self._tolerance(position)
        if self._tolerances and not sampled <= VACUOUS * scale:
            return replace(due, value=replace(known, bound=np.float64(np.inf)))
        if known.dtype is None or not known.dtype.is_float:
            return due
        least = sampled if self._tolerances else _FOLDED * known.dtype.unit * scale
        return replace(due, value=replace(known, bound=np.maximum(known.bound, least)))

    def _precise(self, position: int) -> _Due:
        name = self._names[position]
        exact = self._exact[position] if position < len(self._exact) else None
        if not isinstance(exact, Tensor):
            return _Due(name, Bounded(np.zeros(0), np.inf, None, shaped=False), "")
        value = to_numpy(exact)
        tolerance = self._tolerance(position)
        said = tolerance <= VACUOUS * _scale(value)
        return _Due(name, Bounded(value, tolerance if said else np.inf, None), SAMPLED if said else "")

    def answer(self, outputs: Sequence[Value], target: str | None = None) -> Answer:
        """What the outputs of a target are worth, or without one those of PyTorch."""
        due = self.due(target) if target is not None else [self._folded(i, d) for i, d in enumerate(self.due(""))]
        if len(outputs) != len(due):
            return Answer(Word.WRONG.value, "bound", message=f"{len(outputs)} outputs where {len(due)} are due")
        return _summed([(compare(actual, d.value), d) for actual, d in zip(outputs, due, strict=True)], self.problem)

    def translation(self) -> Answer:
        """Whether the ONNX model computes in float64 what the exported program computes in float64."""
        if self.problem or not self._exact:
            message = self.problem or "the program was not run in float64"
            return Answer(Word.UNDECIDABLE.value, message=message)
        pairs = []
        for position, due in enumerate(self.due("")):
            precise = self._precise(position)
            value = due.value.value
            if not isinstance(value, np.ndarray):
                continue
            exact = self._exact[position]
            pairs.append((compare(exact, Bounded(value, precise.value.bound, None)), precise))
        return _summed(pairs, "")


def _seen(one: Value, exact: Value) -> float:
    """What is granted for how far the program's own rounding has moved an output: a few times as much."""
    if not isinstance(one, Tensor) or not isinstance(exact, Tensor) or one.shape != exact.shape:
        return np.inf
    got, due = to_numpy(one), to_numpy(exact)
    if got.dtype.kind in "iub":
        return 0.0 if np.array_equal(got, due) else np.inf
    with np.errstate(all="ignore"):
        moved = np.abs(got.astype(due.dtype) - due)
    finite = moved[np.isfinite(moved)]
    return _SEEN * float(finite.max()) if finite.size else 0.0


def _shape(value: Value) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _scale(value: Any) -> float:
    """The largest finite magnitude in an output."""
    size = np.abs(value.astype(np.float64)) if value.dtype.kind in "fiub" else np.abs(value)
    finite = size[np.isfinite(size)]
    return float(finite.max()) if finite.size else 0.0


def _summed(pairs: Sequence[tuple[Comparison, _Due]], problem: str) -> Answer:
    chosen = worst([comparison for comparison, _ in pairs])
    due = next((d for c, d in pairs if c is chosen), None)
    ways = {d.decided for _, d in pairs}
    decided = SAMPLED if SAMPLED in ways else "bound" if "bound" in ways else ""
    message = chosen.message
    if chosen.word is Word.UNDECIDABLE:
        message = problem or "rounding, or a choice among equals, may move the output by more than a tenth of its scale"
        decided = ""
    return Answer(
        chosen.word.value, decided, due.name if due is not None and chosen.word is not Word.OK else None, chosen.ratio,
        chosen.index, chosen.expected, chosen.actual, chosen.bound, message,
    )  # fmt: skip


def _settled(answers: dict[str, Answer]) -> Examination:
    """Who is at fault: the one that parts from what the others before it in the chain agree on."""
    words = {name: Word(answer.word) for name, answer in answers.items()}
    backends = {name: word for name, word in words.items() if name not in {EAGER, PROGRAM, TRANSLATION}}
    wrong = sorted(name for name, word in backends.items() if word is Word.WRONG)
    agreeing = [name for name, word in backends.items() if word in _AGREEING]
    side, message = "", ""
    if words[PROGRAM] in _AGREEING and words[EAGER] is Word.WRONG:
        side, message = TORCH_EXPORT, "eager PyTorch parts from the exported program, which the ONNX model follows"
    elif words[PROGRAM] is Word.WRONG and words[TRANSLATION] is Word.OK:
        # All differ from what is the same in float64 twice over: rounding moves more than was drawn.
        return unsettled(Examination(answers), "rounding moves the output further than was drawn")
    elif words[PROGRAM] is Word.WRONG and agreeing:
        side, message = EXPORTER, "the ONNX model is not what the exported program computes; backends follow it"
    elif words[PROGRAM] is Word.WRONG:
        side, message = "reference", "PyTorch and the backends agree, and not with the reference"
        answers = _softened(answers, Word.DISPUTE, message)
    elif words[TRANSLATION] is Word.WRONG:
        side, message = EXPORTER, "in float64 the ONNX model gives other outputs than the exported program"
    elif wrong:
        side, message = ", ".join(wrong), "PyTorch agrees with the reference"
    return Examination(answers, side, message)


def _softened(answers: dict[str, Answer], word: Word, message: str) -> dict[str, Answer]:
    """The answers with another word for those that are wrong, or cannot be told from it."""
    softened = {Word.WRONG, Word.SUSPECT, word}
    return {
        name: replace(answer, word=word.value, message=message) if answer.word in softened else answer
        for name, answer in answers.items()
    }
