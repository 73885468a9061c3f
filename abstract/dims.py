"""Symbolic dimensions: integer expressions over symbols, kept in a normal form so that equal means identical.

A dimension is a plain ``int`` where it is known and an ``Expr`` where it is not; every operation folds back to ``int``
when it can. An ``Expr`` is a polynomial with integer coefficients over *factors*; a factor is a ``Symbol`` or a
``Quotient`` (floor division that does not divide out). That covers what shape rules need: ``2*d0+1``,
``(d1+2*p-k)//s+1``, ``d0*d1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Dim", "Expr", "Factor", "Quotient", "Symbol", "ceil_div", "evaluate", "floor_div", "product", "quotients",
           "substitute", "symbols"]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """An unknown non-negative integer. ``index`` gives it its place in every normal form, ``name`` is for people."""

    index: int
    name: str

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Symbol) and self.index == other.index)

    def __hash__(self) -> int:
        return self.index

    def __repr__(self) -> str:
        return self.name


class Quotient:
    """``numerator // denominator`` where the division does not come out even symbolically."""

    __slots__ = ("denominator", "key", "numerator")

    def __init__(self, numerator: Expr | int, denominator: Expr | int) -> None:
        self.numerator = numerator
        self.denominator = denominator
        self.key = (1, _key(numerator), _key(denominator))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quotient) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"{_operand(self.numerator)}//{_operand(self.denominator)}"


def _operand(dim: Expr | int) -> str:
    """A number or a symbol as it is, anything else in parentheses."""
    return str(dim) if isinstance(dim, int) or dim.symbol is not None else f"({dim})"


Factor: TypeAlias = Symbol | Quotient
F = TypeVar("F", Symbol, Quotient)
Monomial: TypeAlias = tuple[Factor, ...]


def _factor_key(factor: Factor) -> tuple[object, ...]:
    return (0, factor.index) if isinstance(factor, Symbol) else factor.key


def _key(dim: Expr | int) -> tuple[object, ...]:
    if isinstance(dim, int):
        return (dim,)
    return (dim.constant, *((tuple(_factor_key(f) for f in monomial), c) for monomial, c in dim.terms))


def _place(factor: Factor) -> tuple[int, str]:
    # Quotients nest to unequal depths, which Python cannot compare; their text can.
    return (factor.index, "") if isinstance(factor, Symbol) else (-1, repr(factor.key))


def _order(item: tuple[Monomial, int]) -> list[tuple[int, str]]:
    return [_place(f) for f in item[0]]


class Expr:
    """A polynomial: ``constant`` plus the sum of ``coefficient * product(factors)`` over ``terms`` (never empty)."""

    __slots__ = ("constant", "symbol", "terms")

    symbol: Symbol | None
    """The symbol that this expression consists of, if it is nothing else."""

    def __init__(self, terms: tuple[tuple[Monomial, int], ...], constant: int) -> None:
        self.terms = terms
        self.constant = constant
        self.symbol = None
        if constant == 0 and len(terms) == 1:
            monomial, coefficient = terms[0]
            if coefficient == 1 and len(monomial) == 1 and isinstance(monomial[0], Symbol):
                self.symbol = monomial[0]

    @staticmethod
    def of(symbol: Symbol) -> Expr:
        """The expression that is just this symbol."""
        return Expr((((symbol,), 1),), 0)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Expr) and self.constant == other.constant and self.terms == other.terms

    def __hash__(self) -> int:
        return hash((self.terms, self.constant))

    def __add__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            return self if other == 0 else Expr(self.terms, self.constant + other)
        merged = dict(self.terms)
        for monomial, coefficient in other.terms:
            merged[monomial] = merged.get(monomial, 0) + coefficient
        return _build(merged, self.constant + other.constant)

    __radd__ = __add__

    def __neg__(self) -> Expr:
        return Expr(tuple((m, -c) for m, c in self.terms), -self.constant)

    def __sub__(self, other: Dim) -> Dim:
        return self + (-other)

    def __rsub__(self, other: int) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        if isinstance(other, int):
            if other in (0, 1):
                return self if other else 0
            return Expr(tuple((m, c * other) for m, c in self.terms), self.constant * other)
        merged: dict[Monomial, int] = {}
        left = (*self.terms, ((), self.constant)) if self.constant else self.terms
        right = (*other.terms, ((), other.constant)) if other.constant else other.terms
        for m1, c1 in left:
            for m2, c2 in right:
                monomial = tuple(sorted(m1 + m2, key=_place)) if m1 and m2 else m1 + m2
                merged[monomial] = merged.get(monomial, 0) + c1 * c2
        return _build(merged, merged.pop((), 0))

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floor_div(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floor_div(other, self)

    def __repr__(self) -> str:
        parts = []
        for monomial, coefficient in self.terms:
            body = "*".join(map(repr, monomial))
            sign = "-" if coefficient < 0 else "+"
            parts.append(sign + (body if abs(coefficient) == 1 else f"{abs(coefficient)}*{body}"))
        if self.constant:
            parts.append(f"{self.constant:+d}")
        return "".join(parts).removeprefix("+")


Dim: TypeAlias = int | Expr


def _build(terms: Mapping[Monomial, int], constant: int) -> Dim:
    kept = [item for item in terms.items() if item[1]]
    if not kept:
        return constant
    if len(kept) > 1:
        kept.sort(key=_order)
    return Expr(tuple(kept), constant)


def floor_div(numerator: Dim, denominator: Dim) -> Dim:  # noqa: PLR0911 - one return a case of the definition
    """``floor(numerator / denominator)``, the denominator positive; exact parts are divided out."""
    if isinstance(denominator, int):
        if isinstance(numerator, int):
            return numerator // denominator
        if denominator == 1:
            return numerator
        whole = {m: c // denominator for m, c in numerator.terms if c % denominator == 0}
        rest = {m: c for m, c in numerator.terms if c % denominator}
        if not rest:
            return _build(whole, numerator.constant // denominator)
        remainder = _build(rest, numerator.constant % denominator)
        outside = _build(whole, numerator.constant // denominator)
        quotient = Expr((((Quotient(remainder, denominator),), 1),), 0)
        return quotient + outside
    if numerator == denominator:
        return 1
    if isinstance(numerator, int):
        return 0 if numerator == 0 else Expr((((Quotient(numerator, denominator),), 1),), 0)
    exact = _cancel(numerator, denominator)
    return Expr((((Quotient(numerator, denominator),), 1),), 0) if exact is None else exact


def _cancel(numerator: Expr, denominator: Expr) -> Dim | None:
    """The quotient where the denominator is one monomial that divides every term; a divisor is never 0."""
    if numerator.constant or denominator.constant or len(denominator.terms) != 1:
        return None
    divisor, scale = denominator.terms[0]
    merged: dict[Monomial, int] = {}
    for monomial, coefficient in numerator.terms:
        left = list(monomial)
        for factor in divisor:
            if factor not in left:
                return None
            left.remove(factor)
        if coefficient % scale:
            return None
        merged[tuple(left)] = coefficient // scale
    return _build(merged, merged.pop((), 0))


def ceil_div(numerator: Dim, denominator: Dim) -> Dim:
    """``ceil(numerator / denominator)``, the denominator positive."""
    return floor_div(numerator + denominator - 1, denominator)


def product(dims: tuple[Dim, ...] | list[Dim]) -> Dim:
    """The product of dimensions; 1 for none, as for the element count of a scalar."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def evaluate(dim: Dim, value: Callable[[Symbol], int]) -> int:
    """The number that an expression stands for, given each symbol's value. ZeroDivisionError on a zero divisor."""
    if isinstance(dim, int):
        return dim
    total = dim.constant
    for monomial, coefficient in dim.terms:
        term = coefficient
        for factor in monomial:
            if isinstance(factor, Symbol):
                term *= value(factor)
            else:
                term *= evaluate(factor.numerator, value) // evaluate(factor.denominator, value)
        total += term
    return total


def substitute(dim: Dim, replacement: Callable[[Symbol], Dim]) -> Dim:
    """The expression with every symbol replaced, in normal form again."""
    if isinstance(dim, int):
        return dim
    total: Dim = dim.constant
    for monomial, coefficient in dim.terms:
        term: Dim = coefficient
        for factor in monomial:
            if isinstance(factor, Symbol):
                term = term * replacement(factor)
            else:
                numerator = substitute(factor.numerator, replacement)
                term = term * floor_div(numerator, substitute(factor.denominator, replacement))
        total = total + term
    return total


def symbols(dim: Dim) -> Iterator[Symbol]:
    """Every symbol in an expression, in the order of its normal form; one that occurs twice comes twice."""
    return _factors(dim, Symbol)


def quotients(dim: Dim) -> Iterator[Quotient]:
    """Every floor division in an expression, the outer one before those inside of it."""
    return _factors(dim, Quotient)


def _factors(dim: Dim, kind: type[F]) -> Iterator[F]:
    if isinstance(dim, int):
        return
    for monomial, _ in dim.terms:
        for factor in monomial:
            if isinstance(factor, kind):
                yield factor
            if isinstance(factor, Quotient):
                yield from _factors(factor.numerator, kind)
                yield from _factors(factor.denominator, kind)


def content(dim: Expr) -> int:
    """The greatest common divisor of all coefficients and the constant."""
    result = abs(dim.constant)
    for _, coefficient in dim.terms:
        result = gcd(result, coefficient)
    return result
