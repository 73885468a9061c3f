"""Operators that work on one element at a time: a table of functions of one input, and the broadcasting ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from abstract.accuracy import granted
from abstract.dtypes import Kind
from abstract.error import ErrorRule, lipschitz, monotone
from abstract.operator import EVERYWHERE, Array, Call, Domain, Operator, Run, Scope, Typing
from abstract.types import Shape

__all__ = ["OPERATORS"]

FLOAT = (Kind.FLOAT,)
SIGNED = (Kind.FLOAT, Kind.SIGNED)
NUMBER = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)


def same_shape(t: Typing) -> tuple[Shape, ...]:
    """Every output has the shape of the first input."""
    return (t[0],) * t.outputs


def unary(
    name: str,
    function: Callable[[Array, Run], Array],
    *,
    domain: Domain = EVERYWHERE,
    kinds: Sequence[Kind] = FLOAT,
    error: ErrorRule | None = None,
    exact: bool = False,
    attributes: Callable[[Scope], Mapping[str, Any]] | None = None,
) -> Operator:
    """A row for a function of one input; its error rule is that of a monotone function unless another is given."""

    def propose(s: Scope) -> Call:
        x = s.tensor(kinds=kinds, domain=domain)
        return Call((x,), attributes(s) if attributes else {})

    return Operator(
        name,
        propose=propose,
        shape=same_shape,
        evaluate=lambda run: (function(run[0], run),),
        error=error or monotone(function),
        accuracy=granted(name),
        exact=exact,
    )


# name, function, and where it is kept: far enough inside its domain for its slope to stay moderate.
OPERATORS: tuple[Operator, ...] = (
    unary("Relu", lambda x, r: np.maximum(x, 0), kinds=SIGNED, exact=True),
    unary("Abs", lambda x, r: np.abs(x), kinds=NUMBER, error=lipschitz(1.0), exact=True),
    unary("Sqrt", lambda x, r: np.sqrt(x), domain=Domain(low=0.0)),
    unary("Sin", lambda x, r: np.sin(x), domain=Domain(-1e4, 1e4), error=lipschitz(1.0)),
    unary("Exp", lambda x, r: np.exp(x), domain=Domain(-16.0, 8.0)),
    unary(
        "LeakyRelu",
        lambda x, r: np.where(x < 0, x * r.params["alpha"], x),
        attributes=lambda s: {"alpha": s.pick((0.01, 0.1, 0.25, 1.0))},
    ),
)
