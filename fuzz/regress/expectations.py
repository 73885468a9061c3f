"""The expectations of a folder of cases: which of them are known to fail, where, and how.

    targets = ["onnxruntime", "openvino"]     # what the gate runs on where no --backend is given
    require = false                           # true: what is unsupported fails

    [[xfail]]
    case = "max-int64*"                       # a glob over the ids of cases
    target = "onnxruntime"                    # a backend; options and a device narrow it
    versions = "<1.33"                        # PEP 440; left out: all
    verdict = "wrong"                         # left out: however it fails
    strict = true                             # false: it may pass as well
    reason = "Max of int64 compares the low 32 bits"
    link = "https://..."

The file is read by the standard library's parser. Where an entry stands is told by its header, so entries are tables
headed ``[[xfail]]``, never inline ones.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from backends.registry import BACKENDS
from fuzz.errors import UsageError, did_you_mean
from fuzz.judge.verdict import FINDINGS, Word

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fuzz.execute.target import Target

__all__ = ["FILE", "Entry", "Expectations", "headers", "read_expectations", "read_text"]

FILE = "expectations.toml"
"""The file's name where none is given: it lies in the folder of the cases."""

_HEADER = re.compile(r"\s*\[\[\s*(?:xfail|\"xfail\"|'xfail')\s*\]\]")
_TARGET = re.compile(r"(?P<name>[\w.-]+)(:(?P<options>[^@]*))?(@(?P<device>[a-z0-9]+))?")
_KEYS: Mapping[str, type] = {
    "case": str, "target": str, "versions": str, "verdict": str, "strict": bool, "reason": str, "link": str,
}  # fmt: skip
_WORDS = frozenset({*FINDINGS, Word.UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``[[xfail]]``: cases that are known to fail on a target.

    Attributes:
        place: where it stands, ``FILE:LINE``.
        line: the line of its header, from 1.
        case: a glob over the ids of cases; ``*`` crosses slashes.
        target: a backend, with the options and the device that a target must have as well.
        versions: a PEP 440 specifier; empty for all versions.
        verdict: how it fails; empty where that does not matter.
        strict: whether a pass counts as unexpected.
        reason: why it fails, for people.
        link: where that is tracked.
    """

    place: str
    line: int
    case: str
    target: str
    versions: str = ""
    verdict: str = ""
    strict: bool = True
    reason: str = ""
    link: str = ""

    def covers(self, case: str) -> bool:
        """Whether a case's id is one of those that are meant."""
        return fnmatchcase(case, self.case)

    def names(self, target: Target) -> bool:
        """Whether a target is one of those that are meant, whatever its version."""
        match = _TARGET.fullmatch(self.target)
        if match is None or match["name"] != target.backend:
            return False
        local = {"python": target.python, **{f"env.{key}": value for key, value in target.environment}}
        has = {**local, **dict(target.options)}
        wanted = (pair.split("=", 1) for pair in (match["options"] or "").split(",") if pair)
        return match["device"] in {None, target.device} and all(has.get(key) == value for key, value in wanted)

    def reaches(self, version: str) -> bool:
        """Whether a version is in the range. One that nobody knows (a local build may not say) is in none."""
        if not self.versions:
            return True
        try:
            return SpecifierSet(self.versions).contains(version, prereleases=True)
        except ValueError:
            return False

    @property
    def said(self) -> str:
        """The reason and the link, on one line."""
        return f"{self.reason} ({self.link})" if self.link else self.reason


@dataclass(frozen=True, slots=True)
class Expectations:
    """What a file of expectations says; without a file, nothing."""

    path: Path | None = None
    entries: tuple[Entry, ...] = ()
    targets: tuple[str, ...] = ()
    require: bool = False

    def of(self, case: str, target: Target) -> tuple[Entry, ...]:
        """The entries that speak of a case on a target, in the file's order."""
        return tuple(e for e in self.entries if e.covers(case) and e.names(target) and e.reaches(target.version))


def read_expectations(path: Path, text: str | None = None) -> Expectations:
    """Read a file of expectations, or ``text`` as if it stood there.

    Raises:
        UsageError: it cannot be read, or something in it makes no sense; the text begins with ``FILE:LINE``.
    """
    if text is None:
        text = read_text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        place = f"{path}:{line[1] if line else len(text.splitlines())}"
        raise UsageError(f"{place}: no TOML: {str(error).partition(' (at')[0]}") from None
    file = _File(path, text.splitlines())
    file.keys(content, {"targets": list, "require": bool, "xfail": list}, 1)
    targets = content.get("targets", [])
    if not all(isinstance(target, str) for target in targets):
        file.refuse(1, "targets", 'is a list of targets such as "onnxruntime"')
    tables = content.get("xfail", [])
    lines = headers(file.lines)
    if len(lines) != len(tables) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: each entry stands under a line [[xfail]] of its own, not in an inline table")
    entries = tuple(_entry(file, line, table) for line, table in zip(lines, tables, strict=True))
    return Expectations(path, entries, tuple(targets), content.get("require", False))


def read_text(path: Path) -> str:
    """What stands in the file. Raises UsageError."""
    try:
        return path.read_bytes().decode()  # the ends of lines as they are
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}: --update and --add make one") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not in UTF-8") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def headers(lines: list[str]) -> list[int]:
    """The numbers, from 1, of the lines that begin an entry; what looks like one in a long string is none."""
    found, inside = [], ""
    for number, line in enumerate(lines, 1):
        if not inside and _HEADER.match(line):
            found.append(number)
        inside = _quotes(line, inside)
    return found


def _quotes(line: str, inside: str) -> str:
    """The quotes of the long string that a line leaves open; empty where it leaves none open."""
    for token in re.findall(r"\\.|\"\"\"|'''|\"|'|#", line):
        if inside:
            inside = "" if token == inside else inside
        elif token == "#":  # noqa: S105 - a comment, not a password
            return ""
        elif token in {'"', "'", '"""', "'''"}:
            inside = token
    return inside if len(inside) == 3 else ""


class _File:
    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path, self.lines = path, lines

    def keys(self, table: Mapping[str, Any], known: Mapping[str, type], line: int) -> None:
        """Refuse keys that are unknown, and values of another type."""
        for key, value in table.items():
            if key not in known:
                hint = did_you_mean(key, known)
                self.refuse(line, key, f"is unknown{hint}: there is {', '.join(known)}")
            if not isinstance(value, known[key]):
                kinds = {str: "a text in quotes", bool: "true or false", list: "a list"}
                self.refuse(line, key, f"is {kinds[known[key]]}")

    def refuse(self, line: int, key: str, said: str) -> NoReturn:
        """Raise UsageError with the line where a key stands, from the entry's header on."""
        own = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]|\s*\[+\s*{re.escape(key)}\b")
        at = next((number for number in range(line, len(self.lines) + 1) if own.match(self.lines[number - 1])), line)
        raise UsageError(f"{self.path}:{at}: {key} {said}")


def _entry(file: _File, line: int, table: Mapping[str, Any]) -> Entry:
    file.keys(table, _KEYS, line)
    for key in ("case", "target", "reason"):
        if not table.get(key, "").strip():
            file.refuse(line, key, "is missing" if key not in table else "is empty")
    _check_target(file, line, table["target"])
    verdict = table.get("verdict", "")
    if verdict and verdict not in _WORDS:
        file.refuse(line, "verdict", f"{verdict!r} is no failure: there is {', '.join(sorted(_WORDS))}")
    try:
        SpecifierSet(table.get("versions", ""))
    except InvalidSpecifier:
        file.refuse(line, "versions", f"{table['versions']!r} is no range: write one such as <1.33 or >=1.20,<1.30")
    return Entry(f"{file.path}:{line}", line, **table)


def _check_target(file: _File, line: int, target: str) -> None:
    match = _TARGET.fullmatch(target)
    if match is None:
        file.refuse(line, "target", f"{target!r} is none: write NAME[:OPTION=VALUE,...][@DEVICE], versions apart")
    if match["name"] not in BACKENDS:
        hint = did_you_mean(match["name"], BACKENDS)
        file.refuse(line, "target", f"{target!r}: no such backend{hint}; `fuzz backends` lists them")
    if any("=" not in pair for pair in (match["options"] or "=").split(",")):
        file.refuse(line, "target", f"{target!r}: an option is written OPTION=VALUE")
