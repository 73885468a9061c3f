"""What a run over models is asked for, and which models those are."""

from __future__ import annotations

import glob as globbing
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from corpus import cache as store
from corpus.catalogue import MODELS, Entry, entries, select
from corpus.family import FamilyError, load
from corpus.labels import Labels, LabelsError, matches
from fuzz.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.execute.target import Target

__all__ = ["Job", "Plan", "Rebuild", "jobs_of"]

SMALL: Labels = MappingProxyType({"test_group": ("small",)})
"""What runs where nothing is asked for."""

Rebuild = Literal["if_needed", "always", "never"]

_HASH = re.compile(r"[0-9a-f]{8}")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_PICK = "::"
_LONGEST = 80  # characters of a build's name before its hash


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of every model.

    Attributes:
        cache: where builds go.
        targets: the backends that run what is exported.
        arguments: what each script is given, as on its own command line.
        iterations: samples of the latency on each target; 0 measures none.
        timeout: seconds for a script to call its models, and for each model to be built, and to be run on a target.
        memory: MiB of resident memory of the process that builds, and of a backend's.
        isolation: a process for each script in place of one for many.
        analyze_only: find the models and build nothing.
        build_only: build, execute nothing.
        opset: ONNX's opset.
        max_depth: how deep inside of a model its parts count as models too.
        rebuild: build again what is there: ``if_needed`` what a kill or a limit ended, ``always`` all, ``never`` none.
        jobs: how many models at a time.
    """

    cache: Path
    targets: tuple[Target, ...] = ()
    arguments: tuple[str, ...] = ()
    iterations: int = 0
    timeout: float = 300.0
    memory: int = 8192
    isolation: bool = False
    analyze_only: bool = False
    build_only: bool = False
    opset: int = 20
    max_depth: int = 0
    rebuild: Rebuild = "if_needed"
    jobs: int = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A script to run for one entry of the catalogue; ``pick`` is the hash of the only model that is wanted."""

    entry: Entry
    pick: str = ""

    def arguments(self, plan: Plan) -> list[str]:
        """What the script is given."""
        return [*self.entry.arguments, *plan.arguments]

    def stem(self, plan: Plan) -> str:
        """What the names of its builds begin with: corpus, script, member, and a digest of the arguments, if any."""
        entry = self.entry
        parts = [entry.corpus, entry.script.stem] if entry.script.stem != entry.corpus else [entry.corpus]
        parts += [entry.member] if entry.member else []
        given = [hashlib.sha256(json.dumps(plan.arguments).encode()).hexdigest()[:4]] if plan.arguments else []
        return _UNFIT.sub("-", "_".join([*parts, *given]))[:_LONGEST]

    def key(self, plan: Plan) -> str:
        """What names its run in the cache. Raises UsageError where the script cannot be read."""
        entry = self.entry
        try:
            row = repr(load(entry.script).get(entry.member)) if entry.member else ""
            return store.script_key(
                entry.script, [*self.arguments(plan), self.pick], row,
                opset=plan.opset, max_depth=plan.max_depth, analyze_only=plan.analyze_only,
            )  # fmt: skip
        except OSError as problem:
            raise UsageError(f"cannot read {entry.script}: {problem.strerror}") from None


def jobs_of(globs: Sequence[str], labels: Labels = MappingProxyType({}), root: Path = MODELS) -> list[Job]:
    """The models that are named: scripts on disk, or models of the corpora; all small ones where nothing is asked for.

    ``script.py::NAME`` picks a model of a family, ``script.py::HASH`` one of those that a script calls.

    Raises:
        UsageError: nothing is named so, or a script's labels or table cannot be read.
    """
    if not globs and not labels:
        labels = SMALL
    try:
        found = [job for text in globs for job in _named(text, root)] if globs else [Job(e) for e in entries(root)]
    except (LabelsError, FamilyError) as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"cannot read {problem.filename}: {problem.strerror}") from None
    unique = list({(job.entry.script.resolve(), job.entry.member, job.pick): job for job in found}.values())
    chosen = [job for job in unique if matches(job.entry.labels, labels)]
    if not chosen:
        raise UsageError("no model has these labels: `fuzz corpus list` shows what there is")
    return chosen


def _named(text: str, root: Path) -> list[Job]:
    path, _, pick = text.partition(_PICK)
    places = [Path(path)] if Path(path).exists() else [Path(p) for p in sorted(globbing.glob(path, recursive=True))]  # noqa: PTH207 - a glob of the user's may begin anywhere
    if places:
        here = [entry for place in places for entry in entries(place)]
        if not here or (pick and not any(entry.member == pick for entry in here)):
            # What is known not to run is run where it is named.
            here += [entry for place in places for entry in entries(place, problems=True)]
        return _picked(here, pick, text)
    known = entries(root)
    chosen = select(known, [text]) or select(entries(root, problems=True), [text])
    if not chosen and pick and _HASH.fullmatch(pick):
        return _picked(list(select(known, [path])), pick, text)
    if not chosen:
        names = {entry.name for entry in known} | {entry.path for entry in known} | {entry.corpus for entry in known}
        raise UsageError(f"no script and no model is named like {text!r}{did_you_mean(text, sorted(names))}")
    return [Job(entry) for entry in chosen]


def _picked(found: list[Entry], pick: str, text: str) -> list[Job]:
    """The entries of scripts of which one model may be picked, by its name or by its hash."""
    from fnmatch import fnmatchcase

    members = [entry for entry in found if not pick or (entry.member and fnmatchcase(entry.member, pick))]
    if members:
        return [Job(entry) for entry in members]
    if not found or not _HASH.fullmatch(pick):
        near = did_you_mean(pick, [entry.member for entry in found if entry.member])
        raise UsageError(f"no model is named like {text!r}{near}: give the name of one of a family, or a model's hash")
    return [Job(entry, pick) for entry in found]
