"""The same nodes, written down in another way: constants, bodies, functions, copies, what nobody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.helper
import onnx.numpy_helper

from backends.tensor import ONNX_NUMBERS, Tensor, from_numpy
from fuzz.relations.rewrite import Rewrite

if TYPE_CHECKING:
    from fuzz.relations.site import Site

__all__ = ["STRUCTURE"]

_FUNCTION_DOMAIN = "relation"
_FUNCTION_IR_VERSION = 8  # the first with functions in a model
_BODIES = ("If", "Loop", "Scan")
_NUMBERS = frozenset({"float", "double", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                      "uint64", "bool"})  # fmt: skip


def _whole(site: Site) -> onnx.NodeProto | None:
    """A node that can be put into a body: no body itself, its outputs of known types."""
    node: onnx.NodeProto | None = site.find(
        accept=lambda n: n.op_type not in _BODIES and all(name and site.type(name) is not None for name in n.output)
    )
    return node


def _info(site: Site, name: str, own: str) -> onnx.ValueInfoProto:
    kind = site.base.types[own]
    return onnx.helper.make_tensor_value_info(name, kind.dtype.code, kind.shape)


def _constant_as_node(site: Site) -> bool:
    """An initializer becomes a Constant node."""
    used = {name for node in site.nodes for name in node.input}
    outputs = {o.name for o in site.model.graph.output}
    names = [n for n in site.base.initializers if n in used and n not in outputs]
    name = site.pick(names)
    if name is None:
        return False
    value = onnx.TensorProto()
    value.CopyFrom(site.base.initializers[name])
    site.nodes.insert(0, onnx.helper.make_node("Constant", [], [name], name=site.name(), value=value))
    site.drop_initializers([name])
    site.place = f"initializer {name!r}"
    return True


def _constant_as_initializer(site: Site) -> bool:
    """A Constant node becomes an initializer."""
    node = site.find("Constant", accept=lambda n: n.attribute[0].name == "value")
    if node is None:
        return False
    value = onnx.TensorProto()
    value.CopyFrom(node.attribute[0].t)
    value.name = node.output[0]
    site.nodes.remove(node)
    site.added.append(value)
    site.place = f"Constant {value.name!r}"
    return True


def _in_branch(site: Site) -> bool:
    """A node stands in the branch that a constant condition takes; the other branch computes it as well."""
    node = _whole(site)
    if node is None:
        return False
    taken = bool(site.draw(2))
    condition = site.name()
    value = onnx.TensorProto(name=condition, data_type=onnx.TensorProto.BOOL, raw_data=bytes([taken]))
    site.added.append(value)
    branches = {}
    for branch in ("then", "else"):
        inner = onnx.NodeProto()
        inner.CopyFrom(node)
        names = [site.name() for _ in node.output]
        del inner.output[:]
        inner.output.extend(names)
        inner.name = f"{node.name}_{branch}"
        infos = [_info(site, new, old) for new, old in zip(names, node.output, strict=True)]
        branches[f"{branch}_branch"] = onnx.helper.make_graph([inner], f"{branch} of {node.name}", [], infos)
    outputs = [site.name() for _ in node.output]
    site.add(onnx.helper.make_node("If", [condition], outputs, name=outputs[0], **branches))
    return site.substitute(node, outputs)


def _in_function(site: Site) -> bool:
    """A node stands in a function of the model."""
    node = site.find(accept=lambda n: n.op_type not in _BODIES and n.op_type != "Constant" and all(n.output))
    if node is None:
        return False
    given = [name for name in dict.fromkeys(node.input) if name]
    function = site.model.functions.add(domain=_FUNCTION_DOMAIN, name="Wrapped")
    formals = {name: f"f{i}" for i, name in enumerate(given)}
    inner = function.node.add()
    inner.CopyFrom(node)
    for i, name in enumerate(inner.input):
        inner.input[i] = formals.get(name, "")
    for i in range(len(inner.output)):
        inner.output[i] = f"r{i}"
    function.input.extend(formals.values())
    function.output.extend(inner.output)
    function.opset_import.extend(site.model.opset_import)
    site.model.opset_import.add(domain=_FUNCTION_DOMAIN, version=1)
    site.model.ir_version = max(site.model.ir_version, _FUNCTION_IR_VERSION)
    outputs = [site.name() for _ in node.output]
    site.add(onnx.helper.make_node("Wrapped", given, outputs, name=outputs[0], domain=_FUNCTION_DOMAIN))
    return site.substitute(node, outputs)


def _computed_twice(site: Site) -> bool:
    """A node is there twice, and one of its readers reads the copy."""
    makers = {name: node for node in site.nodes for name in node.output if name}
    edges = [edge for edge in site.edges() if edge.position >= 0 and edge.value in makers]
    edge = site.pick(edges)
    if edge is None:
        return False
    maker = makers[edge.value]
    copy = onnx.NodeProto()
    copy.CopyFrom(maker)
    copy.name = site.name()
    for i, name in enumerate(copy.output):
        copy.output[i] = site.name() if name else ""
    edge.node.input[edge.position] = copy.output[list(maker.output).index(edge.value)]
    site.add(copy)
    site.before(edge.node)
    site.place = f"{maker.op_type} {maker.name or maker.output[0]!r}, {edge}"
    return True


def _is_number(site: Site, name: str) -> bool:
    kind = site.type(name)
    return kind is not None and kind.dtype.name in _NUMBERS


def _dead_code(site: Site) -> bool:
    """A node that nobody reads: another reader of a value that has one."""
    computed = [name for node in site.nodes for name in node.output if name]
    name = site.pick([name for name in computed if _is_number(site, name)])
    if name is None:
        return False
    narrowed = site.node("Cast", [name], to=onnx.TensorProto.BOOL)
    site.node("Not", [narrowed])
    site.at_end(f"behind {name!r}")
    return True


def _output_twice(site: Site) -> bool:
    """An output is there a second time under another name."""
    outputs = [o for o in site.model.graph.output if (k := site.type(o.name)) and site.allows("Identity", k.dtype)]
    output = site.pick(outputs)
    if output is None:
        return False
    site.copies.append(output.name)
    copy = site.model.graph.output.add()
    copy.CopyFrom(output)
    copy.name = site.node("Identity", [output.name])
    site.at_end(f"behind output {output.name!r}")
    return True


def _constant_lifted(site: Site) -> bool:
    """Initializers that carry data become inputs; what decides shapes stays constant."""
    name = site.pick(site.data_constants())
    if name is None:
        return False
    site.lifted[name] = from_numpy(onnx.numpy_helper.to_array(site.base.initializers[name]))
    site.model.graph.input.append(_info(site, name, name))
    site.drop_initializers([name])
    site.place = f"initializer {name!r}"
    return True


def _input_frozen(site: Site) -> bool:
    """Inputs become initializers with the values of the first data set, so that all behind them can be folded."""
    tensors = {n: v for n, v in site.base.inputs.items() if isinstance(v, Tensor)}
    names = [i.name for i in site.model.graph.input if i.name in tensors and i.name not in _defaults(site)]
    outputs = {o.name for o in site.model.graph.output}
    one = site.pick([n for n in names if n not in outputs])
    if one is None:
        return False
    chosen = names if site.draw(2) and not outputs & set(names) else [one]
    kept = [i for i in site.model.graph.input if i.name not in chosen]
    graph = onnx.GraphProto()
    graph.input.extend(kept)
    del site.model.graph.input[:]
    site.model.graph.input.extend(graph.input)
    for name in chosen:
        value = tensors[name]
        site.added.append(
            onnx.TensorProto(
                name=name, data_type=ONNX_NUMBERS[value.element_type], dims=value.shape, raw_data=value.data
            )
        )
    site.frozen.update(chosen)
    site.place = "input" + "s" * (len(chosen) > 1) + " " + ", ".join(map(repr, chosen))
    return True


def _defaults(site: Site) -> set[str]:
    return {t.name for t in site.model.graph.initializer}


STRUCTURE = (
    Rewrite("constant-as-node", "an initializer as a Constant node", _constant_as_node),
    Rewrite("constant-as-initializer", "a Constant node as an initializer", _constant_as_initializer),
    Rewrite("in-branch", "node = If(constant, node, node)", _in_branch, opaque=True),
    Rewrite("in-function", "node = a function of the model that is that node", _in_function, opaque=True),
    Rewrite("computed-twice", "one reader of a value reads a copy of the node", _computed_twice),
    Rewrite("dead-code", "nodes that nobody reads", _dead_code),
    Rewrite("output-twice", "an output under a second name", _output_twice),
    Rewrite("constant-lifted", "an initializer as an input", _constant_lifted),
    Rewrite("input-frozen", "inputs as initializers, so that what hangs on them can be folded", _input_frozen),
)
