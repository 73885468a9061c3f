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
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from backends.protocol import InvalidCase, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backends.protocol import Compiled
    from backends.service import Job
    from backends.tensor import Value

__all__ = ["own_time", "time_model"]

_TASKS = Path("/proc/self/task")
Sample: TypeAlias = "tuple[float, float, float]"

_KEPT = "stopwatch"  # under this name a loaded model waits for the next request


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model that stays compiled, with its data sets."""

    model: bytes
    folder: str | None
    compiled: Compiled
    inputs: list[list[Value]]


def time_model(job: Job) -> None:
    """The operation ``time``; its field ``action`` is one of these.

    ``load`` compiles the model of the blob and keeps it with its data sets; the sample is of that first compilation.
    ``feed`` gives the kept model other data sets. ``compile`` compiles the kept model again, ``samples`` times, and
    drops the result. ``run`` runs data set ``data_set`` of the kept model: ``warm`` calls that do not count, then
    ``samples`` times ``repetitions`` calls. The report's field ``samples`` is a list of [wall, cpu, own].

    Raises what the backend raises, and `InvalidCase` for a request that cannot be met.
    """
    action = _ACTIONS.get(str(job.request.fields.get("action")))
    if action is None:
        raise InvalidCase(f"a stopwatch does not {job.request.fields.get('action')!r}")
    with _quiet_collector():
        samples = action(job)
    job.report({"samples": samples})


def _load(job: Job) -> list[Sample]:
    job.kept.pop(_KEPT, None)  # the old one's memory goes before the new one is made
    request = job.request
    folder = request.fields.get("folder")
    made: list[Compiled] = []
    sample = _sample(lambda: made.append(job.compile(request.blob, folder)), 1)
    job.kept[_KEPT] = _Loaded(request.blob, folder, made[0], _data_sets(request.values))
    return [sample]


def _feed(job: Job) -> list[Sample]:
    job.kept[_KEPT] = replace(_loaded(job), inputs=_data_sets(job.request.values))
    return []


def _compile(job: Job) -> list[Sample]:
    loaded = _loaded(job)
    samples = []
    for _ in range(job.request.fields["samples"]):
        made: list[Compiled] = []
        # Dropped after the clock has stopped.
        samples.append(_sample(lambda made=made: made.append(job.compile(loaded.model, loaded.folder)), 1))  # type: ignore[misc]
    return samples


def _run(job: Job) -> list[Sample]:
    loaded, fields = _loaded(job), job.request.fields
    inputs, run = loaded.inputs[fields["data_set"]], loaded.compiled.run
    job.enter(Stage.RUN)
    for _ in range(fields["warm"]):
        run(inputs)
    return [_sample(lambda: run(inputs), fields["repetitions"]) for _ in range(fields["samples"])]


_ACTIONS: Mapping[str, Callable[[Job], list[Sample]]] = MappingProxyType(
    {"load": _load, "feed": _feed, "compile": _compile, "run": _run}
)


def _loaded(job: Job) -> _Loaded:
    loaded: _Loaded | None = job.kept.get(_KEPT)
    if loaded is None:
        raise InvalidCase("no model is loaded")
    return loaded


def _data_sets(values: Sequence[Value]) -> list[list[Value]]:
    return [inputs if isinstance(inputs, list) else [] for inputs in values]


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


def _sample(work: Callable[[], Any], repetitions: int) -> Sample:
    """Wall, CPU and own seconds of one call, averaged over the repetitions."""
    before = _queued()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(repetitions):
        work()
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    after = _queued()
    own = own_time(wall, cpu, None if before is None or after is None else after - before)
    return wall / 1e9 / repetitions, cpu / 1e9 / repetitions, own / 1e9 / repetitions


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
