"""The case that shows a finding: reduced where it can be, a standard test case with ``verdict.json`` beside it."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fuzz.campaign.trial import Sighting
from fuzz.errors import FuzzError
from fuzz.triage.candidate import names_in, size
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.output import write_candidate, write_json
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.reduction import reduce_case
from fuzz.triage.signature import element_types, identity, pattern, signature_of

if TYPE_CHECKING:
    from pathlib import Path

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.subject import Subject
    from fuzz.execute.attempt import Attempt
    from fuzz.execute.target import Target
    from fuzz.judge.verdict import Verdict
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.reduction import Reduction

__all__ = ["PART", "show"]

PART = ".part-"
"""How the name of a folder begins that is not in its place yet; then the process that writes it, and the case."""


def show(
    campaign: Campaign, subject: Subject, target: Target, attempt: Attempt, verdict: Verdict, parts: Path
) -> Sighting:
    """Write the case of a failure into a folder under ``parts``, reduced. Raises StorageError, TargetError."""
    at = campaign.targets.index(target)
    folder = parts / f"{PART}{os.getpid()}-{subject.name}-{at}"
    shutil.rmtree(folder, ignore_errors=True)
    case = subject.candidate()
    reduction, problem = _reduced(campaign, target, case, folder) if campaign.reduces else (None, "not asked for")
    if reduction is None:
        proto = case.proto()
        shape = pattern(proto, element_types(proto))
        signature = signature_of(verdict, attempt, names_in(proto))
        known, nodes = identity(target.canonical, signature, shape), size(case)
        _place(subject, folder)
    else:
        signature, shape = reduction.signature, reduction.pattern
        known, nodes = reduction.identity(target.canonical), reduction.nodes
    sighting = Sighting(target.canonical, known, str(signature), shape, nodes, size(case), folder)
    said: dict[str, Any] = {
        "target": target.canonical, "version": target.version, "seed": subject.seed, "campaign": campaign.to_json(),
        "identity": known, "signature": signature.to_json(), "pattern": shape, "nodes": nodes,
        "nodes_before": size(case), "unreduced": problem, "verdict": asdict(verdict), "message": attempt.message,
    }  # fmt: skip
    if reduction is not None and reduction.last.verdict is not None:
        said["verdict"], said["message"] = asdict(reduction.last.verdict), reduction.last.said
        said["executions"] = reduction.executions
    write_json(folder / "verdict.json", said)
    write_json(folder / "case.json", subject.record)
    return sighting


def _reduced(campaign: Campaign, target: Target, case: Candidate, folder: Path) -> tuple[Reduction | None, str]:
    """The case made small, or why it is not: it fails no more by itself, or not twice in the same way.

    One process reduces a case by itself: other cases keep the other cores busy, and the result is the same for any
    number of processes.
    """
    try:
        with Laboratory(VerdictPredicate(target, campaign.limits)) as laboratory:
            first = laboratory.fresh(case)
            if not first.finding:
                return None, f"by itself it is {first.signature}: {first.problem}".removesuffix(": ")
            if (again := laboratory.fresh(case).signature) != first.signature:
                return None, f"it fails in one way and then in another: {first.signature}; {again}"
            done = reduce_case(laboratory, case, first)
            if not done.repeats:
                return None, f"reduced it is {done.last.signature} in a fresh worker"
            known = laboratory.know(done.case)
    except FuzzError:
        raise
    except Exception as error:  # noqa: BLE001 - a finding must not be lost because it cannot be made small
        return None, f"reducing it failed, which is our bug: {type(error).__name__}: {error}".split("\n", 1)[0]
    write_candidate(folder, done.case, known.values if known is not None else ())
    return done, ""


def _place(subject: Subject, folder: Path) -> None:
    """The case as it was generated, as the folder itself."""
    scratch = folder.with_name(f"{folder.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    subject.write(scratch).rename(folder)
    shutil.rmtree(scratch)
