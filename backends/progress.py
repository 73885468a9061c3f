"""How far a worker has come: memory that it writes and its driver reads, whatever becomes of the worker.

A message for each stage would wake the driver up two or three times in a case, for what it wants to know only of a
worker that has died; and what stands there is there however the worker ends. Of cases that were sent together the
answers stand there too.
"""

from __future__ import annotations

import os
import struct
import time
from typing import NamedTuple

from backends.protocol import Stage

__all__ = ["Place", "Progress"]

_STAGES = tuple(Stage)
_BYTES = {stage: bytes([number]) for number, stage in enumerate(_STAGES)}
_PLACE = struct.Struct("<BxxxIQQ")
_ANSWERS = 4096  # where they begin: a page is for what stands before them


class Place(NamedTuple):
    """Which of the cases that were sent together is in hand, and since when, in seconds of the monotonic clock.

    ``printed`` is how many bytes its worker had printed before.
    """

    number: int
    since: float
    printed: int


class Progress:
    """The file in memory behind a descriptor, which is the caller's to close."""

    __slots__ = ("_descriptor", "_end")

    def __init__(self, descriptor: int) -> None:
        """Of the file that the descriptor is open on, for reading and writing."""
        self._descriptor = descriptor
        self._end = _ANSWERS

    def enter(self, stage: Stage) -> None:
        """Write down that a stage begins."""
        os.pwrite(self._descriptor, _BYTES[stage], 0)

    def begin(self, number: int, printed: int) -> None:
        """Write down that another of several cases begins, with its first stage."""
        os.pwrite(self._descriptor, _PLACE.pack(0, number, time.monotonic_ns(), printed), 0)

    def answer(self, message: bytes) -> None:
        """Keep a part of the answers."""
        rest = memoryview(message)
        while rest:
            written = os.pwrite(self._descriptor, rest, self._end)
            rest, self._end = rest[written:], self._end + written

    @property
    def answered(self) -> int:
        """How many bytes of answers this object has kept."""
        return self._end - _ANSWERS

    def rewind(self) -> None:
        """Forget all answers."""
        os.ftruncate(self._descriptor, _ANSWERS)
        self._end = _ANSWERS

    def stage(self) -> Stage:
        """The stage that began last; the first one where what stands there is no stage."""
        number = os.pread(self._descriptor, 1, 0)
        return _STAGES[number[0]] if number and number[0] < len(_STAGES) else _STAGES[0]

    def place(self) -> Place:
        """Which case began last."""
        _, number, since, printed = _PLACE.unpack(os.pread(self._descriptor, _PLACE.size, 0).ljust(_PLACE.size, b"\0"))
        return Place(number, since / 1e9, printed)

    def answers(self) -> bytes:
        """All that was answered since they were forgotten; the end may be a part of a message."""
        length = os.fstat(self._descriptor).st_size - _ANSWERS
        found = b""
        while len(found) < length and (more := os.pread(self._descriptor, length - len(found), _ANSWERS + len(found))):
            found += more
        return found
