"""The windows that a generator is seeded with: files of them, read once in a process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.seeds.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.graph import Value

__all__ = ["CORPUS", "Placed", "Seeds", "stamped", "usable"]

CORPUS = "corpus"
"""What the windows are called that come with the project."""

_FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "windows"


@dataclass(frozen=True, slots=True)
class Placed:
    """A window in a graph: its key, what was changed in it ("" for nothing), its last value."""

    window: str
    change: str
    at: str
    exposed: tuple[Value, ...] = ()

    def to_json(self) -> dict[str, str]:
        """What ``case.json`` keeps of it."""
        return {"window": self.window, "change": self.change, "at": self.at}


@dataclass(slots=True)
class Seeds:
    """What one model takes of windows: which, how many, and the chance of a change to each.

    They come on top of the nodes that the model draws. ``dtypes`` are the element types that it may have, and
    ``operators`` all that a change may bring.
    """

    lines: Sequence[str]
    count: int
    change: float
    dtypes: frozenset[str]
    operators: frozenset[str]
    placed: list[Placed] = field(default_factory=list)

    @property
    def wanting(self) -> bool:
        """Whether there is another window to place."""
        return len(self.placed) < self.count

    def window(self, number: int) -> Window:
        """The window at a position."""
        return _window(self.lines[number])


@cache
def _window(line: str) -> Window:
    return Window.from_json(line)


def _files(name: str) -> list[Path]:
    if name == CORPUS:
        return sorted(_FOLDER.glob("*.jsonl"))
    family = _FOLDER / "families" / f"{name}.jsonl"
    return [family if family.parent == _FOLDER / "families" and family.is_file() else Path(name)]


@cache
def _read(name: str) -> tuple[str, ...]:
    """The lines of ``corpus``, of a family, or of a file. Raises ValueError with a line that says how to mend it."""
    files = _files(name)
    try:
        lines = tuple(line for file in files for line in file.read_text("utf-8").splitlines() if line)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read windows from {name}: {error}; `fuzz corpus mine` writes such a file") from None
    if not lines:
        raise ValueError(f"there are no windows in {name}: `fuzz corpus mine MODEL --out FILE` writes some")
    return lines


@cache
def _parsed(name: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Each line with the operators in it."""
    result = []
    for place, line in enumerate(_read(name)):
        try:
            result.append((line, frozenset(call["op"] for call in json.loads(line)["calls"])))
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"line {place + 1} of {name} is no window: give a file that `fuzz corpus mine --out` wrote"
            ) from None
    return tuple(result)


def stamped(name: str) -> str:
    """A name with a digest of what is in it: a case says by it of what it was made.

    Raises ValueError where the name is that of no windows, or the digest in it is another.
    """
    plain, _, digest = name.partition("@")
    own = hashlib.sha256("\n".join(_read(plain)).encode()).hexdigest()[:12]
    if digest and digest != own:
        raise ValueError(f"the windows in {plain} are no longer those with which this was made ({digest}, now {own})")
    return f"{plain}@{own}"


@cache
def usable(names: tuple[str, ...], operators: tuple[str, ...]) -> tuple[str, ...]:
    """The windows of these names that are made of these operators alone. Raises ValueError as ``stamped`` does."""
    have = frozenset(operators)
    found = []
    for name in names:
        stamped(name)
        found += [line for line, own in _parsed(name.partition("@")[0]) if own <= have]
    return tuple(dict.fromkeys(found))
