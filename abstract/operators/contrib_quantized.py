"""Quantised operators of the domain com.microsoft: the numbers meant, an operator of them, and its result quantised.

ONNX Runtime, docs/ContribOperators.md: of each the text says a formula on what is dequantised, and that the result is
quantised. How it is rounded it does not say where it is not QuantizeLinear's own text; ties go to even there. Whatever
rounding costs on the way counts next to a tie alone (see ``quantization.py``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.error import is_exact
from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators import pooling, quantization, softmax
from abstract.operators.axes import from_front, signed
from abstract.operators.broadcast import broadcast_shape
from abstract.operators.elementwise import same_shape, sigmoid
from abstract.operators.requantised import FLOAT, Requantised, Triple, by_one, by_row, fixed, meant, quantisation
from abstract.operators.window import window_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.graph import Value
    from abstract.running import Algebra, Quantity
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_ROWS = {row.name: row for family in (pooling, softmax) for row in family.OPERATORS}


# -- two operands --------------------------------------------------------------------------------------------------


def propose_binary(s: Scope) -> Call:
    """Operands that broadcast, each with its own scale and zero point."""
    a = s.tensor("T")
    first = quantisation(s)
    b = s.broadcastable(a)
    return Call((a, *first, b, *quantisation(s), *quantisation(s, optional=True)))


def _binary_shape(t: Typing) -> tuple[Shape, ...]:
    return (broadcast_shape(t.store, t[0], t[3]),)


_PAIR = fixed((0, 1, 2), (3, 4, 5))
_ADD = Requantised(lambda k: meant(k, (0, 1, 2)) + meant(k, (3, 4, 5)), 6, _PAIR, linear=True)
_MUL = Requantised(lambda k: meant(k, (0, 1, 2)) * meant(k, (3, 4, 5)), 6, _PAIR, linear=True)


def _known(s: Scope) -> tuple[Value, Value]:
    """A scale and a zero point as initializers: ONNX Runtime's QLinearWhere reads nowhere where one is computed."""
    dtype = s.dtype("T")
    scale = s.constant(np.asarray(s.pick((0.125, 0.25, 0.5, 1.0, 0.3, 0.07, 3.0)), np.float32), FLOAT)
    return scale, s.constant(np.asarray(s.integer(int(dtype.minimum), int(dtype.maximum))), dtype)


def propose_where(s: Scope) -> Call:
    """A condition and operands that broadcast."""
    condition = s.tensor("B")
    x = s.shaped(condition.type.shape, "T") if s.coin(0.6) else s.unidirectional(condition, "T")
    y = s.unidirectional(condition, "T")
    return Call((condition, x, *_known(s), y, *_known(s), *_known(s)))


def _where_shape(t: Typing) -> tuple[Shape, ...]:
    return (broadcast_shape(t.store, t[0], t[1], t[4]),)


def _chosen(k: Algebra) -> Quantity:
    condition, x, y = np.broadcast_arrays(k.run[0], k.run[1], k.run[4])
    del x, y
    return k.where(condition, meant(k, (1, 2, 3)), meant(k, (4, 5, 6)))


_WHERE = Requantised(_chosen, 7, fixed((1, 2, 3), (4, 5, 6)), linear=True)


def _where_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Nothing is known where the condition may be another."""
    (bound,) = _WHERE.error(run, y, (0.0, *e[1:]))
    if is_exact(e[0]):
        return (bound,)
    return (np.where(np.broadcast_to(np.asarray(e[0]) > 0, y[0].shape), np.inf, bound),)


# -- one operand ---------------------------------------------------------------------------------------------------


def propose_unary(s: Scope) -> Call:
    """A tensor and how its result is quantised."""
    return Call((s.tensor("T"), *quantisation(s), *quantisation(s)))


def propose_leaky(s: Scope) -> Call:
    """Slopes of every size."""
    call = propose_unary(s)
    return Call(call.inputs, {"alpha": s.pick((0.01, 0.1, 0.25, 1.0, 1.5, -0.5))} if s.coin(0.7) else {})


def _leaky(k: Algebra) -> Quantity:
    alpha = float(k.run.params.get("alpha", 0.01))
    return k.function("LeakyRelu", lambda v: np.where(v < 0, v * alpha, v), meant(k, (0, 1, 2)))


def propose_softmax(s: Scope) -> Call:
    """Along any axis, by the text of opset 13."""
    x = s.tensor("T", rank=(1, 5), where=lambda v: v.array.size > 0)
    inputs = (x, *quantisation(s, optional=True), *quantisation(s))
    return Call(inputs, {"opset": s.pick((13, 13, 17)), "axis": s.integer(-x.type.rank, x.type.rank - 1)})


def _softmax(k: Algebra) -> Quantity:
    x, axis = meant(k, (0, 1, 2)), int(k.run.params.get("axis", -1))
    if k.run.params["opset"] < 13:
        shape = x.shape
        flat = x.reshape(int(np.prod(shape[: from_front(axis, len(shape))])), -1)
        return by_row(k, _ROWS["Softmax"], {"axis": -1}, flat).reshape(*shape)
    return by_row(k, _ROWS["Softmax"], {"axis": axis}, x)


_ONE = fixed((0, 1, 2))
_LEAKY, _SOFTMAX = Requantised(_leaky, 3, _ONE), Requantised(_softmax, 3, _ONE)
_SIGMOID = Requantised(lambda k: k.function("Sigmoid", sigmoid, meant(k, (0, 1, 2))), 3, _ONE)


# -- many operands -------------------------------------------------------------------------------------------------


def propose_concat(s: Scope) -> Call:
    """Two to four operands of one type, each with its own scale and zero point."""
    x = s.tensor("T8", rank=(1, 8))
    rank, shape = x.type.rank, x.type.shape
    axis = s.integer(0, rank - 1)
    parts: list[Value | None] = [*by_one(s, "TF", "T8")]
    for number in range(s.pick((2, 2, 3, 4))):
        own = shape[axis] if number == 0 or s.coin(0.4) else s.size(1, 4, "c")
        part = s.shaped((*shape[:axis], own, *shape[axis + 1 :]), "T8") if number else x
        parts += [part, *by_one(s, "TF", "T8")]
    return Call(tuple(parts), {"axis": signed(s, axis, rank)})


def concat_shape(t: Typing) -> tuple[Shape, ...]:
    """The sum along the axis; the other dimensions agree."""
    first, axis = t[2], from_front(t.params["axis"], len(t[2]))
    total = first[axis]
    for position in range(5, len(t.shapes), 3):
        other = t[position]
        total = total + other[axis]
        for a, (mine, theirs) in enumerate(zip(first, other, strict=True)):
            if a != axis:
                t.store.unify(mine, theirs)
    return ((*first[:axis], total, *first[axis + 1 :]),)


def _triples(run: Run) -> Sequence[Triple]:
    return [(i, i + 1, i + 2) for i in range(2, len(run.inputs), 3)]


def _concatenated(k: Algebra) -> Quantity:
    return k.concatenate([meant(k, triple) for triple in _triples(k.run)], int(k.run.params["axis"]))


_CONCAT = Requantised(_concatenated, 0, _triples, linear=True)


# -- windows -------------------------------------------------------------------------------------------------------


def _last_first(x: Quantity) -> Quantity:
    """Channels from the last axis to the second."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _first_last(x: Quantity) -> Quantity:
    """Channels from the second axis to the last."""
    return x.transpose(0, *range(2, x.ndim), 1)


def _inner(shape: Shape, last: Any) -> Shape:
    return (shape[0], shape[-1], *shape[1:-1]) if last else shape


def _outer(shape: Shape, last: Any) -> Shape:
    return (shape[0], *shape[2:], shape[1]) if last else shape


def _images(s: Scope) -> Value:
    return s.tensor("T", rank=(3, 5), where=lambda v: all(v.array.shape))


def _pool_params(s: Scope, shape: Shape) -> dict[str, Any]:
    spatial = shape[2:]
    kernel = tuple(s.size(1, min(3, s.store.value(d)), "k") for d in spatial)
    return window_params(s, spatial, kernel, pool=True)


def propose_average(s: Scope) -> Call:
    """As AveragePool, with the channels in their place or last."""
    x = s.tensor("T", rank=(4, 4), where=lambda v: all(v.array.shape))
    last = s.integer(0, 1)
    params = _pool_params(s, _inner(x.type.shape, last))
    if last or s.coin(0.2):
        params["channels_last"] = last
    if "ceil_mode" not in params and s.coin(0.4):
        params["count_include_pad"] = s.pick((0, 1, 1))
    return Call((x, *quantisation(s), *quantisation(s, optional=True)), params)


def propose_global(s: Scope) -> Call:
    """All of the spatial axes, with the channels in their place or last."""
    x = _images(s)
    params = {"channels_last": s.integer(0, 1)} if s.coin(0.7) else {}
    return Call((x, *quantisation(s), *quantisation(s)), params)


def _pooled_shape(name: str) -> Callable[[Typing], tuple[Shape, ...]]:
    def shape(t: Typing) -> tuple[Shape, ...]:
        last = t.params.get("channels_last", 0)
        inner = Typing(t.params, (_inner(t[0], last),), (), 1, t.store)
        return (_outer(_ROWS[name].shape(inner)[0], last),)

    return shape


def _pool(name: str) -> Requantised:
    def real(k: Algebra) -> Quantity:
        x, last = meant(k, (0, 1, 2)), k.run.params.get("channels_last", 0)
        y = by_row(k, _ROWS[name], k.run.params, _last_first(x) if last else x)
        return _first_last(y) if last else y

    return Requantised(real, 3, _ONE)


_AVERAGE, _GLOBAL = _pool("AveragePool"), _pool("GlobalAveragePool")


def propose_max(s: Scope) -> Call:
    """As MaxPool, with the channels last."""
    x = s.tensor("T", rank=(3, 5), where=lambda v: all(v.array.shape))
    return Call((x,), _pool_params(s, _inner(x.type.shape, 1)))


def _max_shape(t: Typing) -> tuple[Shape, ...]:
    inner = Typing(t.params, (_inner(t[0], 1),), (), 1, t.store)
    return (_outer(_ROWS["MaxPool"].shape(inner)[0], 1),)


def _turned(run: Run) -> Run:
    return replace(run, inputs=(_last_first(run[0]),))


def max_pool(run: Run) -> tuple[Array, ...]:
    """MaxPool of what has its channels last."""
    return (_first_last(_ROWS["MaxPool"].evaluate(_turned(run))[0]),)


def max_pool_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """MaxPool's."""
    del y
    if is_exact(e[0]):
        return (0.0,)
    inner = _turned(run)
    made = _ROWS["MaxPool"].evaluate(inner)
    full = np.broadcast_to(np.asarray(e[0], np.float64), run[0].shape)
    (bound,) = _ROWS["MaxPool"].error(inner, made, (_last_first(full),))
    return (_first_last(np.broadcast_to(bound, made[0].shape)),)


def _by_axis(row: Operator) -> Callable[[Scope], Call]:
    """A call of an operator of ONNX as this domain has it: an axis is said where each has its scale, and only there."""

    def propose(s: Scope) -> Call:
        call = row.propose(s)
        scale = call.inputs[1]
        params = dict(call.params)
        if scale is not None and scale.type.rank:
            params.setdefault("axis", 1)
        else:
            params.pop("axis", None)
        return Call(call.inputs, params)

    return propose


def _row(name: str, propose: Any, shape: Any, rule: Requantised, **more: Any) -> Operator:
    given: dict[str, Any] = {"error": rule.error, **more}
    return Operator(f"com.microsoft.{name}", propose, shape, rule.evaluate, defined=rule.defined, tied=True,
                    exact=True, weight=0.75, **given)  # fmt: skip


OPERATORS: tuple[Operator, ...] = (
    _row("QLinearAdd", propose_binary, _binary_shape, _ADD),
    _row("QLinearMul", propose_binary, _binary_shape, _MUL),
    _row("QLinearWhere", propose_where, _where_shape, _WHERE, error=_where_error),
    _row("QLinearLeakyRelu", propose_leaky, same_shape, _LEAKY),
    _row("QLinearSigmoid", propose_unary, same_shape, _SIGMOID),
    _row("QLinearSoftmax", propose_softmax, same_shape, _SOFTMAX),
    _row("QLinearConcat", propose_concat, concat_shape, _CONCAT),
    _row("QLinearAveragePool", propose_average, _pooled_shape("AveragePool"), _AVERAGE),
    _row("QLinearGlobalAveragePool", propose_global, _pooled_shape("GlobalAveragePool"), _GLOBAL),
    *(replace(row, name=f"com.microsoft.{row.name}", propose=_by_axis(row), weight=0.75)
      for row in quantization.OPERATORS if row.name in ("QuantizeLinear", "DequantizeLinear")),
    Operator("com.microsoft.NhwcMaxPool", propose_max, _max_shape, max_pool, max_pool_error, exact=True, weight=0.5),
)  # fmt: skip
