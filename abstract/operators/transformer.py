"""What stands around attention in a transformer: rotary positions, caches that are written to, gated activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least, divisible
from abstract.dims import floor_div
from abstract.dtypes import BY_NAME
from abstract.error import is_exact
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.elementwise import FLOAT, sigmoid
from abstract.running import Algebra, Quantity, rules

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "even_heads", "is_even", "rotated"]

_MODERATE = Domain(-64.0, 64.0)
_INDEX = "tensor(int64)"


# -- rotary positions ------------------------------------------------------------------------------------------


def rotated(k: Algebra) -> Quantity:
    """Pairs of elements of each head turned by the angle of their position; what lies beyond them as it is."""
    run = k.run
    x, cos, sin, places = k.operand(0), k.operand(1), k.operand(2), run.optional(3)
    flat = run[0].ndim == 3
    if flat:
        heads = run.params.get("num_heads", 0)
        if not heads:
            raise NotCovered("RotaryEmbedding on three axes without a number of heads")
        x = x.reshape(x.shape[0], x.shape[1], heads, -1)
    else:
        x = x.transpose(0, 2, 1, 3)
    if places is not None:
        cos, sin = cos[places], sin[places]
    width = int(run.params.get("rotary_embedding_dim", 0)) or x.shape[-1]
    half = width // 2
    if cos.ndim != 3 or cos.shape[-1] != half:
        raise NotCovered("RotaryEmbedding with caches of another width")
    cos, sin = cos[:, :, None], sin[:, :, None]
    paired = bool(run.params.get("interleaved", 0))
    first, second = (x[..., 0:width:2], x[..., 1:width:2]) if paired else (x[..., :half], x[..., half:width])
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    if paired:
        turned = k.stack([real, imaginary], -1)
        turned = turned.reshape(*turned.shape[:-2], -1)
    else:
        turned = k.concatenate([real, imaginary], -1)
    y = k.concatenate([turned, x[..., width:]], -1)
    return y.reshape(*run[0].shape) if flat else y.transpose(0, 2, 1, 3)


def _width(t: Typing) -> tuple[Dim, Dim]:
    """The width of what is turned, and of a head."""
    x = t[0]
    size: Dim = x[3] if len(x) == 4 else 0
    if len(x) == 3:
        heads = int(t.params.get("num_heads") or 0)
        if not heads:
            raise Infeasible("three axes need a number of heads")
        t.store.require(divisible(x[2], heads))
        size = floor_div(x[2], heads)
    return t.params.get("rotary_embedding_dim") or size, size


def rotary_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the input; a row of the caches has an angle for each pair."""
    x = t[0]
    if len(x) not in (3, 4):
        raise Infeasible("an input of another rank")
    width, size = _width(t)
    t.store.require(divisible(width, 2))
    t.store.require(at_least(size, width))
    batch, length, half = x[0], x[-2] if len(x) == 4 else x[1], floor_div(width, 2)
    placed = len(t.shapes) > 3 and t.shapes[3] is not None
    rows: Shape = (t[1][0], half) if placed else (batch, length, half)
    pairs = [*zip(t[1], rows, strict=True), *zip(t[2], rows, strict=True)]
    if placed:
        pairs += zip(t[3], (batch, length), strict=True)
    for mine, theirs in pairs:
        t.store.unify(mine, theirs)
    return (x,)


def is_even(value: Value) -> bool:
    """Whether the last axis goes into pairs, and there are any."""
    return value.array.size > 0 and value.array.shape[-1] % 2 == 0


def even_heads(s: Scope, width: Dim) -> tuple[int, Dim]:
    """A number of heads that share a width out, each of even size, and that size. Infeasible where there is none."""
    hidden = s.store.value(width)
    options = [h for h in range(1, hidden + 1) if hidden % h == 0 and hidden // h % 2 == 0]
    if not options:
        raise Infeasible("no head of even size")
    count: int = s.pick(options)
    return count, floor_div(width, count)


def propose_rotary(s: Scope) -> Call:
    """Three axes or four, all of a head or its first part, in halves or pairs, with positions or a row for each."""
    x = s.tensor(kinds=FLOAT, rank=(3, 4), domain=_MODERATE, where=is_even)
    shape, params = x.type.shape, {}
    size = shape[-1]
    if len(shape) == 3:
        count, size = even_heads(s, shape[2])
        params["num_heads"] = count
    s.store.require(divisible(size, 2))
    width = size
    if s.coin(0.3):
        width = 2 * s.integer(1, s.store.value(size) // 2)
        params["rotary_embedding_dim"] = width
        params.setdefault("num_heads", s.store.value(shape[1]))  # ONNX Runtime asks for it with a part alone
    if s.coin(0.5):
        params["interleaved"] = s.integer(0, 1)
    batch, length, half = shape[0], shape[-2] if len(shape) == 4 else shape[1], floor_div(width, 2)
    if s.coin(0.5):
        rows = s.size(1, 8, "r")
        caches = [s.shaped((rows, half), weight=True, domain=_MODERATE) for _ in range(2)]
        return Call((x, *caches, _positions(s, (batch, length), s.store.value(rows) - 1)), params)
    return Call((x, *(s.shaped((batch, length, half), weight=True, domain=_MODERATE) for _ in range(2))), params)


def _positions(s: Scope, shape: Shape, last: int) -> Value:
    """Whole numbers from 0 to the last: known, or computed or fed."""
    if s.coin(0.4):
        sizes = tuple(map(s.store.value, shape))
        numbers = [s.integer(0, last) for _ in range(int(np.prod(sizes)))]
        return s.constant(np.asarray(numbers, np.int64).reshape(sizes), BY_NAME["int64"])
    variable = "M" if "M" in s.signature.types else _INDEX
    return s.shaped(shape, variable, domain=Domain(0.0, float(last)))


# -- caches ----------------------------------------------------------------------------------------------------


def _axis(params: Any, rank: int) -> int:
    axis = int(params.get("axis", -2))
    return axis + rank if axis < 0 else axis


def _written(run: Run, cache: Array, update: Array) -> Array:
    """The cache with a sample's update written from its index on; behind its end, a circular one goes on in front."""
    axis = _axis(run.params, cache.ndim)
    length, count = cache.shape[axis], update.shape[axis]
    starts = run.optional(2)
    first = np.zeros(cache.shape[0], np.int64) if starts is None else starts.astype(np.int64)
    at = first[:, None] + np.arange(count)
    if run.params.get("mode", b"linear") == b"circular":
        at = at % length
    result = np.moveaxis(cache, axis, 1).copy()
    result[np.arange(cache.shape[0])[:, None], at] = np.moveaxis(update, axis, 1)
    return np.moveaxis(result, 1, axis)


def scatter(run: Run) -> tuple[Array, ...]:
    """See ``_written``."""
    return (_written(run, run[0], run[1]),)


def scatter_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The bounds are written as the elements are; nothing is known where an index may be another."""
    del y
    if len(e) > 2 and not is_exact(e[2]):
        return (np.inf,)
    if is_exact(e[0]) and is_exact(e[1]):
        return (0.0,)
    cache, update = (np.broadcast_to(np.asarray(e[i], np.float64), run[i].shape) for i in (0, 1))
    return (_written(run, cache, update),)


def scatter_shape(t: Typing) -> tuple[Shape, ...]:
    """The shape of the cache; the update is no longer along the axis and alike elsewhere."""
    cache, update = t[0], t[1]
    axis = _axis(t.params, len(cache))
    if not 0 < axis < len(cache) or len(update) != len(cache):
        raise Infeasible("an axis or a rank that does not fit")
    t.store.require(at_least(cache[axis], update[axis]))
    for i, (mine, theirs) in enumerate(zip(update, cache, strict=True)):
        if i != axis:
            t.store.unify(mine, theirs)
    if len(t.shapes) > 2 and t.shapes[2] is not None:
        t.store.unify(t[2][0], cache[0])
    return (cache,)


def propose_scatter(s: Scope) -> Call:
    """Any axis but the first; both modes; written from the start, or from an index a sample that fits."""
    cache = s.tensor(rank=(2, 8), where=lambda v: v.array.size > 0)
    shape = list(cache.type.shape)
    params: dict[str, Any] = {}
    rank = len(shape)
    axis = s.integer(1, rank - 1)
    if axis != rank - 2 or s.coin(0.3):
        params["axis"] = axis - rank if s.coin(0.5) else axis
    length = s.store.value(shape[axis])
    count = s.integer(1, length)
    shape[axis] = count
    update = s.shaped(tuple(shape))
    circular = s.coin(0.4)
    if circular or s.coin(0.2):
        params["mode"] = b"circular" if circular else b"linear"
    if s.coin(0.3):
        return Call((cache, update), params)
    starts = _positions(s, (shape[0],), 3 * length if circular else length - count)
    return Call((cache, update, starts), params)


# -- gated activations -----------------------------------------------------------------------------------------


def _gated(k: Algebra) -> tuple[Quantity, ...]:
    """Swish of the first times the second."""
    gate, alpha = k.operand(0), k.coefficient(float(k.run.params.get("alpha", 1.0)))
    return (gate * k.function("Sigmoid", sigmoid, gate * alpha) * k.operand(1),)


def swiglu_shape(t: Typing) -> tuple[Shape, ...]:
    """Both are of the same shape."""
    if len(t[0]) != len(t[1]):
        raise Infeasible("operands of other ranks")
    for mine, theirs in zip(t[0], t[1], strict=True):
        t.store.unify(mine, theirs)
    return (t[0],)


def propose_swiglu(s: Scope) -> Call:
    """Two operands of one shape."""
    gate = s.tensor(kinds=FLOAT, domain=_MODERATE)
    params = {"alpha": s.pick((0.5, 1.0, 1.5, float(np.float32(1.702))))} if s.coin(0.5) else {}
    return Call((gate, s.shaped(gate.type.shape, domain=_MODERATE)), params)


OPERATORS: tuple[Operator, ...] = (
    Operator("RotaryEmbedding", propose_rotary, rotary_shape, *rules(lambda k: (rotated(k),), 3), since=23),
    Operator("TensorScatter", propose_scatter, scatter_shape, scatter, scatter_error, exact=True, since=24),
    Operator("SwiGLU", propose_swiglu, swiglu_shape, *rules(_gated), since=28),
)
