"""Running error analysis: one description of an algorithm gives both its values and a bound on their errors.

An operator that takes many steps (a recurrence, attention) is written once, in terms of an *algebra*. ``Exact``
computes with plain arrays, in any numpy type. ``Bounding`` carries out the same steps on ``Running`` values: beside
each number goes a bound on what it may be off by, to which every step adds its own rounding (N. Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 3.3). Sums of products are bounded as a whole, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from abstract.accuracy import granted, in_type
from abstract.error import accumulator, held_loss, is_exact, products, rounding_unit, step_unit, underflow
from abstract.operator import Array, Bound, Run

__all__ = ["Algebra", "Bounding", "Exact", "Quantity", "Running", "bounds_of", "rules"]

Quantity: TypeAlias = Any
"""What an algebra computes with: arrays, or ``Running`` values. Both know ``+ - *``, slices, ``shape``, ``reshape``,
``transpose``, ``swapaxes``, ``repeat``."""

Function: TypeAlias = Callable[[Array], Array]
_Evaluation: TypeAlias = Callable[[Run], tuple[Array, ...]]
_ErrorRule: TypeAlias = Callable[[Run, tuple[Array, ...], tuple[Bound, ...]], tuple[Bound, ...]]


class Algebra(Protocol):
    """What an algorithm may ask for beside the operators of its quantities."""

    @property
    def run(self) -> Run:
        """The execution: parameters, types, what is legal in it."""

    def operand(self, position: int) -> Quantity:
        """The data input at a position, or None where it is absent."""

    def constant(self, array: Array) -> Quantity:
        """Numbers that are exact in every implementation."""

    def coefficient(self, value: float, roundings: int = 0) -> Quantity:
        """An attribute: a float32 number by the specification, which may be rounded to the operands' type.

        ``roundings`` are granted on top where it is worked out, or applied in parts.
        """

    def product(self, a: Quantity, b: Quantity, left: int, right: int) -> Quantity:
        """The matrix product, for ``total`` alone; ``left`` and ``right`` say which operands the factors stem from."""

    def total(self, *terms: Quantity) -> Quantity:
        """The sum of quantities and products, in any order."""

    def function(self, name: str, f: Function, x: Quantity, scale: float = 1.0, relative: float = 0.0) -> Quantity:
        """A function that is monotone on either side of 0, granted what ``abstract/accuracy.py`` has for ``name``.

        ``scale`` is the size of which its absolute error is counted, ``relative`` what its coefficients may be off by.
        """

    def threshold(self, x: Quantity, at: float) -> Quantity:
        """X where it is at least ``at``, else 0."""

    def clip(self, x: Quantity, low: float, high: float) -> Quantity:
        """X inside of [low, high]."""

    def where(self, mask: Array, a: Quantity, b: Quantity) -> Quantity:
        """A where the mask says so, else b."""

    def blend(self, z: Quantity, a: Quantity, b: Quantity) -> Quantity:
        """(1 - z) a + z b."""

    def stack(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """Quantities of one shape along a new axis."""

    def concatenate(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """Quantities along an axis."""


@dataclass(frozen=True, slots=True)
class Exact:
    """The algebra of plain arrays."""

    run: Run

    def operand(self, position: int) -> Quantity:
        """The array itself."""
        return self.run.optional(position)

    def constant(self, array: Array) -> Quantity:
        """The array, in the type of the first operand."""
        return np.asarray(array, self.run[0].dtype)

    def coefficient(self, value: float, roundings: int = 0) -> Quantity:
        """The number itself."""
        del roundings
        return value

    def product(self, a: Quantity, b: Quantity, left: int, right: int) -> Quantity:
        """See ``Arithmetic.dot``."""
        del left, right
        return self.run.arithmetic.dot(a, b)

    def total(self, *terms: Quantity) -> Quantity:
        """From left to right."""
        result = terms[0]
        for term in terms[1:]:
            result = result + term
        return result

    def function(self, name: str, f: Function, x: Quantity, scale: float = 1.0, relative: float = 0.0) -> Quantity:
        """The function's value."""
        del name, scale, relative
        return f(x)

    def threshold(self, x: Quantity, at: float) -> Quantity:
        """See ``Algebra``."""
        return np.where(x >= at, x, x.dtype.type(0))

    def clip(self, x: Quantity, low: float, high: float) -> Quantity:
        """See ``Algebra``."""
        return np.minimum(np.maximum(x, low), high)

    def where(self, mask: Array, a: Quantity, b: Quantity) -> Quantity:
        """See ``Algebra``."""
        return np.where(mask, a, b)

    def blend(self, z: Quantity, a: Quantity, b: Quantity) -> Quantity:
        """See ``Algebra``."""
        return (1 - z) * a + z * b

    def stack(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """See ``Algebra``."""
        return np.stack(parts, axis)

    def concatenate(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """See ``Algebra``."""
        return np.concatenate(parts, axis)


@dataclass(frozen=True, slots=True)
class _Steps:
    """How one step rounds: its unit roundoff, what it loses near 0, and the end of its range."""

    unit: float
    tiny: float
    limit: float


class Running:
    """Numbers, each with a bound on its absolute error."""

    __slots__ = ("error", "steps", "value")
    __array_ufunc__ = None  # an array on the left leaves the operation to us

    def __init__(self, value: Array, error: Bound, steps: _Steps) -> None:
        self.value = value
        self.error: Array = np.broadcast_to(np.asarray(error, np.float64), value.shape)
        self.steps = steps

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the numbers."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Their rank."""
        return self.value.ndim

    def _rounded(self, value: Array, error: Array) -> Running:
        steps = self.steps
        reach = np.abs(value) + error
        error = error + reach * steps.unit + steps.tiny
        return Running(value, np.where(reach <= steps.limit, error, np.inf), steps)

    def __add__(self, other: Any) -> Running:
        value, error = _parts(other)
        return self._rounded(self.value + value, self.error + error)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Running:
        value, error = _parts(other)
        return self._rounded(self.value - value, self.error + error)

    def __rsub__(self, other: Any) -> Running:
        value, error = _parts(other)
        return self._rounded(value - self.value, self.error + error)

    def __mul__(self, other: Any) -> Running:
        value, error = _parts(other)
        moved = np.abs(self.value) * error + np.abs(value) * self.error + self.error * error
        return self._rounded(self.value * value, moved)

    __rmul__ = __mul__

    def moved(self, move: Callable[[Array], Array]) -> Running:
        """The numbers moved, and their bounds with them."""
        return Running(move(self.value), move(self.error), self.steps)

    def __getitem__(self, key: Any) -> Running:
        return self.moved(lambda x: x[key])

    def reshape(self, *shape: int) -> Running:
        """As numpy's."""
        return self.moved(lambda x: x.reshape(*shape))

    def transpose(self, *axes: int) -> Running:
        """As numpy's."""
        return self.moved(lambda x: x.transpose(*axes))

    def swapaxes(self, first: int, second: int) -> Running:
        """As numpy's."""
        return self.moved(lambda x: x.swapaxes(first, second))

    def repeat(self, count: int, axis: int) -> Running:
        """As numpy's."""
        return self.moved(lambda x: x.repeat(count, axis))


def _parts(x: Any) -> tuple[Any, Any]:
    return (x.value, x.error) if isinstance(x, Running) else (x, 0.0)


def bounds_of(*quantities: Running) -> tuple[Bound, ...]:
    """The bounds of an algorithm's results, for an error rule to return."""
    return tuple(q.error for q in quantities)


@dataclass(frozen=True, slots=True)
class _Products:
    """A matrix product that is still to be summed with others: |A||B| without and with the errors of its factors."""

    value: Array
    size: Array
    grown: Array
    terms: int
    factors: tuple[int, int]

    def __getitem__(self, key: Any) -> _Products:
        return _Products(self.value[key], self.size[key], self.grown[key], self.terms, self.factors)


class Bounding:
    """The algebra of ``Running`` values, for operands of a type and errors ``errors``."""

    def __init__(self, run: Run, errors: Sequence[Bound]) -> None:
        self.run = run
        self.errors = errors
        self.dtype = run.dtypes[0]
        limit = np.inf if self.dtype is None else run.contract.step(self.dtype).maximum
        self.steps = _Steps(step_unit(run, self.dtype), underflow(run, self.dtype), limit)

    def operand(self, position: int) -> Quantity:
        """The array with the bounds that it came with."""
        array = self.run.optional(position)
        return None if array is None else Running(array, self.errors[position], self.steps)

    def constant(self, array: Array) -> Quantity:
        """Numbers without error."""
        return Running(np.asarray(array, self.run[0].dtype), 0.0, self.steps)

    def coefficient(self, value: float, roundings: int = 0) -> Quantity:
        """What it loses in the operands' type; in double half a unit of float32, in which backends hold attributes."""
        lost = self.relative(value) + roundings * self.steps.unit
        return Running(np.asarray(value), abs(value) * lost, self.steps)

    def relative(self, *values: float) -> float:
        """What coefficients lose at most, relatively: see ``coefficient``."""
        if self.dtype is None or not any(values):
            return 0.0
        if self.dtype.name == "double":
            return 2.0**-24
        held = [float(np.asarray(v, np.float64).astype(self.dtype.numpy)) for v in values]
        return max(abs(h - v) / abs(v) for h, v in zip(held, values, strict=True) if v)

    def product(self, a: Quantity, b: Quantity, left: int, right: int) -> Quantity:
        """See ``_Products``."""
        dot = self.run.arithmetic.dot
        size = dot(np.abs(a.value), np.abs(b.value))
        grown = dot(np.abs(a.value) + a.error, np.abs(b.value) + b.error)
        return _Products(dot(a.value, b.value), size, grown, a.shape[-1], (left, right))

    def total(self, *terms: Quantity) -> Quantity:
        """As ``abstract.error.contraction`` bounds a sum, of all products and terms together.

        Each part may be rounded on its own before they meet, and what follows (a peephole) may be added first.
        """
        run, count = self.run, len(terms)
        length, factor = count, 0.0
        value: Any = 0.0
        size: Any = 0.0
        grown: Any = 0.0
        for term in terms:
            value = value + term.value
            if isinstance(term, _Products):
                size, grown, length = size + term.size, grown + term.grown, length + term.terms
            else:
                size, grown = size + np.abs(term.value), grown + (np.abs(term.value) + term.error)
        for term in terms:
            if isinstance(term, _Products):
                factor = max(factor, products(run, length, *term.factors))
        error = grown * (1 + 1e-15 + factor + (count + 1) * self.steps.unit) - size + length * self.steps.tiny
        kept = accumulator(run, self.dtype)
        limit = np.inf if kept is None else kept.maximum
        return Running(value, np.where(grown <= limit, error, np.inf), self.steps)

    def function(self, name: str, f: Function, x: Quantity, scale: float = 1.0, relative: float = 0.0) -> Quantity:
        """The values at both ends of each interval and at 0 if that lies inside; what is granted on top."""
        y, low, high = f(x.value), x.value - x.error, x.value + x.error
        moved = np.maximum(np.abs(f(high) - y), np.abs(y - f(low)))
        moved = np.maximum(moved, np.where((low < 0) & (high > 0), np.abs(f(np.zeros_like(y)) - y), 0.0))
        moved = moved + x.error * 0.0  # an operand of which nothing is known may be NaN
        if self.dtype is None:
            return Running(y, np.inf, self.steps)
        grant, unit = in_type(granted(name), self.dtype, self.run.contract), rounding_unit(self.run, self.dtype)
        part = 2 * grant.ulps * unit + relative
        error = moved * (1 + part) + np.abs(y) * part + (grant.units * unit * scale + 4 * self.steps.tiny)
        return Running(y, error, self.steps)

    def threshold(self, x: Quantity, at: float) -> Quantity:
        """Either x or 0 where x lies within its error of the threshold, or on it (ONNX says > and >= of it)."""
        kept = np.where(x.value >= at, x.value, 0.0)
        near = np.abs(x.value - at) <= x.error + abs(at) * self.relative(at)
        error = np.where(near, np.abs(x.value) + x.error, np.where(x.value > at, x.error, x.error * 0.0))
        return Running(kept, error, self.steps)

    def clip(self, x: Quantity, low: float, high: float) -> Quantity:
        """No more than the error, and what the bounds lose in the type of the operands."""
        lost = held_loss(self.run, "clip")
        error = x.error + lost
        return Running(np.minimum(np.maximum(x.value, low), high), error, self.steps)

    def where(self, mask: Array, a: Quantity, b: Quantity) -> Quantity:
        """Selection of both."""
        (u, e), (v, f) = _parts(a), _parts(b)
        return Running(np.where(mask, u, v), np.where(mask, e, f), self.steps)

    def blend(self, z: Quantity, a: Quantity, b: Quantity) -> Quantity:
        """As a product of sums, or as a + z (b - a): z moves it by the distance of a and b."""
        value = (1 - z.value) * a.value + z.value * b.value
        moved = np.abs(1 - z.value) * a.error + np.abs(z.value) * b.error
        moved = moved + z.error * (np.abs(b.value - a.value) + a.error + b.error)
        share = np.abs(z.value) + z.error
        reach = (1 + share) * (np.abs(a.value) + a.error) + share * (np.abs(b.value) + b.error)
        error = moved + 4 * (reach * self.steps.unit + self.steps.tiny)
        return Running(value, np.where(reach <= self.steps.limit, error, np.inf), self.steps)

    def stack(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """Of both."""
        return Running(np.stack([p.value for p in parts], axis), np.stack([p.error for p in parts], axis), self.steps)

    def concatenate(self, parts: Sequence[Quantity], axis: int) -> Quantity:
        """Of both."""
        values, errors = [p.value for p in parts], [p.error for p in parts]
        return Running(np.concatenate(values, axis), np.concatenate(errors, axis), self.steps)


def rules(
    compute: Callable[[Algebra], tuple[Quantity, ...]], *sure: int, stage: Callable[[Run], Run] = lambda run: run
) -> tuple[_Evaluation, _ErrorRule]:
    """The evaluation and the error rule of an algorithm, which gives a quantity for each output.

    Nothing is known of them where one of the operands ``sure``, by position, may be another (an index, a mask).
    ``stage`` is the execution in whose types the steps round.
    """

    def evaluate(run: Run) -> tuple[Array, ...]:
        return compute(Exact(run))

    def error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
        if any(len(e) > i and not is_exact(e[i]) for i in sure):
            return tuple(np.inf for _ in y)
        return bounds_of(*compute(Bounding(stage(run), e)))

    return evaluate, error
