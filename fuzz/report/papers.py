"""What was written beside a finding for its maintainer: a script that shows it, a report, what was ruled out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.bisect.record import told_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Papers", "read_papers"]

_TEXT = 64 << 10  # characters of repro.py or NOTES.md
_LINE = 2_000  # of what verdict.json says in words
_ROWS = 40


@dataclass(frozen=True, slots=True)
class Papers:
    """Empty where nothing was written.

    ``summary`` is the finding in a sentence, ``reason`` why the expected value is due; ``ruled_out`` has what else was
    run, what came of it, and what it said. ``repro`` and ``notes`` are the files ``repro.py`` and ``NOTES.md``;
    ``says`` is what the script printed, ``problem`` why there is none; ``history`` since which release it fails.
    """

    summary: str = ""
    reason: str = ""
    ruled_out: tuple[tuple[str, str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    repro: str = ""
    notes: str = ""
    says: str = ""
    problem: str = ""
    history: str = ""
    aside: bool = False


def read_papers(folder: Path, said: Mapping[str, Any]) -> Papers:
    """The papers in a finding's folder; ``said`` is its ``verdict.json``, which other hands may have written."""
    repro = said.get("repro")
    script = repro if isinstance(repro, dict) else {}
    rulings = [row for row in _list(said.get("ruled_out")) if isinstance(row, dict)]
    versions = said.get("versions")
    return Papers(
        summary=_line(said.get("summary")), reason=_line(said.get("expected_reason")),
        ruled_out=tuple((_line(r.get("what")), _line(r.get("verdict")), _line(r.get("said"))) for r in rulings[:_ROWS]),
        versions=tuple((_line(k), _line(v)) for k, v in versions.items()) if isinstance(versions, dict) else (),
        repro=_file(folder / "repro.py"), notes=_file(folder / "NOTES.md"),
        says=_line(script.get("says")), problem=_line(script.get("problem")),
        history=_line(told_in(folder)), aside=said.get("aside") is True,
    )  # fmt: skip


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _line(value: object) -> str:
    return "" if value is None else str(value)[:_LINE]


def _file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_TEXT + 1)
    except OSError:
        return ""
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}\n…"
