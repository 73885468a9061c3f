"""Null runs operator by operator and type by type, until each pair has enough outputs that were judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fuzz.generate.plan import menu
from fuzz.generate.single import first_type, primary_types, types_beside
from fuzz.judge.verdict import Word
from fuzz.pool import process_pool
from fuzz.selftest.run import NULL_SETTINGS, Tally, null_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fuzz.generate.settings import Settings

__all__ = ["UNDRAWN", "Stratum", "pairs", "stratified_run"]

_FEWEST, _MOST = 60, 600  # seeds after which a pair is given up: without any output, without enough of them
_WORDS = (Word.OK, Word.SUSPECT, Word.WRONG, Word.UNDECIDABLE)

_WHOLE = ("int32", "int64", "uint32", "uint64")
_ROUNDED = "what an integer mean, root or logarithm rounds to is nowhere stated (hazard H6.4)"
_NOT_DRAWN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("BitwiseNot", ("uint64",), "results are beyond 2**53, and generated integers never are"),
    ("MeanVarianceNormalization", ("double", "float16", "bfloat16"), "ONNX's function body has float alone"),
    ("OneHot", ("float", "double", "float16", "uint8", "uint16", "uint32", "uint64"),
     "indices are drawn as int32 and int64 alone"),
    ("BitCast", ("float4e2m1", "int4", "uint4", "int2", "uint2"), "drawn on types of a byte or more"),
    ("PRelu", ("uint32", "uint64"), "nothing unsigned is below 0: it would copy"),
    ("Range", ("float", "double", "float16", "bfloat16", "int16", "int32"), "drawn as int64 alone"),
    *((name, _WHOLE, _ROUNDED) for name in ("ReduceMean", "ReduceL2")),
    ("Resize", ("bool", "string", "complex64", "complex128"), "drawn on numbers alone"),
    ("Col2Im", ("bool", "string", "complex64", "complex128"), "what overlaps is added: drawn on numbers alone"),
    ("GridSample", ("string", "complex64", "complex128"), "drawn on numbers and flags alone"),
    ("CenterCropPad", ("string",), "what text stands where nothing is, is nowhere stated"),
    ("Trilu", ("string",), "what text stands where nothing is, is nowhere stated"),
)  # fmt: skip
UNDRAWN: Mapping[tuple[str, str], str] = MappingProxyType({
    (operator, dtype): reason for operator, dtypes, reason in _NOT_DRAWN for dtype in dtypes
})  # fmt: skip
"""Pairs that the schema has and the generator never draws, with the reason."""


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

    def reason(self, count: int) -> str:
        """Why fewer than ``count`` outputs were judged; empty where they were not."""
        if self.judged >= count:
            return ""
        if self.tally.cases and not self.tally.words:
            return "it is a constant: no node computes it"
        if self.tally.cases:
            undecidable = self.tally.count(Word.UNDECIDABLE)
            return f"{undecidable} of {undecidable + self.judged} outputs of {self.tally.cases} cases are undecidable"
        return UNDRAWN.get((self.operator, self.dtype), f"no case in {_FEWEST} seeds")

    def to_json(self, count: int) -> dict[str, Any]:
        """A row of ``pairs`` in ``fuzz selftest --null --per-pair N --json``."""
        words = {word.value: self.tally.count(word) for word in _WORDS}
        about = {"operator": self.operator, "type": self.dtype, "cases": self.tally.cases}
        return {**about, **words, "reason": self.reason(count)}


def _settings(operator: str, dtype: str) -> Settings:
    """A model of one node; parameters and second operands are often of other types than the first."""
    dtypes = types_beside(operator, NULL_SETTINGS.opset, dtype)
    return replace(
        NULL_SETTINGS, nodes=(1, 1), dynamic=False, mixed_opsets=False, operators=(operator,), dtypes=dtypes,
        rank=(0, 4), empty=0.0,
    )  # fmt: skip


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
        if result.judged >= count or (seed >= _FEWEST and not result.tally.words):
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

    A pair of which no case can be made keeps an empty tally; ``Stratum.reason`` says why.
    """
    parts = [wanted[i : i + 4] for i in range(0, len(wanted), 4)]
    total = Tally(words=Counter())
    found: list[Stratum] = []
    with process_pool(jobs) as pool:
        for strata in pool.map(_strata, parts, [count] * len(parts)):
            found.extend(strata)
            progress(len(strata))
    for stratum in found:
        total.add(stratum.tally)
    return total, found
