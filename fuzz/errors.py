"""The exception tree.

Everything that this package raises on purpose is a `FuzzError`, its text one line: what is wrong and how to
mend it. The command line prints that line on standard error and exits with 2; any other exception is a bug of
ours.

    FuzzError
    ├── UsageError      an option or argument that makes no sense (an unknown operator, an empty range)
    ├── RootError       a root that is no root: missing, not a folder, no cases in it
    ├── CaseError       a case that cannot be read: corrupt model, inputs that do not fit it
    ├── StorageError    a folder that cannot be written, a full disk
    └── TargetError     a target that is unknown, or not installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CaseError", "FuzzError", "RootError", "StorageError", "TargetError", "UsageError", "did_you_mean"]


class FuzzError(Exception):
    """Root of the tree; the text is one line for the user."""


class UsageError(FuzzError):
    """An option or argument that makes no sense."""


class RootError(FuzzError):
    """A root that is missing, is no folder, or holds no case."""


class CaseError(FuzzError):
    """A case that cannot be read."""


class StorageError(FuzzError):
    """A folder that cannot be written, or a full disk."""


class TargetError(FuzzError):
    """A target that is unknown or not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names, to stand behind an unknown one in a message; empty where none is near."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""
