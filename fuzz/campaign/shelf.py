"""The folder in which findings lie: who may write there, what was left half done, how a case gets into its place."""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING

from fuzz.campaign.exhibit import PART
from fuzz.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FINDINGS_FOLDER", "clear", "lock_findings", "replace_folder", "sync"]

FINDINGS_FOLDER = "findings"


def lock_findings(folder: Path) -> int:
    """The descriptor of the folder of findings, locked for as long as this process lives."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror}; give another --root") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StorageError(f"another fuzz run works in {folder.parent}: wait for it, or give another --root") from None
    return descriptor


def clear(root: Path) -> None:
    """Remove the folders that never got into their place."""
    for part in (root / FINDINGS_FOLDER).glob(f"{PART}*"):
        shutil.rmtree(part, ignore_errors=True)


def sync(folder: Path) -> None:
    """Have the disk keep a folder and all that is in it. Raises StorageError."""
    try:
        for path in (*folder.rglob("*"), folder):
            _sync(path)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}; free some space or give another --root") from None


def replace_folder(folder: Path, place: Path) -> None:
    """Move a folder into place; one that is there makes way. A call that was interrupted may come again."""
    if not folder.is_dir() and place.is_dir():
        return
    try:
        if place.exists():
            old = place.with_name(f"{PART}{os.getpid()}-old")
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
            folder.rename(place)
            shutil.rmtree(old)
        else:
            folder.rename(place)
        _sync(place.parent)
    except OSError as error:
        raise StorageError(f"cannot write {place}: {error.strerror}; free some space or give another --root") from None


def _sync(path: Path) -> None:
    """Have the disk keep a file's content, or which names a folder holds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
