"""What a crash looks like, in words that stay the same from case to case."""

from __future__ import annotations

import re
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from backends.protocol import Outcome
from fuzz.execute.native import HEADING

if TYPE_CHECKING:
    from backends.protocol import Stage

__all__ = ["crash_frames", "crash_signature", "fatal_signal", "normalised"]

_FRAMES = 3
_LINES = 2
_LENGTH = 160

# The interpreter's own dump of a thread: `  File "/path/name.py", line 12 in function`.
_PYTHON_FRAME = re.compile(r'^\s*File "(?P<path>[^"]*)", line \d+ in (?P<name>.+)$')
# What compilers print of a native stack: `3: tvm::runtime::Op(...)`, `#4 0x7f.. in Op (...) at /path`.
_NATIVE_FRAME = re.compile(
    r"^\s*(?:#\d+|\d+:)\s+(?:0x[0-9a-f]+\s+(?:in\s+)?)?(?:\S*/)?(?P<name>[^\s(][^(\[]*?)\s*(?:[(\[+].*)?$"
)
_NOISE = re.compile(
    r"^(?:Fatal Python error|Current thread|Thread 0x|Extension modules:|\s*File \"|Stack\b|!+$|\*+$|[-=~]+$"
    r"|\s*<no Python frame>|\s*$)"
)
_ABORTING = re.compile(
    r"\?\?$|(?:(?:__GI_)?(?:__)?(?:raise|abort|gsignal|__assert_fail\w*|libc_message|malloc_printerr|_int_free"
    r"|pthread_kill\w*)|__pthread_kill\w*|__restore_rt|<signal handler called>|std::terminate|__cxa_\w+"
    r"|__gnu_cxx::__verbose_terminate_handler|__cxxabiv1::\w+|_Unwind_\w+)\b"
)
_INTERPRETER = re.compile(r"_?Py[A-Z_]\w*|cfunction_|_?PyObject|method_vectorcall|ffi_call|slot_tp_|type_call")
_FATAL = re.compile(r"^Fatal Python error: (?P<what>.+)$", re.MULTILINE)
_CHANGES = (
    (re.compile(r"0x[0-9a-fA-F]+"), "ADDRESS"),
    (re.compile(r"(?:[A-Za-z]:)?(?:/[\w.+@~-]+)+/?"), "PATH"),
    (re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"|`[^`]*`"), "NAME"),  # not from the apostrophe of "the model's" on
    (re.compile(r"\b\w*\d\w*\b"), "N"),
    (re.compile(r"\s+"), " "),
)
_SIGNAL = re.compile(r"\bSIG[A-Z]+\b|status \d+")


def crash_signature(outcome: Outcome, stage: Stage | None, message: str, stderr: str) -> str:
    """What became of a run: for a crash its signal, stage and place, without all that changes from case to case.

    The place is the innermost frames that the worker printed while it died, native ones before Python's; where there
    are none, the last lines that it printed. Addresses, paths, quoted names and whatever holds a digit are replaced.
    Of any other outcome it is the message.
    """
    if outcome is not Outcome.CRASH:
        return message
    what = fatal_signal(message)
    at = f" at {stage.value}" if stage is not None else ""
    place = _place(stderr)
    return f"{what}{at}: {place}" if place else f"{what}{at}"


def fatal_signal(message: str) -> str:
    """What a worker died of: a signal's name, an exit status, or that its stack overflowed."""
    if "stack overflowed" in message:
        return "stack overflow"
    signal = _SIGNAL.search(message)
    return signal[0] if signal else normalised(message)


def crash_frames(stderr: str) -> tuple[str, ...]:
    """The innermost frames that a worker printed while it died, native ones before Python's; empty if there are none.

    What gdb saw begins where the process died, what a compiler prints of itself begins with its own handler.
    """
    printed, _, stack = stderr.partition(HEADING)
    lines = printed.splitlines()
    native = [normalised(match["name"]) for line in lines if (match := _NATIVE_FRAME.match(line))]
    python = [
        f"{_file(match['path'])} {match['name'].strip()}" for line in lines if (match := _PYTHON_FRAME.match(line))
    ]
    return tuple((_telling(stack) or native or python)[:_FRAMES])


def normalised(text: str) -> str:
    """A line without addresses, paths, quoted names and numbers."""
    for pattern, word in _CHANGES:
        text = pattern.sub(word, text)
    return text.strip()[:_LENGTH]


def _place(stderr: str) -> str:
    lines = stderr.partition(HEADING)[0].splitlines()
    words = [normalised(line) for line in lines if not _NOISE.match(line) and not _NATIVE_FRAME.match(line)]
    parts = [" | ".join(words[-_LINES:])] if words else []
    if frames := crash_frames(stderr):
        parts.append(" < ".join(frames))
    elif not words and (fatal := _FATAL.search(stderr)):
        parts.append(fatal["what"])
    return "; ".join(parts)


def _telling(stack: str) -> list[str]:
    """The frames of gdb's stack up to the interpreter's, without those by which every abort goes."""
    names = [re.sub(r"\d+", "N", match["name"]) for line in stack.splitlines() if (match := _NATIVE_FRAME.match(line))]
    own = [name for name in takewhile(lambda name: not _INTERPRETER.match(name), names) if not _ABORTING.match(name)]
    return [name for name, _ in groupby(own)]


def _file(path: str) -> str:
    return path.rpartition("/")[2]
