"""Ctrl-C that comes at a bad moment: what Python had to swallow is raised again."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["insist"]

_SOON = 0.01  # seconds


def insist() -> None:
    """Have an interruption that was lost raised again; for the main thread of a process.

    Ctrl-C raises KeyboardInterrupt wherever the main thread happens to be. In a finalizer, in a generator that is being
    thrown away, in a callback of the collector no exception can be passed on: Python prints it and goes on as if
    nobody had asked (``sys.unraisablehook``).
    """
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sys.unraisablehook = _again


def _again(lost: UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _SOON)
    else:
        sys.__unraisablehook__(lost)
