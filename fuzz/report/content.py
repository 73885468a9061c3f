"""What the page says, before it is markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.judge.verdict import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.judge.verdict import Verdict
    from fuzz.report.drawings import Drawing

__all__ = ["Page"]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says: verdicts by case, drawings by case, what ran."""

    title: str
    targets: tuple[tuple[str, str], ...]
    cases: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    drawings: Mapping[str, Drawing]

    @property
    def findings(self) -> list[Verdict]:
        """What makes `fuzz diff` exit with 1."""
        return [verdict for verdict in self.verdicts if verdict.verdict in FINDINGS]

    @property
    def by_case(self) -> dict[str, list[Verdict]]:
        """The verdicts of each case that has any."""
        grouped: dict[str, list[Verdict]] = {}
        for verdict in self.verdicts:
            grouped.setdefault(verdict.case, []).append(verdict)
        return grouped
