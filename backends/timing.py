"""Times what a backend does, inside of its worker: no message stands in a measurement.

One model stays compiled between requests, so that a driver can go back and forth between two workers. A sample is
three numbers, in seconds a call:

- ``wall``: what the clock says;
- ``cpu``: CPU time of all threads;
- ``own``: wall time less the time that threads stood in the kernel's run queue (``run_delay`` of
  ``/proc/self/task/*/schedstat``), at least CPU time and at most wall time. It is what an idle machine would have
  taken: a busy neighbour does not count, a sleep does. Where the kernel keeps no such count it is CPU time, up to wall.
"""

from __future__ import annotations

import contextlib
import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.external import check_external_data
from backends.protocol import InvalidCase, Stage
from backends.tensor import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backends.frame import Frame
    from backends.protocol import Backend, Compiled
    from backends.tensor import Value

__all__ = ["Stopwatch"]

_TASKS = Path("/proc/self/task")


class Stopwatch:
    """Serves the requests of kind ``time``, whose field ``action`` is ``load``, ``compile`` or ``run``.

    ``load`` compiles the model of the blob and keeps it with its data sets; the sample is of that first compilation.
    ``compile`` compiles the kept model again, ``samples`` times, and drops the result. ``run`` runs data set
    ``data_set`` of the kept model: ``warm`` calls that do not count, then ``samples`` times ``repetitions`` calls.
    The answer is one double tensor of shape [samples, 3]: wall, cpu, own.
    """

    def __init__(self, backend: Backend, options: Mapping[str, str]) -> None:
        self._backend = backend
        self._options = options
        self._compiled: Compiled | None = None
        self._model = b""
        self._folder: str | None = None
        self._inputs: list[list[Value]] = []

    def serve(self, request: Frame, enter: Callable[[Stage], None]) -> list[Value]:
        """Measure; `enter` is told of the stages of ``load`` and ``run``.

        Raises what the backend raises, and `InvalidCase` for a request that cannot be met.
        """
        actions: dict[str, Callable[[Frame, Callable[[Stage], None]], list[tuple[float, ...]]]] = {
            "load": self._load, "compile": self._compile, "run": self._run,
        }  # fmt: skip
        action = actions.get(str(request.fields.get("action")))
        if action is None:
            raise InvalidCase(f"a stopwatch does not {request.fields.get('action')!r}")
        with _quiet_collector():
            samples = action(request, enter)
        return [from_numpy(np.array(samples, dtype=np.float64).reshape(-1, 3))]

    def _load(self, request: Frame, enter: Callable[[Stage], None]) -> list[tuple[float, ...]]:
        self._compiled = None  # the old one's memory goes before the new one is made
        self._folder = request.fields.get("folder")
        check_external_data(request.blob, self._folder)
        self._model = request.blob
        self._inputs = [inputs if isinstance(inputs, list) else [] for inputs in request.values]
        made: list[Compiled] = []
        sample = _sample(lambda: made.append(self._build(enter)), 1)
        self._compiled = made[0]
        return [sample]

    def _compile(self, request: Frame, enter: Callable[[Stage], None]) -> list[tuple[float, ...]]:
        self._loaded()
        del enter  # a message to the driver would stand in the measurement

        def silent(_: Stage) -> None:
            pass

        samples = []
        for _ in range(request.fields["samples"]):
            made: list[Compiled] = []
            samples.append(_sample(lambda made=made: made.append(self._build(silent)), 1))
        return samples

    def _run(self, request: Frame, enter: Callable[[Stage], None]) -> list[tuple[float, ...]]:
        compiled = self._loaded()
        enter(Stage.RUN)
        fields = request.fields
        inputs = self._inputs[fields["data_set"]]
        for _ in range(fields["warm"]):
            compiled.run(inputs)
        repetitions = fields["repetitions"]
        return [_sample(lambda: compiled.run(inputs), repetitions) for _ in range(fields["samples"])]

    def _build(self, enter: Callable[[Stage], None]) -> Compiled:
        return self._backend.compile(self._model, self._folder, self._options, enter)

    def _loaded(self) -> Compiled:
        if self._compiled is None:
            raise InvalidCase("no model is loaded")
        return self._compiled


@contextlib.contextmanager
def _quiet_collector() -> Iterator[None]:
    """No collection of garbage inside the block; what there is goes before it."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sample(work: Callable[[], Any], repetitions: int) -> tuple[float, ...]:
    """Wall, CPU and own seconds of one call, averaged over the repetitions."""
    before = _queued()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(repetitions):
        work()
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    after = _queued()
    own = own_time(wall, cpu, None if before is None or after is None else after - before)
    return tuple(nanoseconds / 1e9 / repetitions for nanoseconds in (wall, cpu, own))


def own_time(wall: int, cpu: int, queued: int | None) -> int:
    """What an idle machine would have taken, see the module; ``queued`` is None where the kernel does not tell."""
    return min(wall, cpu if queued is None else max(cpu, wall - queued))


def _queued() -> int | None:
    """Nanoseconds that the threads of this process have stood in the run queue, None where that is not known."""
    total = 0
    try:
        for task in _TASKS.iterdir():
            # A thread may end between the listing and the reading: what it waited is lost, the others' is not.
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                total += int(task.joinpath("schedstat").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    # A kernel without the count says 0 for every thread, from the first to the last.
    return total or None
