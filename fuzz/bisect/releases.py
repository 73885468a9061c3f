"""Which releases of a backend there are, oldest first."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from backends.registry import installed_version
from fuzz.errors import UsageError
from fuzz.execute.environment import environments, normal, recipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.entry import Entry

__all__ = ["chosen", "in_index", "in_order", "is_older", "listed"]

_SECONDS = 120.0
_LINE = re.compile(r"^Available versions: (?P<versions>.+)$", re.MULTILINE)


def in_order(versions: Iterable[str]) -> list[str]:
    """Each once, in its normal form, oldest first; what is no version, and what is not a release, is left out."""
    read = {normal(text): _read(text) for text in versions}
    kept = {text: version for text, version in read.items() if version is not None and not version.is_prerelease}
    return sorted(kept, key=lambda text: kept[text])


def is_older(one: str, other: str) -> bool:
    """Whether a version came before another."""
    first, second = _read(one), _read(other)
    return first is not None and second is not None and first < second


def _read(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def in_index(entry: Entry) -> list[str] | None:
    """The releases that fit this Python, as pip's own query of its index tells; None where that cannot be had.

    pip leaves out pre-releases. It does not say which releases were withdrawn.
    """
    if importlib.util.find_spec("pip") is None or not entry.distributions:
        return None
    command = [
        sys.executable, "-I", "-m", "pip", "index", "versions", entry.distributions[0],
        "--disable-pip-version-check", "--no-input",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    match = _LINE.search(done.stdout)
    return in_order(match["versions"].split(", ")) if done.returncode == 0 and match else None


def listed(entry: Entry) -> list[str]:
    """The releases that are installed: this Python's own, and those that have an environment."""
    own = installed_version(entry)
    made = [
        each.version for each in environments(entry.name)
        if each.usable and each.folder == recipe(entry, each.recipe.version, each.recipe.device).folder
    ]  # fmt: skip
    return in_order([*made, *([own] if own is not None else [])])


def chosen(text: str, known: list[str]) -> list[str]:
    """The versions that ``A,B,C`` or ``A..B`` names, oldest first; either end of a range may be left out.

    ``known`` are the releases that a range is taken from. Raises UsageError.
    """
    low, dots, high = text.partition("..")
    if dots:
        for end in filter(None, (low, high)):
            _must(end)
        found = [v for v in known if not (low and is_older(v, low)) and not (high and is_older(high, v))]
        if not found:
            raise UsageError(f"no release lies in {text}: there are {', '.join(known) or 'none'}")
        return found
    names = [name.strip() for name in text.split(",")]
    for name in names:
        _must(name)
    return sorted({normal(name) for name in names}, key=_must)


def _must(text: str) -> Version:
    version = _read(text)
    if version is None:
        raise UsageError(f"{text!r} is no version: write --versions 1.18.0,1.20.1 or 1.18.0..1.20.1")
    return version
