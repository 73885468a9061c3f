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
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.external import check_external_data
from backends.frame import Frame, FrameError, encode, exact_reader, read_frame
from backends.protocol import BackendError, InvalidCase, Outcome, OutOfMemory, Rejected, Stage, Unsupported
from backends.tensor import TensorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from backends.protocol import Backend, Compiled

_MESSAGE_LIMIT = 4000
_PR_SET_PDEATHSIG = 1
_OUTCOMES: tuple[tuple[type[BaseException], Outcome], ...] = (
    (Unsupported, Outcome.UNSUPPORTED),
    (Rejected, Outcome.REJECTED),
    (OutOfMemory, Outcome.OOM),
    (MemoryError, Outcome.OOM),
    (TensorError, Outcome.UNSUPPORTED),
)


def main(descriptor: int) -> None:
    """Serve the driver at the other end of the socket `descriptor`; returns when it closes the channel."""
    _die_with_driver()
    faulthandler.enable(all_threads=False)
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    read = exact_reader(channel.recv)

    def send(frame: Frame) -> None:
        for part in encode(frame):
            channel.sendall(part)

    try:
        start = read_frame(read)
        service = _start(start.fields, send)
        while service is not None:
            service.execute(read_frame(read))
    except (EOFError, ConnectionError):
        return


def _die_with_driver() -> None:
    """Have the kernel kill this process when its driver is gone, and before it when memory runs out."""
    driver = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != driver:
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _start(fields: Mapping[str, Any], send: Callable[[Frame], None]) -> _Service | None:
    try:
        backend: Backend = _module(fields["module"]).BACKEND
    except Exception as problem:  # noqa: BLE001 - whatever a foreign package raises on import is the answer
        send(Frame("failed", {"message": _say(problem)}))
        return None
    send(Frame("ready", {"version": _version(fields["distributions"])}))
    return _Service(backend, fields["options"], send)


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


class _Service:
    """Executes cases on one backend and reports how far each has come."""

    def __init__(self, backend: Backend, options: Mapping[str, str], send: Callable[[Frame], None]) -> None:
        self._backend = backend
        self._options = options
        self._send = send
        self._stage = Stage.IMPORT

    def execute(self, request: Frame) -> None:
        """Compile the model, run every data set, send the outputs of each and then what became of the case."""
        self._stage = Stage.IMPORT
        wall, cpu = time.perf_counter(), _cpu_seconds()
        try:
            outcome, message = self._attempt(request)
        except FrameError as problem:
            outcome, message = Outcome.ERROR, f"outputs: {problem}"
        fields = {
            "outcome": outcome,
            "stage": self._stage,
            "message": message,
            "wall_seconds": time.perf_counter() - wall,
            "cpu_seconds": _cpu_seconds() - cpu,
        }
        self._send(Frame("done", fields))

    def _attempt(self, request: Frame) -> tuple[Outcome, str]:
        try:
            compiled = self._compile(request)
            for inputs in request.values:
                outputs = compiled.run(inputs if isinstance(inputs, list) else [])
                self._send(Frame("outputs", values=outputs))
        except InvalidCase as problem:
            return Outcome.ERROR, str(problem)
        except (BackendError, MemoryError, TensorError) as problem:
            outcome = next(outcome for kind, outcome in _OUTCOMES if isinstance(problem, kind))
            if self._stage is not Stage.RUN and not _is_model(request.blob):
                return Outcome.ERROR, "the file is no readable ONNX model"
            return outcome, str(problem)[:_MESSAGE_LIMIT]
        except FrameError:
            raise
        except Exception as problem:  # noqa: BLE001 - a fault of our own is an outcome too, never the end of a campaign
            return Outcome.ERROR, _say(problem)
        return Outcome.OK, ""

    def _compile(self, request: Frame) -> Compiled:
        folder = request.fields.get("folder")
        check_external_data(request.blob, folder)
        compiled = self._backend.compile(request.blob, folder, self._options, self._enter)
        self._enter(Stage.RUN)
        return compiled

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._send(Frame("stage", {"stage": stage}))


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
