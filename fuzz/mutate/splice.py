"""Two models made one: what one computes feeds the other.

An output goes into an input of the same type and shape, or through Cast, Gather and Reshape, which every opset has.
The opsets are the same, or both models mean the same at a third one: each operator has one schema from here to there.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.defs
import onnx.helper
import onnx.numpy_helper

from abstract.schema import signature
from backends.graph import graphs
from fuzz.mutate.draw import coin, shuffled
from fuzz.mutate.mutant import Draft, close, settled
from fuzz.mutate.parent import Unfit, array_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Feed, Parent

__all__ = ["joinable", "splice"]

_PREFIX = "spliced_"
_LINKS = 3  # inputs of the second model that are fed by the first, at most


def splice(first: Parent, second: Parent, choices: Choices) -> Mutant:
    """The first model with the second behind it, on the first data set of each. Raises Unfit."""
    opset = _common_opset(first, second)
    front, back = deepcopy(first.model), deepcopy(second.model)
    close(front, first.feeds[0])  # two models agree at these sizes alone
    close(back, second.feeds[0])
    prefix = _PREFIX
    while any(name.startswith(prefix) for graph in graphs(front.graph) for name in _names(graph)):
        prefix = "re" + prefix
    _rename(back, prefix)
    links = _links(first, second, choices)
    told = []
    for source, sink in links:
        _link(front, back, first, second, source, sink, prefix)
        told.append(f"{source} feeds {sink}")
        if coin(choices, 50):
            _drop_output(front, source)
    merged = _merged(front, back, opset)
    feed: Feed = dict(first.feeds[0])
    fed = {sink for _, sink in links}
    feed.update((prefix + name, value) for name, value in second.feeds[0].items() if name not in fed)
    return settled(Draft(merged, (feed,), ", ".join(told)))


def joinable(first: Parent, second: Parent) -> bool:
    """Whether there is an opset at which both mean what they mean now, and something to join them by."""
    try:
        _common_opset(first, second)
    except Unfit:
        return False
    return any(isinstance(value, np.ndarray) for value in second.feeds[0].values())


# --- opsets -----------------------------------------------------------------------------------------------------


def _common_opset(first: Parent, second: Parent) -> int:
    """An opset at which both models mean what they mean now, the newer of the two where there is a choice."""
    ours, theirs = _domains(first.model), _domains(second.model)
    if any(ours[domain] != theirs[domain] for domain in set(ours) & set(theirs)):
        raise Unfit("opsets: another domain is imported in two versions")
    if first.opset == second.opset:
        return first.opset
    if first.model.functions or second.model.functions:
        raise Unfit("opsets: functions have their own")
    low, high = sorted((first.opset, second.opset))
    for opset in range(high, low - 1, -1):
        if all(_means_the_same(parent, opset) for parent in (first, second)):
            return opset
    raise Unfit("opsets: an operator changed between the two")


def _domains(model: onnx.ModelProto) -> dict[str, int]:
    return {o.domain: o.version for o in model.opset_import if o.domain not in ("", "ai.onnx")}


def _means_the_same(parent: Parent, opset: int) -> bool:
    if opset == parent.opset:
        return True
    nodes = [node for graph in graphs(parent.model.graph) for node in graph.node]
    used = {node.op_type for node in nodes if node.domain in ("", "ai.onnx")}
    try:
        return all(
            onnx.defs.get_schema(name, opset).since_version == onnx.defs.get_schema(name, parent.opset).since_version
            for name in used
        )
    except onnx.defs.SchemaError:
        return False


# --- names ------------------------------------------------------------------------------------------------------


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (*node.input, *node.output, node.name)
    yield from (info.name for info in graph.input)
    yield from (tensor.name for tensor in graph.initializer)


def _rename(model: onnx.ModelProto, prefix: str) -> None:
    """A prefix for every name of values, nodes and open sizes, in bodies too."""
    for graph in graphs(model.graph):
        for node in graph.node:
            node.input[:] = [name and prefix + name for name in node.input]
            node.output[:] = [name and prefix + name for name in node.output]
            node.name = node.name and prefix + node.name
        for tensor in graph.initializer:
            tensor.name = prefix + tensor.name
        for sparse in graph.sparse_initializer:
            sparse.values.name = prefix + sparse.values.name
        del graph.value_info[:]
        del graph.quantization_annotation[:]
        for info in (*graph.input, *graph.output):
            info.name = prefix + info.name
            for dim in info.type.tensor_type.shape.dim if info.type.HasField("tensor_type") else ():
                if dim.dim_param:
                    dim.dim_param = prefix + dim.dim_param


# --- the joint --------------------------------------------------------------------------------------------------


def _links(first: Parent, second: Parent, choices: Choices) -> list[tuple[str, str]]:
    """Pairs of an output and an input that it is to feed; those that fit as they are come first."""
    sources = [n for n in first.program.outputs if _is_number(first, n)]
    sinks = [n for n, v in second.feeds[0].items() if isinstance(v, np.ndarray) and _is_number(second, n)
             and n not in second.program.constants]
    if not sources or not sinks:
        raise Unfit("no joint: no output or no input is a tensor of numbers")
    pairs = shuffled(choices, [(a, b) for a in sources[:16] for b in sinks[:16]])
    pairs.sort(key=lambda pair: not _fits(first, second, *pair))
    usable = [pair for pair in pairs if _fits(first, second, *pair) or _adaptable(first, second, *pair)]
    if not usable:
        raise Unfit("no joint: no output can be made to fit an input")
    wanted = choices.integer(1, min(_LINKS, len(sinks)))
    found: dict[str, str] = {}
    for source, sink in usable:
        if len(found) < wanted and sink not in found:
            found[sink] = source
    return [(source, sink) for sink, source in found.items()]


def _is_number(parent: Parent, name: str) -> bool:
    """Whether a value is a tensor of finite numbers."""
    dtype, known = parent.dtypes.get(name), parent.values.get(name)
    if dtype is None or known is None or not known.shaped or not isinstance(known.value, np.ndarray):
        return False
    return dtype.is_integer or (dtype.is_float and bool(np.isfinite(known.value).all()))


def _fits(first: Parent, second: Parent, source: str, sink: str) -> bool:
    return first.dtypes[source] is second.dtypes[sink] and first.shape(source) == np.shape(second.feeds[0][sink])


def _adaptable(first: Parent, second: Parent, source: str, sink: str) -> bool:
    """Whether Gather, Reshape and Cast make of an output what an input asks for: its values lie in that type."""
    have, want = first.dtypes[source], second.dtypes[sink]
    array = array_of(first.values[source].value)
    if not array.size or 0 in np.shape(second.feeds[0][sink]) or (have.is_float and not want.is_float):
        return False
    if have not in signature("Gather", first.opset).types["T"]:
        return False
    return have is want or bool(array.min() >= want.minimum and array.max() <= want.maximum / 8)


def _link(
    front: onnx.ModelProto, back: onnx.ModelProto, first: Parent, second: Parent, source: str, sink: str, prefix: str
) -> None:
    """Take an input from the second model, and compute it from an output of the first."""
    have, want = first.shape(source), np.shape(second.feeds[0][sink])
    name, target = source, prefix + sink
    steps: list[tuple[str, list[str], dict[str, int]]] = []
    constants: dict[str, list[int]] = {}
    if have != want:
        count, held = int(np.prod(want)), int(np.prod(have))
        if held != count:
            constants = {"flat": [-1], "at": [i % held for i in range(count)]}
            steps += [("Reshape", [f"{target}_flat"], {}), ("Gather", [f"{target}_at"], {})]
        constants["shape"] = list(want)
        steps.append(("Reshape", [f"{target}_shape"], {}))
    if first.dtypes[source] is not second.dtypes[sink]:
        steps.append(("Cast", [], {"to": second.dtypes[sink].code}))
    if not steps:
        steps.append(("Identity", [], {}))
    for what, numbers in constants.items():
        tensor = onnx.numpy_helper.from_array(np.array(numbers, np.int64), f"{target}_{what}")
        front.graph.initializer.append(tensor)
    for number, (operator, more, attributes) in enumerate(steps):
        made = target if number == len(steps) - 1 else f"{target}_{number}"
        node = onnx.helper.make_node(operator, [name, *more], [made], name=f"{made}_from")
        node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in attributes.items())
        front.graph.node.append(node)
        name = made
    at = next(i for i, info in enumerate(back.graph.input) if info.name == target)
    del back.graph.input[at]


def _drop_output(model: onnx.ModelProto, name: str) -> None:
    """What feeds the second model need not be an output as well; the first keeps what else it gives."""
    for index, info in enumerate(model.graph.output):
        if info.name == name:
            del model.graph.output[index]
            return


def _merged(front: onnx.ModelProto, back: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    known = {(f.domain, f.name, f.overload): f for f in front.functions}
    for function in back.functions:
        own = known.get((function.domain, function.name, function.overload))
        if own is None:
            front.functions.append(function)
        elif own != function:
            raise Unfit("no joint: two functions of one name")
    for field in ("node", "initializer", "sparse_initializer", "input", "output"):
        getattr(front.graph, field).extend(getattr(back.graph, field))
    domains = {**_domains(front), **_domains(back)}
    del front.opset_import[:]
    front.opset_import.append(onnx.helper.make_opsetid("", opset))
    front.opset_import.extend(onnx.helper.make_opsetid(name, version) for name, version in domains.items())
    oldest = onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])
    front.ir_version = max(front.ir_version, back.ir_version, oldest)
    return front
