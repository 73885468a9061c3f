"""One parameter of one node changed to another legal value: an attribute, or a constant input such as axes or pads.

Legal is what the operator's row proposes for these operands, or a small step from what stands there; the shape rule,
the checker and the reference have the last word.
"""

from __future__ import annotations

from copy import deepcopy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from abstract.constraints import Infeasible
from abstract.contributed import qualified
from abstract.operator import NotCovered
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.application import concrete, settle
from fuzz.mutate.borrowed import Borrowed
from fuzz.mutate.draw import coin, pick, shuffled
from fuzz.mutate.mutant import Draft, settled
from fuzz.mutate.parent import Unfit, array_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.dtypes import DType
    from abstract.operator import Array, Operator
    from abstract.program import Step
    from abstract.schema import Signature
    from fuzz.generate.choices import Choices
    from fuzz.mutate.mutant import Mutant
    from fuzz.mutate.parent import Parent

__all__ = ["mutate_attributes"]

_NODES = 6  # looked at for one try
_PROPOSALS = 6  # of one node's row, until one differs
_LEFT_ALONE = frozenset({"body", "then_branch", "else_branch", "to", "value", "equation"})


def mutate_attributes(parent: Parent, choices: Choices) -> Mutant:
    """The parent with one parameter of one node changed. Raises Unfit."""
    steps = [s for s in parent.program.steps if s.row is not None and _has_parameters(s, s.row)]
    if not steps:
        raise Unfit("no parameter: no node has any")
    for step in shuffled(choices, steps)[:_NODES]:
        old = {name: value for name, value in step.params.items() if name not in _LEFT_ALONE}
        changes = _changes(parent, step, old, choices)
        if changes:
            return _written(parent, step, old, changes)
    raise Unfit("no step: no parameter has another value")


def _changes(parent: Parent, step: Step, old: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """Parameters of a node with their new values; none where nothing was found."""
    new = _proposed(parent, step, choices) if coin(choices, 70) else {}
    changed = {n: v for n, v in new.items() if n not in _LEFT_ALONE | set(step.late) and not _same(old.get(n), v)}
    if not changed:
        return _stepped(parent, step, old, choices)
    name = pick(choices, sorted(changed))
    # What else is proposed may be what makes it legal: one change in four brings all of it.
    return changed if coin(choices, 25) else {name: changed[name]}


def _written(parent: Parent, step: Step, old: Mapping[str, Any], changes: Mapping[str, Any]) -> Mutant:
    model = deepcopy(parent.model)
    node = next(n for n in model.graph.node if list(n.output) == list(step.node.output))
    sign = signature(step.node.op_type, step.opset, step.node.domain)
    for key, value in changes.items():
        _write(model, node, step, sign, key, value)
    told = ", ".join(f"{key} {_text(old.get(key))} became {_text(value)}" for key, value in sorted(changes.items()))
    return settled(Draft(model, parent.feeds, f"{node.op_type} {node.name or node.output[0]}: {told}"))


def _has_parameters(step: Step, row: Operator) -> bool:
    sign = signature(step.node.op_type, step.opset, step.node.domain)
    return bool((sign.attributes | set(row.parameters)) - _LEFT_ALONE)


def _same(old: Any, new: Any) -> bool:
    return bool(type(old) is type(new) and old == new) or old is new


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "unset" if value is None else str(list(value)) if isinstance(value, tuple) else str(value)


def _proposed(parent: Parent, step: Step, choices: Choices) -> dict[str, Any]:
    """Parameters that the row draws for a node's own operands; none where it makes nothing of them."""
    row = TABLE[qualified(step.node.domain, step.node.op_type)]
    sign = signature(step.node.op_type, step.opset, step.node.domain)
    operands = [_operand(parent, name) for name in step.inputs]
    dtype = next((o[1] for o in operands if o is not None), None)
    for _ in range(_PROPOSALS):
        scope = Borrowed(choices, sign, operands)
        try:
            call = row.propose(scope)
        except (Infeasible, NotCovered, AttributeError, IndexError, KeyError, ValueError):
            continue  # a proposal may ask for more than this node has
        params = settle(call.params, row, sign, dtype)
        return concrete(params, scope.store.value)
    return {}


def _operand(parent: Parent, name: str | None) -> tuple[Array, DType] | None:
    if name is None:
        return None
    known = parent.values[name]
    if known.dtype is None:
        raise Unfit("no type: an operand whose type is not known")
    return array_of(known.value), known.dtype


# --- small steps ------------------------------------------------------------------------------------------------


def _stepped(parent: Parent, step: Step, old: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """A parameter and a value next to its own; none where no parameter has a step."""
    first = next((name for name in step.inputs if name is not None), None)
    rank = len(parent.shape(first)) if first is not None else 0
    for name in shuffled(choices, sorted(n for n in old if n in _STEPS)):
        value = _STEPS[name](old[name], rank, choices)
        if value is not None and not _same(old[name], value):
            return {name: value}
    return {}


def _flag(value: Any, _rank: int, _choices: Choices) -> Any:
    return 1 - value if value in (0, 1) else None


def _axis(value: Any, rank: int, choices: Choices) -> Any:
    """Any axis, counted from either end."""
    return choices.integer(-rank, rank - 1) if rank and isinstance(value, int) else None


def _axes(value: Any, rank: int, choices: Choices) -> Any:
    """One axis more, fewer, or counted from the other end."""
    if not isinstance(value, tuple) or not rank:
        return None
    held = list(value)
    if held and coin(choices, 40):
        at = choices.integer(0, len(held) - 1)
        held[at] -= rank if held[at] >= 0 else -rank
    elif len(held) > 1 and coin(choices, 50):
        del held[choices.integer(0, len(held) - 1)]
    else:
        rest = [a for a in range(rank) if a not in {h % rank for h in held}]
        held += [pick(choices, rest)] if rest else []
    return tuple(held)


def _order(value: Any, _rank: int, choices: Choices) -> Any:
    return tuple(shuffled(choices, value)) if isinstance(value, tuple) else None


def _counts(least: int) -> Callable[[Any, int, Choices], Any]:
    """One of some whole numbers, or all of them, one or two up or down, never below the least."""

    def stepped(value: Any, _rank: int, choices: Choices) -> Any:
        if isinstance(value, int):
            return max(value + pick(choices, (-1, 1, 2)), least)
        if not isinstance(value, tuple) or not value or not all(isinstance(v, int) for v in value):
            return None
        by = pick(choices, (-1, 1, 1, 2))
        at = choices.integer(0, len(value)) - 1  # -1: all of them
        return tuple(max(v + by, least) if at in (-1, i) else v for i, v in enumerate(value))

    return stepped


def _scaled(value: Any, _rank: int, choices: Choices) -> Any:
    """A positive number made larger or smaller, as float holds it."""
    if not isinstance(value, float) or value <= 0:
        return None
    return float(np.float32(value * pick(choices, (0.5, 2.0, 0.1, 10.0))))


_STEPS: Mapping[str, Callable[[Any, int, Choices], Any]] = MappingProxyType({
    **dict.fromkeys(("keepdims", "transA", "transB", "noop_with_empty_axes", "select_last_index", "exclusive",
                     "reverse", "count_include_pad", "largest", "sorted", "upper", "fmod"), _flag),
    "axis": _axis, "axes": _axes, "perm": _order,
    **dict.fromkeys(("strides", "dilations"), _counts(1)), "pads": _counts(0), "kernel_shape": _counts(1),
    **dict.fromkeys(("starts", "ends", "repeats", "shape", "split", "k"), _counts(0)),
    **dict.fromkeys(("epsilon", "alpha", "beta", "bias", "lambd", "gamma"), _scaled),
})  # fmt: skip
"""Steps from a value and the rank of the first operand to another value, or None where there is none."""


# --- into the model ---------------------------------------------------------------------------------------------


def _write(model: onnx.ModelProto, node: onnx.NodeProto, step: Step, sign: Signature, name: str, value: Any) -> None:
    """Set a parameter where the operator of this opset has it: an attribute, or an input of its own."""
    if name in sign.attributes:
        for index, attribute in enumerate(node.attribute):
            if attribute.name == name:
                del node.attribute[index]
                break
        if value is not None:
            kept = list(value) if isinstance(value, tuple) else value
            if kept == []:
                node.attribute.append(onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS))
            else:
                node.attribute.append(onnx.helper.make_attribute(name, kept))
        return
    position = next((i for i, formal in enumerate(sign.inputs) if formal.name == name), None)
    if position is None or name in step.late:
        raise Unfit(f"no parameter: {node.op_type} has no {name} at this opset")
    while len(node.input) <= position:
        node.input.append("")
    if value is None:
        node.input[position] = ""
        return
    taken = {n for part in model.graph.node for n in (*part.input, *part.output)}
    fresh = next(f"{name}_{i}" for i in range(len(taken) + 1) if f"{name}_{i}" not in taken)
    own = _stored(model, node.input[position], sign, position)
    node.input[position] = fresh
    tensor = onnx.numpy_helper.from_array(np.asarray(value).astype(own), fresh)
    model.graph.initializer.append(tensor)


def _stored(model: onnx.ModelProto, name: str, sign: Signature, position: int) -> Any:
    """The type that a parameter is stored in: its own, else what the schema allows first."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    allowed = sign.types[sign.inputs[position].variable]
    if len(allowed) != 1:
        raise Unfit("no type: the parameter may be of several")
    return allowed[0].numpy
