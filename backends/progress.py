"""The stage that a worker has reached: one byte in memory that a worker writes and its driver reads.

A message for each stage would wake the driver up two or three times in a case, for what it wants to know only of a
worker that has died; and the byte is there however the worker ends.
"""

from __future__ import annotations

import os

from backends.protocol import Stage

__all__ = ["Progress"]

_STAGES = tuple(Stage)
_BYTES = {stage: bytes([number]) for number, stage in enumerate(_STAGES)}


class Progress:
    """The byte behind a descriptor of at least one byte, which is the caller's to close."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        """Of the file that the descriptor is open on, for reading and writing."""
        self._descriptor = descriptor

    def enter(self, stage: Stage) -> None:
        """Write down that a stage begins."""
        os.pwrite(self._descriptor, _BYTES[stage], 0)

    def stage(self) -> Stage:
        """The stage that began last; the first one where what stands there is no stage."""
        number = os.pread(self._descriptor, 1, 0)
        return _STAGES[number[0]] if number and number[0] < len(_STAGES) else _STAGES[0]
