"""Subnormal numbers cost a processor some hundred cycles each: whoever meets them is slow, and not by its own fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.program import parse, to_carrier
from abstract.reference import TooLarge, interpret
from backends.tensor import Tensor, to_numpy

if TYPE_CHECKING:
    from fuzz.performance.timer import Subject

__all__ = ["slowed_by_subnormals"]

_LARGEST = 1 << 23  # elements of a tensor that the reference computes for this
_SLOW = frozenset({"float", "double", "bfloat16"})  # float16 is computed as float, where its subnormals are normal


def slowed_by_subnormals(subject: Subject) -> bool:
    """Whether any value of the model is subnormal on the first data set; False where the reference cannot tell."""
    try:
        program = parse(onnx.ModelProto.FromString(subject.model), subject.folder or "")
        named = zip(program.inputs, subject.data_sets[0], strict=False)
        inputs = {
            name: to_carrier(to_numpy(value), program.dtypes[name])
            for name, value in named
            if isinstance(value, Tensor)
        }
        values = interpret(program, inputs, limit=_LARGEST)
    except (TooLarge, MemoryError):
        return False
    except Exception:  # noqa: BLE001 - the reference is a second opinion here: what it cannot run it says nothing of
        return False
    for bounded in values.values():
        value, dtype = bounded.value, bounded.dtype
        if isinstance(value, np.ndarray) and dtype is not None and dtype.name in _SLOW:
            size = np.abs(value)
            if bool(((size > 0) & (size < dtype.smallest_normal)).any()):
                return True
    return False
