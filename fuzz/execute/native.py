"""Native stacks of a worker that crashes or stands still, by gdb, where it is installed.

For a crash gdb is attached before the case is sent: a signal that kills leaves nothing to look at afterwards. That
takes half a second, so it is done where a crash is repeated. A worker that stands still is looked at when its time is
over.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

__all__ = ["HEADING", "Debugger", "stack_of"]

HEADING = "native stack:"
_FRAMES = 24  # of a thread that crashed
_THREADS, _THREAD_FRAMES = 4, 8  # of a worker that stands still
_ATTACH_SECONDS = 20.0
_STACK_SECONDS = 60.0  # to read the symbols of the libraries and walk the stack
_WIDTH = 200
_ATTACHED, _FATAL = "watching the worker", "received signal SIG"
# Symbols are read only where there is a stack to name: those of a compiler are hundreds of megabytes.
_SETTINGS = (
    "set auto-solib-add off", "set pagination off", "set confirm off", "set width 0", "set print frame-arguments none",
    "set print thread-events off", "handle all nostop noprint pass",
)  # fmt: skip
_WATCH = (
    "handle SIGSEGV SIGABRT SIGBUS SIGFPE SIGILL SIGSYS stop print pass", f"echo {_ATTACHED}\\n", "continue",
    r'printf "address %lu stack %lu\n", $_siginfo._sifields._sigfault.si_addr, $sp',
    "sharedlibrary", f"backtrace {_FRAMES}", "handle all nostop noprint pass", "continue",
)  # fmt: skip
_LOOK = ("sharedlibrary", f"thread apply all backtrace {_THREAD_FRAMES}")
_FAULT = re.compile(r"SIG(?:SEGV|BUS).*?^address (?P<address>\d+) stack (?P<stack>\d+)$", re.DOTALL | re.MULTILINE)
_GUARD = 1 << 16  # bytes around the stack pointer: a function's frame may begin so far beyond it
_FRAME = re.compile(r"^#(?P<number>\d+)\s+(?:0x[0-9a-f]+ in )?(?P<rest>.+)$")


@dataclass(frozen=True, slots=True)
class Debugger:
    """A gdb that watches a worker until one of them ends."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]

    @classmethod
    def attach(cls, pid: int) -> Debugger | None:
        """Watch a worker for a fatal signal; None where there is no gdb, or it may not."""
        debugger = _start(pid, _WATCH)
        if debugger is None:
            return None
        deadline = time.monotonic() + _ATTACH_SECONDS
        while time.monotonic() < deadline and debugger.process.poll() is None:
            if _ATTACHED in debugger.text():
                return debugger
            time.sleep(0.01)
        debugger.close()
        return None

    def text(self) -> str:
        """What gdb has said so far."""
        return os.pread(self.output.fileno(), 1 << 20, 0).decode("utf-8", "replace")

    def walks(self) -> bool:
        """Whether the worker stands at a fatal signal, and its stack is being read."""
        return self.process.poll() is None and _FATAL in self.text()

    def stack(self) -> str:
        """The frames of the thread that crashed, the innermost first; empty where nothing crashed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_STACK_SECONDS if self.walks() else 1.0)
        return _frames(self.text().partition(_FATAL)[2])

    def overflowed(self) -> bool:
        """Whether what killed the worker is that it wrote beyond the end of its stack; asked after `stack`."""
        found = _FAULT.search(self.text())
        return found is not None and abs(int(found["address"]) - int(found["stack"])) < _GUARD

    def close(self) -> None:
        """End gdb; the worker goes on without it."""
        self.process.kill()
        self.process.wait()
        self.output.close()


def stack_of(pid: int) -> str:
    """The innermost frames of a worker's threads; empty where gdb cannot tell."""
    debugger = _start(pid, _LOOK)
    if debugger is None:
        return ""
    with contextlib.suppress(subprocess.TimeoutExpired):
        debugger.process.wait(_STACK_SECONDS)
    text = debugger.text()
    debugger.close()
    # gdb begins with the youngest thread; the oldest one is the interpreter's.
    threads = [_frames(part) for part in reversed(re.split(r"^Thread \d+ .*$", text, flags=re.MULTILINE)[1:])]
    return "\n\n".join(thread for thread in threads[:_THREADS] if thread)


def _start(pid: int, commands: tuple[str, ...]) -> Debugger | None:
    program = shutil.which("gdb")
    if program is None:
        return None
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed with the debugger
    arguments = [part for command in commands for part in ("-ex", command)]
    before = [part for setting in _SETTINGS for part in ("-iex", setting)]
    process = subprocess.Popen(
        [program, "-nx", "-q", "-batch", *before, "-p", str(pid), *arguments],
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"},
    )  # fmt: skip
    return Debugger(process, output)


def _frames(text: str) -> str:
    """Frames without addresses, arguments' values and folders, which change from run to run."""
    lines = []
    for line in text.splitlines():
        if (match := _FRAME.match(line)) is None:
            continue
        function, _, place = match["rest"].partition(" at ")
        function, _, library = function.partition(" from ")
        function = re.sub(r" \((?:[\w.]+=\.\.\.(?:, )?)*\)$", "", function)
        where = f" ({Path(library or place).name})" if library or place else ""
        lines.append(f"#{match['number']} {function[:_WIDTH]}{where}")
    return "\n".join(lines)
