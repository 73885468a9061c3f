"""Normalization of the domain com.microsoft: layers by their deviation or root mean square, after a sum or a look-up.

ONNX Runtime, docs/ContribOperators.md. ``SimplifiedLayerNormalization`` is RMSNormalization as it was before ONNX had
it: ONNX Runtime registers it in ONNX's own domain, where ONNX does not know it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_CODE, BY_NAME
from abstract.error import is_exact
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front
from abstract.operators.elementwise import FLOAT
from abstract.operators.normalization import layer, layer_error, propose_rms, rms, rms_error
from abstract.running import Algebra, Bounding, Exact, Quantity, bounds_of

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature
    from abstract.types import Shape

__all__ = ["OPERATORS"]

_MODERATE = Domain(-64.0, 64.0)
_EPSILONS = (1e-12, 1e-5, 1e-3, 0.01)
_INT32 = BY_NAME["int32"]


def _epsilon(s: Scope) -> dict[str, Any]:
    return {"epsilon": s.pick(_EPSILONS)} if s.coin(0.6) else {}


# -- root mean square alone ----------------------------------------------------------------------------------------


def simplified_shape(t: Typing) -> tuple[Shape, ...]:
    """The input's, and the same with 1 from the axis on for what is saved; the scale has the last axes."""
    x, axis = t[0], from_front(t.params.get("axis", -1), len(t[0]))
    if len(t[1]) != len(x) - axis:
        raise Infeasible("a scale of another rank than what is normalized")
    for mine, theirs in zip(t[1], x[axis:], strict=True):
        t.store.unify(mine, theirs)
    return (x, (*x[:axis], *(1,) * (len(x) - axis)))[: t.outputs]


def _simplified_types(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """The scale's type, and the stash type."""
    stash = t.params.get("stash_type", sign.defaults["stash_type"])
    if t.dtypes[1] is None:
        raise NotCovered("a scale of no known type")
    return t.dtypes[1], BY_CODE[stash]


def simplified(run: Run) -> tuple[Array, ...]:
    """RMSNormalization."""
    if len(run.output_dtypes) > 1:
        raise NotCovered("what is saved for training")
    return rms(run)


# -- after a sum ---------------------------------------------------------------------------------------------------


class _Skip:
    """The sum of input, skip and now and then a bias, normalized over its last axis; the sum is a result as well."""

    def __init__(self, *, centre: bool) -> None:
        self.centre = centre
        self.bias = 4 if centre else 3

    def propose(self, s: Scope) -> Call:
        """A skip for each sample or one for all; beta, bias and the sum given or left out."""
        x = s.tensor(kinds=FLOAT, rank=(2, 3), domain=_MODERATE, where=lambda v: v.array.size > 0)
        shape = x.type.shape
        style = s.integer(0, 4) if len(shape) == 3 else 0
        skip = ((*shape,), (*shape,), (*shape,), (1, *shape[1:]), shape[1:])[style]
        given: list[Value | None] = [x, s.shaped(skip, domain=_MODERATE)]
        given.append(s.shaped(shape[-1:], weight=True, domain=_MODERATE))
        given += [s.shaped(shape[-1:], weight=True, domain=_MODERATE) if s.coin(0.5) else None
                  for _ in range(self.bias - 2)]  # fmt: skip
        if s.coin(0.5):
            return Call(tuple(given), _epsilon(s))
        return Call(tuple(given), _epsilon(s), 4, frozenset((1, 2)))

    def shape(self, t: Typing) -> tuple[Shape, ...]:
        """The input's; what is saved has 1 in place of the last axis."""
        x, skip = t[0], t[1]
        for mine, theirs in zip(skip[::-1], x[::-1], strict=False):
            if t.store.value(mine) != 1 or t.store.value(theirs) == 1:
                t.store.unify(mine, theirs)
        for given in t.shapes[2:]:
            if given is not None:
                t.store.unify(given[0], x[-1])
        saved = (*x[:-1], 1)
        return (x, saved, saved, x)[: t.outputs]

    def _sum(self, k: Algebra) -> Quantity:
        total, bias = k.operand(0) + k.operand(1), k.operand(self.bias)
        return total if bias is None else total + bias

    def _layer(self, run: Run, total: Array) -> Run:
        beta = run.optional(3) if self.centre else None
        return replace(run, inputs=(total, run[2], beta))

    def evaluate(self, run: Run) -> tuple[Array, ...]:
        """See the class."""
        total = self._sum(Exact(run))
        inner = self._layer(run, total)
        if self.centre:
            return (*layer(inner), total)
        nothing = np.zeros((*total.shape[:-1], 1), total.dtype)  # the text does not say what is saved here
        return (*rms(inner), nothing, nothing, total)

    def error(self, run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        """The sum's, and what a normalization makes of it."""
        total = self._sum(Bounding(run, e))
        inner = self._layer(run, total.value)
        beta = e[3] if self.centre and len(e) > 3 else 0.0
        if self.centre:
            return (*layer_error(inner, y, (total.error, e[2], beta)), *bounds_of(total))
        return (*rms_error(inner, y, (total.error, e[2])), np.inf, np.inf, *bounds_of(total))


# -- after a look-up -----------------------------------------------------------------------------------------------


def _indices(s: Scope, shape: Shape, count: int) -> Value:
    """Whole numbers below a count: known, or computed or fed."""
    sizes = tuple(map(s.store.value, shape))
    if s.coin(0.4):
        numbers = [s.integer(0, count - 1) for _ in range(int(np.prod(sizes)))]
        return s.constant(np.asarray(numbers, np.int64).reshape(sizes), _INT32)
    return s.shaped(shape, "T1", domain=Domain(0.0, float(count - 1)))


def _padding(s: Scope, shape: Shape) -> Value:
    """Ones, and zeros from some place on: of zeros in between the text does not say what they count for."""
    batch, length = map(s.store.value, shape)
    filled = np.array([s.integer(0, length) for _ in range(batch)])
    return s.constant((np.arange(length) < filled[:, None]).astype(np.int64), _INT32)


def propose_embedding(s: Scope) -> Call:
    """Segments, a mask and positions given or left out; the length of each sample and the sum asked for or not."""
    width, words = s.size(2, 8, "h"), s.size(1, 8, "w")
    batch, length = s.size(1, 4, "n"), s.size(1, 6, "l")
    rows = s.size(s.store.value(length), 8, "r")
    table = s.shaped((words, width), weight=True, domain=_MODERATE)
    places = s.shaped((rows, width), weight=True, domain=_MODERATE)
    ids = _indices(s, (batch, length), s.store.value(words))
    segments: tuple[Value | None, ...] = (None, None)
    if s.coin(0.6):
        kinds = s.size(1, 3, "g")
        parts = s.shaped((kinds, width), weight=True, domain=_MODERATE)
        segments = (_indices(s, (batch, length), s.store.value(kinds)), parts)
    affine = [s.shaped((width,), weight=True, domain=_MODERATE) for _ in range(2)]
    mask = _padding(s, (batch, length)) if s.coin(0.5) else None
    at = None
    if s.coin(0.4):
        first: Dim = 1 if s.coin(0.4) else batch
        at = _indices(s, (first, length), s.store.value(rows))
    inputs = (ids, segments[0], table, places, segments[1], *affine, mask, at)
    params = _epsilon(s)
    absent = frozenset({1} if mask is None else ())
    if s.coin(0.5):
        return Call(inputs, params, 3, absent)
    if mask is None:  # without a word on it ONNX Runtime asks for the second result
        params["mask_index_type"] = 0
    return Call(inputs, params, 1 if absent else 2, frozenset())


def embedding_shape(t: Typing) -> tuple[Shape, ...]:
    """(batch, length, width), (batch,), and the first again."""
    (batch, length), width = t[0], t[2][1]
    for position in (3, 4, 5, 6):
        if t.shapes[position] is not None:
            t.store.unify(t[position][-1], width)
    for position in (1, 7, 8):
        shape = t.shapes[position] if position < len(t.shapes) else None
        if shape is not None:
            t.store.unify(shape[1], length)
            if position != 8 or t.store.value(shape[0]) != 1:
                t.store.unify(shape[0], batch)
    return ((batch, length, width), (batch,), (batch, length, width))[: t.outputs]


def _embedded(k: Algebra) -> Quantity:
    """The rows that the indices pick, added."""
    run = k.run
    at, segments = run.optional(8), run.optional(1)
    if at is None:
        at = np.arange(run[0].shape[1])[None]
    parts = [k.operand(2)[run[0]], k.operand(3)[np.broadcast_to(at, run[0].shape)]]
    if segments is not None:
        parts.append(k.operand(4)[segments])
    return k.total(*parts)


def embedding(run: Run) -> tuple[Array, ...]:
    """The sum of the embeddings normalized over the last axis; the number of words; the sum."""
    total = _embedded(Exact(_floats(run)))
    mask = run.optional(7)
    lengths = np.zeros(total.shape[0], np.int64) if mask is None else (mask == 1).sum(axis=-1)
    return layer(_inner(run, total))[0], lengths, total


def _floats(run: Run) -> Run:
    """The execution with the type of the tables as that of its first operand: steps are rounded to that."""
    return replace(run, dtypes=(run.dtypes[2], *run.dtypes[1:]))


def _inner(run: Run, total: Array) -> Run:
    dtypes = (run.dtypes[2], run.dtypes[5], run.dtypes[6])
    return replace(run, inputs=(total, run[5], run[6]), dtypes=dtypes)


def embedding_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The sum's, and what a normalization makes of it; nothing is known where an index may be another."""
    if any(len(e) > i and not is_exact(e[i]) for i in (0, 1, 7, 8)):
        return (np.inf, np.inf, np.inf)
    total = _embedded(Bounding(_floats(run), e))
    inner = _inner(run, total.value)
    return layer_error(inner, y, (total.error, e[5], e[6]))[0], 0.0, total.error


_LAYER, _RMS = _Skip(centre=True), _Skip(centre=False)

OPERATORS: tuple[Operator, ...] = (
    Operator("SimplifiedLayerNormalization", propose_rms, simplified_shape, simplified, rms_error,
             output_dtypes=_simplified_types),
    Operator("com.microsoft.SkipLayerNormalization", _LAYER.propose, _LAYER.shape, _LAYER.evaluate, _LAYER.error),
    Operator("com.microsoft.SkipSimplifiedLayerNormalization", _RMS.propose, _RMS.shape, _RMS.evaluate, _RMS.error),
    Operator("com.microsoft.EmbedLayerNormalization", propose_embedding, embedding_shape, embedding, embedding_error),
)  # fmt: skip
