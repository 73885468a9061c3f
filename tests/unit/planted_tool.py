"""A graph-to-graph tool that breaks what its option says, on a plain runtime with the fault that PLAIN_RUNTIME says."""

from __future__ import annotations

import ctypes
import os
import time

import numpy as np
from onnx import TensorProto, helper

from backends.external import read_model
from backends.protocol import OutOfMemory, Rejected, Unsupported, Words
from backends.reference import BACKEND as REFERENCE
from backends.rewriting import Made, Rewriter
from backends.tensor import from_numpy, to_numpy


def subtract(model):
    for node in model.graph.node:
        if node.op_type == "Add":
            node.op_type = "Sub"


def drop_input(model):
    del model.graph.input[1]
    model.graph.initializer.append(helper.make_tensor("b", TensorProto.FLOAT, [3], [1, 2, 3]))


def rename_output(model):
    model.graph.node[0].output[0] = model.graph.output[0].name = "z"


def rename_all(model):
    """Other names in the same order."""
    for node in model.graph.node:
        node.input[:] = [f"new_{name}" for name in node.input]
        node.output[:] = [f"new_{name}" for name in node.output]
    for port in (*model.graph.input, *model.graph.output):
        port.name = f"new_{port.name}"


def prune(model):
    """Inputs that no node reads are gone."""
    read = {name for node in model.graph.node for name in node.input}
    kept = [port for port in model.graph.input if port.name in read]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def prune_dead(model):
    """Nodes whose outputs nothing reads are gone, and inputs that only they read."""
    wanted = {port.name for port in model.graph.output} | {name for node in model.graph.node for name in node.input}
    kept = [node for node in model.graph.node if wanted.intersection(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    prune(model)


def prune_read(model):
    """As `prune`, of a node that it loses too."""
    del model.graph.node[0].input[1:]
    model.graph.node[0].op_type = "Abs"
    prune(model)


def swap_outputs(model):
    model.graph.output.reverse()


def swap_inputs(model):
    model.graph.input.reverse()


def add_input(model):
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, [3]))


def widen(model):
    model.graph.node[0].output[0] = "narrow"
    model.graph.node.append(helper.make_node("Cast", ["narrow"], ["y"], to=TensorProto.DOUBLE))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def resize(model):
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 6


def unknown_attribute(model):
    model.graph.node[0].attribute.append(helper.make_attribute("nonsense", 1))


def impossible(model):
    """What onnx.checker accepts and no runtime can do with three elements."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    model.graph.initializer.append(shape)
    del model.graph.node[0].input[:]
    model.graph.node[0].op_type = "Reshape"
    model.graph.node[0].input.extend(["a", "shape"])
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "n" if port.name != "y" else "m"


def other_nan(model):
    """The same numbers: x + y is y + x, and of two NaN the first one's bits come out."""
    model.graph.node[0].input.reverse()


def lack(model):
    raise NotImplementedError("no such rule")


def fail(model):
    raise AssertionError("an assertion of the tool")


BREAKS = {
    "nothing": lambda _model: None,
    "subtract": subtract,
    "drop_input": drop_input,
    "rename_output": rename_output,
    "rename_all": rename_all,
    "rename_and_widen": lambda model: (widen(model), rename_all(model)),
    "prune": prune,
    "prune_dead": prune_dead,
    "prune_read": prune_read,
    "swap_outputs": swap_outputs,
    "swap_inputs": swap_inputs,
    "add_input": add_input,
    "widen": widen,
    "resize": resize,
    "unknown_attribute": unknown_attribute,
    "impossible": impossible,
    "other_nan": other_nan,
    "lack": lack,
    "fail": fail,
    "file": lambda _model: None,
}


def rewrite(model, options):
    BREAKS[options.get("breaks", "nothing")](model)
    model.doc_string = "rewritten"
    return Made(model.SerializeToString(), "made.bin") if options.get("breaks") == "file" else model


class Run:
    """What the evaluator computes, but for the fault."""

    def __init__(self, compiled, fault):
        self.compiled, self.fault = compiled, fault

    def run(self, inputs):
        outputs = self.compiled.run(inputs)
        match self.fault:
            case "wrong":
                return [from_numpy(to_numpy(value) + np.float32(1000)) for value in outputs]
            case "refuse":
                raise Rejected("the runtime does not like it")
            case "crash":
                ctypes.string_at(0)
            case "hang":
                time.sleep(1000)
        return outputs


class Runtime:
    """The evaluator with a fault: of every model, or of rewritten or untransformed ones alone (`refuse-rewritten`)."""

    name = "onnxruntime"

    def compile(self, model, folder, _options, enter):
        fault, _, where = os.environ.get("PLAIN_RUNTIME", "").partition("-")
        is_rewritten = read_model(model, folder).doc_string == "rewritten"
        if where and where != ("rewritten" if is_rewritten else "untransformed"):
            fault = ""
        match fault:
            case "lack":
                raise Unsupported("the runtime lacks it")
            case "refuse_early":
                raise Rejected("the runtime does not like to read it")
            case "memory":
                raise OutOfMemory("bad_alloc")
        return Run(REFERENCE.compile(model, folder, {}, enter), fault)


WORDS = Words(unsupported=("NotImplementedError",))
BACKEND = Rewriter(
    "planted",
    rewrite,
    WORDS,
    lambda name: REFERENCE if name == "reference" else Runtime(),
    prunes=True,
    renames=lambda options: options["breaks"].startswith("rename_a"),
)
