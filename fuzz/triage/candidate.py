"""A model with the inputs that it is run on: what a reduction makes smaller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import onnx

from abstract.inference import infer_types
from backends.external import check_external_data, read_model
from backends.graph import graphs, required_inputs
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.tensor import Value

__all__ = ["Candidate", "Feed", "encoded", "forget_shapes", "names_in", "self_contained", "size"]

Feed = dict[str, Any]
"""The inputs of one data set by name, in the order of the model's inputs: `backends.tensor.Value` each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model and its data sets; external data is taken in."""

    model: bytes
    feeds: tuple[Feed, ...]

    @property
    def digest(self) -> str:
        """Names the candidate: model and inputs, to the byte."""
        whole = hashlib.sha256(self.model)
        for feed in self.feeds:
            for name, value in feed.items():
                whole.update(encode_value(name, value))
        return whole.hexdigest()

    def proto(self) -> onnx.ModelProto:
        """The model, parsed: a copy to be changed."""
        parsed: onnx.ModelProto = onnx.ModelProto.FromString(self.model)
        return parsed

    def values(self) -> list[list[Value]]:
        """The inputs of each data set, by position."""
        return [list(feed.values()) for feed in self.feeds]

    def with_feeds(self, feeds: Sequence[Feed]) -> Candidate:
        """The same model on other data sets."""
        return replace(self, feeds=tuple(feeds))


def encoded(proto: onnx.ModelProto, feeds: Sequence[Mapping[str, Value]]) -> Candidate:
    """A candidate of a parsed model; of ``feeds`` what the model asks for is kept. Raises KeyError where one lacks."""
    names = [port.name for port in required_inputs(proto.graph)]
    return Candidate(proto.SerializeToString(deterministic=True), tuple({n: f[n] for n in names} for f in feeds))


def self_contained(model: bytes, folder: str) -> bytes:
    """The same model with its external data inside. Raises InvalidCase where that data is not to be had."""
    if b"location" not in model:
        return model
    check_external_data(model, folder)
    read = read_model(model, folder)
    result: bytes = read.SerializeToString(deterministic=True)
    return result


def size(candidate: Candidate) -> int:
    """How many nodes a model has, those of bodies included, constants left out."""
    return sum(node.op_type != "Constant" for g in graphs(candidate.proto().graph) for node in g.node)


def names_in(proto: onnx.ModelProto) -> set[str]:
    """All names that a model gives to values, nodes and graphs."""
    found: set[str] = set()
    for graph in graphs(proto.graph):
        found.add(graph.name)
        found.update(info.name for info in (*graph.input, *graph.output, *graph.value_info))
        found.update(tensor.name for tensor in graph.initializer)
        for node in graph.node:
            found.update((node.name, *node.input, *node.output))
    found.discard("")
    return found


def forget_shapes(proto: onnx.ModelProto) -> None:
    """What was said of computed values holds no longer; ONNX's inference says it anew, and outputs need a shape."""
    for graph in graphs(proto.graph):
        graph.ClearField("value_info")
    for info in proto.graph.output:
        for dim in info.type.tensor_type.shape.dim:
            dim.Clear()
    try:
        inferred = infer_types(proto, data_prop=True).graph.output
    except Exception:  # noqa: BLE001 - then the shapes stay open
        return
    for info, known in zip(proto.graph.output, inferred, strict=True):
        info.CopyFrom(known)
