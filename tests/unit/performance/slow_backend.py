"""A backend that takes as long as its options say: CPU time by the count of elements or nodes, or a sleep.

The clock of its worker is its own and goes on by what the options say, so that a busy machine changes nothing;
with ``env.CLOCK=real`` it is the machine's.
"""

from __future__ import annotations

import os
import time
from math import prod

from backends import timing
from backends.external import read_model
from backends.protocol import Stage, Unsupported

PER_ELEMENT = 20e-9
PER_NODE = 0.1e-3


class Clock:
    """A clock of this process that only work moves, by as much as the work says and up to 2 % more."""

    def __init__(self):
        self.wall = self.cpu = self.readings = 0

    def install(self):
        timing.time, timing._queued = self, lambda: 0  # no thread waits by this clock

    def perf_counter_ns(self):
        self.readings += 1
        return self.wall

    def process_time_ns(self):
        return self.cpu

    def burn(self, seconds):
        jitter = 1 + self.readings * 7919 % 20 / 1000
        self.cpu += round(1e9 * seconds * jitter)
        self.wall += round(1e9 * seconds * jitter)

    def sleep(self, seconds):
        self.wall += round(1e9 * seconds)


class Machine:
    """The machine's own clock."""

    def install(self):
        pass

    def burn(self, seconds):
        end = time.process_time_ns() + int(1e9 * seconds)
        while time.process_time_ns() < end:
            pass

    def sleep(self, seconds):
        time.sleep(seconds)


def refuse(elements: int) -> None:
    if elements > 1000:
        raise Unsupported("so many elements")


RUNS = {
    "linear": lambda clock, n: clock.burn(PER_ELEMENT * n),
    "twin": lambda clock, n: clock.burn(PER_ELEMENT * n),
    "triple": lambda clock, n: clock.burn(3 * PER_ELEMENT * n),
    "sleep": lambda clock, n: (clock.burn(PER_ELEMENT * n), clock.sleep(3 * PER_ELEMENT * n)),
    "quadratic": lambda clock, n: clock.burn(PER_ELEMENT * n + 1e-12 * n * n),
    "tiny": lambda clock, _: clock.burn(1e-7),
    "refuses": lambda _, n: refuse(n),
    "hang": lambda *_: time.sleep(1000),
}
COMPILES = {
    "linear": lambda clock, n: clock.burn(PER_NODE * n),
    "triple": lambda clock, n: clock.burn(3 * PER_NODE * n),
    "quadratic": lambda clock, n: clock.burn(PER_NODE * n * n),
    "instant": lambda clock, _: clock.burn(1e-7),
}


class Program:
    def __init__(self, work, clock, times):
        self.work, self.clock, self.times = work, clock, times

    def run(self, inputs):
        self.work(self.clock, self.times * sum(prod(value.shape) for value in inputs))
        return list(inputs)


class Slow:
    name = "slow"

    def __init__(self):
        self.clock = Machine() if os.environ.get("CLOCK") == "real" else Clock()
        self.clock.install()

    def compile(self, model, folder, options, enter):
        enter(Stage.COMPILE)
        graph = read_model(model, folder).graph
        nodes = len(graph.node)
        times = 3 if options.get("heavy") in {node.op_type for node in graph.node} else 1
        COMPILES[os.environ.get("COMPILE", options.get("compile", "instant"))](self.clock, nodes)
        return Program(RUNS[options.get("run", "linear")], self.clock, times)


BACKEND = Slow()
