"""What is to be done next: seeds in epochs, and of what fails the cases that are worth a reduction.

Decisions are made in the order of the seeds, whatever the order in which they are done: of the answers that share a
rough key the first three are reduced, then the 4th, the 8th, the 16th, ... since another bug may hide among them.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuzz.campaign.epochs import epoch_of, start_of
from fuzz.campaign.novelty import LAG, Novelty
from fuzz.campaign.steering import Terms, terms_of
from fuzz.campaign.task import Examine, Reduce, Task
from fuzz.campaign.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fuzz.campaign.budget import Budget
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.trial import Exhibit, Failure

__all__ = ["Schedule", "worth_reducing"]

_FIRST = 3  # answers of one rough key that are reduced whatever they show


def worth_reducing(number: int) -> bool:
    """Whether the answer of this number, from 1 on, among those of its rough key is reduced: 1, 2, 3, 4, 8, 16, ..."""
    return number <= _FIRST or number & (number - 1) == 0


class Schedule:
    """Hands out tasks and takes their results, for ``count`` seeds or without end; goes on where the store is.

    ``open`` says whether another seed may be begun. ``wanted`` findings are enough.
    """

    def __init__(
        self, campaign: Campaign, ledger: Ledger, *, count: int | None, wanted: int | None = None,
        budgets: Mapping[str, Budget], open_: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._campaign, self._ledger, self._open, self._budgets = campaign, ledger, open_, budgets
        self._first = campaign.first
        self._end = None if count is None else self._first + count
        self._wanted = wanted
        self._named = tuple(target.canonical for target in campaign.targets)
        self._terms: dict[int, Terms] = {}
        self._novelty = Novelty(ledger, campaign.first) if campaign.novelty else None
        self._examined: set[int] = set()  # of the seeds from the frontier on
        self._failures: dict[int, tuple[Failure, ...]] = {}
        self._numbers: Counter[str] = Counter()
        self._due: deque[tuple[int, Failure]] = deque()
        self._unfinished: set[tuple[int, str]] = set()
        self._next = self._frontier = self._first
        self._resume()
        self._enough = self._satisfied()

    def _resume(self) -> None:
        """Come to the same state as if nothing had been interrupted."""
        self._examined.update(self._ledger.seeds())
        states = {}
        for one in self._ledger.failed():
            self._failures[one.seed] = (*self._failures.get(one.seed, ()), one.failure)
            states[one.seed, one.failure.target] = one.state
        self._advance(states)

    @property
    def terms(self) -> Terms:
        """Those of the latest epoch that was begun, by this run or an earlier one."""
        if self._terms:
            return self._terms[max(self._terms)]
        done = self._frontier - self._first
        told = self._ledger.terms(epoch_of(done - 1)) if done else None
        return Terms() if told is None else Terms.from_text(told)

    @property
    def waiting(self) -> int:
        """How many failing answers wait to be reduced, or are being."""
        return len(self._unfinished)

    def to_json(self) -> dict[str, Any]:
        """What ``fuzz run --json`` says beside what the store holds."""
        terms = self.terms
        told = {"waiting": self.waiting, "quarantined": list(terms.quarantined), "spent": list(terms.spent)}
        return told if self._novelty is None else {**told, "novelty": self._novelty.to_json()}

    # --- what is next -------------------------------------------------------------------------------------------------

    def next(self) -> Task | None:
        """The next thing to do; None where there is nothing now: what is being done may make more of it."""
        if self._enough:
            return None
        if self._due:
            seed, failure = self._due.popleft()
            terms = self._of(epoch_of(seed - self._first))
            return Reduce(seed, failure, frozenset(terms.known), found=frozenset(terms.found))
        self._next = max(self._next, self._frontier)
        while self._next in self._examined:
            self._next += 1
        if (self._end is not None and self._next >= self._end) or not self._open():
            return None
        epoch = epoch_of(self._next - self._first)
        if not self._settled(self._first + start_of(epoch - LAG + 1)):
            return None
        terms, seed = self._of(epoch), self._next
        place = seed - self._first - start_of(epoch)
        self._next += 1
        asked = tuple(name for name in self._named if terms.asks(name, place))
        task = Examine(seed, terms.rests, asked, familiar=" ".join(terms.familiar))
        if self._novelty is None:
            return task
        return replace(task, origin=self._novelty.origin(seed), shows=self._novelty.shows(seed))

    def _settled(self, end: int) -> bool:
        """Whether all seeds below ``end`` are examined, and what is to be reduced of them is."""
        return self._frontier >= end and not any(seed < end for seed, _ in self._unfinished)

    def _of(self, epoch: int) -> Terms:
        if epoch not in self._terms:
            told = self._ledger.terms(epoch)
            terms = self._begun(epoch) if told is None else Terms.from_text(told)
            self._terms[epoch] = terms
            for old in [number for number in self._terms if number < epoch - 2 * LAG]:
                del self._terms[old]
        return self._terms[epoch]

    def _begun(self, epoch: int) -> Terms:
        self._ledger.flush()
        terms = terms_of(
            self._ledger, self._named, epoch, self._first, self._first + start_of(epoch - LAG + 1),
            steers=self._campaign.steers, budgets=self._budgets,
        )  # fmt: skip
        self._ledger.begin(epoch, self._first + start_of(epoch), terms.to_text())
        return terms

    # --- what came of it ----------------------------------------------------------------------------------------------

    def take(self, result: Trial | Exhibit) -> None:
        """Keep a result, and decide what hangs on it. Raises StorageError."""
        if isinstance(result, Trial) and result.shown is not None and self._novelty is not None:
            result = replace(result, shown=self._novelty.new(result.shown))
        self._ledger.take(result)
        if isinstance(result, Trial):
            self._examined.add(result.seed)
            if result.failures:
                self._failures[result.seed] = result.failures
            self._advance({})
        else:
            self._unfinished.discard(result.key)
            self._enough = self._enough or self._satisfied()

    def _advance(self, states: Mapping[tuple[int, str], str]) -> None:
        """Decide over the seeds up to the first that is not examined; ``states`` are those that were decided before."""
        while self._frontier in self._examined:
            seed = self._frontier
            self._examined.discard(seed)
            for failure in self._failures.pop(seed, ()):
                self._numbers[failure.rough] += 1
                self._decide(seed, failure, states.get((seed, failure.target), "open"))
            self._frontier += 1

    def _decide(self, seed: int, failure: Failure, state: str) -> None:
        due = worth_reducing(self._numbers[failure.rough])
        if state == "open":
            self._ledger.decide(seed, failure.target, due=due)
        if due and state in ("open", "due"):
            self._due.append((seed, failure))
            self._unfinished.add((seed, failure.target))

    def _satisfied(self) -> bool:
        return self._wanted is not None and len(self._ledger.findings()) >= self._wanted
