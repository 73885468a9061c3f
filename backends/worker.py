"""The worker process: one backend, one case after the other, until the driver closes the channel.

Everything of a case that is foreign is parsed here and not in the driver. Standard output and standard error belong
to the backend: what it prints there is harmless.
"""

from __future__ import annotations

import contextlib
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
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.breeding import alone, breed
from backends.frame import exact_reader, read_frame
from backends.progress import Progress
from backends.service import Outlet, Service, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from backends.protocol import Backend

_PR_SET_PDEATHSIG = 1
_CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_TELEMETRY = ("openvino_telemetry",)


def main(descriptor: int, stage_descriptor: int) -> None:
    """Serve the driver at the other end of the socket `descriptor`; returns when it closes the channel.

    The stage of the case in the works is a byte behind `stage_descriptor`.
    """
    channel = socket.socket(fileno=descriptor)
    _die_with_driver(channel)
    faulthandler.enable(all_threads=False)
    try:
        loaded: _Loaded | None = None
        while True:
            channel.set_inheritable(False)
            os.set_inheritable(stage_descriptor, False)  # noqa: FBT003 - it takes it by position alone
            read, outlet = exact_reader(_receiver(channel)), Outlet(channel.sendall)
            start = read_frame(read).fields
            _settle(start)
            try:
                loaded = loaded or _load(start)
                backend = _faulty(loaded.backend, start["options"].pop("fault", ""))
            except Exception as problem:  # noqa: BLE001 - whatever a foreign package raises on import is the answer
                outlet.send("failed", {"message": say(problem)})
                return
            if start.get("breeds"):
                _foresee()
            breeds = bool(start.get("breeds")) and alone()
            outlet.send("ready", {"version": loaded.version, "breeds": breeds})
            if not breeds:
                break
            # Comes back in each of the workers that it forks, which are started as this one was.
            channel, stage_descriptor = _bred(channel, stage_descriptor)
        service = Service(backend, start["options"], Progress(stage_descriptor), outlet)
        while True:
            service.serve(read_frame(read))
    except (EOFError, ConnectionError):
        return


def _foresee() -> None:
    """Import what a refusal asks for (`service.Job.attempt`): else each fork imports it anew, which takes 30 ms."""
    with contextlib.suppress(Exception):
        importlib.import_module("onnx")


def _bred(channel: socket.socket, old: int) -> tuple[socket.socket, int]:
    descriptor, stage_descriptor = breed(channel, _die_with)
    os.close(old)
    return socket.socket(fileno=descriptor), stage_descriptor


def _settle(start: Mapping[str, Any]) -> None:
    """Have a folder for files that nobody keeps, and a home directory that is none.

    Nor are there packages that tell their makers who imports them.
    """
    for name in _CACHES:
        os.environ.pop(name, None)
    os.environ.update(HOME=start["home"], TMPDIR=start["folder"])
    os.chdir(start["folder"])
    tempfile.tempdir = None  # asked anew: what was imported may have asked in a process that this one was forked from
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
    _end_with_parent()
    poll = select.poll()
    poll.register(channel, 0)  # of a hang-up it tells in any case
    if poll.poll(0):
        os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _die_with(parent: int) -> None:
    """The same for a process that was forked by `parent`, which ends with the driver in its turn."""
    _end_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def _end_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A backend that has been imported, and the version of what was."""

    backend: Backend
    version: str | None


def _load(fields: Mapping[str, Any]) -> _Loaded:
    return _Loaded(_module(fields["module"]).BACKEND, _version(fields["distributions"]))


def _faulty(backend: Backend, faults: str) -> Backend:
    for fault in faults.split("+") if faults else ():
        backend = _module("backends.faults.backend").Faulty(backend, fault)
    return backend


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
