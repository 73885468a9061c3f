"""Files that are written whole or not at all, and read again."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from fuzz.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["read_json", "unwritten", "write_bytes", "write_json", "write_text"]

T = TypeVar("T")

_MEND = "free some space or mend its rights"


def write_bytes(path: Path, content: bytes, mend: str = _MEND, *, folder: bool = False) -> None:
    """Write a file beside its place and rename it; with ``folder`` the folder is made where it is missing.

    Raises StorageError, which says at its end how to ``mend`` it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}; {mend}") from None


def unwritten(error: OSError, place: Path) -> StorageError:
    """What to say where something in a place could not be written."""
    return StorageError(f"cannot write {error.filename or place}: {error.strerror or error}; {_MEND}")


def write_text(path: Path, content: str, mend: str = _MEND, *, folder: bool = False) -> None:
    """The same of a text, in UTF-8 with the ends of lines as they are; halves of surrogate pairs are escaped."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"), mend, folder=folder)


def write_json(path: Path, content: Mapping[str, Any], mend: str = _MEND, *, folder: bool = False) -> None:
    """The same of one JSON object, keys sorted."""
    write_text(path, json.dumps(content, sort_keys=True, indent=1) + "\n", mend, folder=folder)


def read_json(path: Path, form: Callable[[Any], T], anew: str) -> T | None:
    """What ``form`` makes of a file of JSON; None where there is none.

    Raises StorageError where it is broken: what then begins ``anew`` without it is said.
    """
    if not path.exists():
        return None
    try:
        return form(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read ({error}): remove it, and {anew} anew") from None
