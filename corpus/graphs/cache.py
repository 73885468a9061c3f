"""A cache of computation graphs: a file a family, and an index beside it.

    <cache>/<family>.jsonl.gz      a graph a line, each line a gzip member of its own, so that one can be read alone
    <cache>/<family>.index.json    {"version", "graphs": [[name, offset, length], …]}

Graphs are added behind what is there, then the index is replaced. After a kill in between, the graphs that are whole
are found behind those that the index knows; the next addition writes over the rest. Nothing depends on the order in
which graphs came, but the file.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from corpus.file import whole
from corpus.graphs.computation import ComputationGraph, GraphError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Cache", "Family"]

_VERSION = 1
_GRAPHS, _INDEX = ".jsonl.gz", ".index.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LARGEST = 1 << 30  # bytes of one graph, unpacked: a stranger's file may be a bomb
Entry = tuple[str, int, int]


class Family(Sequence[ComputationGraph]):
    """The graphs of a family, in the order in which they were added; each is read when it is asked for."""

    def __init__(self, path: Path, name: str, entries: Sequence[Entry]) -> None:
        self.name, self._path, self._entries = name, path, tuple(entries)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the graphs."""
        return tuple(name for name, _, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> ComputationGraph: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ComputationGraph, ...]: ...

    def __getitem__(self, index: int | slice) -> ComputationGraph | tuple[ComputationGraph, ...]:
        if isinstance(index, slice):
            return tuple(self._read(self._entries[index]))
        return next(self._read([self._entries[index]]))

    def __iter__(self) -> Iterator[ComputationGraph]:
        return self._read(self._entries)

    def graph(self, name: str) -> ComputationGraph:
        """The graph of this name. Raises GraphError."""
        for entry in self._entries:
            if entry[0] == name:
                return next(self._read([entry]))
        raise GraphError(f"family {self.name} has no graph {name!r}; it has {len(self)}")

    def sample(self, count: int, seed: int = 0) -> tuple[ComputationGraph, ...]:
        """So many of the graphs, all where there are fewer; a larger sample of the same seed holds the smaller one."""
        return tuple(self._read(self._shuffled(seed)[:count]))

    def split(self, parts: Sequence[int] = (80, 10, 10), seed: int = 0) -> tuple[tuple[ComputationGraph, ...], ...]:
        """All of the graphs, in groups of these shares. Raises GraphError where the shares are none."""
        return tuple(tuple(self._read(group)) for group in self._groups(parts, seed))

    def split_names(self, parts: Sequence[int] = (80, 10, 10), seed: int = 0) -> tuple[tuple[str, ...], ...]:
        """The names of the same groups; no graph is read."""
        return tuple(tuple(name for name, _, _ in group) for group in self._groups(parts, seed))

    def _groups(self, parts: Sequence[int], seed: int) -> list[list[Entry]]:
        if not parts or min(parts) < 0 or not sum(parts):
            raise GraphError(f"shares are numbers of at least 0, such as 80,10,10, not {tuple(parts)}")
        entries = self._shuffled(seed)
        ends = [round(len(entries) * sum(parts[:end]) / sum(parts)) for end in range(len(parts) + 1)]
        return [entries[begin:end] for begin, end in pairwise(ends)]

    def _shuffled(self, seed: int) -> list[Entry]:
        """By a hash of seed and name: the same on any machine, whatever the order in which graphs were added."""
        return sorted(self._entries, key=lambda entry: sha256(f"{seed}/{entry[0]}".encode()).digest())

    def _read(self, entries: Iterable[Entry]) -> Iterator[ComputationGraph]:
        with self._path.open("rb") as file:
            for name, offset, length in entries:
                file.seek(offset)
                yield _graph(file.read(length), f"{self._path}: graph {name!r}")


class Cache:
    """A folder of families."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def families(self) -> tuple[str, ...]:
        """The names of the families that are there, sorted."""
        if not self.folder.is_dir():
            return ()
        found = (path.name.removesuffix(_INDEX) for path in self.folder.glob(f"*{_INDEX}"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def load(self, family: str) -> Family:
        """A family. Raises GraphError where there is none of this name, or its index is broken."""
        path = self._path(family)
        if not path.is_file():
            known = ", ".join(self.families()) or "none"
            raise GraphError(f"{self.folder} has no family {family!r}; it has {known}")
        return Family(path, family, self._entries(family))

    def names(self, family: str) -> frozenset[str]:
        """The names of the graphs of a family; empty where it is not there yet."""
        return frozenset(name for name, _, _ in self._entries(family)) if self._path(family).is_file() else frozenset()

    def append(self, family: str, graphs: Iterable[ComputationGraph]) -> int:
        """Add graphs, those excepted whose name is there already; how many were added.

        What came before an exception, a Ctrl-C or a kill in ``graphs`` is kept. Raises OSError.
        """
        path = self._path(family)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f".{family}.lock"):
            entries = self._entries(family) if path.is_file() else []
            names = {name for name, _, _ in entries}
            end = max((offset + length for _, offset, length in entries), default=0)
            before = len(entries)
            with path.open("r+b" if path.is_file() else "w+b") as file:
                file.truncate(end)
                file.seek(end)
                try:
                    for graph in graphs:
                        if graph.name in names:
                            continue
                        packed = _packed(graph, family)
                        file.write(packed)
                        file.flush()
                        entries.append((graph.name, end, len(packed)))
                        names.add(graph.name)
                        end += len(packed)
                finally:
                    file.flush()
                    os.fsync(file.fileno())
                    self._write_index(family, entries)
        return len(entries) - before

    def replace(self, family: str, graphs: Iterable[ComputationGraph]) -> int:
        """Write a family anew, whole or not at all, as when its graphs got labels; how many it has. Raises OSError."""
        path = self._path(family)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f".{family}.lock"):
            entries: list[Entry] = []
            end = 0
            with whole(path) as part:
                with part.open("wb") as file:
                    for graph in graphs:
                        packed = _packed(graph, family)
                        file.write(packed)
                        entries.append((graph.name, end, len(packed)))
                        end += len(packed)
                # Between this step and the next a kill would leave an index of other offsets, so that it goes first.
                (self.folder / f"{family}{_INDEX}").unlink(missing_ok=True)
            self._write_index(family, entries)
        return len(entries)

    def _path(self, family: str) -> Path:
        if not _NAME.fullmatch(family):
            raise GraphError(f"{family[:100]!r} is no name of a family: letters, digits, '.', '_' and '-'")
        return self.folder / f"{family}{_GRAPHS}"

    def _entries(self, family: str) -> list[Entry]:
        index = self.folder / f"{family}{_INDEX}"
        if not index.is_file():
            return _scanned(self._path(family), 0)
        try:
            content = json.loads(index.read_text(encoding="utf-8"))
            rows = content["graphs"] if content["version"] == _VERSION else None
            entries = [(str(name), int(offset), int(length)) for name, offset, length in rows or []]
        except (ValueError, KeyError, TypeError, RecursionError):
            rows, entries = None, []
        size = self._path(family).stat().st_size
        if rows is None or any(at < 0 or length <= 0 or at + length > size for _, at, length in entries):
            raise GraphError(f"{index} is broken; remove it, and it is made again from the graphs")
        end = max((at + length for _, at, length in entries), default=0)
        return entries + _scanned(self._path(family), end) if size > end else entries

    def _write_index(self, family: str, entries: Sequence[Entry]) -> None:
        with whole(self.folder / f"{family}{_INDEX}") as part:
            part.write_text(json.dumps({"version": _VERSION, "graphs": entries}) + "\n", encoding="utf-8")


def _packed(graph: ComputationGraph, family: str) -> bytes:
    content = {**graph.to_json(), "family": family}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode() + b"\n", compresslevel=6, mtime=0)


def _graph(packed: bytes, where: str) -> ComputationGraph:
    try:
        return ComputationGraph.from_json(_unpacked(packed))
    except (ValueError, zlib.error, RecursionError) as problem:
        raise GraphError(f"{where}: {str(problem) or 'it is nested too deeply'}") from None


def _unpacked(packed: bytes) -> Any:
    unpacker = zlib.decompressobj(wbits=31)
    text = unpacker.decompress(packed, _LARGEST)
    if not unpacker.eof:
        raise GraphError("it is cut off, or larger than 1 GiB")
    return json.loads(text)


_PIECE = 1 << 16  # bytes that are read at a time: graphs are mostly smaller


def _scanned(path: Path, begin: int) -> list[Entry]:
    """The entries of a file from here on, which no index knows: every member that is whole."""
    entries: list[Entry] = []
    at = begin
    with path.open("rb") as file:
        while member := _member(file, at):
            entries.append(member)
            at += member[2]
    return entries


def _member(file: BinaryIO, at: int) -> Entry | None:
    """The member that begins here; None where there is none, or half of one."""
    file.seek(at)
    unpacker = zlib.decompressobj(wbits=31)
    text, length = b"", 0
    try:
        while not unpacker.eof and len(text) <= _LARGEST and (piece := file.read(_PIECE)):
            text += unpacker.decompress(piece)
            length += len(piece)
        name = json.loads(text)["name"] if unpacker.eof else None
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return (name, at, length - len(unpacker.unused_data)) if isinstance(name, str) else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time."""
    import fcntl

    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
