"""Backends of other distributions: each entry point of the group `dnnfuzz.backends` names an `Entry`."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from backends.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUP", "plugins"]

GROUP = "dnnfuzz.backends"


def plugins(taken: Mapping[str, Entry]) -> dict[str, Entry]:
    """The rows that other distributions give, by name; one that cannot be used says why in `Entry.problem`."""
    rows: dict[str, Entry] = {}
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        entry = _entry(point)
        if entry.name in taken or entry.name in rows:
            entry = _broken(f"{point.name}.{_home(point)}", point, f"the name {entry.name!r} is taken")
        rows[entry.name] = entry
    return rows


def _entry(point: metadata.EntryPoint) -> Entry:
    try:
        entry = point.load()
    except Exception as problem:  # noqa: BLE001 - whatever a foreign module raises is told where it is asked for
        return _broken(point.name, point, f"{type(problem).__name__}: {problem}")
    if not isinstance(entry, Entry):
        return _broken(point.name, point, f"{point.value} is no backends.entry.Entry")
    if not re.fullmatch(r"\w[\w.-]*", entry.name):
        return _broken(point.name, point, f"{entry.name!r} is no name: letters, digits, _ . -")
    if not (entry.module.startswith("backends.") or (entry.module.endswith(".py") and Path(entry.module).is_file())):
        return _broken(entry.name, point, f"its module {entry.module!r} is no path of a Python file")
    return entry


def _broken(name: str, point: metadata.EntryPoint, problem: str) -> Entry:
    problem = f"the plug-in {point.name} of {_home(point)} cannot be used: {' '.join(problem.split())}"
    return Entry(name=name, module="", distributions=(), requirements=(), problem=problem)


def _home(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
