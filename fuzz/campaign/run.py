"""The whole of ``fuzz run``: seeds, in order, until there are enough, or time is up."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from fuzz.campaign.crew import Crew
from fuzz.campaign.shelf import FINDINGS_FOLDER
from fuzz.execute.scratch import clear_abandoned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.trial import Trial

__all__ = ["run_campaign"]

_TICK = 0.25  # seconds between two looks at the clock, where nothing else happens


def run_campaign(  # noqa: PLR0913 - each is a choice of the user's
    campaign: Campaign,
    root: Path,
    ledger: Ledger,
    *,
    seed: int = 0,
    count: int | None = None,
    seconds: float | None = None,
    jobs: int = 1,
    progress: Callable[[Sequence[Trial]], None] = lambda _trials: None,
) -> int:
    """Examine ``count`` seeds from ``seed`` on, those that the store has left out; how many were examined now.

    Without ``count`` there is no end to them. After ``seconds`` no seed is begun any more. Which case a seed makes and
    what comes of it does not hang on ``jobs``. ``progress`` is told what is new, several times a second.

    Raises TargetError (a worker cannot be started at all), StorageError; what was finished is kept, whatever it is.
    """
    clear_abandoned()
    end = None if seconds is None else time.monotonic() + seconds
    done = 0
    with Crew(campaign, root / FINDINGS_FOLDER, jobs) as crew:
        for trials in crew.results(_seeds(ledger, seed, count, end), _TICK):
            for trial in trials:
                ledger.take(trial)
            done += len(trials)
            progress(trials)
    ledger.flush()
    return done


def _seeds(ledger: Ledger, first: int, count: int | None, end: float | None) -> Iterator[int]:
    for seed in itertools.count(first) if count is None else range(first, first + count):
        if end is not None and time.monotonic() >= end:
            return
        if not ledger.has(seed):
            yield seed
