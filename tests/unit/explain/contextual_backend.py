"""A backend that is wrong in a node's context alone: what the operators of a model make of it stands in `Compiled`."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from backends.tensor import from_numpy, to_numpy


class Compiled:
    """Neg is off by one beside Abs and Floor; Exp answers as it did first; Sin is right in the first run alone;
    Cos is off by one where Neg and Tan are, and the value of neither is an output."""

    runs = 0

    def __init__(self, model: bytes) -> None:
        self.model = onnx.load_model_from_string(model)
        self.used = {node.op_type for node in self.model.graph.node}
        self.first: dict[str, np.ndarray] = {}

    def run(self, inputs):
        feeds = {port.name: to_numpy(value) for port, value in zip(self.model.graph.input, inputs, strict=False)}
        names = [output.name for output in self.model.graph.output]
        makers = {name: node.op_type for node in self.model.graph.node for name in node.output}
        outputs = dict(zip(names, ReferenceEvaluator(self.model).run(None, feeds), strict=True))
        Compiled.runs += 1
        shown = {makers[name] for name in names}
        for name, value in outputs.items():
            if makers[name] == "Neg" and self.used >= {"Abs", "Floor"}:
                outputs[name] = value + np.float32(1)
            if makers[name] == "Cos" and self.used >= {"Neg", "Tan"} and not shown & {"Neg", "Tan"}:
                outputs[name] = value + np.float32(1)
            if makers[name] == "Exp":
                outputs[name] = self.first.setdefault(name, value)
            if makers[name] == "Sin" and Compiled.runs > 1:
                outputs[name] = value + np.float32(1)
        return [from_numpy(np.asarray(outputs[name])) for name in names]


class Backend:
    name = "contextual"

    def compile(self, model, folder, options, enter):
        del folder, options, enter
        return Compiled(model)


BACKEND = Backend()
