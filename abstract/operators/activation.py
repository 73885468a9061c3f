"""The activation functions of recurrent operators: by name, with the coefficients that they take.

The functions are those listed in the texts of RNN, GRU and LSTM. Defaults are those of the ONNX operators of the same
name; Affine and ScaledTanh, which ONNX no longer has, are always given theirs by the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.operator import NotCovered
from abstract.operators.elementwise import sigmoid, softplus
from abstract.running import Bounding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.operator import Array, Params, Scope
    from abstract.running import Algebra, Quantity

__all__ = ["ACTIVATIONS", "Activation", "activations_of", "propose_activations"]

_TENTH, _HUNDREDTH, _FIFTH = float(np.float32(0.1)), float(np.float32(0.01)), float(np.float32(0.2))


@dataclass(frozen=True, slots=True)
class Activation:
    """One function of an element; ``alpha`` and ``beta`` are its defaults, None where it takes no such coefficient."""

    apply: Callable[[Algebra, Quantity, float, float], Quantity]
    alpha: float | None = None
    beta: float | None = None


def _function(name: str, f: Callable[[Array], Array]) -> Activation:
    return Activation(lambda k, x, _a, _b: k.function(name, f, x))


def _off(k: Algebra, value: float) -> float:
    """What rounding a coefficient may cost, relatively."""
    return k.relative(value) if isinstance(k, Bounding) else 0.0


def _leaky(k: Algebra, x: Quantity, alpha: float, beta: float) -> Quantity:
    del beta
    return k.function("LeakyRelu", lambda v: np.where(v < 0, v * alpha, v), x, 1.0, _off(k, alpha))


def _elu(k: Algebra, x: Quantity, alpha: float, beta: float) -> Quantity:
    del beta
    f: Any = lambda v: np.where(v < 0, alpha * np.expm1(np.minimum(v, 0)), v)  # noqa: E731 - as short as it gets
    return k.function("Elu", f, x, max(1.0, abs(alpha)), _off(k, alpha))


def _scaled(k: Algebra, x: Quantity, alpha: float, beta: float) -> Quantity:
    return k.function("Tanh", np.tanh, x * k.coefficient(beta)) * k.coefficient(alpha)


def _affine(k: Algebra, x: Quantity, alpha: float, beta: float) -> Quantity:
    return x * k.coefficient(alpha) + k.coefficient(beta)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({
    "Relu": Activation(lambda k, x, _a, _b: k.clip(x, 0.0, np.inf)),
    "Tanh": _function("Tanh", np.tanh),
    "Sigmoid": _function("Sigmoid", sigmoid),
    "Softsign": _function("Softsign", lambda v: v / (1 + np.abs(v))),
    "Softplus": _function("Softplus", softplus),
    "LeakyRelu": Activation(_leaky, _HUNDREDTH),
    "ThresholdedRelu": Activation(lambda k, x, a, _b: k.threshold(x, a), 1.0),
    "Elu": Activation(_elu, 1.0),
    "Affine": Activation(_affine, 1.0, 0.0),
    "ScaledTanh": Activation(_scaled, 1.0, 1.0),
    "HardSigmoid": Activation(lambda k, x, a, b: k.clip(_affine(k, x, a, b), 0.0, 1.0), _FIFTH, 0.5),
})  # fmt: skip
_BY_NAME: Mapping[str, Activation] = MappingProxyType({name.lower(): row for name, row in ACTIVATIONS.items()})

_ALONE = ("Tanh", "Sigmoid", "Relu", "Softsign", "Softplus", "LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu")
_GIVEN = ("Affine", "ScaledTanh", "HardSigmoid")
_WITH_ALPHA = ("LeakyRelu", "Elu", "ThresholdedRelu")


def propose_activations(s: Scope, count: int) -> dict[str, Any]:
    """Mostly the defaults; else ``count`` names, with coefficients for none, for all, or for the first.

    Values are "consumed in the order of activation functions": whether one that takes none skips its place is read in
    two ways, which agree where those that take some come first.
    """
    style = s.integer(0, 9)
    if style < 4:
        return {}
    if style < 7:
        return {"activations": tuple(s.pick(_ALONE).encode() for _ in range(count))}
    if style == 7:
        names = [s.pick(_GIVEN) for _ in range(count)]
    elif style == 8:
        names = [s.pick(_WITH_ALPHA) for _ in range(count)]
    else:
        names = [s.pick(_GIVEN), *(s.pick(("Tanh", "Sigmoid", "Softsign")) for _ in range(count - 1))]
    params: dict[str, Any] = {"activations": tuple(name.encode() for name in names)}
    takers = len([name for name in names if ACTIVATIONS[name].alpha is not None])
    params["activation_alpha"] = tuple(s.pick((0.25, 0.5, 0.75, _TENTH)) for _ in range(takers))
    if style != 8:
        params["activation_beta"] = tuple(s.pick((0.25, 0.5, 1.0, _FIFTH)) for _ in range(takers))
    return params


def activations_of(
    params: Params, count: int, defaults: Sequence[str]
) -> list[Callable[[Algebra, Quantity], Quantity]]:
    """The functions of a node, in order, bound to their coefficients.

    Raises NotCovered for names that the text does not list, and for coefficients that fit neither reading of it.
    """
    names = [n.decode().lower() for n in params.get("activations") or ()][:count] or [n.lower() for n in defaults]
    if len(names) < count or any(n not in _BY_NAME for n in names):
        raise NotCovered(f"activations {names}")
    rows = [_BY_NAME[name] for name in names]
    alphas = _coefficients(params.get("activation_alpha") or (), [row.alpha for row in rows])
    betas = _coefficients(params.get("activation_beta") or (), [row.beta for row in rows])
    return [_bound(row, a, b) for row, a, b in zip(rows, alphas, betas, strict=True)]


def _bound(row: Activation, alpha: float, beta: float) -> Callable[[Algebra, Quantity], Quantity]:
    return lambda k, x: row.apply(k, x, alpha, beta)


def _coefficients(given: Sequence[float], defaults: Sequence[float | None]) -> list[float]:
    """One a function: as many as take one, in order; or one for each, whether it takes one or not."""
    if not given:
        return [d or 0.0 for d in defaults]
    if len(given) == len(defaults):
        return list(given)
    if len(given) != sum(d is not None for d in defaults):
        raise NotCovered(f"{len(given)} coefficients for {len(defaults)} activations")
    values = iter(given)
    return [0.0 if d is None else next(values) for d in defaults]
