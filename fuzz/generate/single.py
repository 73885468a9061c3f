"""Models of one operator on one element type, or on a pair of them: what support tables are probed with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx

from abstract.contributed import qualified
from abstract.dtypes import BY_CODE
from abstract.schema import signature
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import stored_type
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.run import Generated, generate_case
from fuzz.generate.settings import DEFAULT_DTYPES, Settings
from fuzz.generate.variables import second_type, second_variable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["operand_types", "pairs_of_types", "primary_types", "single_operator_cases", "types_beside"]

_TRIES = 40  # seeds looked at for one model; operators with many type variables need a few
_SETTINGS = Settings(rank=(0, 4), empty=0.0)
_BUILDERS = frozenset({"Optional", "SequenceConstruct"})  # without which there is no operand of others


def primary_types(operator: str, opset: int) -> tuple[str, ...]:
    """The element types that an operator's first input may have at an opset; its first output's where it has none."""
    sign = signature(operator, opset)
    return tuple(d.name for d in sign.types[(sign.inputs or sign.outputs)[0].variable])


def pairs_of_types(operator: str, opset: int) -> tuple[tuple[str, str], ...]:
    """Those that the first input and the second type variable may have; none where there is no second one."""
    variable = second_variable(operator, opset)
    seconds = signature(operator, opset).types[variable] if variable else ()
    return tuple((first, second.name) for first in primary_types(operator, opset) for second in seconds)


def single_operator_cases(
    operator: str, element_type: str, opset: int, count: int, *, second: str = "", settings: Settings = _SETTINGS
) -> list[Generated]:
    """Up to ``count`` cases whose only node is this operator with a first operand of this type, and of a second one.

    ``settings`` says what else is asked of the cases. Fewer where the generator finds no more within a fixed number of
    seeds.
    """
    if second:
        dtypes = _for_all(operator, opset, list(dict.fromkeys((element_type, second))))
    else:
        dtypes = types_beside(operator, opset, element_type)
    chosen = replace(settings, nodes=(1, 1), opset=opset, operators=(operator,), dtypes=dtypes)
    menu(chosen)
    found: list[Generated] = []
    for seed in range(_TRIES):
        if len(found) == count:
            break
        first, other = _types(seed, chosen)
        if first == element_type and (not second or other == second):
            found.append(generate_case(Seeded(seed), chosen))
    return found


def types_beside(
    operator: str, opset: int, element_type: str, common: Sequence[str] = ("int64", "bool", "float")
) -> tuple[str, ...]:
    """An element type and those that the other operands may be of: common ones, or the first that there is."""
    return _for_all(operator, opset, [element_type, *(n for n in common if n != element_type)])


def _for_all(operator: str, opset: int, found: list[str]) -> tuple[str, ...]:
    """Types, and one more for each type variable that may be none of them: the scales of quantised operands, say."""
    for allowed in signature(operator, opset).types.values():
        names = [d.name for d in allowed if d.name in DEFAULT_DTYPES]
        if names and not set(names) & set(found):
            found.append(names[0])
    return tuple(found)


def operand_types(model: bytes, operator: str) -> set[tuple[str, str]]:
    """The element types of a model's nodes of this operator: pairs of a formal input or output and a type of it.

    Of a container it is that of the tensors in it.
    """
    proto = onnx.ModelProto.FromString(model)
    known = {info.name: _element_type(info.type) for info in (*proto.graph.input, *proto.graph.output)}
    known.update((info.name, _element_type(info.type)) for info in proto.graph.value_info)
    known.update((tensor.name, tensor.data_type) for tensor in proto.graph.initializer)
    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    found: set[tuple[str, str]] = set()
    for node in proto.graph.node:
        if qualified(node.domain, node.op_type) != operator:
            continue
        sign = signature(operator, opsets[""])
        for names, formals in ((node.input, sign.inputs), (node.output, sign.outputs)):
            for position, name in enumerate(names):
                code = known.get(name, 0)
                if code in BY_CODE:
                    found.add((formals[min(position, len(formals) - 1)].name, BY_CODE[code].name))
    return found


def _element_type(kind: onnx.TypeProto) -> int:
    """The code of an element type; 0 where none is told."""
    while kind.WhichOneof("value") in {"sequence_type", "optional_type"}:
        kind = getattr(kind, str(kind.WhichOneof("value"))).elem_type
    return int(kind.tensor_type.elem_type)


def _types(seed: int, settings: Settings) -> tuple[str | None, str | None]:
    try:
        graph, _ = generate_graph(Seeded(seed), settings)
    except NothingFits:
        return None, None
    chosen = [node for node in graph.nodes if node.operator in settings.operators]
    if len(chosen) != 1 or any(node.operator not in _BUILDERS for node in graph.nodes if node is not chosen[0]):
        return None, None  # one that takes an input had to join it
    (node,) = chosen
    inputs = tuple(None if value is None else value.type.dtype for value in node.inputs)
    outputs = tuple(value.type.dtype for value in node.outputs)
    other = second_type(node.operator, settings.opset, inputs, outputs)
    second = None if other is None else other.name
    if inputs:
        return None if inputs[0] is None else inputs[0].name, second
    # The first input is a parameter: of the type of the output that shares its variable, or as it is written.
    sign = signature(node.operator, settings.opset)
    if not sign.inputs or sign.inputs[0].variable == sign.outputs[0].variable:
        return outputs[0].name, second
    first = sign.inputs[0]
    return stored_type(sign.types[first.variable], node.params.get(first.name)).name, second
