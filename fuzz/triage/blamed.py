"""``blame.json``, read back: what ``fuzz blame`` has found of a finding."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BLAME", "NOBODY", "Blamed", "read_blame"]

BLAME = "blame.json"
_LINE = 2_000  # characters of what it says in words


@dataclass(frozen=True, slots=True)
class Blamed:
    """Empty where nobody asked. ``switches`` are empty as well where none makes it go away.

    ``told`` says it in words, ``setting`` is what to type for it; ``target`` and ``version`` are those that were asked,
    ``word`` and ``symptom`` how it fails there.
    """

    told: str = ""
    setting: str = ""
    switches: tuple[str, ...] = ()
    target: str = ""
    version: str = ""
    word: str = ""
    symptom: str = ""


NOBODY = Blamed()


def read_blame(folder: Path) -> Blamed:
    """The ``blame.json`` of a folder; nothing where there is none, or one that other hands have spoiled."""
    try:
        said = json.loads((folder / BLAME).read_text("utf-8"))
    except (OSError, ValueError):
        return NOBODY
    if not isinstance(said, dict) or said.get("fails") is not True:
        return NOBODY
    signature = _fields(said.get("signature"))
    switches = said.get("switches")
    return Blamed(
        told=str(said.get("told", ""))[:_LINE], setting=str(said.get("setting", ""))[:_LINE],
        switches=tuple(sorted(map(str, switches))) if isinstance(switches, list) else (),
        target=str(said.get("target", "")), version=str(said.get("version", "")),
        word=str(signature.get("word", "")), symptom=str(signature.get("symptom", "")),
    )  # fmt: skip


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
