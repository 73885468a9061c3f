"""A dynamic model against the same with the sizes of its data sets, and a static one with its sizes made symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from abstract.program import parse
from abstract.reference import TooLarge
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.judge.judge import reference_values
from fuzz.relations.variant import Variant, View

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from backends.tensor import Value
    from fuzz.relations.variant import Original

__all__ = ["shape_variants"]

_LIMIT = 2**20  # elements of a tensor of a model that is tried at other sizes


def shape_variants(original: Original) -> Iterator[Variant]:
    """Static forms of a dynamic model, one a data set; the symbolic form of a static one."""
    if not all(isinstance(value, Tensor) for inputs in original.data_sets for value in inputs.values()):
        return
    if _is_dynamic(original.base.model):
        for number in range(len(original.data_sets)):
            yield _specialised(original, number)
        return
    sizes = _free_sizes(original)
    if sizes:
        yield _symbolic(original, sizes)


def _is_dynamic(model: onnx.ModelProto) -> bool:
    return any(not dim.HasField("dim_value") for port in model.graph.input for dim in _dims(port))


def _dims(port: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(port.type.tensor_type.shape.dim)


def _specialised(original: Original, number: int) -> Variant:
    """Every declared size is that of one data set."""
    model = _copy(original)
    inputs = original.data_sets[number]
    for port in model.graph.input:
        if port.name in inputs:
            _declare(port, inputs[port.name].shape)  # type: ignore[union-attr]
    values = original.values(number)
    for port in model.graph.output:
        due = values[port.name]
        if due.shaped and isinstance(due.value, np.ndarray):
            _declare(port, due.value.shape)
    return Variant(
        "static:specialised", f"with the sizes of data set {number} declared", _bytes(model), (View(number, inputs),),
        original.same_outputs(),
    )  # fmt: skip


def _declare(port: onnx.ValueInfoProto, sizes: Sequence[int]) -> None:
    shape = port.type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        shape.dim.add(dim_value=size)


def _symbolic(original: Original, sizes: Collection[int]) -> Variant:
    """Every size among ``sizes`` becomes a symbol wherever an input has it."""
    model = _opened(original, sizes)
    names = ", ".join(f"{size} as {_symbol(size)}" for size in sorted(sizes))
    return Variant(
        "static:symbolic", f"with sizes of inputs as symbols: {names}", _bytes(model), original.whole(),
        original.same_outputs(),
    )  # fmt: skip


def _symbol(size: int) -> str:
    return f"n{size}"


def _opened(original: Original, sizes: Collection[int]) -> onnx.ModelProto:
    model = _copy(original)
    for port in model.graph.input:
        for dim in _dims(port):
            if dim.dim_value in sizes:
                dim.dim_param = _symbol(dim.dim_value)
    for port in model.graph.output:
        for dim in _dims(port):
            dim.Clear()
    return model


def _free_sizes(original: Original) -> set[int]:
    """The sizes of inputs that may change: the reference runs the model with one more as well, each and all."""
    model = original.base.model
    candidates = sorted({dim.dim_value for port in model.graph.input for dim in _dims(port) if dim.dim_value > 1})
    free = {size for size in candidates if _runs(original, {size})}
    return free if len(free) < 2 or _runs(original, free) else {min(free)}


def _runs(original: Original, grown: Collection[int]) -> bool:
    program = parse(_opened(original, grown))
    inputs = {name: _grown(value, grown) for name, value in original.data_sets[0].items()}
    try:
        reference_values(program, inputs, limit=_LIMIT)
    except (ValueError, IndexError, ArithmeticError, TooLarge, MemoryError):
        return False
    except Exception:  # noqa: BLE001 - a node without a row may raise anything: then nothing is known
        return False
    return True


def _grown(value: Value, sizes: Collection[int]) -> Value:
    """The same tensor, one larger along each axis that has one of these sizes; its elements come round again."""
    if not isinstance(value, Tensor):
        return value
    array = to_numpy(value)
    for axis, size in enumerate(array.shape):
        if size in sizes:
            array = np.take(array, [*range(size), 0], axis=axis)
    return from_numpy(array)


def _copy(original: Original) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(original.base.model)
    del model.graph.value_info[:]
    return model


def _bytes(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


