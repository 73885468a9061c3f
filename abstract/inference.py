"""ONNX's own checker and inference of types and shapes, kept from the nodes at which they end the process.

Inference of a few operators reads the type of an operand without a look whether one is known. It is not behind an
operator of a domain that ONNX has no schemas of, or behind a node that inference gives up on: the process dies of a
segmentation fault (docs/disputes.md). Such nodes are made foreign themselves until the type is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.checker
import onnx.helper
import onnx.inliner
import onnx.shape_inference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["check_fully", "infer_types"]

# Of all operators, each version of them with onnx 1.23.2, those that do not survive operands without types.
_UNGUARDED = frozenset({
    ("", "EyeLike"), ("", "RegexFullMatch"),
    ("ai.onnx.ml", "DictVectorizer"), ("ai.onnx.ml", "LabelEncoder"), ("ai.onnx.ml", "TreeEnsemble"),
})  # fmt: skip
_FOREIGN = "held.back."
"""Goes before the domain of a node that inference is kept from."""


def infer_types(model: onnx.ModelProto, *, strict: bool = False, data_prop: bool = False) -> onnx.ModelProto:
    """A copy with the types and shapes that ONNX infers; ``strict`` checks them, ``data_prop`` follows sizes.

    Raises what ``onnx.shape_inference.infer_shapes`` raises: InferenceError where strict, ValueError where there is no
    reading the model.
    """

    def infer(one: onnx.ModelProto) -> onnx.ModelProto:
        return onnx.shape_inference.infer_shapes(one, check_type=strict, strict_mode=strict, data_prop=data_prop)

    held = _hold_back(model)
    if held is None:
        return infer(model)
    inside = [node for function in held.functions for node in _within(function.node) if _is_held(node)]
    if inside:
        # What a call gives a function is told of nowhere but where the call is replaced by the function's nodes.
        flat = _hold_back(onnx.inliner.inline_local_functions(model))
        if flat is None or not any(map(_is_held, _all_nodes(_freed(flat, infer)))):
            _free(inside)
    return _put_back(_freed(held, infer))


def check_fully(model: onnx.ModelProto) -> None:
    """ONNX's full check. Raises onnx.checker.ValidationError, and as strict inference does."""
    if _hold_back(model) is None:
        onnx.checker.check_model(model, full_check=True)
        return
    onnx.checker.check_model(model)
    infer_types(model, strict=True)


def _hold_back(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy without the nodes that are dangerous; None where there is none."""
    if not any(map(_is_unguarded, _all_nodes(model))):
        return None
    held = onnx.ModelProto()
    held.CopyFrom(model)
    for node in filter(_is_unguarded, _all_nodes(held)):
        node.domain = _FOREIGN + node.domain
    for imports in (held.opset_import, *(function.opset_import for function in held.functions)):
        imports.extend(onnx.helper.make_opsetid(domain, 1) for domain in _foreign_domains())
    return held


def _put_back(model: onnx.ModelProto) -> onnx.ModelProto:
    _free(_all_nodes(model))
    for imports in (model.opset_import, *(function.opset_import for function in model.functions)):
        for at in reversed(range(len(imports))):
            if imports[at].domain.startswith(_FOREIGN):
                del imports[at]
    return model


def _foreign_domains() -> list[str]:
    return sorted({_FOREIGN + domain for domain, _ in _UNGUARDED})


def _is_unguarded(node: onnx.NodeProto) -> bool:
    return ("" if node.domain == "ai.onnx" else node.domain, node.op_type) in _UNGUARDED


def _is_held(node: onnx.NodeProto) -> bool:
    return node.domain.startswith(_FOREIGN)


def _free(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        node.domain = node.domain.removeprefix(_FOREIGN)


def _freed(held: onnx.ModelProto, infer: Callable[[onnx.ModelProto], onnx.ModelProto]) -> onnx.ModelProto:
    """What is inferred while nodes of the graph are freed, in ``held`` too: their operands turn out to be typed."""
    while True:
        known = infer(held)
        pairs = zip(_scoped(held.graph, frozenset()), _scoped(known.graph, frozenset()), strict=True)
        harmless = [
            node for (node, _), (_, typed) in pairs if _is_held(node) and (not node.input or node.input[0] in typed)
        ]  # fmt: skip
        if not harmless:
            return known
        _free(harmless)


def _scoped(graph: onnx.GraphProto, outside: frozenset[str]) -> Iterator[tuple[onnx.NodeProto, frozenset[str]]]:
    """Each node, in bodies too, with the values in its reach whose types are known."""
    infos = (*graph.input, *graph.value_info, *graph.output)
    own = {info.name for info in infos if info.type.WhichOneof("value")} | {t.name for t in graph.initializer}
    typed = (outside - _made(graph)) | own
    for node in graph.node:
        yield node, typed
        for body in _bodies(node):
            yield from _scoped(body, typed)


def _made(graph: onnx.GraphProto) -> set[str]:
    return {name for node in graph.node for name in node.output} | {info.name for info in graph.input}


def _bodies(node: onnx.NodeProto) -> Sequence[onnx.GraphProto]:
    return [body for attribute in node.attribute for body in (attribute.g, *attribute.graphs) if body.node]


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from _within(model.graph.node)
    for function in model.functions:
        yield from _within(function.node)


def _within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for body in _bodies(node):
            yield from _within(body.node)
