"""Models of one operator on one element type: what support tables are probed with."""

from __future__ import annotations

from abstract.schema import signature
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.run import Generated, generate_case
from fuzz.generate.settings import Settings

__all__ = ["first_type", "primary_types", "single_operator_cases"]

_TRIES = 40  # seeds looked at for one model; operators with many type variables need a few


def primary_types(operator: str, opset: int) -> tuple[str, ...]:
    """The element types that an operator's first input may have at an opset."""
    sign = signature(operator, opset)
    return tuple(d.name for d in sign.types[sign.inputs[0].variable]) if sign.inputs else ()


def single_operator_cases(operator: str, element_type: str, opset: int, count: int) -> list[Generated]:
    """Up to ``count`` cases whose only node is this operator with a first operand of this type.

    Fewer where the generator finds no more within a fixed number of seeds.
    """
    others = tuple(t for t in ("int64", "bool", "float") if t != element_type)
    settings = Settings(nodes=(1, 1), opset=opset, operators=(operator,), dtypes=(element_type, *others), rank=(0, 4))
    menu(settings)
    found: list[Generated] = []
    for seed in range(_TRIES):
        if len(found) == count:
            break
        if first_type(seed, settings) == element_type:
            found.append(generate_case(Seeded(seed), settings))
    return found


def first_type(seed: int, settings: Settings) -> str | None:
    """The element type of the first operand of a seed's only node; None where these settings make no node."""
    try:
        graph, _ = generate_graph(Seeded(seed), settings)
    except NothingFits:
        return None
    (node,) = graph.nodes
    if node.inputs:
        operand = node.inputs[0]
        return operand.type.dtype.name if operand is not None else None
    # The first input is a parameter: of the only type that it may have, or of the type of the output.
    sign = signature(node.operator, settings.opset)
    kinds = sign.types[sign.inputs[0].variable] if sign.inputs else ()
    return (kinds[0] if len(kinds) == 1 else node.outputs[0].type.dtype).name
