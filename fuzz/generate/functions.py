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
from abstract.schema import signature
from fuzz.generate.convex import DOMAINS, GRAPHS, Net, choose, slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fuzz.generate.choices import Choices

__all__ = ["fold"]

_FUNCTIONS, _DEFAULTS = 8, 9  # the versions of the format that brought functions, and defaults of their attributes
_OLDEST = 13
_LARGEST = 4096  # bytes of a constant that moves into a function


def fold(model: bytes, choices: Choices, count: int, *, constants: bool = True) -> bytes:
    """The model with up to so many functions; later ones may hold calls of earlier ones.

    ``constants``: whether Constant nodes may be made, of initializers that move into a function.
    """
    proto = onnx.ModelProto.FromString(model)
    calls: list[str] = []
    for _ in range(count):
        net = Net(proto)
        found = choose(net, choices, calls)
        if found:
            calls = _Function(proto, net, found, choices, constants=constants).install()
    return bytes(proto.SerializeToString(deterministic=True))


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
        self, proto: onnx.ModelProto, net: Net, pairs: Sequence[tuple[int, int]], choices: Choices, *, constants: bool
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
        self.function.domain = DOMAINS[self.choices.integer(0, len(DOMAINS) - 1)]
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
        made.input.extend([self.inner(a, b) for a, b in slots(one, other)])
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
        if attribute.type in GRAPHS or (attribute == other and self.choices.integer(0, 3)):
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
            if attribute.type in GRAPHS:
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
