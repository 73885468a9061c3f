"""A backend with a fault for each way of running: the name of the graph says which one the model has."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

import numpy as np

from backends.external import read_model
from backends.layout import Layout, arranged
from backends.protocol import Rejected, Unsupported
from backends.tensor import from_numpy, to_numpy

COMPILED: dict[bytes, int] = {}
SEEN: set[bytes] = set()
LIBC = ctypes.CDLL(None)
LIBC.malloc.restype, LIBC.malloc.argtypes, LIBC.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]


def uninitialised() -> int:
    memory = LIBC.malloc(1 << 22)
    content = ctypes.string_at(memory + (1 << 21), 1)[0]
    LIBC.free(memory)
    return content


def refuse(kind: type[Exception], message: str) -> None:
    raise kind(message)


FAULTS = {
    "counts": lambda program: program.runs,
    "process": lambda _: os.getpid(),
    "anew": lambda program: program.compiled_before,
    "neighbourly": lambda program: len(SEEN - {program.model}),
    "uninitialised": lambda _: uninitialised(),
    "parallel": lambda program: program.threads - 1,
    "refuses": lambda program: program.threads > 1 and refuse(Rejected, "assertion failed: one_thread"),
    "dies": lambda _: os.kill(os.getpid(), signal.SIGSEGV) or 0,
    "dies_at_first": lambda program: program.at_first(),
    "differs_at_first": lambda program: program.at_first(),
    "lacks": lambda _: refuse(Unsupported, "no such operator"),
}


class Bare:
    """Runs, and no more."""

    def __init__(self, name, model, threads, compiled_before):
        self.name = name
        self.model = model
        self.threads = threads
        self.compiled_before = compiled_before
        self.runs = 0
        self.first = None

    def run(self, inputs):
        return [from_numpy(self.relu(to_numpy(inputs[0])))]

    def relu(self, x):
        self.runs += 1
        SEEN.add(self.model)
        self.first = x if self.first is None else self.first
        if self.name == "remembers" and x.shape == self.first.shape:
            x = self.first
        y = np.where(x > 0, x, np.float32(0))
        y[0] += self.fault()
        return y

    def fault(self):
        return FAULTS.get(self.name, lambda _: 0)(self)

    def at_first(self):
        flag = Path(os.environ["TOY_FLAG"] + self.name)
        if flag.exists() or (self.name == "differs_at_first" and self.runs < 3):
            return 0
        flag.touch()
        if self.name == "dies_at_first":
            os.kill(os.getpid(), signal.SIGSEGV)
        return 1


class Whole(Bare):
    """Takes inputs in any layout and writes into bound buffers."""

    layouts = tuple(Layout)

    def run_arranged(self, inputs, layout):
        x = arranged(to_numpy(inputs[0]), layout)
        if self.name == "dies_misaligned" and layout is Layout.SHIFTED:
            ctypes.string_at(0)
        y = self.relu(x)
        y[0] += self.name == "misaligned" and x.ctypes.data % x.itemsize
        return [from_numpy(y)]

    def bind(self, like):
        return Bound(self, [to_numpy(value).copy() for value in like])


class Bound:
    def __init__(self, program, buffers):
        self.program = program
        self.buffers = buffers

    def run(self, inputs, fill):
        (buffer,) = self.buffers
        if fill is not None:
            buffer.view(np.uint8)[...] = fill
        start = 1 if self.program.name == "stale" else 0
        buffer[start:] = self.program.relu(to_numpy(inputs[0]))[start:]
        return [from_numpy(buffer)]


class Unstable:
    name = "unstable"

    def compile(self, model, folder, options, enter):
        del folder, enter
        name = read_model(model, None).graph.name
        before = COMPILED.setdefault(model, 0)
        COMPILED[model] += 1
        kind = Bare if name == "bare" else Whole
        return kind(name, model, int(options.get("threads", "1")), before)


BACKEND = Unstable()
