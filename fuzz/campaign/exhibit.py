"""The cases that show findings: reduced where they can be, standard test cases with ``verdict.json`` beside them."""

from __future__ import annotations

import os
import resource
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fuzz.campaign.gate import Regression
from fuzz.campaign.rough import sites_of
from fuzz.campaign.trial import Sighting, finding_id
from fuzz.errors import FuzzError
from fuzz.file import write_json
from fuzz.judge.verdict import Word
from fuzz.repro.papers import attach
from fuzz.triage.blame import attach_blame
from fuzz.triage.candidate import names_in, size
from fuzz.triage.finding import Finding
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.output import write_candidate
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.reduction import reduce_case
from fuzz.triage.signature import element_types, identity, pattern, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backends.tensor import Value
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.subject import Subject
    from fuzz.campaign.task import Reduce
    from fuzz.execute.attempt import Attempt
    from fuzz.execute.nursery import Nursery
    from fuzz.execute.target import Target
    from fuzz.judge.verdict import Verdict
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.observation import Observation
    from fuzz.triage.predicate import Predicate
    from fuzz.triage.reduction import Reduction
    from fuzz.triage.sandbox import Sandbox
    from fuzz.triage.signature import Signature

__all__ = ["PART", "Room", "cpu_now", "show"]

PART = ".part-"
"""How the name of a folder begins that is not in its place yet; then the process that writes it, and the case."""

_ASIDE = 2  # candidates of one reduction that failed in another way, and are looked into


def cpu_now() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@dataclass(frozen=True, slots=True)
class Room:
    """Where it is done: the folder for what is written, the processes that parse models, where workers come from."""

    parts: Path
    sandbox: Sandbox
    nursery: Nursery


def show(
    campaign: Campaign, subject: Subject, target: Target, answer: tuple[Attempt, Verdict], task: Reduce, room: Room
) -> tuple[Sighting, ...]:  # fmt: skip
    """Write the case of a failing answer into a folder, reduced, and what else its reduction showed.

    Raises StorageError, TargetError.
    """
    exhibitor = _Exhibitor(campaign, subject, target, task.found, room)
    reductions, problem = exhibitor.reduced(task, *answer)
    if not reductions:
        return (exhibitor.plain(*answer, problem),)
    shown: dict[str, Sighting] = {}
    for number, (reduction, known) in enumerate(reductions):
        sighting = exhibitor.small(number, reduction, known)
        if shown.setdefault(sighting.identity, sighting) is not sighting:
            shutil.rmtree(sighting.folder)
    return tuple(shown.values())


class _Exhibitor:
    """Writes the cases of one seed on one target."""

    def __init__(
        self, campaign: Campaign, subject: Subject, target: Target, found: frozenset[str], room: Room
    ) -> None:
        self._sandbox, self._nursery = room.sandbox, room.nursery
        self._campaign, self._subject, self._target, self._found = campaign, subject, target, found
        self._case = subject.candidate()
        self._before = size(self._case)
        asked = (*campaign.targets, *([campaign.baseline] if campaign.baseline is not None else []))
        self._others = [other.canonical for other in asked if other != target]
        self._place = room.parts / f"{PART}{os.getpid()}-{subject.name}-{campaign.targets.index(target)}"

    def plain(self, attempt: Attempt, verdict: Verdict, problem: str) -> Sighting:
        """The case as it was generated."""
        proto = self._case.proto()
        shape = pattern(proto, element_types(proto))
        signature = signature_of(verdict, attempt, names_in(proto))
        named = identity(self._target.canonical, signature, shape)
        folder = self._folder(0)
        scratch = folder.with_name(f"{folder.name}.scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        self._subject.write(scratch).rename(folder)
        shutil.rmtree(scratch)
        sighting = Sighting(self._target.canonical, named, str(signature), shape, self._before, self._before, folder)
        self._tell(sighting, signature.to_json(), verdict, attempt.message, unreduced=problem)
        if self._campaign.reduces:  # else `fuzz reduce` will write a better one
            self._report(sighting, self._case, signature)
        return sighting

    def small(self, number: int, done: Reduction, known: Sequence[Mapping[str, Value]]) -> Sighting:
        """A reduced case; those that come second are what candidates of the first one's reduction failed with."""
        folder, shape = self._folder(number), done.pattern
        write_candidate(folder, done.case, known)
        sighting = Sighting(
            self._target.canonical, done.identity(self._target.canonical), str(done.signature), shape, done.nodes,
            done.nodes_before, folder, sites_of(done.case.model), number > 0,
        )  # fmt: skip
        verdict = done.last.verdict
        self._tell(sighting, done.signature.to_json(), verdict, done.last.said, executions=done.executions)
        self._report(sighting, done.case, done.signature)
        return sighting

    def _report(self, sighting: Sighting, case: Candidate, signature: Signature) -> None:
        """Write what a tracker is told, which takes seconds, unless the folder makes way for an earlier case's."""
        name = finding_id(sighting.identity)
        if name not in self._found:
            if self._campaign.blames:
                finding = Finding(name, sighting.folder, case, self._target.canonical, signature)
                attach_blame(finding, self._target, self._campaign.limits, self._sandbox)
            given = self._campaign.limits, self._others, self._sandbox, self._nursery
            attach(sighting.folder, case, self._target, *given)

    def _folder(self, number: int) -> Path:
        folder = self._place.with_name(f"{self._place.name}-{number}")
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def _tell(
        self, sighting: Sighting, signature: dict[str, Any], verdict: Verdict | None, message: str, *,
        unreduced: str = "", **more: object,
    ) -> None:  # fmt: skip
        target = self._target
        said: dict[str, Any] = {
            "target": target.canonical, "version": target.version, "seed": self._subject.seed,
            "campaign": self._campaign.to_json(), "identity": sighting.identity, "signature": signature,
            "pattern": sighting.pattern, "nodes": sighting.nodes, "nodes_before": sighting.nodes_before,
            "unreduced": unreduced, "aside": sighting.aside, "message": message,
            "verdict": None if verdict is None else asdict(verdict), **more,
        }  # fmt: skip
        write_json(sighting.folder / "verdict.json", said)
        write_json(sighting.folder / "case.json", self._subject.record)

    # --- reduction ----------------------------------------------------------------------------------------------------

    def reduced(
        self, task: Reduce, attempt: Attempt, verdict: Verdict
    ) -> tuple[list[tuple[Reduction, Sequence[Mapping[str, Value]]]], str]:
        """The case made small, then what its candidates failed with beside; or why it is not made small.

        One process reduces a case by itself: other cases keep the other cores busy, and the result is the same for any
        number of processes.
        """
        if task.plain or not self._campaign.reduces:
            return [], task.plain or "not asked for"
        try:
            with Laboratory(self._predicate(), sandbox=self._sandbox) as laboratory:
                seen = signature_of(verdict, attempt, names_in(self._case.proto()))
                done, problem = _attempted(laboratory, self._case, seen)
                if done is None:
                    return [], problem
                found = [done, *self._aside(laboratory, done, task.known)]
                values = [laboratory.know(one.case) for one in found]
        except FuzzError:
            raise
        except Exception as error:  # noqa: BLE001 - a finding must not be lost because it cannot be made small
            return [], f"reducing it failed, which is our bug: {type(error).__name__}: {error}".split("\n", 1)[0]
        return [(one, () if known is None else known.values) for one, known in zip(found, values, strict=True)], ""

    def _predicate(self) -> Predicate:
        limits, baseline = self._campaign.limits, self._campaign.baseline
        own = VerdictPredicate(self._target, limits, nursery=self._nursery)
        return own if baseline is None else Regression(own, VerdictPredicate(baseline, limits, nursery=self._nursery))

    def _aside(self, laboratory: Laboratory, done: Reduction, known: frozenset[str]) -> Iterator[Reduction]:
        """The smallest candidates that failed in other ways than the findings that are known, each made small.

        Not those that are refused: the checker accepts sizes and ranks that the generator's rules do not make, and a
        target is right to refuse.
        """
        others = sorted(done.others.items(), key=lambda pair: (size(pair[1]), str(pair[0])))
        new = [
            pair for pair in others
            if pair[0].word != Word.REJECTED and f"{self._target.canonical} | {pair[0]}" not in known
        ]  # fmt: skip
        for signature, case in new[:_ASIDE]:
            found, _ = _attempted(laboratory, case)
            if found is not None and found.first.signature == signature:
                yield found


def _attempted(
    laboratory: Laboratory, case: Candidate, seen: Signature | None = None
) -> tuple[Reduction | None, str]:  # fmt: skip
    """The case made small, or why it is not: it fails no more by itself, or not twice in the same way.

    One of the two may be how it was ``seen`` to fail before, which spares a fresh worker.
    """
    first: Observation = laboratory.fresh(case)
    if not first.finding:
        return None, f"by itself it is {first.signature}: {first.problem}".removesuffix(": ")
    if first.signature != seen and (again := laboratory.fresh(case).signature) != first.signature:
        return None, f"it fails in one way and then in another: {first.signature}; {again}"
    done = reduce_case(laboratory, case, first)
    return (done, "") if done.repeats else (None, f"reduced it is {done.last.signature} in a fresh worker")
