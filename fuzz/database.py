"""SQLite files under a root: opened in write-ahead mode, written all or nothing, errors that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from fuzz.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["connect", "row_id", "storable", "storage_errors", "transaction"]


def connect(path: Path, tables: str, version: str) -> sqlite3.Connection:
    """A connection to a file with these tables, which are made where there are none; one has the name meta.

    Raises StorageError: it cannot be read or written, or another version of this program made it.
    """
    with storage_errors(path):
        connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
        try:
            for setting in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {setting}")
            with transaction(connection, path):
                _make(connection, tables, version)
            _check(connection, path, version)
        except BaseException:
            connection.close()
            raise
    return connection


def _make(connection: sqlite3.Connection, tables: str, version: str) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        for statement in tables.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('version', ?)", (version,))


def _check(connection: sqlite3.Connection, path: Path, version: str) -> None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is None or row[0] != version:
        raise StorageError(f"{path} was made by another version of fuzz: use another --root, or remove the file")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All that is written inside, or nothing of it. Raises StorageError."""
    with storage_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def row_id(connection: sqlite3.Connection, table: str, **columns: str) -> int:
    """The id of a row that is made where it is not there. The names are ours, never a user's."""
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    same = " AND ".join(f"{name} = ?" for name in columns)
    values = tuple(columns.values())
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", values)  # noqa: S608
    return int(connection.execute(f"SELECT id FROM {table} WHERE {same}", values).fetchone()[0])  # noqa: S608


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """What SQLite raises, as a StorageError that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as problem:
        text = str(problem)
        if "full" in text:
            advice = "free some space or give another --root"
        elif "locked" in text:
            advice = "another fuzz process writes there; wait for it"
        elif "malformed" in text or "not a database" in text:
            advice = "the file is damaged; remove it and execute again"
        else:
            advice = "give a --root that you may write to"
        raise StorageError(f"cannot use {path}: {text}; {advice}") from None


def storable(text: str) -> str:
    """Text that SQLite takes: lone surrogates, which a file name or a message may hold, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
