"""The process that runs scripts and builds their models, held to limits on time and memory; the driver's side of it."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import corpus
from fuzz.execute.group import end_group
from fuzz.execute.process import resident_bytes, tree
from fuzz.execute.scratch import Scratch
from fuzz.execute.worker import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event
    from types import TracebackType

    from corpus.worker import Request

__all__ = ["Studio"]

_LOOK = 0.05  # seconds between two looks at memory and clock
_TREE_SECONDS = 1.0

_ALIKE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
"""What makes a build the same each time: one thread, for there is a process a core and sums in another order would be
another answer; one order of sets, by which some models of transformers name their buffers."""

_ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
"""glibc's allocator keeps what tensors leave, in place of giving each back and taking new pages for the next: a seventh
of the time was the kernel's. 32 MiB is the most that it takes; mallopt(3)."""


class Studio:
    """A process that stays from script to script. One thread uses it: the kernel ends the process with that thread."""

    def __init__(self, seconds: float, memory: int, stop: Event) -> None:
        """``seconds`` for a script up to its models and for each model, ``memory`` in bytes. It starts when needed."""
        self._seconds, self._memory, self._stop = seconds, memory, stop
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._scratch: Scratch | None = None
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, request: Request) -> Iterator[dict[str, Any]]:
        """What the process tells of a request, as it tells it.

        The last event is ``done``, or ``died`` with the ``word`` (timeout, oom, crash) and a ``message``: the
        process is gone then, and the next request starts another. Raises Interrupted.
        """
        channel = self._ready()
        try:
            channel.sendall(request.to_line())
        except OSError:
            yield self._died("crash", "the process that runs scripts ended before it was asked")
            return
        deadline = time.monotonic() + self._seconds
        while True:
            event = self._next(deadline)
            yield event
            if event["event"] in {"done", "died"}:
                self._renew()
                return
            if event["event"] in {"caught", "built"}:
                deadline = time.monotonic() + self._seconds

    def _renew(self) -> None:
        """End the process where what earlier scripts left takes so much that a later model would be blamed for it."""
        if self._process is not None and resident_bytes(tree(self._process.pid)) > self._memory // 2:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            end_group(self._process)
        if self._scratch is not None:
            self._scratch.remove()
        self._process = self._channel = self._scratch = None
        self._rest = b""

    def _ready(self) -> socket.socket:
        if self._channel is not None:
            return self._channel
        ours, theirs = socket.socketpair()
        folder = str(Path(corpus.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
        self._scratch = Scratch.make()  # torch_geometric leaves a file in the temporary folder for each layer it makes
        environment = {**_ALLOCATION, **os.environ, **_ALIKE, "PYTHONPATH": path, "TMPDIR": self._scratch.path}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "corpus.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()], start_new_session=True, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._channel, self._rest = ours, b""
        return ours

    def _next(self, deadline: float) -> dict[str, Any]:
        pids: tuple[int, ...] = ()
        looked = 0.0
        while b"\n" not in self._rest:
            if self._stop.is_set():
                self.close()
                raise Interrupted
            if self._channel is None or self._process is None:
                return self._died("crash", "the process that runs scripts is gone")
            readable, _, _ = select.select([self._channel], [], [], _LOOK)
            if readable:
                received = self._received()
                if not received:
                    return self._ended()
                self._rest += received
                continue
            now = time.monotonic()
            if now > deadline:
                return self._died("timeout", f"not done within {self._seconds:g} s")
            if now - looked > _TREE_SECONDS:
                pids, looked = tree(self._process.pid), now
            if (used := resident_bytes(pids)) > self._memory:
                return self._died("oom", f"{used >> 20} MiB of memory, {self._memory >> 20} MiB are allowed")
        line, _, self._rest = self._rest.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def _received(self) -> bytes:
        try:
            return self._channel.recv(1 << 16) if self._channel is not None else b""
        except OSError:
            return b""

    def _ended(self) -> dict[str, Any]:
        process = self._process
        code = 0
        if process is not None:
            try:
                code = process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                code = 0
        told = f"it died of signal {-code}" if code < 0 else f"it ended with exit code {code}"
        return self._died("crash", told)

    def _died(self, word: str, message: str) -> dict[str, Any]:
        self.close()
        return {"event": "died", "word": word, "message": message}
