"""Losses over classes: NegativeLogLikelihoodLoss, SoftmaxCrossEntropyLoss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least
from abstract.error import accumulator, is_exact, rounding_unit, step_unit, summation, underflow, within_range
from abstract.operator import Accuracy, Array, Bound, Call, Domain, Operator, Run, Scope, Typing
from abstract.operators.axes import index_constant, operand
from abstract.operators.elementwise import FLOAT
from abstract.operators.softmax import log_softmax, log_softmax_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_WEIGHTS = Domain(0.25, 4.0)
_REDUCTIONS = (b"none", b"sum", b"mean")
_STRAYS = (-1, -100, 255)


def _moderate(dtype: DType) -> Domain:
    """Log-probabilities of which even float16 sums some hundred."""
    return Domain(-16.0, 16.0) if dtype.bits <= 16 else Domain(-64.0, 64.0)


def _flat(dtype: DType) -> Domain:
    """Scores whose softmax has a logarithm in the type: none is as small as its subnormals."""
    return Domain(-2.0, 2.0) if dtype.bits <= 16 else Domain(-30.0, 30.0)


def propose_loss(domain: Callable[[DType], Domain], outputs: int) -> Callable[[Scope], Call]:
    """Classes on axis 1; targets constant or computed, some ignored; weights or none; every reduction."""

    def propose(s: Scope) -> Call:
        own = s.dtype(s.signature.formal(0).variable, FLOAT)
        x = operand(s, rank=(2, 8), kinds=FLOAT, domain=domain(own), where=lambda v: 0 < v.array.size <= 512)
        params: dict[str, Any] = {} if s.coin(0.3) else {"reduction": s.pick(_REDUCTIONS)}
        inputs: list[Value] = [x, _targets(s, x, params)]
        if s.coin(0.5):
            inputs.append(s.shaped((x.type.shape[1],), s.signature.formal(0).variable, domain=_WEIGHTS, weight=True))
        return Call(tuple(inputs), params, outputs=s.integer(1, outputs))

    return propose


def _targets(s: Scope, x: Value, params: dict[str, Any]) -> Value:
    """A class for each sample: numbers in range that a node computes, or constants, of which some are to ignore."""
    shape = (x.type.shape[0], *x.type.shape[2:])
    sizes = tuple(map(s.store.value, shape))
    classes = x.array.shape[1]
    if not classes:
        raise Infeasible("no class to be in")
    s.store.require(at_least(x.type.shape[1], classes))
    variable = s.signature.formal(1).variable
    if s.coin(0.25):
        if s.coin(0.3):
            params["ignore_index"] = s.pick(_STRAYS)
        return s.shaped(shape, variable, domain=Domain(0, classes - 1))
    count = int(np.prod(sizes))
    start, step = s.integer(0, classes - 1), s.integer(1, 7)
    classes_of = (start + np.arange(count) * step) % classes
    if s.coin(0.4):
        ignored = s.pick((*_STRAYS, s.integer(0, classes - 1)))
        params["ignore_index"] = ignored
        stride = s.integer(2, 5)
        classes_of = np.where(np.arange(count) % stride == 1, ignored, classes_of)
    for dim, size in zip(shape, sizes, strict=True):
        s.store.unify(dim, size)
    return index_constant(s, 1, classes_of.reshape(sizes))


def loss_shape(t: Typing) -> tuple[Shape, ...]:
    """The targets' shape, which is the scores' without the classes; a scalar where it is reduced. Then the scores'."""
    x, target = t[0], t[1]
    for mine, theirs in zip((x[0], *x[2:]), target, strict=True):
        t.store.unify(mine, theirs)
    if len(t.shapes) > 2 and t.shapes[2] is not None:
        t.store.unify(t.shapes[2][0], x[1])
    own = target if t.params.get("reduction", b"mean") == b"none" else ()
    return (own, x)[: t.outputs]


def _picked(run: Run, x: Array) -> tuple[Array, Array | None]:
    """What belongs to each sample's class, and the weight of each: 0 where it is to ignore; None: all weigh 1."""
    target = run[1].astype(np.int64)
    ignored = run.params.get("ignore_index")
    skipped = None if ignored is None else target == ignored
    if skipped is not None:
        target = np.where(skipped, 0, target)
    chosen = np.take_along_axis(x, np.expand_dims(target, 1), axis=1)[:, 0]
    weight = run.optional(2)
    weights = None if weight is None else weight[target]
    if skipped is not None and skipped.any():
        ones = np.ones(target.shape, x.dtype) if weights is None else weights
        weights = np.where(skipped, np.zeros_like(ones), ones)
    return chosen, weights


def _weighted(chosen: Array, weights: Array | None) -> Array:
    result: Array = -chosen if weights is None else np.where(weights == 0, np.zeros_like(chosen), -chosen * weights)
    return result


def _loss(run: Run, x: Array) -> Array:
    chosen, weights = _picked(run, x)
    losses = _weighted(chosen, weights)
    reduction = run.params.get("reduction", b"mean")
    if reduction == b"none":
        return losses
    axes = tuple(range(losses.ndim))
    total = run.arithmetic.sum(losses, axes, keepdims=False)
    if reduction == b"sum":
        return total
    quotient: Array = total / (losses.size if weights is None else run.arithmetic.sum(weights, axes, keepdims=False))
    return quotient


def negative_log_likelihood(run: Run) -> tuple[Array, ...]:
    """The input at each target, negated and weighted, then summed or averaged by weight."""
    return (_loss(run, run[0]),)


def loss_error(run: Run, x: Array, errors: tuple[Bound, ...]) -> Bound:
    """Products, their sum in any order, the sum of weights, one quotient; nothing where a class is unsure.

    The mean may as well be the sum of quotients, or a product with 1 / n: two more roundings.
    """
    if not is_exact(errors[1]):
        return np.inf
    dtype = run.dtypes[0]
    error = np.broadcast_to(np.asarray(errors[0], np.float64), x.shape)
    chosen, weights = _picked(run, np.abs(x))
    spread, _ = _picked(run, error)
    unit, lost = step_unit(run, dtype), underflow(run, dtype)
    size = np.abs(_weighted(chosen, weights))
    if weights is None:
        bound, loss_of_weights = spread, np.zeros(spread.shape)
    else:
        loss_of_weights = _errors_of_weights(run, errors, weights)
        bound = spread * (weights + loss_of_weights) + chosen * loss_of_weights
        bound = np.where(weights == 0, 0.0, bound * (1 + unit) + size * unit + lost)
    reduction = run.params.get("reduction", b"mean")
    if reduction == b"none":
        return bound
    n = size.size
    total, moved = np.sum(size + bound), np.sum(bound)
    reduced: Bound = moved + total * (summation(run, n, dtype) + 2 * unit) + n * lost
    if reduction == b"mean":
        whole = n if weights is None else float(np.sum(weights))
        slack = 0.0
        if weights is not None:
            slack = float(np.sum(loss_of_weights)) + whole * summation(run, n, dtype)
        least = whole - slack
        exact = np.sum(size)
        if not 0 < least <= whole:
            return np.inf
        reduced = (reduced + exact * slack / whole) / least + total / whole * 2 * rounding_unit(run, dtype)
    return within_range(np.asarray(reduced), np.asarray(total), accumulator(run, dtype))


def _errors_of_weights(run: Run, errors: tuple[Bound, ...], weights: Array) -> Array:
    given = run.optional(2)
    if given is None or len(errors) < 3 or is_exact(errors[2]):
        return np.zeros(weights.shape)
    every = np.broadcast_to(np.asarray(errors[2], np.float64), given.shape)
    _, moved = _picked(replace(run, inputs=(run[0], run[1], every)), run[0])
    return np.zeros(weights.shape) if moved is None else moved


def likelihood_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``loss_error``."""
    del y
    return (loss_error(run, run[0], e),)


def _over_classes(run: Run) -> Run:
    return replace(run, params={"axis": 1})


def cross_entropy(run: Run) -> tuple[Array, ...]:
    """The negative log-likelihood of the logarithm of the scores' softmax over classes; and that logarithm."""
    (logarithms,) = log_softmax(_over_classes(run))
    return (_loss(run, logarithms), logarithms)[: len(run.output_dtypes)]


def cross_entropy_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """LogSoftmax's, rounded, then the loss's."""
    del y
    over = _over_classes(run)
    (logarithms,) = log_softmax(over)
    (bound,) = log_softmax_error(over, (logarithms,), e[:1])
    dtype = run.dtypes[0]
    rounded = bound + np.abs(logarithms) * 4 * step_unit(run, dtype) + underflow(run, dtype)
    return (loss_error(run, logarithms, (rounded, *e[1:])), bound)[: len(run.output_dtypes)]


_ROUNDED = Accuracy(2, 0)

OPERATORS: tuple[Operator, ...] = (
    Operator("NegativeLogLikelihoodLoss", propose_loss(_moderate, 1), loss_shape, negative_log_likelihood,
             likelihood_error, accuracy=_ROUNDED, weight=0.5),
    Operator("SoftmaxCrossEntropyLoss", propose_loss(_flat, 2), loss_shape, cross_entropy, cross_entropy_error,
             accuracy=_ROUNDED, weight=0.5),
)  # fmt: skip
