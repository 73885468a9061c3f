"""Where an exported program and its ONNX model part: the first node whose values differ in float64.

The exporter names a value of ONNX after the node of the decomposed program that it stands for, and notes at each ONNX
node in which module it stands. So the program, run in float64, and the interpretation of the ONNX model
(`abstract.reference`) can be held against each other value by value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from abstract.program import parse
from abstract.reference import interpret
from corpus.export import converted, export, inputs_of, matched
from corpus.parting import TELLING, Recorder, differ
from corpus.places import place_of
from corpus.precise import Float64, flat_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from torch.export import ExportedProgram

    from corpus.catch import Caught

__all__ = ["first_mistranslation", "mistranslated"]

_LIMIT = 2**24  # elements of a tensor of the reference
_FAINT = 1e-5  # of the largest element; constants that the exporter rounds to float32 cost 1e-7


def mistranslated(caught: Caught, opset: int) -> str:
    """The place of the first node that is translated wrongly, see `corpus.places`; empty where none is found.

    The model is exported anew. Raises what exporting it, running it in float64 or interpreting it raises.
    """
    program, model = converted(export(caught.module, caught.args, caught.kwargs), opset)
    return first_mistranslation(program, model, inputs_of(program, caught.args, caught.kwargs))


def first_mistranslation(program: ExportedProgram, model: onnx.ModelProto, given: Sequence[tuple[str, Any]]) -> str:
    """The same of a decomposed program, the model that it became, and the leaves of its arguments with their names."""
    recorder = _Recorder(program.graph_module)
    with torch.no_grad():
        recorder.run(*[_wide(value) for value in flat_inputs(program, [value for _, value in given])])
    inputs = {name: _wide(tensor).numpy() for name, tensor in zip(*matched(model, given), strict=True)}
    values = interpret(parse(model), inputs, limit=_LIMIT, extended=True)
    pairs = [
        (node, name, _tensor(known.value), recorder.values[name])
        for node in model.graph.node
        for name in node.output
        if name in recorder.values and (known := values.get(name)) is not None
        and isinstance(known.value, np.ndarray) and known.shaped
    ]  # fmt: skip
    for part in (TELLING, _FAINT):
        for node, name, value, due in pairs:
            if differ(value, due, part):
                return place_of(node, name)
    return ""


def _wide(value: Any) -> Any:
    """A copy, floats in float64."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().double() if value.is_floating_point() else value.detach().clone()


def _tensor(value: np.ndarray[Any, Any]) -> torch.Tensor:
    if value.dtype.kind == "f":
        value = value.astype(np.float64)
    return torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape))


class _Recorder(Recorder, Float64):
    """The same in float64."""
