"""What a row of the bait tables is: a pattern that compilers rewrite, and who does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fuzz.generate.bait.program import parse

if TYPE_CHECKING:
    from fuzz.generate.bait.program import Program

__all__ = ["FLOATS", "INTEGERS", "NUMBERS", "Pattern", "Rewriter", "pattern"]

FLOATS = ("float", "float16", "double", "bfloat16")
INTEGERS = ("int32", "int64", "int8", "uint8", "int16", "uint16", "uint32", "uint64")
NUMBERS = (*FLOATS, *INTEGERS)


@dataclass(frozen=True, slots=True)
class Rewriter:
    """A compiler, and the pass or rule of it that looks for the pattern, as its source names it."""

    compiler: str
    name: str


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row. ``types`` are those that ``T``, the pattern's own element type, may be."""

    name: str
    text: str
    rewriters: tuple[Rewriter, ...]
    types: tuple[str, ...] = FLOATS
    theme: str = ""

    @property
    def program(self) -> Program:
        """The text, parsed at first use."""
        return parse(self.text)

    @property
    def operators(self) -> frozenset[str]:
        """The operators that it is made of."""
        return frozenset(step.operator for step in self.program.calls)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON has it; its near-misses are told by ``fuzz.generate.bait.miss``."""
        return {
            "name": self.name, "theme": self.theme, "expression": self.text, "types": list(self.types),
            "operators": sorted(self.operators),
            "rewriters": [{"compiler": r.compiler, "pass": r.name} for r in self.rewriters],
        }  # fmt: skip


def pattern(name: str, text: str, by: str, types: tuple[str, ...] = FLOATS) -> Pattern:
    """A row from its columns; ``by`` is "compiler Pass, compiler Pass, ..."."""
    pairs = (entry.strip().split(" ", 1) for entry in by.split(","))
    return Pattern(name, text, tuple(Rewriter(compiler, rule) for compiler, rule in pairs), types)
