"""Null runs operator by operator and type by type, until each pair has enough outputs that were judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.generate.plan import menu
from fuzz.generate.settings import Settings
from fuzz.generate.single import first_type, primary_types
from fuzz.judge.verdict import Word
from fuzz.pool import process_pool
from fuzz.selftest.run import NULL_SETTINGS, Tally, null_case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Stratum", "pairs", "stratified_run"]

_FEWEST, _MOST = 60, 600  # seeds after which a pair is given up: without any case, without enough outputs
_WORDS = (Word.OK, Word.SUSPECT, Word.WRONG, Word.UNDECIDABLE)


@dataclass(slots=True)
class Stratum:
    """One operator on one element type of its first operand; ``tally`` is that of cases with this node alone."""

    operator: str
    dtype: str
    tally: Tally = field(default_factory=Tally)

    @property
    def judged(self) -> int:
        """Outputs of which something could be said."""
        return sum(self.tally.words.values()) - self.tally.count(Word.UNDECIDABLE)

    def to_json(self) -> dict[str, Any]:
        """A row of ``pairs`` in ``fuzz selftest --null --per-pair N --json``."""
        words = {word.value: self.tally.count(word) for word in _WORDS}
        return {"operator": self.operator, "type": self.dtype, "cases": self.tally.cases, **words}


def _settings(operator: str, dtype: str) -> Settings:
    """A model of one node; parameters and second operands are often of other types than the first."""
    others = tuple(t for t in ("int64", "bool", "float") if t != dtype)
    return Settings(nodes=(1, 1), operators=(operator,), dtypes=(dtype, *others), rank=(0, 4))


def pairs() -> list[tuple[str, str]]:
    """Every operator of the table with each element type that its schema and the null runs have."""
    return [
        (operator, dtype)
        for operator in menu(NULL_SETTINGS)
        for dtype in primary_types(operator, NULL_SETTINGS.opset)
        if dtype in NULL_SETTINGS.dtypes
    ]


def _stratum(operator: str, dtype: str, count: int) -> Stratum:
    """One pair; it stays empty where no case of it can be made, short where most outputs are undecidable."""
    result, settings = Stratum(operator, dtype), _settings(operator, dtype)
    for seed in range(_MOST):
        if result.judged >= count or (seed >= _FEWEST and not result.tally.cases):
            break
        if first_type(seed, settings) == dtype:
            result.tally.add(null_case(seed, settings))
    return result


def _strata(part: Sequence[tuple[str, str]], count: int) -> list[Stratum]:
    return [_stratum(operator, dtype, count) for operator, dtype in part]


def stratified_run(
    wanted: Sequence[tuple[str, str]], count: int, *, jobs: int = 1, progress: Callable[[int], None] = lambda _: None
) -> tuple[Tally, list[Stratum]]:
    """Null runs with at least ``count`` judged outputs for each pair, where so many can be had; and their sum.

    Pairs of which no case can be made are left out: they are not legal here.
    """
    parts = [wanted[i : i + 4] for i in range(0, len(wanted), 4)]
    total = Tally(words=Counter())
    found: list[Stratum] = []
    with process_pool(jobs) as pool:
        for strata in pool.map(_strata, parts, [count] * len(parts)):
            found.extend(stratum for stratum in strata if stratum.tally.cases)
            progress(len(strata))
    for stratum in found:
        total.add(stratum.tally)
    return total, found
