"""One operator at work: a small standard model, made of a row of a table.

Values are fixed, of both signs, without equals and without halves, so that one mistake seldom looks like another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from abstract.inference import infer_types
from backends.tensor import from_numpy
from fuzz.triage.candidate import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Probe", "Shape", "candidate_of", "values"]

_OPSET = 18  # what most targets run; newer ones differ in types alone, but for
_NEWER = {"AveragePool": 19, "Gelu": 20, "GroupNormalization": 21}
_IR_VERSION = 10
_NUMPY = {"float": np.float32, "double": np.float64, "float16": np.float16, "int64": np.int64, "int32": np.int32,
          "uint8": np.uint8, "int8": np.int8, "bool": np.bool_}  # fmt: skip

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """One operator at work.

    ``inputs`` are shapes of operands of ``dtype``, or arrays given as they are, the last ``constants`` of them known
    beforehand; ``parameters`` follow as int64 constants; ``family`` says which operators do the same kind of work.
    ``feature`` holds one or more, with commas between.
    """

    operator: str
    family: str
    inputs: tuple[Any, ...]
    parameters: tuple[Any, ...] = ()
    feature: str = ""
    dtype: str = "float"
    outputs: int = 1
    constants: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As profiles have it."""
        kind = "" if self.dtype == "float" else f":{self.dtype}"
        return f"{self.operator}{kind}{f'[{self.feature}]' if self.feature else ''}"


def values(shape: Shape, dtype: str, at: int = 0) -> np.ndarray[Any, Any]:
    """Numbers between -3 and 3 (0 to 6 of unsigned types) in no order; ``at`` is the operand's position."""
    count = prod(shape)
    order = (np.arange(count) * 7 + 3 * at) % max(count + (count % 7 == 0), 1)
    spread = (order + 0.5 * at + 1) / (count + 2) * 6.1537 - 3.0
    if dtype == "bool":
        number = np.arange(count) + 1
        return np.asarray(number * number * (number + 3 * at + 1) % 11 % 2 == 0).reshape(shape)
    if dtype in {"float", "double", "float16"}:
        return spread.reshape(shape).astype(_NUMPY[dtype])
    whole = np.where(np.floor(spread * 3) == 0, 5, np.floor(spread * 3))
    return np.asarray(np.abs(whole) if dtype.startswith("u") else whole).reshape(shape).astype(_NUMPY[dtype])


def candidate_of(probe: Probe) -> Candidate:
    """The probe as a case. Raises what ONNX raises of a wrong table."""
    feeds, names, constants = {}, [], []
    for at, given in enumerate(probe.inputs):
        array = values(given, probe.dtype, at) if isinstance(given, tuple) else np.asarray(given)
        names.append(f"x{at}")
        if at < len(probe.inputs) - probe.constants:
            feeds[f"x{at}"] = from_numpy(array)
        else:
            constants.append(numpy_helper.from_array(array, f"x{at}"))
    for at, given in enumerate(probe.parameters):
        names.append("" if given is None else f"p{at}")
        if given is not None:
            constants.append(numpy_helper.from_array(np.array(given, np.int64), f"p{at}"))
    made = [f"y{at}" for at in range(probe.outputs)]
    node = helper.make_node(probe.operator, names, made, **probe.attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(_numpy_of(value))), value.shape)
        for name, value in feeds.items()
    ]
    graph = helper.make_graph([node], "probe", inputs, [onnx.ValueInfoProto(name=n) for n in made], constants)
    opset = helper.make_opsetid("", _NEWER.get(probe.operator, _OPSET))
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    inferred = infer_types(model, strict=True, data_prop=True)
    return Candidate(inferred.SerializeToString(deterministic=True), (feeds,))


def _numpy_of(value: Any) -> Any:
    return _NUMPY.get(value.element_type, np.float32)
