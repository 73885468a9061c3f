"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fuzz.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["write_bytes", "write_json", "write_text"]

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


def write_text(path: Path, content: str, mend: str = _MEND, *, folder: bool = False) -> None:
    """The same of a text, in UTF-8 with the ends of lines as they are; halves of surrogate pairs are escaped."""
    write_bytes(path, content.encode("utf-8", "backslashreplace"), mend, folder=folder)


def write_json(path: Path, content: Mapping[str, Any], mend: str = _MEND, *, folder: bool = False) -> None:
    """The same of one JSON object, keys sorted."""
    write_text(path, json.dumps(content, sort_keys=True, indent=1) + "\n", mend, folder=folder)
