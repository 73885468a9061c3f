"""A finding's folder made complete: ``repro.py``, ``NOTES.md`` and ``verdict.json`` beside its model and inputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.registry import NO_TELEMETRY
from fuzz.bisect.record import told_in
from fuzz.errors import FuzzError, StorageError
from fuzz.execute.group import end_group, leashed
from fuzz.execute.target import backend_of
from fuzz.file import write_bytes, write_json, write_text
from fuzz.repro.content import content_of
from fuzz.repro.evidence import gather, platform_text, versions_of
from fuzz.repro.literal import array_text
from fuzz.repro.notes import Finding, expected_reason, notes, summary
from fuzz.repro.recipe import NoRecipe, Request
from fuzz.repro.recipes import recipe_for
from fuzz.repro.script import Subject, script
from fuzz.repro.trackers import tracker_of
from fuzz.signature import signature
from fuzz.triage.blamed import NOBODY, read_blame
from fuzz.triage.signature import element_types, pattern

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fuzz.execute.attempt import Limits
    from fuzz.execute.nursery import Nursery
    from fuzz.execute.target import Target
    from fuzz.repro.evidence import Evidence
    from fuzz.repro.recipe import Recipe
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.sandbox import Sandbox

__all__ = ["NOTES", "REPRO", "VERDICT", "Papers", "attach", "document"]

REPRO, NOTES, VERDICT = "repro.py", "NOTES.md", "verdict.json"
_SECONDS = 300.0
"""A script gets so much more time than the case had: it imports, and what it shows may be a time limit."""
_SAID = 4000
_MARK = "BUG: "


@dataclass(frozen=True, slots=True)
class Papers:
    """What was written: the verdict in a fresh worker, whether there is a script that shows it, else why not."""

    word: str
    finding: bool = False
    script: bool = False
    problem: str = ""
    said: str = ""
    title: str = ""

    def to_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A script that has been run by itself: its text and what it printed, or why there is none."""

    text: str = ""
    says: str = ""
    problem: str = ""
    exit: int | None = None


def document(
    folder: Path, case: Candidate, target: Target, limits: Limits, others: Sequence[str] = (),
    sandbox: Sandbox | None = None, nursery: Nursery | None = None,
) -> Papers:  # fmt: skip
    """Write the papers of a case that fails on a target into its folder.

    The case runs on the target once more, on the target with its optimisations off, on ``others`` (texts of targets)
    and on ONNX's evaluator. The script is run by itself, and kept only if it shows the bug. What stands in
    ``verdict.json`` already stays there. Where the case does not fail nothing is written. ``sandbox`` has processes
    that parse models; without it they are started here. Raises TargetError, StorageError.
    """
    evidence = gather(case, target, limits, others, sandbox, nursery)
    last = evidence.last
    if not last.finding:
        return Papers(last.signature.word, said=last.problem or last.said)
    recipe, problem = _recipe(case, target)
    distributions = (*recipe.distributions, *recipe.bare) if recipe is not None else ()
    versions = versions_of(target, distributions)
    install = _install(recipe, versions) if recipe is not None else ""
    proto = case.proto()
    shape = pattern(proto, element_types(proto))
    called = recipe.called if recipe is not None else target.backend
    blamed = read_blame(folder)
    if (blamed.target, blamed.version) != (target.canonical, target.version):
        blamed = NOBODY
    history = told_in(folder, case.digest, target.canonical)
    bare = Finding(case, target, called, evidence, shape, "", "", problem, versions, install, blamed, history)
    shown = _shown(folder, bare, recipe, limits) if recipe is not None else _Shown(problem=problem)
    finding = replace(bare, script=shown.text, says=shown.says, why_none=shown.problem)
    failing = frozenset(
        pair for ruling in evidence.rulings if not ruling.right and backend_of(ruling.what) == target.backend
        for pair in _pairs(ruling.what)
    )  # fmt: skip
    write_text(folder / NOTES, notes(finding, tracker_of(target.backend, dict(target.options), failing)), folder=True)
    _complete(folder / VERDICT, finding, shown)
    return Papers(
        last.signature.word, finding=True, script=bool(shown.text), problem=shown.problem, said=shown.says,
        title=summary(finding),
    )  # fmt: skip


def attach(
    folder: Path, case: Candidate, target: Target, limits: Limits, others: Sequence[str] = (),
    sandbox: Sandbox | None = None, nursery: Nursery | None = None,
) -> None:  # fmt: skip
    """As ``document``, for a finding that must not be lost because its papers cannot be written.

    What went wrong stands in its ``verdict.json``. A planted fault is nobody's bug: it gets no papers but that.
    Raises StorageError.
    """
    try:
        if "fault" in dict(target.options):
            recipe_for(target.backend, Request(dict(target.options), target.device, {}, {}))
        papers = document(folder, case, target, limits, others, sandbox, nursery)
        problem = "" if papers.finding else f"asked once more, it was {papers.word}: {papers.said}".removesuffix(": ")
    except StorageError:
        raise
    except (FuzzError, NoRecipe) as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - see above
        problem = f"writing it failed, which is our bug: {type(error).__name__}: {error}".split("\n", 1)[0]
    if problem:
        path = folder / VERDICT
        known = json.loads(path.read_text("utf-8")) if path.exists() else {"target": target.canonical}
        write_json(path, {**known, "repro": {"file": None, "problem": problem}})


def _pairs(text: str) -> list[tuple[str, str]]:
    options = text.partition(":")[2].partition("@")[0]
    return [(key, value) for key, _, value in (part.partition("=") for part in options.split(",")) if value]


def _recipe(case: Candidate, target: Target) -> tuple[Recipe | None, str]:
    ports = signature(case.model)
    inputs = {port.name: port.type.element_type or "" for port in ports.inputs}
    outputs = {port.name: port.type.element_type or "" for port in ports.outputs}
    try:
        return recipe_for(target.backend, Request(dict(target.options), target.device, inputs, outputs)), ""
    except NoRecipe as reason:
        return None, str(reason)


def _install(recipe: Recipe, versions: dict[str, str]) -> str:
    """The commands that install what the script imports, in the versions that it was seen with."""

    def pinned(names: Sequence[str]) -> str:
        return " ".join(f"{name}=={versions[name]}" if name in versions else name for name in names)

    text = f"pip install {pinned(tuple(dict.fromkeys((*recipe.distributions, 'onnx', 'numpy'))))}"
    return text + (f"\npip install --no-deps {pinned(recipe.bare)}" if recipe.bare else "")


# --- the script -----------------------------------------------------------------------------------------------------


def _shown(folder: Path, finding: Finding, recipe: Recipe, limits: Limits) -> _Shown:
    """The first script that shows the bug when it is run by itself: all in one file, else with files beside it."""
    if not finding.evidence.due:
        return _Shown(problem="the reference cannot tell what is due")
    subject = Subject(
        summary(finding), finding.word, finding.install, limits.seconds, limits.resident_bytes,
        finding.target.environment,
    )  # fmt: skip
    last = _Shown()
    for embed in (True, False):
        content = content_of(finding.case, finding.evidence.due, embed=embed)
        try:
            text = script(subject, recipe, content)
        except NoRecipe as reason:
            return _Shown(problem=str(reason))
        for path, data in content.files.items():
            write_bytes(folder / path, data, folder=True)
        last = _run(folder, text, finding.target, limits)
        if last.exit == 1 and _MARK in last.says:  # Python ends with 1 too, of what a script does not catch
            return last
    (folder / REPRO).unlink(missing_ok=True)
    ended = "did not end" if last.exit is None else f"ended with {last.exit}"
    told = last.says.strip().splitlines()[-1:] or [""]
    return _Shown(
        problem=f"by itself, without what a worker does around it, a script {ended}: {told[0]}", says=last.says
    )


def _run(folder: Path, text: str, target: Target, limits: Limits) -> _Shown:
    """Run a script in a clean process, on the interpreter of the target, in an empty folder."""
    path = folder / REPRO
    write_text(path, text, folder=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    scratch = tempfile.mkdtemp(prefix="fuzz-repro-")
    environment |= {**NO_TELEMETRY, "TMPDIR": scratch, "HOME": scratch}
    try:
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                leashed([target.python, "-I", "-B", str(path.resolve())]), cwd=scratch, env=environment,
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            with process:
                try:
                    process.wait(limits.seconds * 3 + _SECONDS)
                except subprocess.TimeoutExpired:
                    return _Shown()
                finally:
                    end_group(process)
            output.seek(0)
            says = output.read().decode("utf-8", "replace")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    told = says.replace(str(folder.resolve()), ".").replace(scratch, ".")
    # Before the script's own words stand those of packages, with what changes from run to run.
    return _Shown(text, told[max(told.find(_MARK), 0) :][:_SAID], "", process.returncode)


# --- the files ------------------------------------------------------------------------------------------------------


def _complete(path: Path, finding: Finding, shown: _Shown) -> None:
    """``verdict.json``: what stands there, and all that is known now."""
    evidence = finding.evidence
    known: dict[str, Any] = {}
    if path.exists():
        known = json.loads(path.read_text("utf-8"))
    fresh = {
        "target": finding.target.canonical, "version": finding.target.version, "signature": _signature(evidence),
        "pattern": finding.pattern, "message": evidence.last.said,
        "verdict": asdict(evidence.last.verdict) if evidence.last.verdict is not None else None,
    }  # fmt: skip
    write_json(path, {
        **fresh, **known,
        "summary": summary(finding),
        "versions": dict(finding.versions),
        "platform": platform_text(),
        "expected": [_due(each) for each in evidence.due[0]] if evidence.due else [],
        "expected_reason": expected_reason(finding),
        "ruled_out": [{"what": r.what, "verdict": r.verdict, "said": r.said} for r in evidence.rulings],
        "repro": {
            "file": REPRO if shown.text else None, "exit": shown.exit if shown.text else None, "says": shown.says,
            "install": finding.install, "problem": shown.problem,
        },
    })  # fmt: skip


def _signature(evidence: Evidence) -> dict[str, Any]:
    return evidence.last.signature.to_json()


def _due(due: Any) -> dict[str, Any]:
    return {
        "output": due.name, "element_type": due.kind, "shape": None if due.value is None else list(due.value.shape),
        "value": None if due.value is None else array_text(due.value),
        "tolerance": array_text(due.tolerance) if due.tolerance.size else None,
    }  # fmt: skip
