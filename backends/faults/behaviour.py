"""Faults of a backend at work: what it does when it compiles or runs a model, whatever its numbers are."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import onnx

from backends.protocol import Rejected
from backends.tensor import Tensor, byte_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from backends.protocol import Compiled
    from backends.tensor import Value

__all__ = ["BEHAVIOURS", "Behaviour", "Circumstances"]


@dataclass(slots=True)
class Circumstances:
    """What a faulty backend knows: the model, the options of its target, what it remembers of earlier models."""

    model: onnx.ModelProto
    options: Mapping[str, str]
    memory: MutableMapping[str, onnx.TensorProto] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One fault.

    ``matches``: the models that it shows in. ``compile`` comes before the model is compiled and may change it;
    ``wrap`` is given what runs the model.
    """

    matches: Callable[[onnx.ModelProto], bool]
    compile: Callable[[Circumstances], None] | None = None
    wrap: Callable[[Compiled, Circumstances], Compiled] | None = None


@dataclass(slots=True)
class _Changed:
    """Runs a model and changes its outputs; ``change`` gets the number of the run, inputs and outputs."""

    compiled: Compiled
    change: Callable[[int, Sequence[Value], list[Value]], list[Value]]
    runs: int = 0

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        outputs = self.change(self.runs, inputs, self.compiled.run(inputs))
        self.runs += 1
        return outputs


# --- which models ---------------------------------------------------------------------------------------------------


def _every(model: onnx.ModelProto) -> bool:
    return bool(model.graph.output)


def _pair(first: frozenset[str], second: frozenset[str]) -> Callable[[onnx.ModelProto], bool]:
    """Models in which an operator of the first set feeds one of the second."""

    def matches(model: onnx.ModelProto) -> bool:
        made = {name for node in model.graph.node if node.op_type in first for name in node.output}
        return any(node.op_type in second and made.intersection(node.input) for node in model.graph.node)

    return matches


def _having(*operators: str, least_inputs: int = 0) -> Callable[[onnx.ModelProto], bool]:
    return lambda model: any(
        node.op_type in operators and len(node.input) >= least_inputs for node in model.graph.node
    )


def _depth(model: onnx.ModelProto) -> int:
    """The length of the longest path through a model."""
    depths: dict[str, int] = {}
    for node in model.graph.node:
        depth = 1 + max((depths.get(name, 0) for name in node.input), default=0)
        depths.update(dict.fromkeys(node.output, depth))
    return max(depths.values(), default=0)


def _deep(model: onnx.ModelProto) -> bool:
    return _depth(model) >= 8


def _sizes(info: onnx.ValueInfoProto) -> list[int | None]:
    return [d.dim_value if d.HasField("dim_value") else None for d in info.type.tensor_type.shape.dim]


def _dynamic(model: onnx.ModelProto) -> bool:
    return any(None in _sizes(info) for info in model.graph.input)


def _scalar_output(model: onnx.ModelProto) -> bool:
    return any(not _sizes(o) and o.type.tensor_type.HasField("shape") for o in model.graph.output)


def _long_output(model: onnx.ModelProto) -> bool:
    return any(o.type.tensor_type.elem_type == onnx.TensorProto.INT64 for o in model.graph.output)


def _several_outputs(model: onnx.ModelProto) -> bool:
    return len(model.graph.output) > 1


def _weights(model: onnx.ModelProto) -> bool:
    return any(t.dims and t.data_type == onnx.TensorProto.FLOAT for t in model.graph.initializer)


def _reduced(model: onnx.ModelProto) -> list[int]:
    """The positions of outputs that a reduction with kept axes computes."""
    kept = set()
    for node in model.graph.node:
        keeps = all(a.i for a in node.attribute if a.name == "keepdims")
        if keeps and (node.op_type.startswith("Reduce") or node.op_type in {"ArgMax", "ArgMin"}):
            kept.update(node.output)
    return [i for i, o in enumerate(model.graph.output) if o.name in kept]


# --- wrong outputs --------------------------------------------------------------------------------------------------


def _each(change: Callable[[Tensor], Tensor]) -> Callable[[Compiled, Circumstances], Compiled]:
    """Change every output that is a tensor."""
    return lambda compiled, _: _Changed(
        compiled, lambda _run, _inputs, outputs: [change(v) if isinstance(v, Tensor) else v for v in outputs]
    )


def _with_axis(value: Tensor) -> Tensor:
    return value if value.shape else Tensor(value.element_type, (1,), value.data)


def _as_int32(value: Tensor) -> Tensor:
    if value.element_type != "int64":
        return value
    low = b"".join(value.data[i : i + 4] for i in range(0, len(value.data), 8))
    return Tensor("int32", value.shape, low)


def _without_kept_axes(compiled: Compiled, about: Circumstances) -> Compiled:
    places = _reduced(about.model)

    def change(_run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        for place in places:
            value = outputs[place]
            if isinstance(value, Tensor):
                outputs[place] = Tensor(value.element_type, tuple(n for n in value.shape if n != 1), value.data)
        return outputs

    return _Changed(compiled, change)


def _exchanged(compiled: Compiled, _: Circumstances) -> Compiled:
    return _Changed(compiled, lambda _run, _inputs, outputs: [outputs[1], outputs[0], *outputs[2:]])


def _first_shapes(compiled: Compiled, _: Circumstances) -> Compiled:
    """Buffers keep the sizes of the first run; what is larger is cut off, what is smaller is followed by zeros."""
    shapes: list[tuple[int, ...] | None] = []

    def change(run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        if run == 0:
            shapes.extend(v.shape if isinstance(v, Tensor) else None for v in outputs)
        return [_resized(v, shape) for v, shape in zip(outputs, shapes, strict=False)]

    return _Changed(compiled, change)


def _resized(value: Value, shape: tuple[int, ...] | None) -> Value:
    if not isinstance(value, Tensor) or shape is None or value.element_type == "string":
        return value
    size = byte_size(value.element_type, shape) or 0
    return Tensor(value.element_type, shape, value.data[:size].ljust(size, b"\0"))


# --- outputs that differ from run to run ----------------------------------------------------------------------------


def _stale(compiled: Compiled, _: Circumstances) -> Compiled:
    """From the second run on the outputs are those of the run before."""
    before: list[list[Value]] = []

    def change(_run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        before.append(outputs)
        return before.pop(0) if len(before) > 1 else outputs

    return _Changed(compiled, change)


def _racing(compiled: Compiled, _: Circumstances) -> Compiled:
    """In one of four runs some bytes of the outputs, a tile of eight elements, are not written."""

    def change(_run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        if os.urandom(1)[0] >= 64:
            return outputs
        return [_unwritten(v) if isinstance(v, Tensor) else v for v in outputs]

    return _Changed(compiled, change)


def _unwritten(value: Tensor) -> Tensor:
    count = prod(value.shape)
    if not count or value.element_type == "string":
        return value
    width = max(len(value.data) // count, 1)
    at = int.from_bytes(os.urandom(4), "little") % count * width
    tile = value.data[at : at + 8 * width]
    return Tensor(value.element_type, value.shape, value.data[:at] + bytes(len(tile)) + value.data[at + len(tile) :])


def _uninitialised(value: Tensor) -> Tensor:
    """The last element is whatever was in memory."""
    count = prod(value.shape)
    if not count or value.element_type in {"string", "bool"}:
        return value
    width = max(len(value.data) // count, 1)
    return Tensor(value.element_type, value.shape, value.data[:-width] + os.urandom(width))


def _kept_weights(about: Circumstances) -> None:
    """Weights are cached by name, type and shape, across models."""
    for tensor in about.model.graph.initializer:
        key = f"{tensor.name} {tensor.data_type} {list(tensor.dims)}"
        if tensor.dims:
            kept = onnx.TensorProto()
            kept.CopyFrom(tensor)
            tensor.CopyFrom(about.memory.setdefault(key, kept))


def _unordered(value: Tensor) -> Tensor:
    """Sums in an order that changes: the last bit of a float comes as it likes."""
    if value.element_type not in {"float", "double"} or not value.data:
        return value
    flipped = value.data[0] ^ (os.urandom(1)[0] & 1)
    return Tensor(value.element_type, value.shape, bytes([flipped]) + value.data[1:])


def _lost_threads(compiled: Compiled, about: Circumstances) -> Compiled:
    """With more than one thread, the last quarter of each output is lost."""
    if int(about.options.get("threads", "1")) < 2:
        return compiled
    return _each(_three_quarters)(compiled, about)


def _three_quarters(value: Tensor) -> Tensor:
    if value.element_type == "string":
        return value
    kept = value.data[: len(value.data) * 3 // 4]
    return Tensor(value.element_type, value.shape, kept.ljust(len(value.data), b"\0"))


# --- the worker comes to harm ---------------------------------------------------------------------------------------


def _die(number: signal.Signals) -> Callable[[Circumstances], None]:
    def compile_(_: Circumstances) -> None:
        os.kill(os.getpid(), number)

    return compile_


@dataclass(slots=True)
class _Broken:
    """Never gets as far as its outputs."""

    end: Callable[[], None]

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        del inputs
        self.end()
        return []


def _spin(_: Circumstances) -> None:
    while True:
        pass


def _wait() -> None:
    """A lock that nobody gives back."""
    threading.Event().wait()


def _divide_by_zero() -> None:
    os.kill(os.getpid(), signal.SIGFPE)


def _endless_allocation(_: Circumstances) -> None:
    held: list[bytearray] = []
    while True:
        held.append(bytearray(b"\1") * (32 << 20))


def _leaking(compiled: Compiled, _: Circumstances) -> Compiled:
    """Each run keeps 4 MiB."""
    held: list[bytearray] = []

    def change(_run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        held.append(bytearray(b"\1") * (4 << 20))
        return outputs

    return _Changed(compiled, change)


def _assertion(_: Circumstances) -> None:
    raise Rejected("Check failed: (producer->pattern <= kInjective) is false: cannot fuse")


def _refusal(about: Circumstances) -> None:
    names = ", ".join(node.name for node in about.model.graph.node if node.op_type == "Concat")
    raise Rejected(f"ShapeInferenceError: inputs of Concat {names} cannot be combined: ranks do not match")


# --- slowness -------------------------------------------------------------------------------------------------------


def _burn(seconds: float) -> None:
    """Use CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def _optimised(options: Mapping[str, str]) -> bool:
    return options.get("opt") != "0"


def _slow_path(compiled: Compiled, about: Circumstances) -> Compiled:
    """What the optimiser makes takes 3 ms and 1 us for each element of an output more than the plain graph."""
    if not _optimised(about.options):
        return compiled

    def change(_run: int, _inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        _burn(3e-3 + 1e-6 * sum(prod(v.shape) for v in outputs if isinstance(v, Tensor)))
        return outputs

    return _Changed(compiled, change)


def _quadratic(compiled: Compiled, about: Circumstances) -> Compiled:
    """Time grows with the square of the inputs' size: 2 ms, and 5 us for each element times their share of 64."""
    del about

    def change(_run: int, inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
        count = sum(prod(v.shape) for v in inputs if isinstance(v, Tensor))
        _burn(min(2e-3 + 5e-6 * count * count / 64, 0.5))
        return outputs

    return _Changed(compiled, change)


def _slow_compile(about: Circumstances) -> None:
    """The optimiser's time doubles with each node, up to half a second."""
    if _optimised(about.options):
        _burn(min(4e-3 * 2 ** len(about.model.graph.node), 0.5))


_MOVES = frozenset({"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Expand", "Tile"})
_ACTIVATIONS = frozenset({"Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "Elu", "Gelu", "Softplus", "HardSigmoid"})
_REDUCES = frozenset({"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"})

BEHAVIOURS: Mapping[str, Behaviour] = MappingProxyType({
    "scalar-as-vector": Behaviour(_scalar_output, wrap=_each(_with_axis)),
    "ignored-keepdims": Behaviour(lambda model: bool(_reduced(model)), wrap=_without_kept_axes),
    "narrowed-output": Behaviour(_long_output, wrap=_each(_as_int32)),
    "exchanged-outputs": Behaviour(_several_outputs, wrap=_exchanged),
    "first-shape-kept": Behaviour(_dynamic, wrap=_first_shapes),
    "stale-output": Behaviour(_every, wrap=_stale),
    "race": Behaviour(_every, wrap=_racing),
    "uninitialised-tail": Behaviour(_every, wrap=_each(_uninitialised)),
    "kept-weights": Behaviour(_weights, compile=_kept_weights),
    "unordered-sum": Behaviour(_every, wrap=_each(_unordered)),
    "lost-threads": Behaviour(_every, wrap=_lost_threads),
    "crash-at-fusion": Behaviour(_pair(_MOVES, _ACTIVATIONS), compile=_die(signal.SIGSEGV)),
    "abort-at-depth": Behaviour(_deep, compile=_die(signal.SIGABRT)),
    "trap-at-run": Behaviour(
        _pair(_MOVES, _REDUCES), wrap=lambda _compiled, _about: _Broken(_divide_by_zero)
    ),
    "endless-rewriting": Behaviour(_pair(_MOVES, frozenset({"Reshape", "Transpose"})), compile=_spin),
    "deadlock": Behaviour(_having("Split", "TopK"), wrap=lambda _compiled, _about: _Broken(_wait)),
    "endless-allocation": Behaviour(_having("Tile", "Expand"), compile=_endless_allocation),
    "leak": Behaviour(_every, wrap=_leaking),
    "failed-assertion": Behaviour(_pair(_ACTIVATIONS, _MOVES), compile=_assertion),
    "refused-concat": Behaviour(_having("Concat", least_inputs=3), compile=_refusal),
    "slow-path": Behaviour(_pair(frozenset({"Add", "Mul", "MatMul", "Conv"}), _ACTIVATIONS), wrap=_slow_path),
    "quadratic-time": Behaviour(_dynamic, wrap=_quadratic),
    "slow-compile": Behaviour(_having("Concat"), compile=_slow_compile),
})  # fmt: skip


