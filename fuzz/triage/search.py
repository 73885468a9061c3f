"""The best candidate so far, and the only way to a better one: it must fail as the first did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.triage.candidate import size
from fuzz.triage.selection import Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fuzz.triage.candidate import Candidate
    from fuzz.triage.laboratory import Laboratory
    from fuzz.triage.observation import Observation
    from fuzz.triage.signature import Signature

__all__ = ["Search"]


class Search:
    """A reduction at work.

    ``wanted`` is the signature that is kept, ``first_seen`` what the unreduced case did. What fails in another way is
    never taken; the smallest candidate of each such kind is in ``others``.
    """

    def __init__(
        self, laboratory: Laboratory, best: Candidate, first_seen: Observation,
        told: Callable[[Search], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.laboratory = laboratory
        self.best = best
        self.first_seen = first_seen
        self.wanted = first_seen.signature
        self.others: dict[Signature, Candidate] = {}
        self.trials = 0
        self._told = told

    def seen(self, candidate: Candidate) -> bool:
        """Whether a candidate fails as it should. It is not taken."""
        return self._counts(candidate, self.laboratory.observe(candidate))

    def take(self, candidate: Candidate) -> None:
        """Make a candidate that was ``seen`` to fail as it should the best."""
        self.best = candidate
        self._told(self)

    def attempt(self, candidates: Iterable[Candidate | None]) -> bool:
        """Take the first that fails as it should, in the order given; whether there was one.

        Several are examined side by side where there are several workers: that changes how many, never which.
        """
        for batch in _batches((c for c in candidates if c is not None), self.laboratory.jobs):
            for candidate, found in zip(batch, self.laboratory.observe_all(batch), strict=True):
                if self._counts(candidate, found):
                    self.take(candidate)
                    return True
        return False

    def whole(self) -> Whole | None:
        """The best with what is known of its values; None where the reference cannot read it."""
        known = self.laboratory.know(self.best)
        return None if known is None else Whole.of(self.best, known)

    def _counts(self, candidate: Candidate, found: Observation) -> bool:
        self.trials += 1
        if found.fit and found.signature == self.wanted:
            return True
        if found.finding:
            before = self.others.get(found.signature)
            if before is None or size(candidate) < size(before):
                self.others[found.signature] = candidate
        return False


def _batches(candidates: Iterator[Candidate], count: int) -> Iterator[Sequence[Candidate]]:
    batch: list[Candidate] = []
    for candidate in candidates:
        batch.append(candidate)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
