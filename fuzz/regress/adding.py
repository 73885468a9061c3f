"""A finding put among the cases of a gate, with the entry that expects it."""

from __future__ import annotations

import glob
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.case import CASES, RECORD, data_sets_of
from fuzz.errors import CaseError, StorageError, UsageError
from fuzz.regress.expectations import Entry
from fuzz.regress.update import narrowed
from fuzz.triage.finding import Finding, read_finding

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Added", "add_finding"]

_PAPERS = frozenset({
    "NOTES.md", "repro.py", "verdict.json", "reduction.json", "examined.jsonl", "others", "aside",
    "blame.json", "bisect.json",
})  # fmt: skip
"""What `fuzz` writes beside a finding's case; all else (external data, say) is of the case."""


@dataclass(frozen=True, slots=True)
class Added:
    """Where the case lies now, and the entry to expect it; ``entry`` stands nowhere yet."""

    folder: Path
    entry: Entry


def add_finding(root: Path, finding: Path, backend: str | None = None) -> Added:
    """Copy a finding's case into the folder of a gate.

    Raises:
        CaseError, UsageError: as ``read_finding``; or another case has its name; or it has no data.
        StorageError: the folder cannot be written.
    """
    known = read_finding(finding, backend)
    if not data_sets_of(finding):
        raise CaseError(f"{finding} has no test_data_set_0: a case without inputs cannot be compared")
    cases = root / CASES if (root / CASES).is_dir() else root
    folder = cases / known.name
    if folder.exists():
        raise UsageError(f"{folder} exists: a case of that name is in the gate already")
    part = cases / f".part-{os.getpid()}-{known.name}"
    try:
        cases.mkdir(parents=True, exist_ok=True)
        shutil.copytree(finding, part, ignore=lambda _folder, names: _PAPERS.intersection(names))
        _record(part, known)
        part.rename(folder)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StorageError(f"cannot write {folder}: {getattr(error, 'strerror', None) or error}") from None
    word = known.signature.word if known.signature is not None else ""
    target, versions = narrowed(known.target)
    return Added(folder, Entry("", 0, glob.escape(known.name), target, versions, word, reason=_reason(finding)))


def _record(folder: Path, known: Finding) -> None:
    """Say in case.json that it is a finding: its outputs are the reference's own then, and no second opinion.

    As an opinion they would be taken with the wide tolerance of ONNX's tests, within which many a wrong answer lies.
    """
    record = folder / RECORD
    if not record.exists():
        said = {"finding": known.name, "target": known.target}
        record.write_text(json.dumps(said, sort_keys=True) + "\n", "utf-8")


def _reason(finding: Path) -> str:
    """The summary that ``fuzz run`` and ``fuzz repro`` write, or that nobody has written one."""
    try:
        said = json.loads((finding / "verdict.json").read_text("utf-8"))
    except (OSError, ValueError):
        said = {}
    summary = said.get("summary") if isinstance(said, dict) else None
    return " ".join(str(summary or f"the finding {finding.absolute().name}").split())
