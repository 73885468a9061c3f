"""The training operator Gradient, by differences: how a tensor of the graph changes with some others.

ONNX, Operators.md, ai.onnx.preview.training.Gradient: "The tensors named in attributes "xs", "zs", and "y" define the
differentiated computation graph, and the inputs to Gradient node define the values at which the gradient is computed."
onnx 1.23 has no implementation of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx.helper

from abstract.bounded import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.operator import Array
    from abstract.program import Inside, Program, Step

__all__ = ["gradient"]

_REACH = 2.0**-10  # of a difference, relative to the operand; the five-point formula errs by its fourth power


def gradient(program: Program, step: Step, values: Mapping[str, Bounded], inside: Inside) -> list[Bounded]:
    """The derivatives of the sum of ``y`` in each of ``xs``, in float64.

    A difference says nothing of a kink, nor of its own error: the bound is inf.
    Raises ValueError where ``y`` is not computed from what is given.
    """
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in step.node.attribute}
    target = attributes["y"].decode()
    formals = [name.decode() for name in (*attributes["xs"], *attributes.get("zs", ()))]
    scope = {formal: values[name] for formal, name in zip(formals, step.node.input, strict=True)}
    part = replace(program, steps=_between(program.steps, target, formals))

    def total(changed: Mapping[str, Bounded]) -> float:
        made = inside(part, {**scope, **changed})
        if target not in made:
            raise ValueError(f"Gradient: {target!r} is not computed from {', '.join(formals)}")
        return float(np.sum(np.asarray(made[target].value)))

    def along(name: str) -> Callable[[Array], float]:
        return lambda place: total({name: replace(scope[name], value=place)})

    results = []
    for name in formals[: len(attributes["xs"])]:
        slopes = _slopes(np.asarray(scope[name].value, np.float64), along(name))
        results.append(Bounded(slopes, np.inf, scope[name].dtype))
    return results


def _between(steps: Sequence[Step], target: str, formals: Sequence[str]) -> tuple[Step, ...]:
    """The steps by which a value is computed from others, in order."""
    wanted = {target}
    kept: list[Step] = []
    for step in reversed(steps):
        if wanted.intersection(step.outputs) and not set(step.outputs) & set(formals):
            wanted.update(step.node.input)
            kept.append(step)
    return tuple(reversed(kept))


def _slopes(x: Array, function: Callable[[Array], float]) -> Array:
    """Central differences of five points (Abramowitz and Stegun, 25.3.6), element by element."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        reach = _REACH * max(1.0, abs(float(x[index])))

        def at(steps: int, index: Any = index, reach: float = reach) -> float:
            moved = x.copy()
            moved[index] += steps * reach
            return function(moved)

        slopes[index] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * reach)
    return slopes
