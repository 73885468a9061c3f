"""A backend with faults that only a variant shows: what a model's operators make of it is in `FAULTS`."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from backends.protocol import Rejected, Unsupported
from backends.tensor import from_numpy, to_numpy


def off_by_one(outputs):
    return [np.asarray(o + np.ones_like(o)) for o in outputs]


def dropped(outputs):
    return outputs[:-1]


def in_doubt(outputs):
    return [np.asarray(o * np.asarray(1 + 2e-7, o.dtype)) for o in outputs]


FAULTS = {"Transpose": off_by_one, "Dropout": dropped, "Expand": in_doubt}
REFUSED = {"Split": Rejected("assertion failed: split"), "Tile": Unsupported("no Tile here")}


class Compiled:
    def __init__(self, model: bytes, options) -> None:
        self.model = onnx.load_model_from_string(model)
        self.used = {node.op_type for node in self.model.graph.node}
        self.options = options
        for operator, problem in REFUSED.items():
            if operator in self.used:
                raise problem

    def run(self, inputs):
        feeds = {port.name: to_numpy(value) for port, value in zip(self.model.graph.input, inputs, strict=False)}
        outputs = ReferenceEvaluator(self.model).run(None, feeds)
        for operator, fault in FAULTS.items():
            if operator in self.used:
                outputs = fault(outputs)
        if self.options.get("opt") == "0":
            outputs = off_by_one(outputs)
        return [from_numpy(np.asarray(o)) for o in outputs]


class Backend:
    name = "faulty"

    def compile(self, model, folder, options, enter):
        del folder, enter
        return Compiled(model, options)


BACKEND = Backend()
