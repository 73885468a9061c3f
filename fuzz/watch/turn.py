"""One campaign of ``fuzz run``, from the opened store to what it came to."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from fuzz.campaign.ledger import Ledger
from fuzz.campaign.run import run_campaign
from fuzz.campaign.shelf import FINDINGS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fuzz.campaign.budget import Budget
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.run import Hands
    from fuzz.campaign.schedule import Schedule
    from fuzz.campaign.trial import Exhibit, Trial
    from fuzz.watch.diary import Diary
    from fuzz.watch.metrics import Metrics

    Progress: TypeAlias = Callable[[Sequence[Trial | Exhibit], Schedule], None]
    Display: TypeAlias = Callable[[Ledger, Sequence[str], int | None], AbstractContextManager[Progress]]

__all__ = ["Observers", "Wish", "take_turn"]


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a campaign works and with what: ``jobs`` processes, here or on each node of a ``cluster``."""

    root: Path
    jobs: int | None = None
    cluster: str | None = None
    count: int | None = None
    seconds: float | None = None
    findings: int | None = None
    budgets: Mapping[str, Budget] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observers:
    """Who hears of a campaign as it goes: the terminal, the metrics, the diary; ``tell`` takes lines for the user."""

    display: Display
    tell: Callable[[str], None]
    metrics: Metrics | None = None
    diary: Diary | None = None


def take_turn(wish: Wish, campaign: Campaign, observers: Observers) -> dict[str, Any]:
    """Work at a campaign; all that it has come to, as ``fuzz run --json`` prints it.

    Raises TargetError, StorageError.
    """
    names = [target.canonical for target in campaign.targets]
    budgets = {name: budget for name, budget in wish.budgets.items() if name in names}
    jobs = wish.jobs or len(os.sched_getaffinity(0))
    with Ledger.open(wish.root, campaign) as ledger:
        before = {finding.id for finding in ledger.findings()}
        try:
            with _hands(wish, campaign, observers.tell) as hands, _told(ledger, names, wish, observers) as progress:
                schedule = run_campaign(
                    campaign, wish.root, ledger, count=wish.count, seconds=wish.seconds, findings=wish.findings,
                    budgets=budgets, jobs=jobs, hands=hands, progress=progress,
                )  # fmt: skip
        finally:
            if observers.diary is not None:
                observers.diary.find(finding for finding in ledger.findings() if finding.id not in before)
                observers.diary.write()
        result = {"root": str(wish.root), "campaign": campaign.digest, **ledger.to_json(), **schedule.to_json()}
        if campaign.baseline is not None:
            result["gate"] = _gate(ledger, campaign)
        return result


@contextmanager
def _told(ledger: Ledger, names: Sequence[str], wish: Wish, observers: Observers) -> Iterator[Progress]:
    metrics, diary = observers.metrics, observers.diary
    if metrics is not None:
        metrics.begin(ledger, names)
    with observers.display(ledger, names, wish.count) as shown:

        def progress(results: Sequence[Trial | Exhibit], schedule: Schedule) -> None:
            shown(results, schedule)
            if metrics is not None:
                metrics.take(results, schedule, ledger)
            if diary is not None:
                diary.take(results)

        yield progress


@contextmanager
def _hands(wish: Wish, campaign: Campaign, tell: Callable[[str], None]) -> Iterator[Hands | None]:
    """The nodes of a cluster; None where the processes of this machine do it all."""
    if wish.cluster is None:
        yield None
        return
    from fuzz.cluster.connection import connected

    with connected(wish.cluster):
        from fuzz.cluster.fleet import Fleet

        yield Fleet(campaign, wish.root / FINDINGS_FOLDER, wish.jobs, tell)


def _gate(ledger: Ledger, campaign: Campaign) -> dict[str, Any]:
    """How many cases the candidate answers otherwise than the baseline."""
    [after] = [target.canonical for target in campaign.targets if target != campaign.baseline]
    before = next(target.canonical for target in campaign.targets if target == campaign.baseline)
    changes = [dict(zip(("before", "after", "count"), row, strict=True)) for row in ledger.changes(before, after)]
    return {"baseline": before, "candidate": after, "changes": changes}
