"""What a worker prints on standard output and standard error: a file in memory of which the end is kept."""

from __future__ import annotations

import fcntl
import os
import re

__all__ = ["Printed"]

_LIMIT = 8 << 20  # bytes kept at most
_TAIL = 4000  # characters that an execution keeps
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Printed:
    """The file; `descriptor` is what the worker writes to."""

    def __init__(self) -> None:
        """An empty one."""
        self.descriptor = os.memfd_create("worker-output")
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_APPEND)
        self._last = ""

    def clear(self) -> None:
        """Forget what was printed."""
        os.ftruncate(self.descriptor, 0)

    def trim(self) -> None:
        """Keep a flood from filling memory."""
        if os.fstat(self.descriptor).st_size > _LIMIT:
            kept = self._end()
            self.clear()
            os.write(self.descriptor, kept)

    def tail(self, start: int = 0, end: int | None = None) -> str:
        """The last lines, without terminal colours; of a file that is closed, those that were the last.

        Of the bytes between two places, if there are as many.
        """
        if self.descriptor < 0:
            return self._last
        text = _COLOURS.sub("", self._end(start, end).decode("utf-8", "replace"))
        return "".join(c for c in text if c.isprintable() or c in "\n\t").strip()[-_TAIL:]

    def close(self) -> None:
        """Give the memory back; the last lines stay."""
        if self.descriptor >= 0:
            self._last = self.tail()
            os.close(self.descriptor)
            self.descriptor = -1

    def _end(self, start: int = 0, end: int | None = None) -> bytes:
        size = os.fstat(self.descriptor).st_size
        last = size if end is None else min(end, size)
        first = max(0, start if start <= last else 0, last - 4 * _TAIL)
        return os.pread(self.descriptor, last - first, first)
