"""A compiler with one fault: it computes Sin as Cos, unless its argument is an output of the graph (`hide`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backends.external import read_model
from backends.tensor import from_numpy, to_numpy

FUNCTIONS = {"Abs": np.abs, "Sin": np.cos, "Neg": np.negative, "Sqrt": np.sqrt}


@dataclass(frozen=True)
class Faulty:
    name: str = "faulty"

    def compile(self, model, folder, options, enter):
        del options, enter
        return Compiled(read_model(model, folder).graph)


class Compiled:
    def __init__(self, graph):
        self.graph = graph

    def run(self, inputs):
        values = {port.name: to_numpy(value) for port, value in zip(self.graph.input, inputs, strict=True)}
        outputs = [port.name for port in self.graph.output]
        for node in self.graph.node:
            hidden = node.name == "hide" and node.input[0] in outputs
            function = np.sin if hidden else FUNCTIONS[node.op_type]
            values[node.output[0]] = function(values[node.input[0]])
        return [from_numpy(values[name]) for name in outputs]


BACKEND = Faulty()
