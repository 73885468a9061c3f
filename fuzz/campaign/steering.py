"""What is known decides what is tried: what known findings begin at becomes rare, targets that only fail are left out.

All of it is a function of what the store has of the epochs before, so that it hangs neither on the number of processes
nor on where a run was interrupted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from abstract.operators import TABLE
from backends.protocol import Outcome
from fuzz.campaign.trial import rough_digest
from fuzz.generate.rest import SHARES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.campaign.budget import Budget
    from fuzz.campaign.readings import Readings

__all__ = ["FULL", "Terms", "terms_of"]

FULL = (4, 100)
"""A finding may show in four cases, and in one of so many of all; what shows more often is made rarer."""
_FLOOR = 1  # of SHARES: nothing disappears

_LOOKED_AT = 50  # answers that a target's health is taken from
_LEAST = 16  # fewer say nothing
_BAD = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM, Outcome.ERROR, Outcome.REJECTED})
_HOPELESS = 0.9
_RECENT = 4  # answers of which two must be well for a target to be let out of quarantine
_AGAIN = 4  # every so many epochs a target in quarantine is asked
_TRIED = 4  # seeds of such an epoch


@dataclass(frozen=True, slots=True)
class Terms:
    """What an epoch is examined under.

    ``rests`` are the generator's (``fuzz/generate/rest.py``); ``found`` names the findings, ``known`` says their
    signatures by target; ``familiar`` are the digests of the rough keys of which all that were reduced came to
    something; ``quarantined`` targets are asked for no more than ``tried`` seeds of the epoch, those that have
    ``spent`` what they were given for none.
    """

    rests: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    spent: tuple[str, ...] = ()
    tried: int = 0
    familiar: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def asks(self, target: str, place: int) -> bool:
        """Whether a target is asked for the seed at a place of the epoch."""
        return target not in self.spent and (target not in self.quarantined or place < self.tried)

    def to_text(self) -> str:
        """As the store keeps it."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Terms:
        """What ``to_text`` gave."""
        fields = json.loads(text)
        tried = int(fields.pop("tried"))
        return cls(**{name: tuple(texts) for name, texts in fields.items()}, tried=tried)


def terms_of(
    readings: Readings, targets: tuple[str, ...], epoch: int, first: int, end: int, *, steers: bool,
    budgets: Mapping[str, Budget],
) -> Terms:  # fmt: skip
    """The terms of an epoch, given what is known of the seeds from ``first`` to ``end``, which is not among them."""
    seen = readings.seen(end)
    known = tuple(sorted({f"{one.target} | {one.signature}" for one in seen}))
    hopeless = tuple(target for target in targets if _hopeless(readings.outcomes(target, end, _LOOKED_AT)))
    spent: tuple[str, ...] = ()
    if budgets:
        seconds = readings.seconds(end)
        spent = tuple(t for t in targets if t in budgets and budgets[t].spent(t, seconds))
    terms = Terms(
        known=known, quarantined=hopeless, spent=spent, tried=_TRIED if hopeless and epoch % _AGAIN == 0 else 0,
        familiar=tuple(sorted(map(rough_digest, readings.familiar(end)))),
        found=tuple(sorted({one.finding for one in seen})),
    )  # fmt: skip
    return replace(terms, rests=_rests(readings, end, end - first)) if steers else terms


def _rests(readings: Readings, end: int, cases: int) -> tuple[str, ...]:
    """For each finding that shows too often: the share of models that may still have what it begins at."""
    counts: Counter[str] = Counter()
    sites: dict[str, set[str]] = defaultdict(set)
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for one in readings.seen(end):
        if not one.aside:
            counts[one.finding] += 1
            votes[one.rough][one.finding] += 1
            sites[one.finding].add(one.site or one.sites)
    for rough, site, count in readings.taken_for_granted(end):
        if rough in votes:
            finding = max(votes[rough].items(), key=lambda pair: pair[1])[0]  # the first seen of the most frequent
            counts[finding] += count
            sites[finding].add(site or next(iter(sorted(sites[finding])), ""))
    granted = FULL[0] + cases / FULL[1]
    rests = []
    for finding, count in sorted(counts.items()):
        share = max(int(SHARES * granted / count), _FLOOR)
        places = sorted(site for site in sites[finding] if site.partition(":")[0] in TABLE)
        if share < SHARES and places:
            rests.append(f"{share} {' '.join(places)}")
    return tuple(rests)


def _hopeless(outcomes: list[str]) -> bool:
    """Whether nearly all of a target's answers, the newest first, say that it is out of order."""
    bad = [outcome in _BAD for outcome in outcomes]
    return len(bad) >= _LEAST and sum(bad) >= _HOPELESS * len(bad) and sum(bad[:_RECENT]) > _RECENT // 2
