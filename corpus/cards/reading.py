"""Files of strangers, read with limits: encodings, gzip, links that lead elsewhere, files that are far too large."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "CARD_BYTES", "CardsError", "Problem", "Text", "files", "from_yaml", "json_lines", "mappings", "read_json",
    "read_text",
]  # fmt: skip

CARD_BYTES = 256 * 2**10
"""So much of a card is read. Cards have some KB; longer ones are tables and logs."""

DUMP_BYTES = 4 * 2**30
"""The most that a dump may unpack to."""

LINE_BYTES = 16 * 2**20
"""The longest line of a file of JSON lines: a card, quoted, and what stands beside it."""

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class CardsError(ValueError):
    """Input that cannot be used; one line that says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file, or a part of one, that was left out or read in part only, and why."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a file says, and what had to be done to read it."""

    text: str
    remarks: tuple[str, ...] = ()


def read_text(path: Path, limit: int = CARD_BYTES) -> Text:
    """The text of a file, gzip unpacked; of a longer one than ``limit`` bytes the first of them.

    UTF-8 is tried first, UTF-16 where a byte order mark says so, else each byte is a character of Windows' western
    code page, which is said in a remark.

    Raises:
        CardsError: the file cannot be read, or holds no text.
    """
    try:
        with _opened(path) as file:
            data = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as problem:
        raise CardsError(f"{path} cannot be read: {_why(problem)}") from None
    remarks = []
    if len(data) > limit:
        data = data[:limit]
        remarks.append(f"only its first {limit:,} bytes were read")
    text, remark = _decoded(data, cut=bool(remarks))
    if "\0" in text:
        raise CardsError(f"{path} holds no text")
    return Text(text.replace("\r\n", "\n").replace("\r", "\n"), (*remarks, *remark))


def read_json(path: Path) -> Any:
    """The content of a JSON file, gzip unpacked.

    Raises:
        CardsError: it cannot be read, is no JSON, or unpacks to more than 4 GiB.
    """
    try:
        with _opened(path) as file:
            data = file.read(DUMP_BYTES + 1)
        if len(data) > DUMP_BYTES:
            raise CardsError(f"{path} holds more than {DUMP_BYTES:,} bytes: split it")
        return json.loads(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise CardsError(f"{path} cannot be read: {_why(problem)}") from None
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, CardsError):
            raise
        raise CardsError(f"{path} is no JSON ({_why(problem)})") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """The objects of a file of JSON lines with their line numbers; a problem for a line that holds none.

    Raises:
        CardsError: the file cannot be read.
    """
    number = 0
    try:
        with _opened(path) as file:
            while line := file.readline(LINE_BYTES + 1):
                number += 1
                if len(line) > LINE_BYTES and not line.endswith(b"\n"):
                    yield number, Problem(f"{path}:{number}", f"the line has more than {LINE_BYTES:,} bytes")
                    while (rest := file.readline(LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                elif line.strip():
                    yield number, _object(path, number, line)
    except (OSError, EOFError, zlib.error) as problem:
        if not number:
            raise CardsError(f"{path} cannot be read: {_why(problem)}") from None
        yield number + 1, Problem(f"{path}:{number + 1}", f"it cannot be read from here on: {_why(problem)}")


def from_yaml(text: str, first_line: int = 1) -> Any:
    """What YAML says, as texts, lists and mappings and nothing else: no date that is none, no object.

    Raises:
        CardsError: "no YAML", and in which line, of which the text's first is ``first_line``.
    """
    import yaml

    try:
        return yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - see above
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        mark = getattr(problem, "problem_mark", None)
        raise CardsError(f"no YAML (line {mark.line + first_line})" if mark else "no YAML") from None


def mappings(value: Any, most: int | None = None) -> list[Mapping[str, Any]]:
    """The mappings in what should be a list of them, of its first ``most`` entries; none where it is no list."""
    return [one for one in value[:most] if isinstance(one, dict)] if isinstance(value, list) else []


def files(root: Path) -> Iterator[Path | Problem]:
    """All files below a folder, sorted; a link is followed to a file inside of the folder, and told otherwise.

    Raises:
        CardsError: the folder cannot be read.
    """
    if not root.is_dir():
        raise CardsError(f"{root} is no folder")
    home = Path(os.path.realpath(root))
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as problem:
            yield Problem(str(folder), f"it cannot be read: {problem.strerror}")
            continue
        folders = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.is_symlink():
                yield from _followed(Path(entry.path), home)
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            else:
                yield Problem(entry.path, "it is neither a file nor a folder")
        pending.extend(reversed(folders))


def _followed(path: Path, home: Path) -> Iterator[Path | Problem]:
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(home):
        yield Problem(str(path), "the link leads out of the folder and is not followed")
    elif target.is_file():
        yield path
    else:
        yield Problem(str(path), "the link leads to no file")


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _decoded(data: bytes, *, cut: bool) -> tuple[str, tuple[str, ...]]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), ()
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as problem:
        # The cut may go through a character.
        if cut and problem.start >= len(data) - 3 and problem.reason == "unexpected end of data":
            return data[: problem.start].decode("utf-8"), ()
    return data.decode("cp1252", errors="replace"), ("it is not UTF-8 and was read as Windows-1252",)


def _object(path: Path, number: int, line: bytes) -> dict[str, Any] | Problem:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as problem:
        return Problem(f"{path}:{number}", f"the line is no JSON ({_why(problem)})")
    if not isinstance(found, dict):
        return Problem(f"{path}:{number}", "the line holds no JSON object")
    return found


def _why(problem: BaseException) -> str:
    text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return " ".join(str(text).split())[:200] or type(problem).__name__
