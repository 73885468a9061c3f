"""Files and folders that are written beside their place and take it whole, or not at all.

What a kill leaves begins with `PART` and the number of the process.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["PART", "move", "part_of", "read_json", "whole", "write_json", "write_lines"]

PART = ".part-"


def part_of(path: Path) -> Path:
    """Where to write what is to take a place."""
    return path.with_name(f"{PART}{os.getpid()}-{path.name}")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield `part_of` a file, which takes the file's place after the block, and goes where the block fails.

    The folder is made where it is missing. Raises OSError.
    """
    part = part_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON, keys sorted. Raises OSError."""
    with whole(path) as part:
        part.write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines, keys sorted; how many. Raises OSError, and what the rows raise."""
    count = 0
    with whole(path) as part, part.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, sort_keys=True) + "\n")
            count += 1
    return count


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; an empty one where the file is missing or broken."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def move(folder: Path, place: Path) -> None:
    """Move a folder to its place on the same disk; one that is there goes. Raises OSError."""
    old = part_of(place.with_name(f"{place.name}.old"))
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    folder.rename(place)
    shutil.rmtree(old, ignore_errors=True)
