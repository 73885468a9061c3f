"""The computation graph of a TensorFlow network: a frozen GraphDef (``.pb``) or a SavedModel (its folder).

Shapes are those that TensorFlow infers when it imports the GraphDef. What does not belong to inference is folded
away, as GENNAPE prunes it: constants, reads of variables, identities, and what is made of constants alone. An open
first dimension of an input is the batch's, and 1.
"""

from __future__ import annotations

import os
from math import prod
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from corpus.graphs.assembly import Operation, Value, assemble
from corpus.graphs.computation import GraphError
from corpus.graphs.vocabulary import TENSORFLOW, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from corpus.graphs.computation import ComputationGraph, Shape

__all__ = ["from_tensorflow"]

_LARGEST = 2 << 30  # bytes of a GraphDef: protobuf's own limit
_NOTHING = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot"})
_SOURCES = frozenset({"Const", "VarHandleOp", "Variable", "VariableV2"})
_READS = frozenset({"ReadVariableOp"})
_INPUTS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})
_SIZES = frozenset({"Shape", "Size", "Rank"})
_LEFT = frozenset({"NoOp", "Assert"})
_KERNEL = 1
"""Which input of a convolution or a matrix product its kernel is."""
_STATISTICS = (3, 4)  # inputs of FusedBatchNorm that were counted, not learnt
_PARAMETRIC = frozenset({"Conv", "Depthwise", "MatMul", "BatchNorm", "Add", "Mul"})
_TYPES = {"float32": "float", "float64": "double"}


def from_tensorflow(
    path: Path, *, name: str = "", family: str = "", shapes: Mapping[str, Shape] | None = None, whole: bool = False
) -> ComputationGraph:
    """The graph of a file or a folder; ``shapes`` are those of inputs, by name, in place of what the model says.

    A SavedModel's graph is that of its signature ``serving_default``, or of the first that it has. Loading one runs
    its initialisers: do so with those of people whom you trust. Raises GraphError, OSError.
    """
    try:
        tf = _tensorflow()
    except ImportError:
        raise GraphError(f"{path} needs TensorFlow: pip install 'dnnfuzz[xla]'") from None

    content = _saved(tf, path) if path.is_dir() else _frozen(tf, path)
    graph = _imported(tf, _resized(tf, content, shapes or {}), path)
    reader = _Reader(tf, graph)
    inputs = [one.outputs[0].name for one in reader.all if one.type in _INPUTS]
    operations = [made for one in reader.all if (made := reader.operation(one)) is not None]
    outputs = reader.outputs()
    if not operations or not outputs:
        raise GraphError(f"{path} computes nothing: it has no operation that reads an input")
    return assemble(
        (name or path.stem, family), inputs, operations, outputs, reader.values,
        channels_last=reader.channels_last, whole=whole,
    )  # fmt: skip


def _frozen(tf: Any, path: Path) -> Any:
    if path.stat().st_size > _LARGEST:
        raise GraphError(f"{path} is larger than 2 GiB, the most that a GraphDef can be")
    content = tf.compat.v1.GraphDef()
    try:
        content.ParseFromString(path.read_bytes())
    except Exception as problem:  # noqa: BLE001 - protobuf's DecodeError, of whichever implementation is installed
        raise GraphError(f"{path} is no GraphDef: {_line(problem)}") from None
    if not content.node:
        raise GraphError(f"{path} is no GraphDef: it has no nodes (a SavedModel is given by its folder)")
    return content


def _tensorflow() -> Any:
    """The package, quiet. Keras comes with it, and writes its settings into the home directory unless told where."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    asked = os.environ.get("KERAS_HOME")
    with TemporaryDirectory() as place:
        os.environ["KERAS_HOME"] = asked or place
        try:
            import tensorflow as tf
        finally:
            if asked is None:
                del os.environ["KERAS_HOME"]
    return tf


def _saved(tf: Any, path: Path) -> Any:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    if not (path / "saved_model.pb").is_file():
        raise GraphError(f"{path} is no SavedModel: it has no saved_model.pb")
    try:
        loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
        signatures = loaded.signatures
        names = sorted(signatures, key=lambda one: (one != "serving_default", one))
        if names:
            return convert_variables_to_constants_v2(signatures[names[0]]).graph.as_graph_def()
    except Exception as problem:  # noqa: BLE001 - whatever TensorFlow says of a folder that a stranger made
        raise GraphError(f"{path} cannot be loaded: {_line(problem)}") from None
    raise GraphError(f"{path} has no signature: save it with one, as tf.saved_model.save(…, signatures=…) does")


def _resized(tf: Any, content: Any, shapes: Mapping[str, Shape]) -> Any:
    """The GraphDef with inputs of these shapes; an open dimension in front is 1."""
    for node in content.node:
        if node.op not in _INPUTS:
            continue
        if node.name in shapes:
            proto = tf.TensorShape([dim if isinstance(dim, int) else None for dim in shapes[node.name]]).as_proto()
            node.attr["shape"].shape.CopyFrom(proto)
        dims = node.attr["shape"].shape.dim
        if dims and dims[0].size < 0:
            dims[0].size = 1
        node.attr.pop("_output_shapes", None)
    return content


def _imported(tf: Any, content: Any, path: Path) -> Any:
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(content, name="")
    except Exception as problem:  # noqa: BLE001 - ValueError, NotFoundError, and what else a stranger's file may cause
        raise GraphError(f"{path} cannot be imported: {_line(problem)}") from None
    return graph


def _line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]


class _Reader:
    """An imported graph, read operation by operation: each is a constant, or an operation of ours."""

    def __init__(self, tf: Any, graph: Any) -> None:
        self.tf = tf
        self.all: Sequence[Any] = graph.get_operations()
        self.values = {tensor.name: _value(tensor) for one in self.all for tensor in one.outputs}
        formats = {_attribute(one, "data_format") for one in self.all if _is_spatial(one)}
        self.channels_last = not any(str(one).startswith("NC") for one in formats)
        # Constants, and which of those that are given each is made of.
        self._made_of: dict[str, str] = {}
        for one in _forwards(self.all):
            if one.type in _SOURCES or (one.type in _SIZES and self._is_fixed(one.inputs[0])):
                self._made_of.update((tensor.name, one.name) for tensor in one.outputs)
            elif one.inputs and all(tensor.name in self._made_of for tensor in one.inputs) and not _is_random(one):
                ranked = sorted(one.inputs, key=lambda tensor: -(tensor.shape.rank or 0))
                self._made_of.update((tensor.name, self._made_of[ranked[0].name]) for tensor in one.outputs)

    def _is_fixed(self, tensor: Any) -> bool:
        shape = self.values[tensor.name].shape
        return shape is not None and all(isinstance(dim, int) for dim in shape)

    def operation(self, one: Any) -> Operation | None:
        """What an operation computes; None where it is an input, or gives no more than constants."""
        if one.type in _INPUTS or one.type in _SOURCES or one.type in _LEFT:
            return None
        if not one.outputs or all(tensor.name in self._made_of for tensor in one.outputs):
            return None
        label = TENSORFLOW.get(one.type, UNKNOWN)
        weights = list(self._weights(one, label))
        shapes = [shape for _, shape in weights]
        return Operation(
            name=one.name, operator=label, source=one.type,
            reads=tuple(tensor.name for tensor in one.inputs if tensor.name not in self._made_of),
            gives=tuple(tensor.name for tensor in one.outputs),
            kernel=self._kernel(one, label, shapes), weights=tuple(shapes),
            parameters=tuple(name for name, _ in weights),
            modules=_scopes(one.name), arguments=_arguments(one), nothing=one.type in _NOTHING | _READS,
        )  # fmt: skip

    def outputs(self) -> list[str]:
        """What nothing reads: the results of inference. Identities at the end are named, not what they stand for."""
        read = {tensor.name for one in self.all for tensor in one.inputs}
        ends = [one for one in self.all if one.outputs and one.type not in _INPUTS | _LEFT | _SOURCES]
        return [
            one.outputs[0].name
            for one in ends
            if one.outputs[0].name not in self._made_of and not any(tensor.name in read for tensor in one.outputs)
        ]

    def _weights(self, one: Any, label: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of each parameter that an operation reads, as `Node.weights` has them."""
        if label not in _PARAMETRIC and one.type not in {"GatherV2", "ResourceGather"}:
            return
        for position, tensor in enumerate(one.inputs):
            known = self.values[tensor.name].shape or ()
            shape = tuple(dim for dim in known if isinstance(dim, int))
            counted = label == "BatchNorm" and position in _STATISTICS
            is_float = "float" in self.values[tensor.name].type or self.values[tensor.name].type == "double"
            if tensor.name not in self._made_of or counted or not is_float or prod(shape) == 1 or not shape:
                continue
            yield self._made_of[tensor.name], _turned(one, label, shape) if position == _KERNEL else shape

    @staticmethod
    def _kernel(one: Any, label: str, weights: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        if label in {"Conv", "Depthwise"}:
            return weights[0][2:] if weights else ()
        if label in {"Maxpool", "Avgpool"}:
            sizes = [int(size) for size in _attribute(one, "ksize") or ()]
            first = str(_attribute(one, "data_format") or "").startswith("NC")
            return tuple(sizes[2:] if first else sizes[1:-1])
        return ()


def _value(tensor: Any) -> Value:
    kind = tensor.dtype.base_dtype.name
    shape = None if tensor.shape.rank is None else tuple("?" if dim is None else int(dim) for dim in tensor.shape)
    return Value(shape, _TYPES.get(kind, kind))


def _turned(one: Any, label: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A kernel as [out, in of a group, *window], TensorFlow's being [*window, in, out]; a matrix as [in, out]."""
    if label == "Depthwise" and len(shape) == 4:
        return shape[2] * shape[3], 1, *shape[:2]
    if label == "Conv" and len(shape) > 2:
        return shape[-1], shape[-2], *shape[:-2]
    if label == "MatMul" and (_attribute(one, "transpose_b") or _attribute(one, "adj_y")):
        return (*shape[:-2], shape[-1], shape[-2])
    return shape


def _attribute(one: Any, name: str) -> Any:
    """An attribute's value, text as text; None where the operation has none of this name."""
    try:
        value = one.get_attr(name)
    except ValueError:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _is_spatial(one: Any) -> bool:
    return TENSORFLOW.get(one.type) in {"Conv", "Depthwise", "BatchNorm", "Maxpool", "Avgpool"}


def _is_random(one: Any) -> bool:
    kind: str = one.type
    return kind.startswith(("Random", "Stateless", "Truncated", "Multinomial"))


def _forwards(operations: Sequence[Any]) -> list[Any]:
    """What is read before what reads it, control edges left out; what stands in a circle (a while loop) comes last."""
    waiting = {one: len({tensor.op for tensor in one.inputs}) for one in operations}
    readers: dict[Any, list[Any]] = {}
    for one in operations:
        for source in dict.fromkeys(tensor.op for tensor in one.inputs):
            readers.setdefault(source, []).append(one)
    ready = [one for one in operations if not waiting[one]]
    for one in ready:  # grows while it is walked
        for reader in readers.get(one, ()):
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    return ready


_SHOWN = ("strides", "padding", "dilations", "ksize", "data_format", "epsilon", "alpha", "keep_dims")


def _arguments(one: Any) -> tuple[tuple[str, str], ...]:
    told = ((name, _attribute(one, name)) for name in _SHOWN)
    return tuple((name, str(value)[:200]) for name, value in told if value is not None)


def _scopes(name: str) -> tuple[tuple[str, str], ...]:
    """The name scopes that an operation stands in: TensorFlow's module hierarchy, without classes."""
    # A function that was called in full leaves its call's name in front, as everything of a SavedModel has it.
    calls = ("StatefulPartitionedCall", "PartitionedCall")
    parts = [part for part in name.split("/")[:-1] if not part.startswith(calls)]
    return tuple(("/".join(parts[: end + 1]), part) for end, part in enumerate(parts))
