"""What may be changed in a window: an operator for another of its form, an attribute, the element type of its operands.

A form is what decides whether one operator can stand in another's place: the shape rule, the data operands with their
type variables, the outputs, the parameters. All of it is read from the operators' rows and from ONNX's schemas.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.contributed import domain_of, unqualified
from abstract.operator import NotCovered
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.application import concrete
from fuzz.mutate.borrowed import Borrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.operator import Array
    from fuzz.generate.choices import Choices
    from fuzz.generate.plan import Plan

__all__ = ["CHANGES", "draw_changes", "in_place", "in_type", "kin", "other_operators", "other_types", "varied"]

CHANGES = (
    "attribute", "attribute", "attribute", "operator", "operator", "operator", "type", "type", "size", "exposed",
    "quantised", "user", "user",
)  # fmt: skip
"""Kinds of change, each as often as it is to be drawn."""

FLOATS = ("float", "double", "float16", "bfloat16")
_INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
_KEPT = frozenset({"to", "equation", "value", "direction", "activations"})  # what a proposal may not change
# Of these a node has one or another, or as many numbers of one as of another: they are taken together.
_TOGETHER = (
    frozenset({"split", "num_outputs"}), frozenset({"auto_pad", "pads"}),
    frozenset({"scales", "sizes", "roi", "axes", "coordinate_transformation_mode"}),
    frozenset({"starts", "ends", "axes", "steps"}), frozenset({"pads", "axes"}),
)  # fmt: skip


def draw_changes(draw: Callable[[int, int], int], chance: float) -> frozenset[str]:
    """What is to be changed in one window: mostly nothing, else one thing or two."""
    if draw(0, 999) >= chance * 1000:
        return frozenset()
    return frozenset(CHANGES[draw(0, len(CHANGES) - 1)] for _ in range(draw(1, 2)))


# --- operators --------------------------------------------------------------------------------------------------


@cache
def _form(operator: str, opset: int, inputs: int, outputs: int) -> tuple[Any, ...] | None:
    """What operators have alike that can stand in each other's place with so many operands and results."""
    row, sign = TABLE[operator], signature(operator, opset)
    data = [formal for formal in sign.inputs if formal.name not in row.parameters]
    if not data or row.opaque or row.output_dtypes is not None:
        return None
    taken = [data[min(i, len(data) - 1)] for i in range(inputs)]
    many = inputs > len(data) and not data[-1].variadic
    lacking = any(not (formal.optional or formal.variadic) for formal in data[inputs:])
    if many or lacking or outputs > len(sign.outputs):
        return None
    made = sign.outputs[:outputs]
    variables = {name: i for i, name in enumerate(dict.fromkeys(formal.variable for formal in (*taken, *made)))}
    named = tuple(variables[f.variable] if f.variable in sign.types else f.variable for f in (*taken, *made))
    asked = frozenset(f.name for f in sign.inputs if f.name in row.parameters and not f.optional)
    return row.shape, named, asked, domain_of(operator)


@cache
def kin(operator: str, opset: int, inputs: int, outputs: int) -> tuple[str, ...]:
    """The other operators of the same form at an opset, in the order of the table."""
    form = _form(operator, opset, inputs, outputs)
    names = [name for name in TABLE if name != operator and domain_of(name) == domain_of(operator)]
    return tuple(
        name for name in names
        if form is not None and _exists(name, opset) and _form(name, opset, inputs, outputs) == form
    )


def _exists(name: str, opset: int) -> bool:
    import onnx.defs

    try:
        return not onnx.defs.get_schema(unqualified(name)[1], opset, domain_of(name)).deprecated
    except onnx.defs.SchemaError:
        return False


def other_operators(plan: Plan, operator: str, inputs: Sequence[Value | None], outputs: int) -> list[str]:
    """What may stand in an operator's place for operands, and the targets run."""
    first = inputs[0] if inputs else None
    if first is None or None in inputs:
        return []
    dtype, found = first.type.dtype, []
    for name in kin(operator, plan.opset, len(inputs), outputs):
        sign = signature(name, plan.opset)
        if dtype in sign.types[sign.inputs[0].variable] and (plan.supports is None or plan.supports(name, dtype.name)):
            found.append(name)
    return found


# --- attributes -------------------------------------------------------------------------------------------------


def varied(
    choices: Choices, opset: int, operator: str, inputs: Sequence[Value | None], params: Mapping[str, Any],
    outputs: int,
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """The parameters with one as the operator's row proposes it for these operands, and which it is.

    The same, and no name, where the row proposes nothing else or asks for more than these operands have.
    """
    sign = signature(operator, opset)
    proposed = _proposed(choices, opset, operator, inputs, outputs)
    other = sorted(n for n, v in (proposed or {}).items() if params.get(n, sign.defaults.get(n)) != v)
    if proposed is None or not other:
        return dict(params), ""
    name = other[choices.integer(0, len(other) - 1)]
    group = {name}.union(*(names for names in _TOGETHER if name in names))
    rest = {n: v for n, v in params.items() if n not in group}
    return {**rest, **{n: proposed[n] for n in sorted(group) if n in proposed}}, name


def in_place(
    choices: Choices, opset: int, operator: str, inputs: Sequence[Value | None], params: Mapping[str, Any],
    outputs: int,
) -> dict[str, Any]:  # fmt: skip
    """The parameters of an operator in another's place: of the other's those that it has, the rest as its row proposes.

    Raises Infeasible where it does not take these operands.
    """
    sign = signature(operator, opset)
    proposed = _proposed(choices, opset, operator, inputs, outputs)
    if proposed is None:
        raise Infeasible(f"{operator} does not take these operands")
    named = sign.attributes | {formal.name for formal in sign.inputs}
    return {**proposed, **{name: value for name, value in params.items() if name in named}}


def _proposed(
    choices: Choices, opset: int, operator: str, inputs: Sequence[Value | None], outputs: int
) -> dict[str, Any] | None:
    """What an operator's row proposes for these operands; None where it asks for others, or gives more or less."""
    sign = signature(operator, opset)
    scope = Borrowed(choices, sign, [None if v is None else (v.array, v.type.dtype) for v in inputs])
    try:
        call = TABLE[operator].propose(scope)
    except (Infeasible, NotCovered, AttributeError, IndexError, KeyError, ValueError):
        return None
    params = concrete(call.params, scope.store.value)
    return {n: v for n, v in params.items() if n not in _KEPT} if call.outputs == outputs else None


# --- element types ----------------------------------------------------------------------------------------------


def other_types(
    draw: Callable[[int, int], int], present: Sequence[str], model: frozenset[str], settings: frozenset[str], *,
    wanted: bool,
) -> dict[str, str]:  # fmt: skip
    """What an element type of a window becomes: {} for what it is.

    Half of the windows of one floating-point type get another, of those that the settings have. One that the model
    does not have becomes one of the model's. By a wanted change any number's type may become any other one's.
    """
    if wanted and draw(0, 1):
        own = present[draw(0, len(present) - 1)]
        others = [name for name in (*FLOATS, *_INTEGERS) if name in settings and name != own]
        return {own: others[draw(0, len(others) - 1)]} if others and own in (*FLOATS, *_INTEGERS) else {}
    floats = [name for name in present if name in FLOATS]
    allowed = [name for name in FLOATS if name in model]
    if len(floats) != 1 or not allowed:
        return {}
    own = floats[0]
    others = [name for name in FLOATS if name in (settings if own in allowed else allowed) and name != own]
    other = wanted or draw(0, 1)
    return {own: others[draw(0, len(others) - 1)]} if others and (other or own not in allowed) else {}


def in_type(numbers: Array, dtype: DType) -> Array:
    """Constants as an element type holds them, in its carrier: rounded by a float, cut and clipped by an integer."""
    if dtype.is_integer:
        return np.clip(np.trunc(numbers), dtype.minimum, dtype.maximum).astype(dtype.carrier)
    array = np.asarray(numbers, dtype=dtype.carrier)
    return np.asarray(array.astype(dtype.numpy)).astype(dtype.carrier) if dtype.is_float else array
