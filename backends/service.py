"""One request after the other on one backend: what a worker can be asked to do, and how it answers."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends.external import check_external_data
from backends.frame import Frame, FrameError, encode, frames_in, written
from backends.protocol import (
    COMPARED,
    ELSEWHERE,
    UNTRANSFORMED,
    BackendError,
    InvalidCase,
    Listing,
    Outcome,
    OutOfMemory,
    Rejected,
    Showing,
    Stage,
    Unsupported,
)  # fmt: skip
from backends.tensor import Tensor, TensorError, same
from backends.timing import time_model
from backends.vary import vary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeGuard

    from backends.progress import Progress
    from backends.protocol import Backend, Compiled, Rewritten
    from backends.tensor import Value

__all__ = ["Job", "Outlet", "Service", "say"]

_MESSAGE_LIMIT = 4000
_ANSWERED = 1 << 20  # bytes of answers to several cases after which the others wait
_HELD = 1 << 16  # bytes of outputs that wait for the end of the case at most
_OUTCOMES: tuple[tuple[type[BaseException], Outcome], ...] = (
    (Unsupported, Outcome.UNSUPPORTED),
    (Rejected, Outcome.REJECTED),
    (OutOfMemory, Outcome.OOM),
    (MemoryError, Outcome.OOM),
    (TensorError, Outcome.UNSUPPORTED),
)


class Outlet:
    """Frames on their way out. Outputs are held until the next one, which takes them along where they are few."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held: list[Value] = []

    def send(self, operation: str, fields: Mapping[str, Any], values: Sequence[Value] = ()) -> None:
        """Send a frame, and before it what is held."""
        self.flush()
        self._send(Frame(operation, fields, values))

    def hold(self, outputs: Sequence[Value]) -> None:
        """Take a data set's outputs; they go with the next frame at the latest."""
        self._held.append(list(outputs))
        if _bytes(self._held) > _HELD:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._send(Frame("outputs", values=self._taken()))

    def end(self, fields: str) -> None:
        """Send what became of the request, in JSON, with what is held."""
        for part in written("done", fields, self._taken()):
            self._write(part)

    def _taken(self) -> list[Value]:
        taken, self._held = self._held, []
        return taken

    def _send(self, frame: Frame) -> None:
        for part in encode(frame):
            self._write(part)


def _bytes(values: Sequence[Value]) -> int:
    present = (value for value in values if value is not None)
    return sum(len(value.data) if isinstance(value, Tensor) else _bytes(value) for value in present)


class Job:
    """One request in the works: what an operation compiles, runs and tells the driver by.

    `kept` is what operations leave for later requests, each under a name of its own; `remark` is the message of an
    outcome `ok`.
    """

    def __init__(self, request: Frame, service: Service) -> None:
        self.request = request
        self.kept = service.kept
        self.stage = Stage.IMPORT
        self.remark = ""
        self.backend = service.backend
        self._service = service

    def compile(self, model: bytes | None = None, folder: str | None = None) -> Compiled:
        """Compile the request's model, or another one whose external data lies in `folder`; then runs may begin.

        The request's field `options` holds for it alone, on top of those of the worker.
        """
        if model is None:
            model, folder = self.request.blob, self.request.fields.get("folder")
        check_external_data(model, folder)
        options = {**self._service.options, **self.request.fields.get("options", {})}
        compiled = self.backend.compile(model, folder, options, self.enter)
        self.enter(Stage.RUN)
        return compiled

    def enter(self, stage: Stage) -> None:
        """Let the driver know which stage begins."""
        self.stage = stage
        self._service.progress.enter(stage)

    def outputs(self, values: Sequence[Value]) -> None:
        """Send what one data set gave, with the next frame at the latest."""
        self._service.outlet.hold(values)

    def flush(self) -> None:
        """Send what has not been sent: what comes now may be the end of this process."""
        self._service.outlet.flush()

    def report(self, fields: Mapping[str, Any], values: Sequence[Value] = ()) -> None:
        """Send what an operation has to say beside outputs: the driver hands it on as it is."""
        self._service.outlet.send("report", fields, values)

    def lap(self) -> None:
        """Let the time limit begin anew: what follows is a piece of work of its own."""
        self._service.outlet.send("lap", {})

    def attempt(self, work: Callable[[], None]) -> tuple[Outcome, str]:
        """Do a piece of work; what it raises becomes an outcome and a message. `FrameError` passes through."""
        try:
            work()
        except InvalidCase as problem:
            return Outcome.ERROR, str(problem)
        except (BackendError, MemoryError, TensorError) as problem:
            outcome = next(outcome for kind, outcome in _OUTCOMES if isinstance(problem, kind))
            if self.stage is not Stage.RUN and not _is_model(self.request.blob):
                return Outcome.ERROR, "the file is no readable ONNX model"
            return outcome, str(problem)[:_MESSAGE_LIMIT]
        except FrameError:
            raise
        except Exception as problem:  # noqa: BLE001 - a fault of our own is an outcome too, never the end of a campaign
            return Outcome.ERROR, say(problem)
        return Outcome.OK, self.remark


_KEPT = "revealed"  # under this name a compiled model waits for the request that reveals it


def _execute(job: Job) -> None:
    """Compile the model, run every data set, send the outputs of each.

    With the field `keep` what was compiled stays until the next request, which may be `reveal`.
    """
    compiled = job.compile()
    for number, inputs in enumerate(job.request.values):
        given = inputs if isinstance(inputs, list) else []
        job.flush()
        if _is_rewritten(compiled):
            _compared(job, compiled, given, number)
        else:
            job.outputs(compiled.run(given))
    if job.request.fields.get("keep"):
        job.kept[_KEPT] = compiled


def _is_rewritten(compiled: Compiled) -> TypeGuard[Rewritten]:
    # `isinstance` of a protocol looks at all of its members: fifty times what the rest of this loop takes.
    return hasattr(compiled, "untransformed")


def _compared(job: Job, compiled: Rewritten, inputs: Sequence[Value], number: int) -> None:
    """Run a data set on a rewritten model and on the model as it was; send what differs beside the outputs."""
    plain = compiled.untransformed(inputs)
    outputs = compiled.run(inputs)
    job.outputs(outputs)
    job.remark = COMPARED
    differing = [at for at, (one, other) in enumerate(zip(plain, outputs, strict=False)) if not same(one, other)]
    if not differing:
        return
    job.report({"beside": UNTRANSFORMED, "data_set": number, "positions": differing}, [plain[at] for at in differing])
    if elsewhere := compiled.elsewhere(inputs, outputs, plain):
        found = [elsewhere[at] for at in differing if at < len(elsewhere)]
        job.report({"beside": ELSEWHERE, "data_set": number, "positions": differing[: len(found)]}, found)


def _show(job: Job) -> None:
    """Compile the model, run every data set, and report what the backend can show, a file at a time."""
    compiled = job.compile()
    for inputs in job.request.values:
        compiled.run(inputs if isinstance(inputs, list) else [])
    _report(job, compiled)


def _reveal(job: Job) -> None:
    """Report what the backend can show of the model that the last request has kept."""
    compiled = job.kept.pop(_KEPT, None)
    if compiled is not None:
        job.enter(Stage.RUN)
        _report(job, compiled)


def _report(job: Job, compiled: Compiled) -> None:
    if isinstance(compiled, Showing):
        for name, content in compiled.artefacts().items():
            job.report({"file": name}, [Tensor("uint8", (len(content),), content)])


def _list(job: Job) -> None:
    """Report the passes that the option `disable` knows."""
    if isinstance(job.backend, Listing):
        job.report({"passes": list(job.backend.passes())})


_OPERATIONS: Mapping[str, Callable[[Job], None]] = MappingProxyType(
    {"execute": _execute, "time": time_model, "vary": vary, "show": _show, "reveal": _reveal, "passes": _list}
)
"""What a worker can be asked to do with a model, by the operation of the request's frame."""


class Service:
    """Does one job after the other on one backend and reports how far each has come."""

    def __init__(self, backend: Backend, options: Mapping[str, str], progress: Progress, outlet: Outlet) -> None:
        self.backend = backend
        self.options = options
        self.progress = progress
        self.outlet = outlet
        self.kept: dict[str, Any] = {}
        self._before = 0  # bytes that had been printed when the case began

    def serve(self, request: Frame) -> None:
        """Do what the request asks for and send what became of it."""
        if request.operation == "several":
            self._serve_several(request)
        else:
            self._serve_one(request)

    def _serve_several(self, together: Frame) -> None:
        """Execute the cases whose requests the blob holds. Answers are kept where the driver finds them at the end.

        It comes early where they have grown large; then the driver sends the other cases anew.
        """
        channel, self.outlet = self.outlet, Outlet(self.progress.answer)
        self.progress.rewind()
        # All are read before the first is looked at: one by one, each would find the processor's caches cold.
        for number, request in enumerate(list(frames_in(together.blob))):
            if self.progress.answered >= _ANSWERED:
                break
            self._before = _printed()
            self.progress.begin(number, self._before)
            self._serve_one(request)
        self.outlet, self._before = channel, 0
        channel.send("served", {})

    def _serve_one(self, request: Frame) -> None:
        if request.operation != "reveal":
            self.kept.pop(_KEPT, None)
        job = Job(request, self)
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            outcome, message = job.attempt(lambda: _OPERATIONS[request.operation](job))
        except FrameError as problem:
            outcome, message = Outcome.ERROR, f"outputs: {problem}"
        seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
        try:
            self.outlet.end(self._told(outcome, job.stage, message, seconds))
        except (TypeError, ValueError, RecursionError) as problem:
            # What a backend has returned is no tensor, or too large.
            message = f"outputs: {problem}"[:_MESSAGE_LIMIT]
            self.outlet.end(self._told(Outcome.ERROR, job.stage, message, seconds))

    def _told(self, outcome: Outcome, stage: Stage, message: str, seconds: tuple[float, float]) -> str:
        """What became of a request, in JSON; ``seconds`` are of wall and of CPU time."""
        wall, cpu = seconds
        said = json.dumps(message) if message else '""'
        printed = "" if outcome is Outcome.OK else f',"printed":[{self._before},{_printed()}]'
        return (
            f'{{"outcome":"{outcome.value}","stage":"{stage.value}","message":{said},'
            f'"wall_seconds":{int(wall * 1e7)}e-7,"cpu_seconds":{int(cpu * 1e7)}e-7{printed}}}'
        )


def _printed() -> int:
    """How much has been printed since the driver looked, unless the backend has closed its standard output."""
    try:
        return os.fstat(1).st_size
    except OSError:
        return 0


def _is_model(model: bytes) -> bool:
    import onnx

    try:
        return bool(onnx.load_model_from_string(model).HasField("graph"))
    except Exception:  # noqa: BLE001 - protobuf's own exception class differs between releases
        return False


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def say(problem: BaseException) -> str:
    """An exception of unknown origin in one line, with the place it came from."""
    place = ""
    if problem.__traceback__ is not None:
        trace = problem.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
    return f"{type(problem).__name__}: {problem}{place}"[:_MESSAGE_LIMIT]
