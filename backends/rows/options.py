"""Options that several backends have, and the patterns of lists of passes."""

from __future__ import annotations

from backends.entry import Option

__all__ = ["PASSES", "RELOAD", "THREADS"]

RELOAD = Option("reload", r"yes|no", "yes or no", "save what was compiled, load it and run that (no)")
THREADS = Option("threads", r"[1-9]\d{0,2}", "a number from 1 to 999", "threads to compute with (1)")
PASSES = r"\w[\w.-]*(\+\w[\w.-]*)*"
"""Names joined by +, as `disable` takes them."""
