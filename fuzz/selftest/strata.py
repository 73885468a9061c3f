"""Null runs operator by operator and type by type, until each pair has enough outputs that were judged.

An operator's types are those of its type variables, each by the first operand that is of it: of Gather the elements of
``data`` and those of ``indices``, of Cast what is cast and what it is cast to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import OLDEST_OPSET, menu
from fuzz.generate.run import generate_case
from fuzz.generate.single import operand_types, types_beside
from fuzz.judge.verdict import Word
from fuzz.pool import process_pool
from fuzz.selftest.run import NULL_SETTINGS, Tally, null_model
from fuzz.selftest.undrawn import UNDRAWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fuzz.generate.settings import Settings

__all__ = ["Pair", "Stratum", "pairs", "stratified_run"]

_FEWEST, _MOST = 60, 600  # seeds after which a pair is given up: without any output, without enough of them
_WORDS = (Word.OK, Word.SUSPECT, Word.WRONG, Word.UNDECIDABLE)
_OPSET = NULL_SETTINGS.opset
_INSIDE: Mapping[str, tuple[str, ...]] = MappingProxyType({"If": ("Identity", "Reshape")})
"""What else there is for bodies to give values of every type: they give what their own nodes compute."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An operator, by its qualified name, and an element type of one of its operands (of an output, where so named)."""

    operator: str
    operand: str
    dtype: str


@dataclass(slots=True)
class Stratum:
    """What was said of the outputs of one pair: how many have each verdict, in how many cases."""

    pair: Pair
    cases: int = 0
    words: Counter[str] = field(default_factory=Counter)

    @property
    def judged(self) -> int:
        """Outputs of which something could be said."""
        return sum(self.words.values()) - self.words[Word.UNDECIDABLE.value]

    def add(self, tally: Tally) -> None:
        """Count the outputs of the operator's own nodes in a case."""
        self.cases += 1
        for (operator, _, word), number in tally.words.items():
            if operator == self.pair.operator:
                self.words[word] += number

    def reason(self, count: int) -> str:
        """Why fewer than ``count`` outputs were judged; empty where they were not."""
        if self.judged >= count:
            return ""
        known = UNDRAWN.get((self.pair.operator, self.pair.operand, self.pair.dtype))
        if known is not None:
            return known
        if self.cases:
            undecidable = self.words[Word.UNDECIDABLE.value]
            return f"{undecidable} of {undecidable + self.judged} outputs of {self.cases} cases are undecidable"
        return f"no case in {_FEWEST} seeds"

    def to_json(self, count: int) -> dict[str, Any]:
        """A row of ``pairs`` in ``fuzz selftest --null --per-pair N --json``."""
        words = {word.value: self.words[word.value] for word in _WORDS}
        about = {"operator": self.pair.operator, "operand": self.pair.operand, "type": self.pair.dtype}
        return {**about, "cases": self.cases, **words, "reason": self.reason(count)}


def pairs() -> list[Pair]:
    """Every operator of every domain, with each element type that a type variable of it and the null runs have."""
    return [
        Pair(operator, operand, dtype.name)
        for operator in menu(replace(NULL_SETTINGS, operators=tuple(TABLE)))
        for operand, variable in _operands(operator)
        for dtype in signature(operator, _version(operator)).types[variable]
        if dtype.name in NULL_SETTINGS.dtypes
    ]


def _version(operator: str) -> int:
    """The newest version of the operator set that has an operator: some were taken out again."""
    return next(v for v in range(_OPSET, OLDEST_OPSET - 1, -1) if menu_has(operator, v))


@cache
def menu_has(operator: str, opset: int) -> bool:
    """Whether an operator exists at a version."""
    try:
        return bool(menu(replace(NULL_SETTINGS, operators=(operator,), opset=opset)))
    except ValueError:
        return False


def _operands(operator: str) -> Iterator[tuple[str, str]]:
    """The first formal of each type variable, inputs before outputs."""
    sign = signature(operator, _version(operator))
    seen: set[str] = set()
    for formal in (*sign.inputs, *sign.outputs):
        if formal.variable not in seen:
            seen.add(formal.variable)
            yield formal.name, formal.variable


def _settings(pair: Pair) -> tuple[Settings, Settings]:
    """Models of one node: with common types beside the pair's own, and with no others than it needs."""
    opset = _version(pair.operator)
    operators = (pair.operator, *_INSIDE.get(pair.operator, ()))
    base = replace(
        NULL_SETTINGS, nodes=(1, 1), dynamic=False, mixed_opsets=False, opset=opset, operators=operators,
        rank=(0, 4), empty=0.0, bait=(), structure=(),
    )  # fmt: skip
    common = types_beside(pair.operator, opset, pair.dtype)
    return replace(base, dtypes=common), replace(base, dtypes=types_beside(pair.operator, opset, pair.dtype, ()))


def _operator(wanted: Sequence[Pair], count: int) -> tuple[Tally, list[Stratum]]:
    """The pairs of one operator; a case counts for each that its operands have.

    A pair stays empty where no case of it can be made, short where most outputs are undecidable.
    """
    total, strata = Tally(), {(pair.operand, pair.dtype): Stratum(pair) for pair in wanted}
    for key, stratum in strata.items():
        settings = _settings(stratum.pair)
        for seed in range(_MOST):
            if stratum.judged >= count or (seed >= _FEWEST and not stratum.words):
                break
            try:
                made = generate_case(Seeded(seed), settings[seed % 2])
            except NothingFits:
                continue
            found = operand_types(made.model, stratum.pair.operator)
            if key not in found:
                continue
            label = f"{stratum.pair.operator} {stratum.pair.operand} {stratum.pair.dtype} {seed}"
            tally = null_model(label, seed, made.model, [data_set.inputs for data_set in made.data_sets])
            total.add(tally)
            for each in found & strata.keys():
                strata[each].add(tally)
    return total, list(strata.values())


def stratified_run(
    wanted: Sequence[Pair], count: int, *, jobs: int = 1, progress: Callable[[int], None] = lambda _: None
) -> tuple[Tally, list[Stratum]]:
    """Null runs with at least ``count`` judged outputs for each pair, where so many can be had; and their sum.

    A pair of which no case can be made keeps an empty count; ``Stratum.reason`` says why.
    """
    names = dict.fromkeys(pair.operator for pair in wanted)
    parts = [[pair for pair in wanted if pair.operator == name] for name in names]
    total = Tally()
    found: list[Stratum] = []
    with process_pool(jobs) as pool:
        for tally, strata in pool.map(_operator, parts, [count] * len(parts)):
            total.add(tally)
            found.extend(strata)
            progress(len(strata))
    return total, found
