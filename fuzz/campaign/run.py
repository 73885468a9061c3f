"""The whole of ``fuzz run``: seeds, in order, until there are enough, or time is up."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, Self

from fuzz.campaign.crew import Crew
from fuzz.campaign.schedule import Schedule
from fuzz.campaign.shelf import FINDINGS_FOLDER
from fuzz.execute.scratch import clear_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from fuzz.campaign.budget import Budget
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.task import Task
    from fuzz.campaign.trial import Exhibit, Trial

__all__ = ["Hands", "run_campaign"]

_TICK = 0.25  # seconds between two looks at the clock, where nothing else happens


class Hands(Protocol):
    """Who does the tasks of a campaign; a context manager, at whose end nothing of it runs any more."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def results(self, task: Callable[[], Task | None], tick: float) -> Iterator[list[Trial | Exhibit]]:
        """What came of tasks, at least every ``tick`` seconds, if of none; it ends when there are none left."""
        ...


def run_campaign(  # noqa: PLR0913 - each is a choice of the user's
    campaign: Campaign,
    root: Path,
    ledger: Ledger,
    *,
    count: int | None = None,
    seconds: float | None = None,
    findings: int | None = None,
    budgets: Mapping[str, Budget] = MappingProxyType({}),
    jobs: int = 1,
    hands: Hands | None = None,
    progress: Callable[[Sequence[Trial | Exhibit], Schedule], None] = lambda _results, _schedule: None,
) -> Schedule:
    """Examine ``count`` seeds, those that the store has left out, and reduce what fails; how far it came.

    Without ``count`` there is no end to them. After ``seconds`` no seed is begun any more, with so many ``findings``
    nothing is. It is done by ``hands``, else by ``jobs`` processes here: which case a seed makes and what comes of it
    does not hang on who does it. ``progress`` is told what is
    new, several times a second.

    Raises TargetError (a worker cannot be started at all), StorageError; what was finished is kept, whatever it is.
    """
    clear_abandoned()
    end = None if seconds is None else time.monotonic() + seconds
    schedule = Schedule(
        campaign, ledger, count=count, wanted=findings, budgets=budgets,
        open_=lambda: end is None or time.monotonic() < end,
    )  # fmt: skip
    with hands or Crew(campaign, root / FINDINGS_FOLDER, jobs) as working:
        for results in working.results(schedule.next, _TICK):
            for result in results:
                schedule.take(result)
            progress(results, schedule)
    ledger.flush()
    return schedule
