"""A backend that takes as long as its options say: CPU time by the count of elements or nodes, or a sleep."""

from __future__ import annotations

import os
import time
from math import prod

from backends.external import read_model
from backends.protocol import Stage, Unsupported

PER_ELEMENT = 20e-9
PER_NODE = 0.1e-3


def burn(seconds: float) -> None:
    end = time.process_time_ns() + int(1e9 * seconds)
    while time.process_time_ns() < end:
        pass


def refuse(elements: int) -> None:
    if elements > 1000:
        raise Unsupported("so many elements")


RUNS = {
    "linear": lambda n: burn(PER_ELEMENT * n),
    "twin": lambda n: burn(PER_ELEMENT * n),
    "triple": lambda n: burn(3 * PER_ELEMENT * n),
    "sleep": lambda n: (burn(PER_ELEMENT * n), time.sleep(3 * PER_ELEMENT * n)),
    "quadratic": lambda n: burn(PER_ELEMENT * n + 1e-12 * n * n),
    "tiny": lambda _: None,
    "refuses": refuse,
    "hang": lambda _: time.sleep(1000),
}
COMPILES = {
    "linear": lambda n: burn(PER_NODE * n),
    "triple": lambda n: burn(3 * PER_NODE * n),
    "quadratic": lambda n: burn(PER_NODE * n * n),
    "instant": lambda _: None,
}


class Program:
    def __init__(self, work):
        self.work = work

    def run(self, inputs):
        self.work(sum(prod(value.shape) for value in inputs))
        return list(inputs)


class Slow:
    name = "slow"

    def compile(self, model, folder, options, enter):
        enter(Stage.COMPILE)
        nodes = len(read_model(model, folder).graph.node)
        COMPILES[os.environ.get("COMPILE", options.get("compile", "instant"))](nodes)
        return Program(RUNS[options.get("run", "linear")])


BACKEND = Slow()
