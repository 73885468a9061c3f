"""The worker process: one backend, one case after the other, until the driver closes the channel.

Everything of a case that is foreign is parsed here and not in the driver. Standard output and standard error belong
to the backend: what it prints there is harmless.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import importlib.util
import os
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backends.external import check_external_data
from backends.frame import Frame, FrameError, encode, exact_reader, read_frame
from backends.progress import Progress
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
    from types import ModuleType
    from typing import TypeGuard

    from backends.protocol import Backend, Compiled, Rewritten
    from backends.tensor import Value

_MESSAGE_LIMIT = 4000
_HELD = 1 << 16  # bytes of outputs that wait for the end of the case at most
_PR_SET_PDEATHSIG = 1
_CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_TELEMETRY = ("openvino_telemetry",)
_OUTCOMES: tuple[tuple[type[BaseException], Outcome], ...] = (
    (Unsupported, Outcome.UNSUPPORTED),
    (Rejected, Outcome.REJECTED),
    (OutOfMemory, Outcome.OOM),
    (MemoryError, Outcome.OOM),
    (TensorError, Outcome.UNSUPPORTED),
)


def main(descriptor: int, stage_descriptor: int) -> None:
    """Serve the driver at the other end of the socket `descriptor`; returns when it closes the channel.

    The stage of the case in the works is a byte behind `stage_descriptor`.
    """
    channel = socket.socket(fileno=descriptor)
    _die_with_driver(channel)
    faulthandler.enable(all_threads=False)
    channel.set_inheritable(False)
    os.set_inheritable(stage_descriptor, False)  # noqa: FBT003 - it takes it by position alone
    read = exact_reader(_receiver(channel))

    try:
        start = read_frame(read)
        _settle(start.fields["home"])
        service = _start(start.fields, Progress(stage_descriptor), _Outlet(channel.sendall))
        while service is not None:
            service.serve(read_frame(read))
    except (EOFError, ConnectionError):
        return


def _settle(home: str) -> None:
    """Give backends a home directory of their own, and none of the packages that tell their makers who imports them."""
    for name in _CACHES:
        os.environ.pop(name, None)
    os.environ["HOME"] = home
    # What imports one of these does without where it is not there.
    sys.modules.update(dict.fromkeys(_TELEMETRY))  # type: ignore[arg-type]


def _receiver(channel: socket.socket) -> Callable[[int], bytes]:
    """What reads from the channel. A bare `recv` would be woken up each time that the driver reads, too."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)

    def receive(length: int) -> bytes:
        poll.poll()
        return channel.recv(length)

    return receive


def _die_with_driver(channel: socket.socket) -> None:
    """Have the kernel kill this process when its driver is gone, and before it when memory runs out.

    A driver that went before the kernel was asked has closed its end of the channel: its descriptors go before its
    children are told. Whose child this is would not say so, since another may have started the interpreter for it.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    poll = select.poll()
    poll.register(channel, 0)  # of a hang-up it tells in any case
    if poll.poll(0):
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


class _Outlet:
    """Frames on their way out. Outputs are held until the next one, which takes them along where they are few."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held: list[Value] = []

    def send(self, operation: str, fields: Mapping[str, Any], values: Sequence[Value] = ()) -> None:
        self.flush()
        self._send(Frame(operation, fields, values))

    def hold(self, outputs: Sequence[Value]) -> None:
        self._held.append(list(outputs))
        if _bytes(self._held) > _HELD:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._send(Frame("outputs", values=self._taken()))

    def end(self, fields: Mapping[str, Any]) -> None:
        self._send(Frame("done", fields, self._taken()))

    def _taken(self) -> list[Value]:
        taken, self._held = self._held, []
        return taken

    def _send(self, frame: Frame) -> None:
        for part in encode(frame):
            self._write(part)


def _bytes(values: Sequence[Value]) -> int:
    present = (value for value in values if value is not None)
    return sum(len(value.data) if isinstance(value, Tensor) else _bytes(value) for value in present)


def _start(fields: Mapping[str, Any], progress: Progress, outlet: _Outlet) -> _Service | None:
    options = dict(fields["options"])
    faults = options.pop("fault", None)
    try:
        backend: Backend = _module(fields["module"]).BACKEND
        for fault in faults.split("+") if faults else ():
            backend = _module("backends.faults.backend").Faulty(backend, fault)
    except Exception as problem:  # noqa: BLE001 - whatever a foreign package raises on import is the answer
        outlet.send("failed", {"message": _say(problem)})
        return None
    outlet.send("ready", {"version": _version(fields["distributions"])})
    return _Service(backend, options, progress, outlet)


def _module(location: str) -> ModuleType:
    """A module of this package by its name, or any other by the path of its file."""
    if not location.endswith(".py"):
        return importlib.import_module(location)
    spec = importlib.util.spec_from_file_location(f"backend_{Path(location).stem}", location)
    if spec is None or spec.loader is None:
        raise ImportError(f"no module in {location}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _version(distributions: list[str]) -> str | None:
    from importlib import metadata

    for distribution in distributions:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


class Job:
    """One request in the works: what an operation compiles, runs and tells the driver by.

    `kept` is what operations leave for later requests, each under a name of its own; `remark` is the message of an
    outcome `ok`.
    """

    def __init__(self, request: Frame, service: _Service) -> None:
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
            return Outcome.ERROR, _say(problem)
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


class _Service:
    """Does one job after the other on one backend and reports how far each has come."""

    def __init__(self, backend: Backend, options: Mapping[str, str], progress: Progress, outlet: _Outlet) -> None:
        self.backend = backend
        self.options = options
        self.progress = progress
        self.outlet = outlet
        self.kept: dict[str, Any] = {}

    def serve(self, request: Frame) -> None:
        """Do what the request asks for and send what became of it."""
        if request.operation != "reveal":
            self.kept.pop(_KEPT, None)
        job = Job(request, self)
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            outcome, message = job.attempt(lambda: _OPERATIONS[request.operation](job))
        except FrameError as problem:
            outcome, message = Outcome.ERROR, f"outputs: {problem}"
        fields = {
            "outcome": outcome,
            "stage": job.stage,
            "message": message,
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": _cpu_seconds() - cpu,
        }
        try:
            self.outlet.end(fields)
        except (TypeError, ValueError, RecursionError) as problem:
            # What a backend has returned is no tensor, or too large.
            self.outlet.end({**fields, "outcome": Outcome.ERROR, "message": f"outputs: {problem}"[:_MESSAGE_LIMIT]})


def _is_model(model: bytes) -> bool:
    import onnx

    try:
        return bool(onnx.load_model_from_string(model).HasField("graph"))
    except Exception:  # noqa: BLE001 - protobuf's own exception class differs between releases
        return False


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _say(problem: BaseException) -> str:
    """An exception of unknown origin in one line, with the place it came from."""
    place = ""
    if problem.__traceback__ is not None:
        trace = problem.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
    return f"{type(problem).__name__}: {problem}{place}"[:_MESSAGE_LIMIT]
