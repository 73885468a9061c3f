"""The display of a campaign, for a person at a terminal: rate, verdicts, the health of each target, findings."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fuzz.cli.tables import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from fuzz.campaign.ledger import Finding, Ledger
    from fuzz.campaign.trial import Trial

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
        self._done = 0
        self._times: deque[tuple[float, int]] = deque([(now, 0)])

    def take(self, trials: Sequence[Trial], now: float) -> None:
        """Count what came of some seeds."""
        self._done += len(trials)
        self._times.append((now, self._done))
        while len(self._times) > 2 and now - self._times[0][0] > _SPAN:
            self._times.popleft()
        for trial in trials:
            for answer in trial.answers:
                self._verdicts[answer.target][answer.verdict] += 1
                self._latest[answer.target].append(answer.outcome in _LIVE)
        if any(trial.sightings for trial in trials):
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
        found, seconds = len(self._findings), now - self._began
        head = f"{self._done:,} cases now{of}, {self.rate:.1f}/s, {found:,} findings, {seconds:.0f} s"
        words = sorted({word for row in self._verdicts.values() for word in row})
        table = Table("target", "healthy", *words, box=None, pad_edge=False)
        for target, row in self._verdicts.items():
            table.add_row(printable(target), self._health(target), *(f"{row[word]:,}" for word in words))
        rows = [Text(f"{f.id} {f.count:,} x {f.target} {f.signature}: {f.pattern}", overflow="ellipsis", no_wrap=True)
                for f in self._findings[:_LATEST]]  # fmt: skip
        return Group(Text(head), table, *rows)

    def _health(self, target: str) -> str:
        """The share of its latest answers that did not end badly."""
        latest = self._latest[target]
        return f"{100 * sum(latest) // len(latest)}%" if latest else "·"


@contextmanager
def display(ledger: Ledger, targets: Sequence[str], count: int | None) -> Iterator[Callable[[Sequence[Trial]], None]]:
    """Yield a function that is told what is new; it draws nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.live import Live

    board = Board(ledger, targets, count, time.monotonic())
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def progress(trials: Sequence[Trial]) -> None:
            nonlocal drawn
            now = time.monotonic()
            board.take(trials, now)
            if now - drawn >= _REFRESH:
                drawn = now
                live.update(board.picture(now), refresh=True)

        yield progress
