"""Einsum: sums of products over labelled axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import Kind
from abstract.error import accumulator, is_exact, products, rounding_unit, summation, underflow, within_range
from abstract.graph import Origin
from abstract.operator import Array, Bound, Call, Domain, NotCovered, Operator, Run, Scope, Typing
from abstract.operators.axes import permutation
from abstract.operators.broadcast import broadcast_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.types import Shape

__all__ = ["OPERATORS", "Equation", "read_equation"]

_KINDS = (Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED)
_ELLIPSIS = "."
_MOST_PRODUCTS = 4096


@dataclass(frozen=True, slots=True)
class Equation:
    """The labels of each operand's axes and of the output's; a point stands for the axes of an ellipsis."""

    terms: tuple[str, ...]
    output: str


@lru_cache(maxsize=256)  # each model that has one draws its own
def read_equation(text: bytes) -> Equation:
    """An equation as ONNX writes it: spaces anywhere, the right-hand side left out or not.

    Raises NotCovered where an ellipsis on the left is not on the right: the text says nothing of that.
    """
    left, arrow, right = text.decode().replace(" ", "").replace("...", _ELLIPSIS).partition("->")
    if not arrow:
        once = sorted(label for label in set(left) - {",", _ELLIPSIS} if left.count(label) == 1)
        right = (_ELLIPSIS if _ELLIPSIS in left else "") + "".join(once)
    if (_ELLIPSIS in left) != (_ELLIPSIS in right):
        raise NotCovered(f"Einsum {text!r}")
    return Equation(tuple(left.split(",")), right)


# -- proposals ---------------------------------------------------------------------------------------------


def _domain(dtype: DType, operands: int) -> Domain:
    """Products of all operands, summed, stay in range: smaller numbers for narrow types and many operands."""
    if dtype.bits <= 8:
        return Domain(-2, 2)
    reach = 4.0 if dtype.bits <= 16 or operands > 2 else 64.0
    return Domain(-reach, reach)


def propose_einsum(s: Scope) -> Call:
    """One to three operands: any labels shared, repeated in a term, summed or kept; an ellipsis; no right-hand side."""
    count = s.pick((1, 1, 2, 2, 2, 2, 3))
    letters = iter(_letters(s))
    domain = _domain(s.dtype("T", _KINDS), count)
    first = s.tensor("T", kinds=_KINDS, rank=(0, 6), domain=domain, where=lambda v: 0 < v.array.size <= 512)
    term, hidden = _term(s, first, letters)
    sizes: dict[str, Dim] = {}
    sizes.update(zip(term.replace(_ELLIPSIS, ""), _labelled(term, first.type.shape), strict=True))
    operands, terms = [first], [term]
    reversed_ = s.coin(0.4)  # weights stay behind the data
    for _ in range(count - 1):
        own = [label for label in sizes if s.coin(0.5)]
        for _ in range(s.integer(0, 2)):
            label = next(letters)
            sizes[label] = s.size(1, 5, "e")
            own.append(label)
        own = [own[i] for i in permutation(s, len(own))]
        if own and s.coin(0.1):
            own.append(own[0])
        shape: list[Dim] = [sizes[label] for label in own]
        if hidden and s.coin(0.7):
            at = s.integer(0, len(own))
            own.insert(at, _ELLIPSIS)
            # ONNX's inference makes 1 of a size of 1 beside one that it does not know (docs/disputes.md).
            known = first.origin is not Origin.NODE
            shape[at:at] = [1 if known and s.coin(0.25) else d for d in hidden]
        if prod(map(s.store.value, shape)) > 512:
            raise Infeasible("an operand of too many elements")
        operands.append(s.shaped(tuple(shape), "T", domain=domain, weight=not reversed_ and s.coin(0.5)))
        terms.append("".join(own))
    if prod(map(s.store.value, (*sizes.values(), *hidden))) > _MOST_PRODUCTS:
        raise Infeasible("too many products")
    if reversed_:
        operands.reverse()
        terms.reverse()
    return Call(tuple(operands), {"equation": _written(s, terms, list(sizes))})


def _letters(s: Scope) -> str:
    """The alphabet from some letter on: upper case sorts before lower case."""
    start = s.pick((0, 8, 24, 26))
    return ascii_letters[start:] + ascii_letters[:start]


def _term(s: Scope, value: Value, letters: Any) -> tuple[str, Shape]:
    """Labels for a value's axes, some of which an ellipsis may stand for; axes of one size may share a label."""
    shape = value.type.shape
    rank = len(shape)
    hides = s.coin(0.25)
    width = s.integer(0, min(rank, 2)) if hides else 0
    start = s.integer(0, rank - width)
    labels: list[str] = []
    axis_of: dict[str, int] = {}
    for axis in range(rank):
        if start <= axis < start + width:
            labels.append("")
            continue
        alike = [k for k, a in axis_of.items() if value.array.shape[a] == value.array.shape[axis]]
        label = alike[0] if alike and s.coin(0.3) else next(letters)
        axis_of.setdefault(label, axis)
        labels.append(label)
    if hides:
        labels.insert(start, _ELLIPSIS)
    return "".join(labels), shape[start : start + width]


def _labelled(term: str, shape: Sequence[Any]) -> list[Any]:
    """The sizes of the axes that have labels."""
    before, point, after = term.partition(_ELLIPSIS)
    if not point:
        return list(shape)
    return [*shape[: len(before)], *shape[len(shape) - len(after) :]]


def _written(s: Scope, terms: list[str], labels: list[str]) -> bytes:
    left = ("," if s.coin(0.7) else " , ").join(terms)
    if s.coin(0.25):
        return left.replace(_ELLIPSIS, "...").encode()
    density = s.pick((0.3, 0.6, 0.9))
    kept = [label for label in labels if s.coin(density)]
    kept = [kept[i] for i in permutation(s, len(kept))]
    if _ELLIPSIS in left:
        kept.insert(s.integer(0, len(kept)) if s.coin(0.3) else 0, _ELLIPSIS)
    arrow: str = s.pick(("->", "->", " -> "))
    return (left + arrow + "".join(kept)).replace(_ELLIPSIS, "...").encode()


# -- shape and values ----------------------------------------------------------------------------------------


def _hidden(term: str, shape: Sequence[Any]) -> Sequence[Any]:
    """The sizes for which an ellipsis stands."""
    at = term.find(_ELLIPSIS)
    return shape[at : len(shape) - (len(term) - at - 1)] if at >= 0 else ()


def einsum_shape(t: Typing) -> tuple[Shape, ...]:
    """Axes of one label have one size; those of ellipses broadcast."""
    equation = read_equation(t.params["equation"])
    sizes: dict[str, Dim] = {}
    hidden: list[Shape] = []
    for position, term in enumerate(equation.terms):
        shape = t[position]
        for label, dim in zip(term.replace(_ELLIPSIS, ""), _labelled(term, shape), strict=True):
            t.store.unify(sizes.setdefault(label, dim), dim)
        if _ELLIPSIS in term:
            hidden.append(tuple(_hidden(term, shape)))
    wide = broadcast_shape(t.store, *hidden) if hidden else ()
    result: list[Dim] = []
    for label in equation.output:
        result.extend(wide if label == _ELLIPSIS else (sizes[label],))
    return (tuple(result),)


@dataclass(frozen=True, slots=True)
class _Labelled:
    """An array with a label for each axis: letters, and negative numbers for those of the ellipsis."""

    array: Array
    labels: tuple[Any, ...]


def _operands(run: Run, arrays: Sequence[Array]) -> tuple[list[_Labelled], tuple[Any, ...], dict[Any, int]]:
    """Operands without repeated labels and stretched axes, the output's labels, and the size of each."""
    equation = read_equation(run.params["equation"])
    spelt = []
    sizes: dict[Any, int] = {}
    for term, array in zip(equation.terms, arrays, strict=True):
        width = len(_hidden(term, array.shape))
        before, point, after = term.partition(_ELLIPSIS)
        labels = (*before, *(range(-width, 0) if point else ()), *after)
        spelt.append((array, labels))
        for label, size in zip(labels, array.shape, strict=True):
            sizes[label] = size if sizes.get(label, 1) == 1 else sizes[label]
    most = max((-label for label in sizes if isinstance(label, int)), default=0)
    output: list[Any] = []
    for label in equation.output:
        output.extend(range(-most, 0) if label == _ELLIPSIS else (label,))
    return [_plain(array, labels, sizes) for array, labels in spelt], tuple(output), sizes


def _plain(array: Array, labels: tuple[Any, ...], sizes: dict[Any, int]) -> _Labelled:
    """Diagonals for repeated labels; an axis of 1 that is longer elsewhere is dropped."""
    kept = list(labels)
    for label in dict.fromkeys(labels):
        while kept.count(label) > 1:
            first = kept.index(label)
            second = kept.index(label, first + 1)
            array = np.diagonal(array, axis1=first, axis2=second)
            del kept[second], kept[first]
            kept.append(label)
    stretched = tuple(a for a, label in enumerate(kept) if array.shape[a] == 1 != sizes[label])
    if stretched:
        array = array.squeeze(stretched)
        kept = [label for a, label in enumerate(kept) if a not in stretched]
    return _Labelled(array, tuple(kept))


def _summed(run: Run, x: _Labelled, wanted: set[Any]) -> _Labelled:
    """Without the labels that nothing wants."""
    gone = tuple(a for a, label in enumerate(x.labels) if label not in wanted)
    if not gone:
        return x
    return _Labelled(run.arithmetic.sum(x.array, gone, keepdims=False), tuple(la for la in x.labels if la in wanted))


def _product(run: Run, a: _Labelled, b: _Labelled, wanted: set[Any]) -> _Labelled:
    """A product of stacks of matrices: shared labels are batches where they are wanted, else summed."""
    a = _summed(run, a, wanted | set(b.labels))
    b = _summed(run, b, wanted | set(a.labels))
    shared = [label for label in a.labels if label in b.labels]
    batch, inner = [la for la in shared if la in wanted], [la for la in shared if la not in wanted]
    rows, columns = [la for la in a.labels if la not in shared], [la for la in b.labels if la not in shared]
    left, right = _matrices(a, batch, rows, inner), _matrices(b, batch, inner, columns)
    sizes = dict(zip((*a.labels, *b.labels), (*a.array.shape, *b.array.shape), strict=True))
    labels = (*batch, *rows, *columns)
    return _Labelled(run.arithmetic.dot(left, right).reshape([sizes[la] for la in labels]), labels)


def _matrices(x: _Labelled, *groups: list[Any]) -> Array:
    order = [x.labels.index(label) for group in groups for label in group]
    shape = [prod(x.array.shape[x.labels.index(label)] for label in group) for group in groups]
    return x.array.transpose(order).reshape(shape)


def _contracted(run: Run, arrays: Sequence[Array]) -> Array:
    """The operands multiplied from left to right, each label summed as soon as nothing needs it."""
    operands, output, sizes = _operands(run, arrays)
    result = operands[0]
    for position in range(1, len(operands)):
        wanted = {*output, *(label for later in operands[position + 1 :] for label in later.labels)}
        result = _product(run, result, operands[position], wanted)
    result = _summed(run, result, set(output))
    kept = [label for label in output if label in result.labels]
    array = result.array.transpose([result.labels.index(label) for label in kept])
    return array.reshape([sizes[label] for label in output])


def einsum(run: Run) -> tuple[Array, ...]:
    """The sum, over all labels that the output lacks, of the products of the operands."""
    return (_contracted(run, [run[i] for i in range(len(run.inputs))]),)


# -- error -----------------------------------------------------------------------------------------------------


def _terms(run: Run) -> int:
    """How many products are summed for one element of the output."""
    _, output, sizes = _operands(run, [run[i] for i in range(len(run.inputs))])
    return prod(size for label, size in sizes.items() if label not in output)


def einsum_error(run: Run, y: tuple[Array, ...], e: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """f(|a| + Ea, |b| + Eb, ...) (1 + g) - f(|a|, |b|, ...): any order of operands and of sums.

    Each operand beyond the second brings one more product that is rounded, and a sum before it. Which operands come
    first is free, so that what a product or sum on the way may reach is bounded by the greatest elements alone.
    """
    del y
    dtype, count = run.dtypes[0], len(run.inputs)
    if all(map(is_exact, e)) and rounding_unit(run, dtype) == 0.0:
        return (0.0,)
    sizes = [np.abs(run[i]) for i in range(count)]
    n = _terms(run)
    factor = summation(run, n, dtype) if count == 1 else products(run, n)
    factor = factor * (1 + (count - 2) / 2) if count > 2 else factor
    factor = factor + 2 * count * rounding_unit(run, accumulator(run, dtype)) if count > 2 else factor
    size = _contracted(run, sizes)
    grown = size if all(map(is_exact, e)) else _contracted(run, [a + bound for a, bound in zip(sizes, e, strict=True)])
    scale = prod(max(1.0, float(np.max(a, initial=0.0))) for a in sizes)
    lost = n * underflow(run, dtype) * (scale if count > 2 else 1.0)
    bound = grown * (1 + factor + 1e-15) - size + lost
    if count > 2:
        grown = np.full(grown.shape, n * scale) if dtype is not None and n * scale > dtype.maximum else grown
    return (within_range(bound, grown, accumulator(run, dtype)),)


OPERATORS: tuple[Operator, ...] = (
    Operator("Einsum", propose_einsum, einsum_shape, einsum, einsum_error),
)
