"""Simpler contents: attributes, numbers, names. Passes as plain functions over the best candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.dtypes import BY_NAME
from backends.graph import graphs
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.triage.candidate import Candidate, encoded, forget_shapes
from fuzz.triage.selection import declared
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from abstract.operator import Array
    from backends.tensor import Value
    from fuzz.triage.search import Search

__all__ = ["bare", "drop_attributes", "drop_data_sets", "drop_inputs", "drop_outputs", "filled", "free_constants",
           "plain", "plainer", "simplify_values"]  # fmt: skip


def drop_data_sets(search: Search) -> None:
    """Keep the data set in question alone; where that does not fail, leave out each that can go."""
    feeds = search.best.feeds
    if len(feeds) < 2:
        return
    verdict = search.first_seen.verdict
    told = [verdict.data_set] if verdict is not None and verdict.data_set < len(feeds) else []
    singles = dict.fromkeys((*told, *range(len(feeds))))
    if search.attempt(search.best.with_feeds([feeds[at]]) for at in singles):
        return
    while len(feeds := search.best.feeds) > 2:
        fewer = (search.best.with_feeds((*feeds[:at], *feeds[at + 1 :])) for at in range(len(feeds)))
        if not search.attempt(fewer):
            return


def free_constants(search: Search) -> None:
    """Constants that are data and no parameters become inputs: what a compiler cannot know it cannot fold."""
    whole = search.whole()
    if whole is None:
        return
    proto = search.best.proto()
    graph, feeds = proto.graph, [dict(feed) for feed in search.best.feeds]
    taken = {info.name for info in graph.input} | {info.name for info in graph.output}
    free = [t for t in graph.initializer if t.name not in whole.known.parameters and t.name not in taken]
    for tensor in free:
        value = _tensor(tensor)
        if value is not None:
            graph.input.append(declared(onnx.ValueInfoProto(name=tensor.name), [value]))
            graph.initializer.remove(tensor)
            for feed in feeds:
                feed[tensor.name] = value
    if free:
        search.attempt([encoded(proto, feeds)])


def drop_outputs(search: Search) -> None:
    """Return less: one output, else all but one."""

    def kept(names: list[str]) -> Candidate:
        proto = search.best.proto()
        outputs = [info for info in proto.graph.output if info.name in names]
        del proto.graph.output[:]
        proto.graph.output.extend(outputs)
        return encoded(proto, search.best.feeds)

    names = [info.name for info in search.best.proto().graph.output]
    if len(names) > 1 and search.attempt(kept([name]) for name in names):
        return
    while len(names) > 2 and search.attempt(kept([n for n in names if n != name]) for name in names):
        names = [info.name for info in search.best.proto().graph.output]


def drop_inputs(search: Search) -> None:
    """Ask for what is read: inputs that no node reads and no output returns go, all at once, else each by itself."""
    proto = search.best.proto()
    kept = {name for graph in graphs(proto.graph) for node in graph.node for name in node.input}
    kept |= {info.name for graph in graphs(proto.graph) for info in graph.output}
    unread = [info.name for info in proto.graph.input if info.name not in kept]

    def without(names: Collection[str]) -> Candidate:
        proto = search.best.proto()
        inputs = [info for info in proto.graph.input if info.name not in names]
        del proto.graph.input[:]
        proto.graph.input.extend(inputs)
        return encoded(proto, search.best.feeds)

    if unread and not search.attempt([without(unread)]) and len(unread) > 1:
        for name in unread:
            search.attempt([without([name])])


# --- attributes -----------------------------------------------------------------------------------------------------


def drop_attributes(search: Search) -> None:
    """Leave attributes out, all or one by one, or give them plain values: 0, 1, lists of them."""
    if not any(_plain_attributes(node) for graph in graphs(search.best.proto().graph) for node in graph.node):
        return
    search.attempt(search.laboratory.apart(bare, search.best) or ())
    places = [
        (place, at, attribute.name)
        for place, graph in enumerate(graphs(search.best.proto().graph))
        for at, node in enumerate(graph.node)
        for attribute in _plain_attributes(node)
    ]  # fmt: skip
    for place, at, name in places:
        if any(a.name == name for a in list(graphs(search.best.proto().graph))[place].node[at].attribute):
            search.attempt(search.laboratory.apart(plainer, search.best, place, at, name) or ())


def _plain_attributes(node: onnx.NodeProto) -> list[onnx.AttributeProto]:
    """The attributes that may be left out or changed: not bodies, nor the values of constants."""
    if node.op_type == "Constant":
        return []
    return [a for a in node.attribute if not (a.HasField("g") or a.graphs)]


def bare(candidate: Candidate) -> list[Candidate]:
    """Without any attribute but bodies and the values of constants."""
    proto = candidate.proto()
    for graph in graphs(proto.graph):
        for node in graph.node:
            for attribute in _plain_attributes(node):
                node.attribute.remove(attribute)
    forget_shapes(proto)
    return [encoded(proto, candidate.feeds)]


def plainer(candidate: Candidate, place: int, at: int, name: str) -> list[Candidate]:
    """Without one attribute, or with a plain value of it."""
    node = list(graphs(candidate.proto().graph))[place].node[at]
    attribute = next(a for a in node.attribute if a.name == name)
    value = onnx.helper.get_attribute_value(attribute)
    others = [None, *(other for other in _plain_values(value) if other != value)]
    return [_changed(candidate, place, at, name, other) for other in others]


def _plain_values(value: Any) -> list[Any]:
    if isinstance(value, int):
        return [0, 1]
    if isinstance(value, float):
        return [0.0, 1.0, 0.5, float(round(value))] if np.isfinite(value) else []
    if isinstance(value, list) and value and isinstance(value[0], int):
        return [[0] * len(value), [1] * len(value)]
    if isinstance(value, list) and value and isinstance(value[0], float):
        return [[1.0] * len(value), [float(round(x)) for x in value]]
    return []


def _changed(candidate: Candidate, place: int, at: int, name: str, value: Any) -> Candidate:
    """With one attribute changed, or left out for None."""
    proto = candidate.proto()
    node = list(graphs(proto.graph))[place].node[at]
    position = next(i for i, a in enumerate(node.attribute) if a.name == name)
    if value is None:
        del node.attribute[position]
    else:
        node.attribute[position].CopyFrom(onnx.helper.make_attribute(name, value))
    forget_shapes(proto)
    return encoded(proto, candidate.feeds)


# --- numbers --------------------------------------------------------------------------------------------------------


def simplify_values(search: Search) -> None:
    """Zeros, ones, small integers, one element that is not zero: everywhere, else in each tensor."""
    if plain(search.best) or search.attempt(filled(search.best, number) for number in (1, 0)):
        return
    for number, feed in enumerate(search.best.feeds):
        for name, value in feed.items():
            if isinstance(value, Tensor):
                _simplify(search, value, lambda c, v, n=number, k=name: _with_input(c, n, k, v))  # type: ignore[misc]
    for tensor in search.best.proto().graph.initializer:
        value = _tensor(tensor)
        if value is not None:
            _simplify(search, value, lambda c, v, k=tensor.name: _with_constant(c, k, v))  # type: ignore[misc]


def plain(candidate: Candidate) -> bool:
    """Whether it holds nothing but ones, or nothing but zeros: neither is plainer than the other."""
    return candidate in (filled(candidate, 1), filled(candidate, 0))


def filled(candidate: Candidate, number: int) -> Candidate:
    """With one number everywhere: in the inputs, and in the constants of fractions."""
    proto = candidate.proto()
    for tensor in proto.graph.initializer:
        value = _tensor(tensor)
        if value is not None and value.element_type in BY_NAME and BY_NAME[value.element_type].is_float:
            same = _full(to_numpy(value), number)
            tensor.CopyFrom(onnx.TensorProto.FromString(encode_value(tensor.name, same)))
    feeds = [{n: _number(v, number) for n, v in feed.items()} for feed in candidate.feeds]
    return encoded(proto, feeds)


def _number(value: Value, number: int) -> Value:
    if not isinstance(value, Tensor) or value.element_type == "string":
        return value
    return _full(to_numpy(value), number)


def _simplify(search: Search, value: Tensor, put: Callable[[Candidate, Tensor], Candidate]) -> None:
    if value.element_type == "string" or not value.data:
        return
    array = to_numpy(value)
    for simpler in _simpler(value, array):
        if search.attempt([put(search.best, simpler)]):
            array = to_numpy(simpler)
            break
    for keep in _parts(array.size):
        flat = np.zeros_like(array).reshape(-1)
        flat[keep] = array.reshape(-1)[keep]
        changed = flat.reshape(array.shape)
        if (array == array.reshape(-1)[:1]).all():
            return
        if not np.array_equal(changed, array) and search.attempt([put(search.best, from_numpy(changed))]):
            array = changed


def _simpler(value: Tensor, array: Array) -> Iterator[Tensor]:
    dtype = BY_NAME[value.element_type]
    found = [_full(array, 0), _full(array, 1)]
    with np.errstate(all="ignore"):
        if dtype.is_integer:
            whole = array.astype(np.int64 if dtype.minimum < 0 else np.uint64)
            found += (from_numpy(np.clip(whole, max(-n, dtype.minimum), n).astype(array.dtype)) for n in (1, 3, 10))
        if dtype.is_float:
            wide = array.astype(np.float64)
            found.append(from_numpy(np.sign(wide).astype(array.dtype)))
            found += (from_numpy((np.round(wide * n) / n).astype(array.dtype)) for n in (1, 4))
    yield from (tensor for tensor in dict.fromkeys(found) if tensor != value)


def _full(array: Array, number: int) -> Tensor:
    return from_numpy(np.full(array.shape, number).astype(array.dtype))


def _parts(count: int) -> list[slice]:
    """Where to look for the elements that matter: the first, the last, the halves."""
    half = count // 2
    return [slice(0, 1), slice(count - 1, count), slice(0, half), slice(half, count)] if count > 1 else []


def _with_input(candidate: Candidate, number: int, name: str, value: Tensor) -> Candidate:
    feeds = [dict(feed) for feed in candidate.feeds]
    feeds[number][name] = value
    return candidate.with_feeds(feeds)


def _with_constant(candidate: Candidate, name: str, value: Tensor) -> Candidate:
    proto = candidate.proto()
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.TensorProto.FromString(encode_value(name, value)))
    return encoded(proto, candidate.feeds)


def _tensor(tensor: onnx.TensorProto) -> Tensor | None:
    try:
        return from_numpy(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError):
        return None
