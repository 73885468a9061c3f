"""Null runs over generated cases: what the judge says of legal recomputations, by operator and element type."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import onnx

from abstract.body import TooLarge
from abstract.capture import captured
from abstract.contributed import qualified
from abstract.dtypes import BY_NAME
from abstract.fallback import Unrunnable
from abstract.program import parse, to_carrier
from abstract.reference import interpret
from abstract.schema import newest_opset
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.case import read_inputs
from fuzz.generate.choices import Seeded
from fuzz.generate.run import case_id, generate_case
from fuzz.generate.settings import Settings
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.verdict import Word
from fuzz.pool import process_pool
from fuzz.selftest.null import METHODS, BrokenDown, recompute
from fuzz.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.program import Program, Step
    from abstract.reference import Bounded
    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.selftest.null import Method

__all__ = ["NULL_SETTINGS", "Culprit", "Tally", "null_case", "null_model", "null_root", "null_run"]

_Item = TypeVar("_Item")

NULL_SETTINGS = Settings(
    nodes=(1, 20), dynamic=None, opset=newest_opset(), mixed_opsets=True, bait=("all",), structure=("all",)
)  # fmt: skip
"""No backend has to keep up here: every version of the operator set that the reference knows."""

_CHUNK = 8
_KEPT = 200  # culprits worth showing


@dataclass(frozen=True, slots=True)
class Culprit:
    """A value that the judge does not accept though it was computed legally. ``case`` is what its case is called."""

    case: str
    data_set: int
    method: str
    node: str
    operator: str
    dtype: str
    comparison: Comparison


@dataclass(slots=True)
class Tally:
    """``words``: how many values have each verdict, by (operator, element type, word).

    ``culprits`` are values that were not accepted, the first of each recomputation: what follows from it is not listed.
    """

    cases: int = 0
    words: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    culprits: list[Culprit] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in what another process counted."""
        self.cases += other.cases
        self.words.update(other.words)
        self.culprits.extend(other.culprits[: _KEPT - len(self.culprits)])

    def count(self, word: Word) -> int:
        """How many values have a verdict."""
        return sum(n for (_, _, w), n in self.words.items() if w == word.value)

    def to_json(self) -> dict[str, int]:
        """The keys of ``fuzz selftest --null --json``."""
        words = {word.value: self.count(word) for word in (Word.OK, Word.SUSPECT, Word.WRONG, Word.UNDECIDABLE)}
        return {"cases": self.cases, "judged": sum(self.words.values()), **words}


def null_case(seed: int, settings: Settings = NULL_SETTINGS, methods: Sequence[Method] = METHODS) -> Tally:
    """One generated case, recomputed by every method; every value that a node computes is judged as an output."""
    made = generate_case(Seeded(seed), settings)
    return null_model(case_id(seed), seed, made.model, [one.inputs for one in made.data_sets], methods=methods)


def null_model(
    name: str, seed: int, model: bytes, data_sets: Iterable[Mapping[str, Value]], folder: str = "",
    methods: Sequence[Method] = METHODS,
) -> Tally:  # fmt: skip
    """A model recomputed by every method on each data set; ``seed`` chooses the noise.

    Raises what the reference cannot do.
    """
    proto = onnx.ModelProto.FromString(model)
    program = parse(proto, folder)
    tally = Tally(cases=1)
    for number, given in enumerate(data_sets):
        inputs = carried(program, given)
        reference = interpret(program, inputs, extended=True)
        for method in methods:
            _judge(tally, name, number, method, recompute(program, inputs, method, seed), reference)
        _judge_constants(tally, name, number, proto.graph, reference)
    return tally


def _judge_constants(
    tally: Tally, case: str, number: int, graph: onnx.GraphProto, reference: Mapping[str, Bounded]
) -> None:
    """What ONNX's own evaluator makes of the Constant nodes: no method computes them."""
    for node in graph.node:
        if node.op_type != "Constant" or node.domain or node.attribute[0].name == "sparse_value":
            continue
        bounded = reference[node.output[0]]
        attribute = node.attribute[0]
        given = onnx.helper.get_attribute_value(attribute)
        array = onnx.numpy_helper.to_array(given) if attribute.name == "value" else np.asarray(given)
        if attribute.name in {"value_string", "value_strings"}:
            array = np.array([text.decode() for text in given] if isinstance(given, list) else given.decode(), object)
        found = compare(tensor(array, bounded.dtype), bounded)
        label = "" if bounded.dtype is None else bounded.dtype.name
        tally.words["Constant", label, found.word.value] += 1
        if found.word is not Word.OK:
            tally.culprits.append(Culprit(case, number, "as it is stored", node.name, "Constant", label, found))


def null_stored(case: Case, seed: int) -> Tally:
    """A case of a root; where the reference cannot run it, one value of which nothing can be said.

    Raises CaseError.
    """
    ports = read_signature(case.model_path)
    names = [port.name for port in (*ports.inputs, *ports.defaults)]
    sets = [dict(zip(names, read_inputs(case, folder, ports), strict=False)) for folder in case.data_sets]
    try:
        return null_model(case.id, seed, case.model_path.read_bytes(), sets, str(case.folder))
    except (Unrunnable, TooLarge):
        return Tally(cases=1, words=Counter({("(not run)", "", Word.UNDECIDABLE.value): 1}))


def carried(program: Program, inputs: Mapping[str, Value]) -> dict[str, Any]:
    """Inputs as the reference holds them: tensors in carrier types, the parts of containers as they are."""
    result: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            result[name] = to_carrier(to_numpy(value), program.dtypes.get(name) or BY_NAME[value.element_type])
        else:
            result[name] = _parts(value)
    return result


def _parts(value: Value) -> Any:
    if isinstance(value, list):
        return [_parts(part) for part in value]
    return None if value is None else to_numpy(value)


def _judge(
    tally: Tally, case: str, number: int, method: Method, computed: Iterator[tuple[Step, str, DType | None, Any]],
    reference: Mapping[str, Bounded],
) -> None:  # fmt: skip
    """Count what the judge says of each value. A recomputation that breaks down is as wrong as one that differs.

    It is not where the reference is not sure of a shape itself: nothing can be said then of what would have followed.
    """
    first = True
    try:
        for step, name, dtype, value in computed:
            found = compare(tensor(value, dtype), reference[name])
            label = "" if dtype is None else dtype.name
            operator = qualified(step.node.domain, step.node.op_type)
            tally.words[operator, label, found.word.value] += 1
            if first and found.word in (Word.WRONG, Word.SUSPECT):
                first = False
                node = step.node
                tally.culprits.append(Culprit(case, number, method.name, node.name, operator, label, found))
    except (IndexError, ValueError, Unrunnable) as error:
        if isinstance(error, BrokenDown) and not _sure(error.step, reference):
            tally.words[qualified(error.step.node.domain, error.step.node.op_type), "", Word.UNDECIDABLE.value] += 1
            return
        failed = Comparison(Word.WRONG, message=f"{type(error).__name__}: {error}")
        tally.words["(breaks down)", "", Word.WRONG.value] += 1
        tally.culprits.append(Culprit(case, number, method.name, "", "(breaks down)", "", failed))


def _sure(step: Step, reference: Mapping[str, Bounded]) -> bool:
    """Whether the shapes of all that a node reads are known; what arises inside of bodies shows in their outputs."""
    bodies = list(captured(step.node))
    read = (*step.node.input, *bodies, *(step.node.output if bodies else ()))
    return all(reference[name].shaped for name in read if name in reference)


def tensor(value: Any, dtype: DType | None) -> Value:
    """A recomputed value as a backend would hand it over."""
    if value is None:
        return None
    if isinstance(value, list):
        return [tensor(v, None) for v in value]
    array = np.asarray(value)
    return from_numpy(array if dtype is None else array.astype(dtype.numpy))


def _generated(seeds: Sequence[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        tally.add(null_case(seed))
    return tally


def _stored(cases: Sequence[tuple[int, Case]]) -> Tally:
    tally = Tally()
    for number, case in cases:
        tally.add(null_stored(case, number))
    return tally


def null_run(
    seeds: Sequence[int], *, jobs: int = 1, progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Null runs over generated cases, one a seed, on as many processes as asked."""
    return _run(_generated, seeds, jobs, progress)


def null_root(
    cases: Sequence[Case], *, jobs: int = 1, progress: Callable[[int], None] = lambda _: None
) -> Tally:
    """Null runs over the cases of a root. Raises CaseError."""
    return _run(_stored, list(enumerate(cases)), jobs, progress)


def _run(
    task: Callable[[Sequence[_Item]], Tally], items: Sequence[_Item], jobs: int, progress: Callable[[int], None]
) -> Tally:
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    tally = Tally()
    if jobs <= 1 or len(chunks) < 2:
        for chunk in chunks:
            tally.add(task(chunk))
            progress(len(chunk))
        return tally
    with process_pool(jobs) as pool:
        for part in pool.map(task, chunks):
            tally.add(part)
            progress(part.cases)
    return tally
