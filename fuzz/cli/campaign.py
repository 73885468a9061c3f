"""The display of a campaign, for a person at a terminal: rate, verdicts, the health of each target, findings."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fuzz.campaign.trial import Trial
from fuzz.cli.tables import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from fuzz.campaign.ledger import Finding, Ledger
    from fuzz.campaign.schedule import Schedule
    from fuzz.campaign.trial import Exhibit

__all__ = ["Board", "display"]

_REFRESH = 0.25  # seconds between two pictures
_SPAN = 30.0  # seconds that the rate is taken over
_LATEST = 8  # findings that are shown
_RUN = 100  # answers of a target that its health is taken from
_LIVE = frozenset({"ok", "unsupported"})  # outcomes of a target in good health


class Board:
    """What is shown; ``take`` is told what is new, at a time in seconds."""

    def __init__(self, ledger: Ledger, targets: Sequence[str], count: int | None, now: float) -> None:
        self._ledger, self._count, self._began = ledger, count, now
        self._verdicts = {target: Counter(ledger.counts().get(target, {})) for target in targets}
        self._latest: dict[str, deque[bool]] = {target: deque(maxlen=_RUN) for target in targets}
        self._findings: list[Finding] = ledger.findings()
        self._operators, self._links = ledger.operators(), set(ledger.links())
        self._quarantined: tuple[str, ...] = ()
        self._spent: tuple[str, ...] = ()
        self._waiting = self._done = 0
        self._times: deque[tuple[float, int]] = deque([(now, 0)])

    def take(self, results: Sequence[Trial | Exhibit], schedule: Schedule, now: float) -> None:
        """Count what came of some tasks."""
        trials = [result for result in results if isinstance(result, Trial)]
        self._done += len(trials)
        self._times.append((now, self._done))
        while len(self._times) > 2 and now - self._times[0][0] > _SPAN:
            self._times.popleft()
        for trial in trials:
            for answer in trial.answers:
                self._verdicts[answer.target][answer.verdict] += 1
                self._latest[answer.target].append(answer.outcome in _LIVE)
            self._operators.update(operator for operator, _ in trial.pairs)
            self._links |= trial.links
        terms = schedule.terms
        self._quarantined, self._spent, self._waiting = terms.quarantined, terms.spent, schedule.waiting
        if len(trials) < len(results):
            self._findings = self._ledger.findings()

    @property
    def rate(self) -> float:
        """Cases a second, of late."""
        (first, before), (last, after) = self._times[0], self._times[-1]
        return (after - before) / (last - first) if last > first else 0.0

    def picture(self, now: float) -> RenderableType:
        """All of it as rich draws it."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        of = "" if self._count is None else f" of {self._count:,}"
        found = len(self._findings)
        lines = (
            f"{self._done:,} cases now{of}, {self.rate:.1f}/s, {_clock(now - self._began)}",
            f"{len(self._operators):,} operators, {len(self._links):,} pairs of them",
            f"{found:,} findings, {self._waiting:,} failing cases to be reduced",
        )
        words = sorted({word for row in self._verdicts.values() for word in row})
        table = Table("target", "health", box=None, pad_edge=False)
        table.columns[0].overflow, table.columns[0].min_width = "fold", 12
        for word in words:
            table.add_column(word, justify="right", no_wrap=True)
        for target, row in self._verdicts.items():
            table.add_row(printable(target), self._health(target), *(f"{row[word]:,}" for word in words))
        rows = [Text(f"{f.count:,} x {f.pattern}: {f.signature} on {f.target} ({f.id})", overflow="ellipsis",
                     no_wrap=True) for f in self._findings[:_LATEST]]  # fmt: skip
        more = [Text(f"and {found - _LATEST:,} more findings")] if found > _LATEST else []
        return Group(*map(Text, lines), table, *rows, *more)

    def _health(self, target: str) -> str:
        """The share of its latest answers that did not end badly, or why it is not asked."""
        if target in self._spent:
            return "spent"
        if target in self._quarantined:
            return "quarantined"
        latest = self._latest[target]
        return f"{100 * sum(latest) // len(latest)}%" if latest else "·"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, what is 0 in front left out."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@contextmanager
def display(
    ledger: Ledger, targets: Sequence[str], count: int | None
) -> Iterator[Callable[[Sequence[Trial | Exhibit], Schedule], None]]:
    """Yield a function that is told what is new; it draws nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _results, _schedule: None
        return
    from rich.console import Console
    from rich.live import Live

    board = Board(ledger, targets, count, time.monotonic())
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def progress(results: Sequence[Trial | Exhibit], schedule: Schedule) -> None:
            nonlocal drawn
            now = time.monotonic()
            board.take(results, schedule, now)
            if now - drawn >= _REFRESH:
                drawn = now
                live.update(board.picture(now), refresh=True)

        yield progress
