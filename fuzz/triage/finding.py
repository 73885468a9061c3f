"""A finding in its folder: a case, the target that it fails on, and how it fails there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.errors import CaseError, UsageError
from fuzz.execute.target import backend_of
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.predicate import VerdictPredicate
from fuzz.triage.run import read_candidate
from fuzz.triage.signature import Signature

if TYPE_CHECKING:
    from pathlib import Path

    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.observation import Observation

__all__ = ["Finding", "examine", "read_finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a folder holds that `fuzz run`, `fuzz reduce` or `fuzz repro` has written.

    Attributes:
        name: the folder's name, by which findings are told apart.
        target: the text of the target that it fails on.
        signature: how it fails there; None where nobody has written that down.
    """

    name: str
    folder: Path
    case: Candidate
    target: str
    signature: Signature | None


def read_finding(folder: Path, backend: str | None = None) -> Finding:
    """Read a finding's folder: ``model.onnx``, its data sets, and ``verdict.json`` or ``reduction.json``.

    ``backend`` is the text of the target to ask in place of the one that stands there; how the finding fails is taken
    from the file only where that is of the same backend.

    Raises:
        CaseError: no model there, or one that cannot be read.
        UsageError: nothing says on which target it fails.
    """
    model = folder / "model.onnx"
    if not model.is_file():
        raise CaseError(f"{folder} holds no model.onnx: give the folder of one case, such as fuzz-root/findings/ID")
    said = _said(folder)
    told = str(said.get("target") or "")
    if not (backend or told):
        raise UsageError(f"nothing in {folder} says on which target it fails: give --backend TARGET")
    known = said.get("signature") if not backend or backend_of(backend) == backend_of(told) else None
    return Finding(
        folder.absolute().name, folder, read_candidate(model, None), backend or told, _signature(known)
    )  # fmt: skip


def examine(case: Candidate, target: Target, limits: Limits, *, unstable: bool = False) -> Observation:
    """What a case does on a target, in a fresh worker. Raises TargetError where no worker of it starts."""
    with Laboratory(VerdictPredicate(target, limits, unstable=unstable)) as laboratory:
        return laboratory.fresh(case, renew=False)


def _said(folder: Path) -> dict[str, Any]:
    for name in ("verdict.json", "reduction.json"):
        path = folder / name
        if path.is_file():
            try:
                content = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise CaseError(f"{path} cannot be read: {error}") from None
            if isinstance(content, dict):
                return content
    return {}


def _signature(said: Any) -> Signature | None:
    try:
        return Signature.from_json(said) if isinstance(said, dict) else None
    except (KeyError, TypeError):
        return None
