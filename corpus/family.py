"""A script that stands for a family of models, and the table beside it that names them.

``timm/timm.py`` builds any model of timm; ``timm/timm.json`` says which there are, so that they can be listed without
timm. A table is a JSON object ``{"models": {NAME: ROW}}``, a row a line. A row may hold

    labels       values by key, where they differ from those in the script's first line
    arguments    defaults of the small variant: what this model takes in place of the standard ones
    build        what a script keeps to build the model alike again; the script says what
    parameters   how many numbers the small variant learns
    seconds      what importing nothing more, building and one forward pass took, on one core
    problem      why it does not run offline, in a line; then it is in no list of what is small
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.labels import Labels

__all__ = ["FamilyError", "Member", "load", "save"]


class FamilyError(ValueError):
    """A table that cannot be read; one line that names it."""


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a family, as its row says."""

    name: str
    labels: Labels = field(default_factory=_nothing)
    arguments: Mapping[str, Any] = field(default_factory=_nothing)
    build: Mapping[str, Any] = field(default_factory=_nothing)
    parameters: int | None = None
    seconds: float | None = None
    problem: str = ""


def load(script: Path | str) -> Mapping[str, Member]:
    """The models of a script by name; none where no table lies beside it.

    Raises:
        FamilyError: there is a table, and it cannot be read.
    """
    path = Path(script).with_suffix(".json")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["models"]
        return MappingProxyType({name: _member(name, row) for name, row in rows.items()})
    except FileNotFoundError:
        return MappingProxyType({})
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise FamilyError(f"{path} is no table of models: {type(problem).__name__}: {problem}") from None


def save(script: Path | str, members: Mapping[str, Member]) -> None:
    """Write the table of a script: sorted by name, a row a line, what is empty left out."""
    rows = [f"  {json.dumps(name)}: {json.dumps(_row(members[name]))}" for name in sorted(members)]
    path = Path(script).with_suffix(".json")
    path.write_text('{"models": {\n' + ",\n".join(rows) + "\n}}\n", encoding="utf-8")


def _member(name: str, row: Mapping[str, Any]) -> Member:
    labels = {key: tuple(values) for key, values in row.get("labels", {}).items()}
    rest = {key: row[key] for key in ("arguments", "build", "parameters", "seconds", "problem") if key in row}
    return Member(name, MappingProxyType(labels), **rest)


def _row(member: Member) -> dict[str, Any]:
    row = {
        "labels": {key: list(values) for key, values in member.labels.items()},
        "arguments": dict(member.arguments),
        "build": dict(member.build),
        "parameters": member.parameters,
        "seconds": member.seconds,
        "problem": member.problem,
    }
    return {key: value for key, value in row.items() if value not in ({}, None, "")}
