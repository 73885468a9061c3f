"""The table of ways: in what two runs of a case on a target differ, and what else could explain a difference."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEAP_BYTES", "ROUNDS", "THREADS", "WAYS", "Way"]

THREADS = (1, 2, 4)
"""Thread counts that are compared, each with the first."""

HEAP_BYTES = (255, 128)
"""Values of MALLOC_PERTURB_: fresh memory is filled with 0x00 and 0x7F, freed memory with 0xFF and 0x80."""

ROUNDS = 5
"""How often a way is tried at most before a difference that was seen once counts as flaky."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running a case again.

    Attributes:
        name: what `--only` and the verdict's oracle call it.
        purpose: what is run, for the help.
        inside: whether one worker does it all (the operation `vary`), or several do it between them.
        fresh: whether that worker must not have run anything before.
        reorders: whether another order of summation is legal, so that the case's error bound decides.
        controls: the ways that do less: where one of them differs too, it has the difference to answer for.
    """

    name: str
    purpose: str
    inside: bool
    fresh: bool = False
    reorders: bool = False
    controls: tuple[str, ...] = ()


_TABLE = (
    Way("repeat", "the same compiled model run again in the same session", inside=True),
    Way("session", "compiled anew in the same process, and in another one", inside=True, fresh=True,
        controls=("repeat",)),
    Way("threads", "other thread counts", inside=False, reorders=True, controls=("repeat", "session")),
    Way("heap", "memory from the allocator filled with one byte or another", inside=False,
        controls=("repeat", "session")),
    Way("layout", "inputs that are misaligned, strided or transposed in memory", inside=True, reorders=True,
        controls=("repeat",)),
    Way("buffers", "output buffers that are bound once and filled before each run", inside=True,
        controls=("repeat",)),
    Way("once", "compiled once and run on several inputs, against compiled for each", inside=True,
        controls=("repeat", "session")),
    Way("neighbour", "after another model ran in the same process", inside=True, fresh=True,
        controls=("repeat", "session")),
)  # fmt: skip
WAYS: Mapping[str, Way] = MappingProxyType({way.name: way for way in _TABLE})
"""In the order in which they are tried: what changes the process least comes first, other models last."""
