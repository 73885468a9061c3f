"""What a report says of a root, before it is HTML, Markdown, XML or JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fuzz.judge.verdict import FINDINGS, Word
from fuzz.report.papers import Papers
from fuzz.triage.blamed import NOBODY, Blamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fuzz.judge.verdict import Verdict
    from fuzz.reach import Pair
    from fuzz.report.drawings import Drawing
    from fuzz.report.exhibit import Listed

__all__ = ["EXECUTED", "Account", "Cell", "Discovery", "TargetRow", "gravest_first", "joined"]

EXECUTED = "as it was executed"
"""Why a case that was judged by itself is not reduced: ``Discovery.unreduced``."""

# Wrong numbers first: nobody notices those.
_GRAVITY = (
    Word.WRONG, Word.CRASH, Word.NONDETERMINISTIC, Word.REJECTED, Word.OOM, Word.TIMEOUT, Word.SLOW,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target at a version, and how many cases had each verdict there."""

    name: str
    version: str
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Discovery:
    """One finding: of a campaign a distinct failure, of a judged root one target's answer to one case.

    ``count`` is how many cases showed it, of which so many as ``assumed`` were not reduced; ``seconds`` is after how
    much running it was found (None where no clock ran).
    ``folder`` is where the case lies; ``problems`` what of it cannot be read. ``title`` says what is left of the model.
    ``same_as`` is the id of another finding that is the same bug by its blame.
    """

    id: str
    target: str
    version: str
    word: str
    title: str
    signature: str
    count: int
    folder: str
    drawing: Drawing
    verdict: Verdict | None = None
    message: str = ""
    assumed: int = 0
    nodes_before: int | None = None
    seed: int | None = None
    first_seen: str = ""
    seconds: float | None = None
    unreduced: str = ""
    pairs: tuple[Pair, ...] = ()
    values: tuple[Listed, ...] = ()
    papers: Papers = field(default_factory=Papers)
    blamed: Blamed = NOBODY
    same_as: str = ""
    problems: tuple[str, ...] = ()

    @property
    def operators(self) -> list[str]:
        """The operators of its model."""
        return sorted({name for name, _ in self.drawing.operators} | {name for name, _ in self.pairs})

    @property
    def off_by(self) -> float | None:
        """The distance between what came and what was due, where both are numbers."""
        verdict = self.verdict
        if verdict is None or not isinstance(verdict.actual, float) or not isinstance(verdict.expected, float):
            return None
        return abs(verdict.actual - verdict.expected)


def gravest_first(discoveries: Iterable[Discovery]) -> list[Discovery]:
    """By verdict, then by how many cases show it."""
    ranks = {word.value: rank for rank, word in enumerate(_GRAVITY)}
    return sorted(discoveries, key=lambda d: (ranks.get(d.word, len(ranks)), -d.count, d.target, d.title, d.id))


@dataclass(slots=True)
class Cell:
    """What one target did with an operator on a type: cases by verdict, and findings whose reduced model has the pair.

    ``seconds`` is after how much running the first case with the pair was answered ``ok``.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    findings: int = 0
    seconds: float | None = None

    @property
    def cases(self) -> int:
        """How many cases had the pair."""
        return self.verdicts.total()

    @property
    def failed(self) -> int:
        """In how many of them the target failed, whichever node was to blame."""
        return sum(count for word, count in self.verdicts.items() if word in FINDINGS)

    @property
    def state(self) -> str:
        """``found``, ``ok``, ``refused`` (it never did more than say that it lacks something), ``open`` or ``none``."""
        if self.findings:
            return "found"
        if self.verdicts[Word.OK]:
            return "ok"
        if self.cases:
            return "refused" if self.verdicts[Word.UNSUPPORTED] == self.cases else "open"
        return "none"


@dataclass(frozen=True, slots=True)
class Account:
    """All that a report says. ``campaigns`` is 0 for a root that was executed and judged case by case.

    Of the cases so many as ``judged`` were executed and judged one by one, the others are those of campaigns.
    ``cells`` are by pair and target; ``wanted`` are the pairs that its settings allow, None where that is not known.
    ``waiting`` failing answers are not reduced yet. ``done`` is how many cases were finished by a time, ``seen`` when
    the first case with a pair was. ``problems`` is what could not be read, or done, in words.
    """

    title: str
    campaigns: int
    cases: int
    targets: tuple[TargetRow, ...]
    discoveries: tuple[Discovery, ...]
    cells: Mapping[Pair, Mapping[str, Cell]]
    judged: int = 0
    wanted: frozenset[Pair] | None = None
    seconds: float | None = None
    done: tuple[tuple[float, int], ...] = ()
    seen: Mapping[Pair, float] = field(default_factory=dict)
    waiting: int = 0
    problems: tuple[str, ...] = ()

    @property
    def missing(self) -> list[Pair]:
        """The pairs that the settings allow and no case had."""
        return sorted((self.wanted or frozenset()) - set(self.cells))

    @property
    def target_names(self) -> list[str]:
        """The targets, each once, in the order of their names."""
        return sorted({row.name for row in self.targets})


def joined(campaigns: Account, cases: Account) -> Account:
    """What campaigns and single cases of one root have to tell, as one; time and what was wanted are the campaigns'."""
    verdicts: dict[tuple[str, str], Counter[str]] = {}
    for row in (*campaigns.targets, *cases.targets):
        verdicts.setdefault((row.name, row.version), Counter()).update(row.verdicts)
    cells: dict[Pair, dict[str, Cell]] = {}
    rows = [*campaigns.cells.items(), *cases.cells.items()]
    for pair, target, cell in ((pair, target, cell) for pair, row in rows for target, cell in row.items()):
        into = cells.setdefault(pair, {}).setdefault(target, Cell())
        into.verdicts.update(cell.verdicts)
        into.findings += cell.findings
        into.seconds = cell.seconds if into.seconds is None else into.seconds
    return replace(
        campaigns, cases=campaigns.cases + cases.cases, judged=cases.judged,
        targets=tuple(TargetRow(name, version, row) for (name, version), row in verdicts.items()),
        discoveries=tuple(gravest_first((*campaigns.discoveries, *cases.discoveries))), cells=cells,
        problems=(*campaigns.problems, *cases.problems),
    )  # fmt: skip
