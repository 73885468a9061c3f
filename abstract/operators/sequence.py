"""Sequences and optionals: built, indexed, joined, asked.

The parts of a container have their shapes; the reference moves them with their bounds (``abstract/fallback.py``), these
rows serve the generator. Positions stay inside, so that no operator here is undefined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.bounded import tensors
from abstract.constraints import Infeasible
from abstract.dtypes import BY_CODE, BY_NAME
from abstract.error import unknown
from abstract.operator import Array, Call, Operator, Run, Scope, Typing
from abstract.operators.axes import from_front
from abstract.types import Container, ContainerType, Parts, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dims import Dim
    from abstract.dtypes import DType
    from abstract.graph import Value
    from abstract.schema import Signature

__all__ = ["OPERATORS"]

_LONGEST = 6  # parts of a sequence
_LARGEST = 512  # elements of a part
_SEQUENCE = (Container.SEQUENCE,)
_OPTIONALS = (Container.OPTIONAL, Container.OPTIONAL_SEQUENCE)


def _small(value: Value) -> bool:
    return value.array.size <= _LARGEST


def _parts(value: Value) -> Parts:
    assert isinstance(value.type, ContainerType)  # noqa: S101 - of what ``container`` gives
    return value.type.parts


def _count(value: Value) -> int:
    return len(_parts(value).shapes)


def _sequence(s: Scope, least: int = 0, most: int = _LONGEST) -> Value:
    return s.container(_SEQUENCE, lambda v: least <= _count(v) <= most)


def _list(run: Run, position: int) -> list[Array]:
    """The parts, in a list of its own."""
    return list(tensors(run.inputs[position]))


def first_dtype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """That of the first operand: of the tensors in it, where it is a container."""
    del sign
    return tuple(d for d in t.dtypes[:1] if d is not None) or (BY_NAME["float"],)


# -- built -------------------------------------------------------------------------------------------------------


def propose_construct(s: Scope) -> Call:
    """One to four tensors of one type, more often than not all of one shape."""
    first = s.tensor(where=_small)
    alike = s.coin(0.6)
    others = [s.shaped(first.type.shape) if alike else s.tensor(where=_small) for _ in range(s.integer(0, 3))]
    return Call((first, *others))


def construct_shape(t: Typing) -> tuple[Parts, ...]:
    """The shapes of the operands."""
    return (Parts(Container.SEQUENCE, tuple(t[k] for k in range(len(t.shapes)))),)


def construct(run: Run) -> tuple[Any, ...]:
    """The operands in a list."""
    return (list(run.inputs),)


def propose_empty(s: Scope) -> Call:
    """A sequence without parts; float where no type is named."""
    own = s.dtype("S")
    return Call((), {"dtype": own.code} if own.name != "float" or s.coin(0.5) else {})


def empty_shape(t: Typing) -> tuple[Parts, ...]:
    """No parts."""
    del t
    return (Parts(Container.SEQUENCE, ()),)


def empty_dtype(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """What the attribute says."""
    del sign
    return (BY_CODE[t.params.get("dtype", 1)],)


def _position(s: Scope, count: int, last: int) -> dict[str, Any]:
    """A place from either end, or none: the end."""
    return {} if s.coin(0.3) else {"position": s.integer(-count, last)}


def propose_insert(s: Scope) -> Call:
    """A tensor of the sequence's type at any place."""
    sequence = _sequence(s, 0, _LONGEST - 1)
    count = _count(sequence)
    fits = s.signature.types["T"]
    if sequence.type.dtype not in fits:
        raise Infeasible("no tensor of that type goes into a sequence")
    tensor = s.of(sequence.type.dtype, _parts(sequence).shapes[0] if count and s.coin(0.6) else None)
    return Call((sequence, tensor), _position(s, count, count), stored=s.stored("I"))


def insert_shape(t: Typing) -> tuple[Parts, ...]:
    """The tensor's shape among the others."""
    shapes = list(t.parts(0).shapes)
    shapes.insert(_place(t.params, len(shapes)), t[1])
    return (Parts(Container.SEQUENCE, tuple(shapes)),)


def _place(params: Any, count: int) -> int:
    position: int | None = params.get("position")
    return count if position is None else position + count if position < 0 else position


def insert(run: Run) -> tuple[Any, ...]:
    """The list with the tensor in it."""
    parts = _list(run, 0)
    parts.insert(_place(run.params, len(parts)), run[1])
    return (parts,)


def propose_erase(s: Scope) -> Call:
    """One part less, from either end; the last where no place is named."""
    sequence = _sequence(s, 1)
    count = _count(sequence)
    return Call((sequence,), _position(s, count, count - 1), stored=s.stored("I"))


def _last(params: Any, count: int) -> int:
    position: int | None = params.get("position")
    return count - 1 if position is None else position % count


def erase_shape(t: Typing) -> tuple[Parts, ...]:
    """The other parts' shapes."""
    shapes = list(t.parts(0).shapes)
    del shapes[_last(t.params, len(shapes))]
    return (Parts(Container.SEQUENCE, tuple(shapes)),)


def erase(run: Run) -> tuple[Any, ...]:
    """The list without the part."""
    parts = _list(run, 0)
    del parts[_last(run.params, len(parts))]
    return (parts,)


def propose_split(s: Scope) -> Call:
    """Pieces of one size, of named sizes, or slices with or without the axis."""
    x = s.tensor(rank=(1, 8), where=lambda v: _small(v) and any(0 < n <= 8 for n in v.array.shape))
    fits = [a for a, n in enumerate(x.array.shape) if 0 < n <= 8]
    if not fits:
        raise Infeasible("no axis is short")
    axis = s.pick(fits)
    length = x.array.shape[axis]
    s.store.unify(x.type.shape[axis], length)
    params: dict[str, Any] = {} if axis == 0 and s.coin(0.5) else {"axis": axis - s.pick((0, x.type.rank))}
    style = s.integer(0, 2)
    if style == 0:
        params["split"] = s.integer(1, length)
    elif style == 1:
        params["split"] = _pieces(s, length)
    elif s.coin(0.6):
        params["keepdims"] = s.integer(0, 1)
    return Call((x,), params, stored=s.stored("I") if "split" in params else {})


def _pieces(s: Scope, length: int) -> tuple[int, ...]:
    pieces = []
    while length:
        pieces.append(s.integer(1, length))
        length -= pieces[-1]
    return tuple(pieces)


def _lengths(params: Any, length: int) -> tuple[int, ...]:
    split = params.get("split")
    if split is None:
        return (1,) * length
    if isinstance(split, tuple):
        if sum(split) != length:
            raise ValueError(f"pieces of {list(split)} where there are {length}")
        return split
    whole = (split,) * (length // split)
    return (*whole, length % split) if length % split else whole


def _kept(params: Any) -> bool:
    return "split" in params or bool(params.get("keepdims", 1))


def split_shape(t: Typing) -> tuple[Parts, ...]:
    """A piece each; without the axis where it is not kept (and no sizes are named)."""
    x = t[0]
    axis = from_front(t.params.get("axis", 0), len(x))
    length = t.store.value(x[axis])
    middle: Callable[[int], tuple[Dim, ...]] = (lambda n: (n,)) if _kept(t.params) else lambda _: ()
    shapes = tuple((*x[:axis], *middle(n), *x[axis + 1 :]) for n in _lengths(t.params, length))
    return (Parts(Container.SEQUENCE, shapes),)


def split(run: Run) -> tuple[Any, ...]:
    """As numpy's split."""
    x = run[0]
    axis = from_front(run.params.get("axis", 0), x.ndim)
    ends = np.cumsum(_lengths(run.params, x.shape[axis]))[:-1]
    pieces = np.split(x, ends, axis)
    return ([p if _kept(run.params) else p.squeeze(axis) for p in pieces],)


# -- read --------------------------------------------------------------------------------------------------------


def propose_at(s: Scope) -> Call:
    """Any part, counted from either end."""
    sequence = _sequence(s, 1)
    count = _count(sequence)
    return Call((sequence,), {"position": s.integer(-count, count - 1)}, stored=s.stored("I"))


def at_shape(t: Typing) -> tuple[Shape, ...]:
    """The part's shape."""
    shapes = t.parts(0).shapes
    return (shapes[_last(t.params, len(shapes))],)


def at(run: Run) -> tuple[Any, ...]:
    """The part."""
    parts = _list(run, 0)
    return (parts[_last(run.params, len(parts))],)


def propose_length(s: Scope) -> Call:
    """Any sequence."""
    return Call((_sequence(s),))


def scalar(t: Typing) -> tuple[Shape, ...]:
    """Rank 0."""
    del t
    return ((),)


def length(run: Run) -> tuple[Any, ...]:
    """How many parts there are."""
    return (np.array(len(_list(run, 0))),)


def propose_concat(s: Scope) -> Call:
    """Parts joined along an axis on which alone they differ, or stacked where they are alike."""
    sequence = _sequence(s, 1)
    shapes = [part.shape for part in tensors(sequence.array)]
    rank = len(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        raise Infeasible("parts of several ranks")
    different = [a for a in range(rank) if len({shape[a] for shape in shapes}) > 1]
    if len(different) > 1 or (rank == 0 and different):
        raise Infeasible("parts that differ on several axes")
    if not different and (rank == 0 or s.coin(0.4)):
        return Call((sequence,), {"axis": s.integer(-rank - 1, rank), "new_axis": 1})
    axis = different[0] if different else s.integer(0, rank - 1)
    params: dict[str, Any] = {"axis": axis - s.pick((0, rank))}
    return Call((sequence,), {**params, "new_axis": 0} if s.coin(0.3) else params)


def concat_shape(t: Typing) -> tuple[Shape, ...]:
    """The sum along the axis, or a new axis as long as there are parts; other sizes are equal."""
    shapes = t.parts(0).shapes
    first, stacked = shapes[0], bool(t.params.get("new_axis", 0))
    axis = from_front(t.params["axis"], len(first) + stacked)
    for other in shapes[1:]:
        for a, (mine, theirs) in enumerate(zip(first, other, strict=True)):
            if stacked or a != axis:
                t.store.unify(mine, theirs)
    if stacked:
        return ((*first[:axis], len(shapes), *first[axis:]),)
    total: Dim = 0
    for shape in shapes:
        total = total + shape[axis]
    return ((*first[:axis], total, *first[axis + 1 :]),)


def concat(run: Run) -> tuple[Any, ...]:
    """As numpy's concatenate or stack."""
    join = np.stack if run.params.get("new_axis", 0) else np.concatenate
    return (join(_list(run, 0), axis=run.params["axis"]),)


# -- optionals ---------------------------------------------------------------------------------------------------


def propose_optional(s: Scope) -> Call:
    """A tensor or a sequence in an optional."""
    if s.coin(0.3):
        return Call((_sequence(s),))
    return Call((s.tensor("V", where=_small),))


def optional_shape(t: Typing) -> tuple[Parts, ...]:
    """What is in it."""
    held = t.containers.get(0)
    if held is not None:
        return (Parts(Container.OPTIONAL_SEQUENCE, held.shapes),)
    return (Parts(Container.OPTIONAL, (t[0],)),)


def same(run: Run) -> tuple[Any, ...]:
    """The very same."""
    return (run.inputs[0],)


def propose_has(s: Scope) -> Call:
    """An optional; from version 18 on a tensor or a sequence just as well."""
    if s.signature.since >= 18 and s.coin(0.2):
        return Call((_sequence(s) if s.coin(0.5) else s.tensor("V", where=_small),))
    return Call((s.container(_OPTIONALS),))


def has(run: Run) -> tuple[Any, ...]:
    """Whether there is anything in it: in what is drawn, always."""
    return (np.array(run.inputs[0] is not None),)


def propose_get(s: Scope) -> Call:
    """What an optional holds; from version 18 on a tensor is its own."""
    return Call((s.container(_OPTIONALS, lambda v: _parts(v).present),))


def get_shape(t: Typing) -> tuple[Shape | Parts, ...]:
    """That of what it holds."""
    parts = t.parts(0)
    if parts.container is Container.OPTIONAL_SEQUENCE:
        return (Parts(Container.SEQUENCE, parts.shapes),)
    return (parts.shapes[0],)


def flag(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """A truth value."""
    del t, sign
    return (BY_NAME["bool"],)


def number(t: Typing, sign: Signature) -> tuple[DType, ...]:
    """A count."""
    del t, sign
    return (BY_NAME["int64"],)


def _moving(name: str, propose: Callable[[Scope], Call], **given: Any) -> Operator:
    """A row of this family: what it gives is moved, and the reference moves the bounds."""
    return Operator(name, propose, error=unknown, exact=True, opaque=True, **{"output_dtypes": first_dtype, **given})


OPERATORS: tuple[Operator, ...] = (
    _moving("SequenceConstruct", propose_construct, shape=construct_shape, evaluate=construct, weight=0.25),
    _moving("SequenceEmpty", propose_empty, shape=empty_shape, evaluate=lambda _: ([],), output_dtypes=empty_dtype,
            weight=0.25),
    _moving("SequenceInsert", propose_insert, shape=insert_shape, evaluate=insert, parameters=("position",),
            weight=0.5),
    _moving("SequenceErase", propose_erase, shape=erase_shape, evaluate=erase, parameters=("position",), weight=0.5),
    _moving("SplitToSequence", propose_split, shape=split_shape, evaluate=split, parameters=("split",), weight=0.5),
    _moving("SequenceAt", propose_at, shape=at_shape, evaluate=at, parameters=("position",), weight=0.75),
    _moving("SequenceLength", propose_length, shape=scalar, evaluate=length, output_dtypes=number, weight=0.5),
    _moving("ConcatFromSequence", propose_concat, shape=concat_shape, evaluate=concat, weight=0.5),
    _moving("Optional", propose_optional, shape=optional_shape, evaluate=same, since=15, weight=0.25),
    _moving("OptionalHasElement", propose_has, shape=scalar, evaluate=has, output_dtypes=flag, since=15, weight=0.25),
    _moving("OptionalGetElement", propose_get, shape=get_shape, evaluate=same, since=15, weight=0.25),
)  # fmt: skip
