"""What of a backend's releases a command asks about: from the index, from what is installed, or as the user says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from fuzz.bisect.releases import chosen, in_index, in_order, listed
from fuzz.errors import TargetError, UsageError
from fuzz.execute.target import backend_of, parse_target, version_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.entry import Entry
    from fuzz.triage.finding import Finding

__all__ = ["Releases", "entry_of", "found_on", "version_of"]


@dataclass(frozen=True, slots=True)
class Releases:
    """What is asked, oldest first; ``all`` are those that there are, empty where the index could not be asked."""

    asked: tuple[str, ...]
    all: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: Entry, versions: str | None, *, installed: bool, tell: Callable[[str], None]) -> Releases:
        """Those that ``--versions`` names, else those of the index, or with ``installed`` those that are there.

        Raises UsageError.
        """
        index = in_index(entry)
        here = listed(entry)
        if versions is not None:
            if index is None and ".." in versions:
                tell(f"no package index can be asked: {versions} is taken from the {len(here)} versions installed here")
            return cls(tuple(chosen(versions, index or here)), tuple(index or ()))
        if installed:
            return cls(tuple(here), tuple(index or ()))
        if index is None:
            tell(
                f"no package index can be asked for the releases of {entry.name}: the {len(here)} versions that are "
                "installed here are; --versions A,B,C names others"
            )
        return cls(tuple(index or here), tuple(index or ()))

    def within(self, version: str) -> Releases:
        """With the version that the finding was made on among them."""
        return Releases(tuple(in_order([*self.asked, version])), self.all)


def entry_of(finding: Finding) -> Entry:
    """The row of a finding's backend. Raises TargetError, UsageError for one that has no releases."""
    name = backend_of(finding.target)
    if name not in BACKENDS:
        raise TargetError(f"unknown backend {name!r}: known are {', '.join(sorted(BACKENDS))}")
    if "python=" in finding.target:
        raise UsageError(f"{finding.target} is a build of your own: --build CMD --repo DIR bisects its commits")
    return BACKENDS[name]


def found_on(finding: Finding) -> str:
    """The version that a finding was made on, as its folder tells; else the one that its target means here.

    Raises TargetError.
    """
    asked = version_in(finding.target)
    return asked or version_of(finding) or parse_target(finding.target).version


def version_of(finding: Finding) -> str:
    """The version that ``verdict.json`` names, if it is of the target that is asked about."""
    try:
        said = json.loads((finding.folder / "verdict.json").read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    if not isinstance(said, dict) or finding.signature is None:
        return ""
    version = said.get("version")
    return version if isinstance(version, str) else ""
