"""How much of a campaign's time a target may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Budget", "read_budgets"]

_BEGINNING = 10.0  # CPU seconds below which no share is looked at: the first case of a target says little


@dataclass(frozen=True, slots=True)
class Budget:
    """CPU seconds that a target may take in all, or its share of what all targets together take."""

    seconds: float | None = None
    share: float | None = None

    def spent(self, target: str, seconds: Mapping[str, float]) -> bool:
        """Whether a target has used it up, given the CPU seconds of each."""
        own = seconds.get(target, 0.0)
        if self.seconds is not None:
            return own >= self.seconds
        return self.share is not None and own > max(self.share * sum(seconds.values()), _BEGINNING)


def read_budgets(texts: Iterable[str], targets: Iterable[str]) -> dict[str, Budget]:
    """Budgets as users write them, ``TARGET=SECONDS`` or ``TARGET=SHARE%``. Raises UsageError."""
    known = tuple(targets)
    budgets: dict[str, Budget] = {}
    for text in texts:
        target, _, amount = text.rpartition("=")
        if target not in known:
            told = f"write TARGET=SECONDS or TARGET=SHARE%, TARGET one of {', '.join(known)}"
            raise UsageError(f"--budget {text}: {told}")
        try:
            number = float(amount.removesuffix("%"))
        except ValueError:
            number = -1.0
        percent = amount.endswith("%")
        if not 0 < number < float("inf") or (percent and number > 100):
            raise UsageError(f"--budget {text}: {amount!r} is neither CPU seconds, as 600, nor a share, as 25%")
        budgets[target] = Budget(share=number / 100) if percent else Budget(seconds=number)
    return budgets
