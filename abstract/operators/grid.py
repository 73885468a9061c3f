"""AffineGrid and GridSample: positions in a picture, and what stands there.

Positions are normalised: -1 and 1 are the ends of an axis, which are the centres of its outermost elements with
align_corners, else their outer edges.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.dtypes import Kind
from abstract.error import is_exact, products, step_unit
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Params, Run, Scope, Typing
from abstract.operators.axes import operand
from abstract.operators.sampling import Point, blended, blended_error, nearest, nearest_error

if TYPE_CHECKING:
    from abstract.dims import Dim
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS"]

FLOAT = (Kind.FLOAT,)
_MODERATE = Domain(-64.0, 64.0)
_VIEW = Domain(-1.5, 1.5)
_SINGLE = 2.0**-24

# -- AffineGrid ----------------------------------------------------------------------------------------------


def propose_affine(s: Scope) -> Call:
    """Pictures of two axes or three, longer than one element where corners are aligned (a division by 0 otherwise)."""
    rank, params = s.pick((2, 2, 3)), {}
    corners = s.coin(0.5)
    if corners or s.coin(0.3):
        params["align_corners"] = int(corners)
    batch = s.size(1, 3, "n")
    theta = s.shaped((batch, rank, rank + 1), "T1", domain=Domain(-4.0, 4.0))
    sizes = tuple(s.size(1 + corners, 6, "g") for _ in range(rank))
    return Call((theta,), {**params, "size": (batch, s.size(1, 4, "c"), *sizes)})


def affine_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, *sizes, r)."""
    batch, _, *sizes = t.params["size"]
    rank = len(sizes)
    for mine, due in zip(t[0], (batch, rank, rank + 1), strict=True):
        t.store.unify(mine, due)
    return ((batch, *sizes, rank),)


def _positions(run: Run) -> Array:
    """The homogeneous positions, (prod(sizes), r + 1): the last axis of the picture first."""
    _, _, *sizes = (int(n) for n in run.params["size"])
    corners = run.params.get("align_corners", 0)
    lines = [2 * np.arange(n) / max(n - 1, 1) - 1 if corners else (2 * np.arange(n) + 1) / n - 1 for n in sizes]
    mesh = np.meshgrid(*lines, indexing="ij")
    return np.stack([*(m.ravel() for m in reversed(mesh)), np.ones(prod(sizes))], axis=-1)


def affine_grid(run: Run) -> tuple[Array, ...]:
    """Each position of the picture times the matrix."""
    theta, at = run[0], _positions(run)
    y = run.arithmetic.dot(at.astype(theta.dtype, copy=False), theta.swapaxes(-1, -2))
    return (y.reshape(theta.shape[0], *(int(n) for n in run.params["size"][2:]), theta.shape[1]),)


def affine_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """Positions come by up to n additions of a rounded step; each term errs by that, the matrix's error and the sum."""
    theta, at = np.abs(run[0]), np.abs(_positions(run))
    longest = max(run.params["size"][2:], default=1)
    unit = step_unit(run, run.dtypes[0]) * (longest + 6)
    passed = 0.0 if is_exact(e[0]) else np.broadcast_to(np.asarray(e[0]), theta.shape)
    factor = products(run, theta.shape[-1] + 1, 0, 0)
    grown = theta + passed
    terms = (at @ grown.swapaxes(-1, -2)) * factor + unit * grown.sum(axis=-1)[:, None, :]
    if not is_exact(e[0]):
        terms = terms + at @ np.asarray(passed).swapaxes(-1, -2)
    return (terms.reshape(y[0].shape),)


# -- GridSample ----------------------------------------------------------------------------------------------

_MODES = {b"bilinear": b"linear", b"bicubic": b"cubic"}


def _mode(params: Params) -> bytes:
    given: bytes = params.get("mode", b"linear")
    return _MODES.get(given, given)


_ZEROED = (*FLOAT, Kind.SIGNED, Kind.UNSIGNED, Kind.BOOL, Kind.COMPLEX)


def propose_sample(s: Scope) -> Call:
    """Every mode, padding and rank; what is no float by the nearest alone, since others blend it in their own type.

    Text is never padded by zeros: what text those are is nowhere stated.
    """
    plain = s.signature.since < 20
    params: dict[str, Any] = {}
    mode = s.pick((b"linear", b"linear", b"nearest", b"cubic"))
    if mode != b"linear" or s.coin(0.5):
        params["mode"] = (b"bi" + mode) if plain and mode != b"nearest" else mode
    if s.coin(0.7):
        params["padding_mode"] = s.pick((b"zeros", b"border", b"reflection"))
    if s.coin(0.6):
        params["align_corners"] = s.integer(0, 1)
    padded = params.get("padding_mode", b"zeros") == b"zeros"
    kinds = (None if not padded else _ZEROED) if mode == b"nearest" else FLOAT
    ranks = (4, 4) if plain or s.coin(0.9 if mode == b"cubic" else 0.6) else s.pick(((5, 5), (5, 5), (3, 3)))
    if s.coin(0.3):
        grid = operand(s, 1, rank=ranks, kinds=FLOAT, domain=_VIEW, where=_is_grid)
        if _is_grid(grid):
            s.dtype("T1", kinds)
            shape = (grid.type.shape[0], s.size(1, 3, "c"), *(s.size(1, 7, "d") for _ in grid.type.shape[2:]))
            return Call((s.shaped(shape, "T1", domain=_MODERATE), grid), params)
    x = operand(s, rank=ranks, kinds=kinds, domain=_MODERATE, where=lambda v: 0 < v.array.size <= 1024)
    s.dtype("T2", FLOAT)
    out: list[Dim] = [s.size(1, 5, "o") for _ in x.type.shape[2:]]
    grid = s.shaped((x.type.shape[0], *out, len(out)), "T2", domain=_VIEW)
    return Call((x, grid), params)


def _is_grid(value: Value) -> bool:
    shape = value.array.shape
    return shape[-1] == len(shape) - 2 and 0 < value.array.size <= 512


def sample_shape(t: Typing) -> tuple[Shape, ...]:
    """(N, C, *out) of (N, C, *sizes) and (N, *out, r)."""
    x, grid = t[0], t[1]
    t.store.unify(x[0], grid[0])
    t.store.unify(grid[-1], len(x) - 2)
    return ((*x[:2], *grid[1:-1]),)


def _points(run: Run, e: Bound = 0.0) -> list[Point]:
    """Where each of the picture's axes is read: the grid holds the last axis first.

    A coordinate is rounded some four times on its way from the grid, in its own type or that of the picture.
    """
    x, grid = run[0], run[1].astype(np.float64)
    padding, corners = run.params.get("padding_mode", b"zeros"), bool(run.params.get("align_corners", 0))
    unit = max((step_unit(run, d) for d in run.dtypes if d is not None and d.is_float), default=_SINGLE)
    flat = grid.reshape(grid.shape[0], prod(grid.shape[1:-1]), grid.shape[-1])
    errors = 0.0 if is_exact(e) else np.broadcast_to(np.asarray(e), grid.shape).reshape(flat.shape)
    points = []
    for axis, size in enumerate(x.shape[2:]):
        g = flat[..., -1 - axis]
        at = (g + 1) / 2 * (size - 1) if corners else ((g + 1) * size - 1) / 2
        scale = (size - 1 if corners else size) / 2
        error = (np.abs(g) + 2) * ((size + 1) * 2 * unit)
        error = error + (errors if isinstance(errors, float) else errors[..., -1 - axis] * scale)
        if padding == b"border" and _mode(run.params) == b"cubic":
            edge = 0.0 if corners else 0.5
            if edge:  # what lies beyond is read at the last element: a step of the values there
                on_it = np.minimum(np.abs(at + edge), np.abs(at - (size - 1 + edge))) <= error
                error = np.where(on_it, np.maximum(error, 1.0), error)
            at = np.where((at < -edge) | (at > size - 1 + edge), np.clip(at, 0, size - 1), at)
        points.append(Point(at, error, size, padding, corners))
    return points


def _checked(run: Run) -> bytes:
    mode, x = _mode(run.params), run[0]
    if mode != b"nearest" and (x.dtype.kind not in "fiu" or (mode == b"cubic" and x.dtype.kind != "f")):
        raise NotCovered("GridSample that blends what are no numbers, or integers with negative weights")
    if 0 in x.shape[2:] or not np.isfinite(run[1]).all():
        raise NotCovered("GridSample of nothing, or nowhere")
    return mode


def grid_sample(run: Run) -> tuple[Array, ...]:
    """The nearest element at each position of the grid, or the blend of those around; integers are cut at the end."""
    mode, x = _checked(run), run[0]
    points = _points(run)
    if mode == b"nearest":
        y = nearest(x, points)
    elif x.dtype.kind == "f":
        y = blended(run, x, points, mode)
    else:
        y = np.trunc(blended(run, x.astype(np.float64), points, mode)).astype(x.dtype)
    return (y.reshape(*x.shape[:2], *run[1].shape[1:-1]),)


def sample_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """See ``abstract/operators/sampling.py``; what is cut to an integer may fall on either side of one."""
    mode, x, points = _checked(run), run[0], _points(run, e[1])
    given = y[0].reshape(*x.shape[:2], points[0].at.shape[1])
    if mode == b"nearest":
        if x.dtype.kind not in "fiub":
            return (0.0 if is_exact(nearest_error(np.zeros(x.shape), points, np.ones(given.shape), 0.0)) else np.inf,)
        bound = nearest_error(x.astype(np.float64, copy=False), points, given, e[0])
        return (bound if isinstance(bound, float) else bound.reshape(y[0].shape),)
    bound = blended_error(run, x, points, mode, e[0])
    if x.dtype.kind != "f":
        exact = blended(run, x.astype(np.float64), points, mode)
        bound = np.maximum(np.trunc(exact + bound) - given, given - np.trunc(exact - bound))
    return (bound.reshape(y[0].shape),)


OPERATORS: tuple[Operator, ...] = (
    Operator("AffineGrid", propose_affine, affine_shape, affine_grid, affine_error, parameters=("size",), since=20,
             weight=0.5),
    Operator("GridSample", propose_sample, sample_shape, grid_sample, sample_error, since=16, weight=0.5),
)  # fmt: skip
