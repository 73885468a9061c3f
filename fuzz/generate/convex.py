"""Which nodes of a finished model become a function: a convex set, or two such sets that are alike.

Convex: no path leaves the set and enters it again, so that one call can stand for it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import onnx

from abstract.capture import captured
from abstract.schema import newest_opset, signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fuzz.generate.choices import Choices

__all__ = ["DOMAINS", "GRAPHS", "Net", "choose", "is_alike", "slots"]

_CUTS = frozenset(("Slice", "Squeeze", "Unsqueeze"))
DOMAINS = ("local", "org.example.layers", "dnnfuzz")
_MOST = 6  # nodes of one function
_SPAN = 64  # nodes from the first to the last of a function: what is looked at to keep it convex
_TRIES = 8
_OPTIONAL = frozenset(("SplitToSequence",))  # inference asks whether an input has a name, which it has inside
GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


class Net:
    """The nodes of a graph, what each reads (its bodies too) and makes, and where values are made and read."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes = list(proto.graph.node)
        self.makes = [[name for name in node.output if name] for node in self.nodes]
        self.reads = [[name for name in (*node.input, *captured(node)) if name] for node in self.nodes]
        self.maker = {name: i for i, names in enumerate(self.makes) for name in names}
        self.readers: dict[str, list[int]] = {}
        for i, names in enumerate(self.reads):
            for name in names:
                self.readers.setdefault(name, []).append(i)
        self.exposed = {port.name for port in proto.graph.output}
        self.rooted = {i for i, node in enumerate(self.nodes) if node.op_type == "Constant" and self.is_bound(node)}

    def around(self, i: int) -> Iterator[int]:
        """The nodes that make what a node reads, and those that read what it makes."""
        yield from (self.maker[name] for name in self.reads[i] if name in self.maker)
        yield from (reader for name in self.makes[i] for reader in self.readers.get(name, ()))

    def is_bound(self, constant: onnx.NodeProto) -> bool:
        """Whether inference may need to know it (docs/disputes.md).

        A Slice of sizes begins at 0 where a function hides where it does, and nothing is known of the length of sizes
        where it hides the axes of an Unsqueeze.
        """
        readers = (self.nodes[i] for i in self.readers.get(constant.output[0], ()))
        return any(node.op_type in _CUTS or node.domain in DOMAINS for node in readers)

    def after(self, members: set[int], last: int) -> set[int]:
        """The nodes outside up to one, that hang on what the members make."""
        hanging = {name for i in members for name in self.makes[i]}
        found = set()
        for i in range(min(members), last + 1):
            if i not in members and not hanging.isdisjoint(self.reads[i]):
                found.add(i)
                hanging.update(self.makes[i])
        return found

    def is_convex(self, members: set[int]) -> bool:
        """Whether no path leaves the members and enters them again; False where they lie too far apart to look."""
        last = max(members)
        if last - min(members) > _SPAN:
            return False
        between = {name for i in self.after(members, last) for name in self.makes[i]}
        return all(between.isdisjoint(self.reads[i]) for i in members)

    def needed(self, name: str, members: set[int]) -> bool:
        """Whether a value that a member makes is read outside."""
        return name in self.exposed or any(reader not in members for reader in self.readers.get(name, ()))


def choose(net: Net, choices: Choices, calls: Sequence[str]) -> list[tuple[int, int]] | None:
    """The nodes of a function: each twice, or each beside its like in a second place."""
    last = len(net.nodes) - 1
    if last < 0:
        return None
    start = choices.integer(0, last)
    if calls and choices.integer(0, 2):
        start = net.maker.get(calls[choices.integer(0, len(calls) - 1)], start)
    if start in net.rooted:
        return None
    if choices.integer(0, 2):
        pairs = _twins(net, choices, start)
        if pairs:
            return pairs
    wanted = choices.integer(1, _MOST)
    members = {start}
    for _ in range(_TRIES):
        near = sorted({n for i in members for n in net.around(i)} - members - net.rooted)
        if len(members) >= wanted or not near:
            break
        more = members | {near[choices.integer(0, len(near) - 1)]}
        if net.is_convex(more):
            members = more
    return [(i, i) for i in sorted(members)]


def _twins(net: Net, choices: Choices, start: int) -> list[tuple[int, int]] | None:
    """A node and another like it, with what leads up to both as far as it is alike too."""
    near = range(max(0, start - _SPAN), min(len(net.nodes), start + _SPAN))
    likes = [i for i in near if i != start and i not in net.rooted and is_alike(net.nodes[start], net.nodes[i])]
    if not likes:
        return None
    pairs = [(start, likes[choices.integer(0, len(likes) - 1)])]
    wanted = choices.integer(1, _MOST)
    place = 0
    while place < len(pairs) and len(pairs) < wanted:
        for one, other in zip(*(net.nodes[i].input for i in pairs[place]), strict=False):
            more = (net.maker.get(one, -1), net.maker.get(other, -1))
            if -1 in more or more[0] == more[1] or {*more} & (net.rooted | {i for pair in pairs for i in pair}):
                continue
            if is_alike(*(net.nodes[i] for i in more)) and _apart(net, [*pairs, more]):
                pairs.append(more)
        place += 1
    return sorted(pairs) if _apart(net, pairs) else None


def is_alike(one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    """Whether one node of a function may stand for both: attributes may differ, and inputs be left out."""
    if (one.op_type, one.domain, len(one.output)) != (other.op_type, other.domain, len(other.output)):
        return False
    if [bool(n) for n in one.output] != [bool(n) for n in other.output]:
        return False
    if one.op_type in _OPTIONAL and [bool(n) for n in one.input] != [bool(n) for n in other.input]:
        return False
    if len(one.input) != len(other.input) and (one.domain or _is_variadic(one.op_type)):
        return False
    return not any(a.type in GRAPHS for node in (one, other) for a in node.attribute)


@cache
def _is_variadic(operator: str) -> bool:
    return any(formal.variadic for formal in signature(operator, newest_opset()).inputs)


def _apart(net: Net, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether both places are convex, neither reaches the other and is reached by it, and both are wired alike."""
    one, other = ({pair[k] for pair in pairs} for k in (0, 1))
    if not (net.is_convex(one) and net.is_convex(other)) or max(one | other) - min(one | other) > _SPAN:
        return False
    last = max(one | other)
    if net.after(one, last) & other and net.after(other, last) & one:
        return False
    inner = {a: b for i, j in pairs for a, b in zip(net.nodes[i].output, net.nodes[j].output, strict=True)}
    made = set(inner.values())
    for i, j in pairs:
        for a, b in slots(net.nodes[i], net.nodes[j]):
            if (a in inner or b in made) and (not a or inner.get(a) != b):
                return False
    return True


def slots(one: onnx.NodeProto, other: onnx.NodeProto) -> Iterator[tuple[str, str]]:
    """The inputs of two nodes side by side; what one has no more of is left out."""
    for place in range(max(len(one.input), len(other.input))):
        yield tuple(node.input[place] if place < len(node.input) else "" for node in (one, other))  # type: ignore[misc]
