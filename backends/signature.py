"""Inputs, outputs and functions of a model before and after a tool has rewritten it."""

from __future__ import annotations

from typing import Any

import onnx

from backends.graph import graphs, required_inputs

__all__ = ["alike", "changed", "left", "lost"]


def changed(original: Any, made: Any) -> str:
    """How inputs or outputs of the rewritten model differ from those of the model as it was; empty if they do not."""
    return _difference("input", *map(_inputs, (original, made))) or _difference(
        "output", *map(_outputs, (original, made))
    )


def lost(original: Any, made: Any) -> str:
    """A function of the model as it was that the rewritten one calls and no longer has; empty if there is none."""
    gone = {(f.domain, f.name) for f in original.functions} - {(f.domain, f.name) for f in made.functions}
    called = {
        (node.domain, node.op_type)
        for holder in (made.graph, *made.functions)
        for graph in graphs(holder)
        for node in graph.node
    }
    return ", ".join(f"{domain}.{name}" for domain, name in sorted(gone & called))


def alike(original: Any, made: Any) -> bool:
    """Whether inputs and outputs are as many, of the same types in the same order, whatever their names."""
    pairs = ((_inputs(original), _inputs(made)), (_outputs(original), _outputs(made)))
    return all([_kind(t) for _, t in before] == [_kind(t) for _, t in after] for before, after in pairs)


def left(original: Any, made: Any) -> list[int] | None:
    """The positions of the inputs that are left where all that changed is that some are gone which no output needs.

    None where anything else changed.
    """
    names = {name for name, _ in _inputs(made)}
    before = _inputs(original)
    read = _needed(original.graph)
    positions = [position for position, (name, _) in enumerate(before) if name in names]
    if any(name in read for name, _ in before if name not in names):
        return None
    difference = _difference("input", [before[position] for position in positions], _inputs(made))
    return None if difference or _difference("output", _outputs(original), _outputs(made)) else positions


def _needed(graph: Any) -> set[str]:
    """The values that outputs are computed from, by name: what only nodes read that nothing reads is not among them."""
    found = {output.name for output in graph.output}
    for node in reversed(graph.node):  # nodes stand in the order in which they are computed
        if found.intersection(node.output):
            found.update(node.input)
            bodies = [g for a in node.attribute for g in (*([a.g] if a.HasField("g") else ()), *a.graphs)]
            for body in (inner for held in bodies for inner in graphs(held)):
                found.update(output.name for output in body.output)
                found.update(name for inside in body.node for name in inside.input)
    return found


def _inputs(model: Any) -> list[tuple[str, Any]]:
    return [(port.name, port.type) for port in required_inputs(model.graph)]


def _outputs(model: Any) -> list[tuple[str, Any]]:
    return [(port.name, port.type) for port in model.graph.output]


def _difference(kind: str, before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> str:
    old, new = [name for name, _ in before], [name for name, _ in after]
    if gone := [name for name in old if name not in new]:
        return f"{kind} {gone[0]!r} is gone" + (f" ({kind}s are {', '.join(new)})" if new else "")
    if added := [name for name in new if name not in old]:
        return f"{kind} {added[0]!r} is new"
    if old != new:
        return f"{kind}s {', '.join(old)} are {', '.join(new)}"
    for (name, one), (_, other) in zip(before, after, strict=True):
        if (mine := _kind(one)) and (theirs := _kind(other)) and mine != theirs:
            return f"{kind} {name!r} is {theirs}, and was {mine}"
        if (sizes := _sizes(one)) is not None and (others := _sizes(other)) is not None and _contradict(sizes, others):
            return f"{kind} {name!r} has the shape {others}, and had {sizes}"
    return ""


def _sizes(declared: Any) -> list[int | str] | None:
    """The sizes that a tensor is declared with, open ones as text; None without a shape."""
    if not declared.HasField("tensor_type") or not declared.tensor_type.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in declared.tensor_type.shape.dim]


def _contradict(one: list[int | str], other: list[int | str]) -> bool:
    """Whether two shapes have another rank, or another number where both have one."""
    pairs = zip(one, other, strict=False)
    return len(one) != len(other) or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)


def _kind(declared: Any) -> str:
    """A declared type without sizes: `tensor of float`; empty where it is left open."""
    which = declared.WhichOneof("value")
    if which in {"tensor_type", "sparse_tensor_type"}:
        number = getattr(declared, which).elem_type
        return f"tensor of {onnx.TensorProto.DataType.Name(number).lower()}" if number else ""
    if which in {"sequence_type", "optional_type"}:
        inner = _kind(getattr(declared, which).elem_type)
        return f"{which.removesuffix('_type')} of {inner}" if inner else ""
    return ""
