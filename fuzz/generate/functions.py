"""Parts of a finished model moved into functions of its own (FunctionProto): what it computes stays what it was.

A function is a convex set of nodes, so that no path leaves and enters it again, or two such sets that are alike and
become two calls. It is a scope of its own: names in it may be those of values outside. What ONNX says of functions
stands in IR.md, Functions; what a call leaves out is absent inside (ONNX's inliner, ``inlining_renamer``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import onnx

from abstract.capture import captured
from abstract.schema import newest_opset, signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fuzz.generate.choices import Choices

__all__ = ["fold"]

_FUNCTIONS, _DEFAULTS = 8, 9  # the versions of the format that brought functions, and defaults of their attributes
_OLDEST = 13
_CUTS = frozenset(("Slice", "Squeeze", "Unsqueeze"))
_DOMAINS = ("local", "org.example.layers", "dnnfuzz")
_MOST = 6  # nodes of one function
_SPAN = 64  # nodes from the first to the last of a function: what is looked at to keep it convex
_TRIES = 8
_LARGEST = 4096  # bytes of a constant that moves into a function
_OPTIONAL = frozenset(("SplitToSequence",))  # inference asks whether an input has a name, which it has inside
_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def fold(model: bytes, choices: Choices, count: int, *, constants: bool = True) -> bytes:
    """The model with up to so many functions; later ones may hold calls of earlier ones.

    ``constants``: whether Constant nodes may be made, of initializers that move into a function.
    """
    proto = onnx.ModelProto.FromString(model)
    calls: list[str] = []
    for _ in range(count):
        net = _Net(proto)
        found = _found(net, choices, calls)
        if found:
            calls = _Function(proto, net, found, choices, constants=constants).install()
    return bytes(proto.SerializeToString(deterministic=True))


class _Net:
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
        return any(node.op_type in _CUTS or node.domain in _DOMAINS for node in readers)

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


# -- which nodes -------------------------------------------------------------------------------------------------


def _found(net: _Net, choices: Choices, calls: Sequence[str]) -> list[tuple[int, int]] | None:
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


def _twins(net: _Net, choices: Choices, start: int) -> list[tuple[int, int]] | None:
    """A node and another like it, with what leads up to both as far as it is alike too."""
    near = range(max(0, start - _SPAN), min(len(net.nodes), start + _SPAN))
    likes = [i for i in near if i != start and i not in net.rooted and _alike(net.nodes[start], net.nodes[i])]
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
            if _alike(*(net.nodes[i] for i in more)) and _apart(net, [*pairs, more]):
                pairs.append(more)
        place += 1
    return sorted(pairs) if _apart(net, pairs) else None


def _alike(one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    """Whether one node of a function may stand for both: attributes may differ, and inputs be left out."""
    if (one.op_type, one.domain, len(one.output)) != (other.op_type, other.domain, len(other.output)):
        return False
    if [bool(n) for n in one.output] != [bool(n) for n in other.output]:
        return False
    if one.op_type in _OPTIONAL and [bool(n) for n in one.input] != [bool(n) for n in other.input]:
        return False
    if len(one.input) != len(other.input) and (one.domain or _is_variadic(one.op_type)):
        return False
    return not any(a.type in _GRAPHS for node in (one, other) for a in node.attribute)


@cache
def _is_variadic(operator: str) -> bool:
    return any(formal.variadic for formal in signature(operator, newest_opset()).inputs)


def _apart(net: _Net, pairs: Sequence[tuple[int, int]]) -> bool:
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
        for a, b in _slots(net.nodes[i], net.nodes[j]):
            if (a in inner or b in made) and (not a or inner.get(a) != b):
                return False
    return True


def _slots(one: onnx.NodeProto, other: onnx.NodeProto) -> Iterator[tuple[str, str]]:
    """The inputs of two nodes side by side; what one has no more of is left out."""
    for place in range(max(len(one.input), len(other.input))):
        yield tuple(node.input[place] if place < len(node.input) else "" for node in (one, other))  # type: ignore[misc]


# -- the function -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Parameter:
    """An attribute of a function: its value in each call (None where it is left out), and whether one is its default.

    The default is the value of the first call.
    """

    values: tuple[onnx.AttributeProto | None, ...]
    default: bool


class _Function:
    """A function under construction, of the nodes in one place or in two, and its calls."""

    def __init__(
        self, proto: onnx.ModelProto, net: _Net, pairs: Sequence[tuple[int, int]], choices: Choices, *, constants: bool
    ) -> None:
        self.proto = proto
        self.net = net
        self.pairs = pairs
        self.choices = choices
        self.places = [{pair[k] for pair in pairs} for k in range(1 if pairs[0][0] == pairs[0][1] else 2)]
        self.function = onnx.FunctionProto()
        given = {port.name for port in proto.graph.input}
        tensors = {t.name: t for t in proto.graph.initializer}
        self.names = given | tensors.keys() | net.maker.keys()
        opset = next(o.version for o in proto.opset_import if not o.domain)
        allowed = _constant_types(opset) if constants else frozenset()
        self.tensors = {n: t for n, t in tensors.items() if t.data_type in allowed and n not in given}
        self.made = {name for i, _ in pairs for name in net.makes[i]}
        self.body: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, str], onnx.NodeProto] = {}
        self.formals: dict[tuple[str, str], str] = {}
        self.parameters: dict[str, _Parameter] = {}

    def install(self) -> list[str]:
        """Put it into the model and its calls where the nodes were; what one of them gives."""
        self.baptise()
        for i, j in self.pairs:
            self.node(self.net.nodes[i], self.net.nodes[j])
        self.function.node.extend([*self.constants.values(), *self.body])
        arguments = list(self.formals)
        self.function.input.extend(self.formals.values())
        if arguments and not self.choices.integer(0, 15):
            arguments.append(arguments[0])  # an input that no node inside reads
            self.function.input.append(self.free("unread"))
        outputs = self.outputs()
        self.function.output.extend(pair[0] for pair in outputs)
        self.declare()
        self.imports()
        pairs = list(zip(self.places, range(2), strict=False))
        calls = [self.call(k, [a[k] for a in arguments], [pair[k] for pair in outputs]) for _, k in pairs]
        self.place(calls)
        self.forget()
        self.proto.functions.add().CopyFrom(self.function)
        self.proto.ir_version = max(self.proto.ir_version, _FUNCTIONS)
        return list(calls[0].output)

    def baptise(self) -> None:
        """A domain and a name: now and then that of a standard operator, which means nothing in another domain."""
        self.function.domain = _DOMAINS[self.choices.integer(0, len(_DOMAINS) - 1)]
        own = {f.name for f in self.proto.functions if f.domain == self.function.domain}
        name = self.net.nodes[self.pairs[-1][0]].op_type
        plain = self.choices.integer(0, 3) > 0 or name in own
        self.function.name = f"Part{len(self.proto.functions)}" if plain else name

    # -- what is in it

    def node(self, one: onnx.NodeProto, other: onnx.NodeProto) -> None:
        """A node of the function for a node of the first place and one of the second."""
        made = onnx.NodeProto()
        made.CopyFrom(one)
        del made.input[:]
        made.input.extend([self.inner(a, b) for a, b in _slots(one, other)])
        for name in dict.fromkeys(captured(one)):
            if name in self.names:  # else the body's own
                self.inner(name, name)
        values = {a.name: a for a in other.attribute}
        for attribute in made.attribute:
            self.attribute(attribute, values.pop(attribute.name, None))
        for attribute in values.values():
            self.refer(made.attribute.add(name=attribute.name, type=attribute.type), None, attribute)
        self.body.append(made)

    def inner(self, one: str, other: str) -> str:
        """What a value is called inside that is called this in the first place, and that in the second."""
        if one in self.made:
            return one
        if not one and not other and self.choices.integer(0, 1):
            return ""  # left out everywhere; else it is an input that all calls leave out
        key = (one, other)
        if key in self.constants:
            return str(self.constants[key].output[0])
        if key not in self.formals:
            name = self.free(one or "left")
            tensors = (self.tensors.get(one), self.tensors.get(other))
            if _is_same(*tensors) and self.choices.integer(0, 1):
                constant = onnx.NodeProto(op_type="Constant", output=[name])
                constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensors[0])
                self.constants[key] = constant
                return name
            self.formals[key] = name
        return self.formals[key]

    def free(self, name: str) -> str:
        """A name that no value inside has yet."""
        taken = {*self.formals.values(), *(c.output[0] for c in self.constants.values()), *self.made}
        while name in taken:
            name += "_"
        return name

    def attribute(self, attribute: onnx.AttributeProto, other: onnx.AttributeProto | None) -> None:
        """Keep an attribute of a node as it is, or make it a parameter."""
        if attribute.type in _GRAPHS or (attribute == other and self.choices.integer(0, 3)):
            return
        value = onnx.AttributeProto()
        value.CopyFrom(attribute)
        attribute.Clear()
        attribute.name, attribute.type = value.name, value.type
        self.refer(attribute, value, other)

    def refer(
        self, attribute: onnx.AttributeProto, one: onnx.AttributeProto | None, other: onnx.AttributeProto | None
    ) -> None:
        """Let an attribute refer to a parameter of the function that has these values in its calls."""
        name = attribute.name
        while name in self.parameters:
            name += "_"
        attribute.ref_attr_name = name
        values = (one, other)[: len(self.places)]
        self.parameters[name] = _Parameter(values, None not in values and not self.choices.integer(0, 1))

    def declare(self) -> None:
        """List the parameters; with their defaults where they have one."""
        for name, parameter in self.parameters.items():
            if not parameter.default:
                self.function.attribute.append(name)
                continue
            default = self.function.attribute_proto.add()
            default.CopyFrom(parameter.values[0])
            default.name = name
            self.proto.ir_version = max(self.proto.ir_version, _DEFAULTS)

    def outputs(self) -> list[tuple[str, str]]:
        """What is read outside of either place; now and then a value more. In any order."""
        found: list[tuple[str, str]] = []
        rest: list[tuple[str, str]] = []
        for pair in self.pairs:
            for names in zip(*(self.net.nodes[i].output for i in pair), strict=True):
                needed = any(self.net.needed(n, members) for n, members in zip(names, self.places, strict=False))
                (found if needed else rest).append(names)
        rest = [names for names in rest if names[0]]
        if rest and (not found or not self.choices.integer(0, 7)):
            found.append(rest[-1])
        return found[::-1] if self.choices.integer(0, 1) else found

    def imports(self) -> None:
        """The operator sets that it names: of ONNX's own any version in which its operators are the same."""
        model = {o.domain: o.version for o in self.proto.opset_import}
        domains = {node.domain: None for node in _all(self.function.node)}
        for domain in sorted(domains):
            version = model[domain]
            if not domain and self.choices.integer(0, 1):
                version = self.choices.integer(_oldest(_all(self.function.node), version), version)
            self.function.opset_import.add(domain=domain, version=version)
        if self.function.domain not in model:
            self.proto.opset_import.add(domain=self.function.domain, version=self.choices.integer(1, 3))

    # -- its calls

    def call(self, place: int, arguments: list[str], outputs: list[str]) -> onnx.NodeProto:
        """The call in one of the places."""
        node = onnx.NodeProto(op_type=self.function.name, domain=self.function.domain, output=outputs)
        node.name = f"call{len(self.proto.functions)}_{place}"
        while arguments and not arguments[-1] and self.choices.integer(0, 3):
            arguments.pop()
        node.input.extend(arguments)
        for name, parameter in self.parameters.items():
            value = parameter.values[place]
            if value is None or (parameter.default and value == parameter.values[0] and self.choices.integer(0, 1)):
                continue
            given = node.attribute.add()
            given.CopyFrom(value)
            given.name = name
        return node

    def place(self, calls: Sequence[onnx.NodeProto]) -> None:
        """Put the calls where the last of their nodes were, or as far behind as what they read asks for."""
        inside = set.union(*self.places)
        kept = [(i, node) for i, node in enumerate(self.net.nodes) if i not in inside]
        kept += [(max(members), call) for members, call in zip(self.places, calls, strict=True)]
        nodes = _sorted([node for _, node in sorted(kept, key=lambda pair: pair[0])])
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del self.proto.graph.node[:]
        self.proto.graph.node.extend(copies)

    def forget(self) -> None:
        """Take initializers out of the graph that moved into the function altogether, and types of what did."""
        moved = {name for key in self.constants for name in key}
        read = {name for node in self.proto.graph.node for name in (*node.input, *captured(node))} | self.net.exposed
        made = {name for node in self.proto.graph.node for name in node.output}
        for info in [info for info in self.proto.graph.value_info if info.name not in made]:
            self.proto.graph.value_info.remove(info)
        kept = [tensor for tensor in self.proto.graph.initializer if tensor.name not in moved - read]
        if len(kept) < len(self.proto.graph.initializer):
            copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
            del self.proto.graph.initializer[:]
            self.proto.graph.initializer.extend(copies)


@cache
def _constant_types(opset: int) -> frozenset[int]:
    """The element types, by number, that a Constant node may have."""
    sign = signature("Constant", opset)
    return frozenset(kind.code for kind in sign.types[sign.outputs[0].variable])


def _is_same(one: onnx.TensorProto | None, other: onnx.TensorProto | None) -> bool:
    """Whether two initializers hold the same, and little enough to be a constant of a function."""
    if one is None or other is None or one.ByteSize() > _LARGEST:
        return False
    return one is other or (one.data_type, one.dims, one.raw_data, one.string_data) == (
        other.data_type, other.dims, other.raw_data, other.string_data
    )  # fmt: skip


def _all(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, and those in their bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type in _GRAPHS:
                yield from _all(attribute.g.node)


def _oldest(nodes: Iterable[onnx.NodeProto], version: int) -> int:
    """The oldest version of the operator set in which all these operators are what they are in this one."""
    since = (signature(node.op_type, version).since for node in nodes if not node.domain)
    return min(version, max(_OLDEST, *since, _OLDEST))


def _sorted(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Nodes in topological order, near to the order in which they come."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    readers: dict[int, list[int]] = {}
    waits = [0] * len(nodes)
    for i, node in enumerate(nodes):
        for source in {maker[name] for name in (*node.input, *captured(node)) if name in maker}:
            readers.setdefault(source, []).append(i)
            waits[i] += 1
    ready = [i for i, count in enumerate(waits) if not count]
    result = []
    while ready:
        i = heappop(ready)
        result.append(nodes[i])
        for reader in readers.get(i, ()):
            waits[reader] -= 1
            if not waits[reader]:
                heappush(ready, reader)
    if len(result) < len(nodes):
        raise AssertionError("a function tied its graph into a knot")
    return result
