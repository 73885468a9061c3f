"""The whole of ``fuzz reduce``: a model of anybody's, what it fails with, and a folder for what it is reduced to."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.protocol import InvalidCase
from fuzz.case import read_inputs
from fuzz.check import case_of
from fuzz.errors import CaseError, StorageError, UsageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.file import write_json
from fuzz.judge.verdict import Word
from fuzz.repro.papers import attach
from fuzz.signature import read_signature
from fuzz.triage.candidate import Candidate, self_contained, size
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.output import write_candidate
from fuzz.triage.predicate import INTERESTING
from fuzz.triage.reduction import reduce_case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.performance.timer import Subject
    from fuzz.triage.observation import Observation
    from fuzz.triage.predicate import Predicate
    from fuzz.triage.reduction import Reduction
    from fuzz.triage.search import Search
    from fuzz.triage.signature import Signature

__all__ = ["NOTES", "Wish", "read_candidate", "reduce_model", "report"]

_TOLD = 160
_AGAIN = 5.0  # seconds that a case gets that has hung for all of its limit, to answer after all

NOTES = "examined.jsonl"
"""What was examined so far: the same command, called again, goes on from there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be reduced, and where to; ``sized`` gives it at the size at which it fails, where that is another."""

    model: Path
    inputs: Path | None
    out: Path
    jobs: int = 1
    anonymous: bool = False
    sized: Callable[[Case], Subject | None] | None = None


def read_candidate(
    model: Path, inputs: Path | None, sized: Callable[[Case], Subject | None] | None = None
) -> Candidate:
    """A model with its data sets (as ``fuzz check`` takes them), external data inside. Raises as that does.

    ``sized`` may give it at another size.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-reduce-") as scratch:
        case = case_of(model, inputs, Path(scratch))
        ports = read_signature(model)
        names = [port.name for port in ports.inputs]
        sets: Sequence[Sequence[Value]] = [read_inputs(case, folder, ports) for folder in case.data_sets]
        subject = sized(case) if sized is not None else None
    content = model.read_bytes()
    if subject is not None:
        content, sets = subject.model, subject.data_sets
    feeds = [dict(zip(names, values, strict=False)) for values in sets]
    try:
        content = self_contained(content, str(model.parent))
    except (InvalidCase, OSError) as error:
        raise CaseError(f"{model}: {error}") from None
    return Candidate(content, tuple(feeds))


def reduce_model(
    wish: Wish, predicate: Predicate, progress: Callable[[Search], None] = lambda _: None
) -> Reduction:
    """Reduce a model. The best so far lies in ``wish.out`` at any time.

    Raises CaseError, UsageError (nothing fails, so there is nothing to reduce), StorageError, TargetError.
    """
    case = read_candidate(wish.model, wish.inputs, wish.sized)
    try:
        wish.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {wish.out}: {error.strerror}; give another --out") from None
    with Laboratory(predicate, jobs=wish.jobs, notes=wish.out / NOTES) as laboratory:
        first = laboratory.fresh(case)
        _check(wish.model, predicate, first)
        if first.signature.word == Word.TIMEOUT:  # what is left at the end gets all of the limit again
            predicate.hasten(_AGAIN)
        again = laboratory.fresh(case)
        if again.signature != first.signature:
            raise UsageError(
                f"{wish.model} fails in one way and then in another ({first.signature}; {again.signature}): "
                "see `fuzz stable`"
            )
        write_candidate(wish.out, case)

        def better(search: Search) -> None:
            write_candidate(wish.out, search.best)
            progress(search)

        done = reduce_case(laboratory, case, first, anonymous=wish.anonymous, told=better)
        _finish(wish, laboratory, done)
    if wish.anonymous:
        (wish.out / NOTES).unlink(missing_ok=True)  # it repeats what was said of the model with its own names
    return done


def _check(model: Path, predicate: Predicate, first: Observation) -> None:
    """UsageError where a case is none that can be reduced."""
    if first.signature == INTERESTING or first.finding:
        return
    if not first.fit:
        raise UsageError(f"{model} is no case to reduce: {first.problem}")
    if predicate.target:
        said = (first.said if first.verdict is None else first.verdict.message).split("\n", 1)[0][:_TOLD]
        told = f" ({said})" if said else ""
        raise UsageError(f"{model} is {first.signature.word} on {predicate.target}{told}: there is nothing to reduce")
    raise UsageError(f"the command does not find {model} interesting: {first.said} where 0 is due")


def _finish(wish: Wish, laboratory: Laboratory, done: Reduction) -> None:
    """Write what is left; candidates that failed otherwise have the model's numbers, so not where it is private."""
    out, known = wish.out, laboratory.know(done.case)
    write_candidate(out, done.case, known.values if known is not None else ())
    others = () if wish.anonymous else sorted(done.others.items(), key=lambda pair: str(pair[0]))
    for number, (signature, candidate) in enumerate(others):
        folder = out / "others" / f"{number}-{_word(signature)}"
        write_candidate(folder, candidate)
        write_json(folder / "signature.json", {"signature": signature.to_json(), "nodes": size(candidate)})
    write_json(out / "reduction.json", report(done, laboratory.predicate.target), "give another --out")
    if done.last.finding and done.last.signature.word != Word.SLOW:  # no script tells times
        limits = Limits(laboratory.predicate.heading["seconds"], laboratory.predicate.heading["memory"])
        attach(out, done.case, parse_target(laboratory.predicate.target), limits)


def _word(signature: Signature) -> str:
    return "-".join(re.findall(r"[a-z]+", f"{signature.word} {signature.symptom or signature.stage}".lower()))


def report(done: Reduction, target: str) -> dict[str, Any]:
    """What ``reduction.json`` and ``--json`` say."""
    return {
        "target": target,
        "signature": done.signature.to_json(),
        "identity": done.identity(target),
        "pattern": done.pattern,
        "extent": dict(done.reach),
        "nodes_before": done.nodes_before,
        "nodes": done.nodes,
        "executions": done.executions,
        "surveyed": done.surveyed,
        "repeats": done.repeats,
        "slower": done.last.said if done.last.signature.word == Word.SLOW else None,
        "others": [
            {"signature": signature.to_json(), "nodes": size(candidate)}
            for signature, candidate in sorted(done.others.items(), key=lambda pair: str(pair[0]))
        ],
        "kept": list(done.kept),
    }
