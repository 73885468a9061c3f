"""At which node a model's latency leaves what is predicted: its first nodes are timed and predicted by themselves.

The difference of what the first nodes take and what is predicted for them grows from none to that of the whole. The
node is searched for at which half of it has come together, by bisection: a model of n nodes is compiled and timed
log2(n) times, on any target, for nothing of a profiler is needed. What a compiler would have fused across the cut is
not: so a node's share is about what it is, and what is fused with it counts for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.performance.parts import beginning, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

__all__ = ["Place", "place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A node, its operator, and which share of the difference it makes; above 1 where others make up for it."""

    node: str
    operator: str
    share: float


def place(model: bytes, excess: Callable[[onnx.ModelProto], float]) -> Place | None:
    """The node at which half of a model's excess has come together.

    ``excess`` is what a model takes beyond what is predicted, in ms, or below it. None where the model has bodies,
    functions, external data, types that nobody knows, no nodes, or no excess. Raises what ``excess`` raises.
    """
    parsed = whole(model)
    if parsed is None or not parsed.graph.node or not (total := excess(parsed)):
        return None
    nodes = parsed.graph.node
    low, before = 0, 0.0
    high, after = len(nodes), total
    while high - low > 1:
        middle = (low + high) // 2
        part = beginning(parsed, middle)
        if part is None:
            return None
        here = excess(part)
        if here / total >= 0.5:
            high, after = middle, here
        else:
            low, before = middle, here
    node = nodes[high - 1]
    name = node.name or next((output for output in node.output if output), "")
    return Place(name, node.op_type, (after - before) / total)
