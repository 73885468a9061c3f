"""A small part of a whole that still shows something."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["fewest"]


def fewest(everything: Sequence[int], fixed: int, wrong: Callable[[Sequence[int]], bool]) -> list[int]:
    """Indices that ``wrong`` still needs, ``fixed`` among them: halves, quarters, ... are left out while it holds.

    Delta debugging by complements alone (Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input,
    2002), at most twice as many trials as there are indices where each part that can go goes at once.
    """
    keep, width = list(everything), max(len(everything) // 2, 1)
    while True:
        for start in range(0, len(keep), width)[::-1]:
            rest = [index for at, index in enumerate(keep) if not start <= at < start + width or index == fixed]
            if len(rest) < len(keep) and wrong(rest):
                keep = rest
        if width == 1:
            return keep
        width //= 2
