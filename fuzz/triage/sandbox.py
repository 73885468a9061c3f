"""Processes in which candidates are made and parsed: one that ends its process is no candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fuzz.apart import Apart

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Sandbox"]

_CALLS = 2000  # after which the processes are replaced: what they have gathered in memory goes with them

T = TypeVar("T")


class Sandbox(Apart):
    """Calls functions in ``jobs`` processes; what fails there has no answer."""

    def __init__(self, jobs: int = 1) -> None:
        super().__init__(jobs, calls=_CALLS)

    def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T | None:
        """Call a function of a module; None where its process died of it, or the function failed."""
        try:
            return self.call(function, *arguments)
        except Exception:  # noqa: BLE001 - a candidate that our own code cannot treat is no candidate
            return None
