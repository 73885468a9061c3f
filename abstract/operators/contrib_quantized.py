"""Quantised operators of the domain com.microsoft: the numbers meant, an operator of them, and its result quantised.

ONNX Runtime, docs/ContribOperators.md: of each the text says a formula on what is dequantised, and that the result is
quantised. How it is rounded it does not say where it is not QuantizeLinear's own text; ties go to even there. Whatever
rounding costs on the way counts next to a tie alone (see ``quantization.py``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import in_type
from abstract.dtypes import BY_NAME, DType
from abstract.error import is_exact, spread, step_unit
from abstract.narrow import between
from abstract.operator import Array, Bound, Call, Operator, Run, Scope, Typing
from abstract.operators import pooling, quantization, softmax
from abstract.operators.axes import from_front, signed
from abstract.operators.broadcast import broadcast_shape
from abstract.operators.elementwise import MARGIN, same_shape, sigmoid
from abstract.operators.quantization import is_power_of_two, scale_values, stepped
from abstract.operators.window import window_params
from abstract.running import Algebra, Bounding, Exact, Quantity, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS", "Requantised", "by_one", "by_row", "meant", "restored"]

_FLOAT = BY_NAME["float"]
_ROWS = {row.name: row for family in (pooling, softmax) for row in family.OPERATORS}

_TIE = 2.0**-30
"""Less than exact quotients are apart: by the formulas of QLinearAdd and QLinearMul a zero point is added before the
sum is rounded, which is another way at a tie where the zero point is odd."""

Triple = tuple[int, int, int]
"""The positions of an operand, its scale and its zero point."""


def meant(k: Algebra, triple: Triple) -> Quantity:
    """The numbers that a quantised operand stands for."""
    x, scale, zero = (k.operand(i) for i in triple)
    return restored(k, x, scale.reshape(()), None if zero is None else zero.reshape(()))


def restored(k: Algebra, x: Quantity, scale: Quantity, zero: Quantity | None) -> Quantity:
    """(x - zero) * scale; x * scale - zero * scale is as legal."""
    y = (x if zero is None else x - zero) * scale
    if zero is None or not isinstance(k, Bounding):
        return y
    size = (np.abs(x.value) + np.abs(zero.value)) * scale.value
    return Running(y.value, y.error + size * (2 * k.steps.unit), y.steps)


def by_row(k: Algebra, row: Operator, params: Mapping[str, Any], *operands: Quantity) -> Quantity:
    """What an operator of ONNX makes of numbers meant, in float."""
    arrays = tuple(x.value if isinstance(x, Running) else x for x in operands)
    floats = (_FLOAT,) * len(arrays)
    run = replace(k.run, params=params, inputs=arrays, dtypes=floats, output_dtypes=(_FLOAT,))
    y = row.evaluate(run)
    if not isinstance(k, Bounding):
        return y[0]
    bound = row.error(run, y, tuple(x.error for x in operands))[0]
    grant, unit = in_type(row.accuracy, _FLOAT, run.contract), _FLOAT.unit
    bound = bound + np.abs(y[0]) * (2 * grant.ulps * unit) + grant.units * unit
    return Running(y[0], bound, k.steps)


class Requantised:
    """The rules of an operator on quantised numbers: ``real`` is what it makes of the numbers meant.

    At a tie either neighbour will do: see ``_TIE``.

    ``scale`` and ``zero`` are the positions of what the result is quantised by, ``operands`` says those of the
    operands. ``linear``: where all scales are powers of two nothing is rounded on the way.
    """

    def __init__(
        self, real: Callable[[Algebra], Quantity], scale: int, operands: Callable[[Run], Sequence[Triple]], *,
        linear: bool = False,
    ) -> None:  # fmt: skip
        self.real, self.scale, self.operands, self.linear = real, scale, operands, linear

    def _zero(self, run: Run) -> Array | int:
        zero = run.optional(self.scale + 1)
        return 0 if zero is None else zero.reshape(())

    def _quotient(self, run: Run) -> Array:
        return np.asarray(self.real(Exact(run)) / run[self.scale].reshape(()))

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """saturate(round(result / scale) + zero_point), ties to even."""
        return (stepped(self._quotient(run), self._zero(run), run.output_dtypes[0]),)

    def _is_exact(self, run: Run) -> bool:
        scales = [self.scale, *(scale for _, scale, _ in self.operands(run))]
        return self.linear and all(is_power_of_two(run[i]) for i in scales)

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """What the ends of the quotient's interval are rounded to."""
        zero = e[self.scale + 1] if len(e) > self.scale + 1 else 0.0
        zero = zero if isinstance(zero, float) else zero.reshape(())
        if all(map(is_exact, e)) and self._is_exact(run):
            return (self._between(run, y[0], self._quotient(run).astype(np.float64), _TIE),)
        k = Bounding(replace(run, dtypes=(_FLOAT, *run.dtypes[1:])), e)
        made, unit = self.real(k), step_unit(run, _FLOAT)
        divisor, moved = run[self.scale].reshape(()), e[self.scale]
        moved = moved if isinstance(moved, float) else moved.reshape(())
        left = divisor - moved
        quotient = made.value / divisor
        reach = made.error / left + np.abs(quotient) * (moved / left + 4 * unit)
        reach = np.where(left > 0, reach, np.inf) + np.abs(self._zero(run)) * (2 * unit)
        return (self._between(run, y[0], quotient, reach) + zero,)

    def _between(self, run: Run, y: Array, quotient: Array, reach: Bound) -> Bound:
        low, high = (stepped(quotient + side * reach, self._zero(run), run.output_dtypes[0]) for side in (-1, 1))
        return spread(between(y.astype(np.float64), low, high), y)

    def defined(self, run: Run) -> bool:
        """Exactly on ties, or so far from them that rounding does not decide."""
        if self._is_exact(run):
            return True
        quotient, zero, dtype = self._quotient(run).astype(np.float64), self._zero(run), run.output_dtypes[0]
        reach = MARGIN * np.max(np.abs(quotient), initial=1.0)
        return bool(np.all(stepped(quotient - reach, zero, dtype) == stepped(quotient + reach, zero, dtype)))


def _fixed(*triples: Triple) -> Callable[[Run], Sequence[Triple]]:
    return lambda _run: triples


# -- operands ------------------------------------------------------------------------------------------------------


def by_one(s: Scope, scale: str, zero: str, *, optional: bool = False) -> tuple[Value, Value | None]:
    """One scale and one zero point for all; left out now and then only where ONNX Runtime can do without.

    It refuses most models without the zero point of an operand, and aborts at some without that of a result, all of
    them optional by its text (docs/disputes.md).
    """
    return scale_values(s, (), scale), None if optional and s.coin(0.3) else s.shaped((), zero, weight=True)


def _quantisation(s: Scope, *, optional: bool = False) -> tuple[Value, Value | None]:
    return by_one(s, "float", "T", optional=optional)


# -- two operands --------------------------------------------------------------------------------------------------


def propose_binary(s: Scope) -> Call:
    """Operands that broadcast, each with its own scale and zero point."""
    a = s.tensor("T")
    first = _quantisation(s)
    b = s.broadcastable(a)
    return Call((a, *first, b, *_quantisation(s), *_quantisation(s, optional=True)))


def _binary_shape(t: Typing) -> tuple[Shape, ...]:
    return (broadcast_shape(t.store, t[0], t[3]),)


_PAIR = _fixed((0, 1, 2), (3, 4, 5))
_ADD = Requantised(lambda k: meant(k, (0, 1, 2)) + meant(k, (3, 4, 5)), 6, _PAIR, linear=True)
_MUL = Requantised(lambda k: meant(k, (0, 1, 2)) * meant(k, (3, 4, 5)), 6, _PAIR, linear=True)


def _known(s: Scope) -> tuple[Value, Value]:
    """A scale and a zero point as initializers: ONNX Runtime's QLinearWhere reads nowhere where one is computed."""
    dtype = s.dtype("T")
    scale = s.constant(np.asarray(s.pick((0.125, 0.25, 0.5, 1.0, 0.3, 0.07, 3.0)), np.float32), _FLOAT)
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


_WHERE = Requantised(_chosen, 7, _fixed((1, 2, 3), (4, 5, 6)), linear=True)


def _where_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Nothing is known where the condition may be another."""
    (bound,) = _WHERE.error(run, y, (0.0, *e[1:]))
    if is_exact(e[0]):
        return (bound,)
    return (np.where(np.broadcast_to(np.asarray(e[0]) > 0, y[0].shape), np.inf, bound),)


# -- one operand ---------------------------------------------------------------------------------------------------


def propose_unary(s: Scope) -> Call:
    """A tensor and how its result is quantised."""
    return Call((s.tensor("T"), *_quantisation(s), *_quantisation(s)))


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
    inputs = (x, *_quantisation(s, optional=True), *_quantisation(s))
    return Call(inputs, {"opset": s.pick((13, 13, 17)), "axis": s.integer(-x.type.rank, x.type.rank - 1)})


def _softmax(k: Algebra) -> Quantity:
    x, axis = meant(k, (0, 1, 2)), int(k.run.params.get("axis", -1))
    if k.run.params["opset"] < 13:
        shape = x.shape
        flat = x.reshape(int(np.prod(shape[: from_front(axis, len(shape))])), -1)
        return by_row(k, _ROWS["Softmax"], {"axis": -1}, flat).reshape(*shape)
    return by_row(k, _ROWS["Softmax"], {"axis": axis}, x)


_ONE = _fixed((0, 1, 2))
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


def _images(s: Scope, variable: str = "T") -> Value:
    return s.tensor(variable, rank=(3, 5), where=lambda v: all(v.array.shape))


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
    return Call((x, *_quantisation(s), *_quantisation(s, optional=True)), params)


def propose_global(s: Scope) -> Call:
    """All of the spatial axes, with the channels in their place or last."""
    x = _images(s)
    params = {"channels_last": s.integer(0, 1)} if s.coin(0.7) else {}
    return Call((x, *_quantisation(s), *_quantisation(s)), params)


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


def _like_zero(t: Typing, sign: Signature) -> tuple[DType, ...]:
    del sign
    return (t.dtypes[1] or _FLOAT,)


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
