"""A scope whose requests for operands are answered with what a pattern has wired there."""

from __future__ import annotations

import ast
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DType, Kind
from abstract.graph import Origin, Value
from abstract.operator import EVERYWHERE, Array, Domain
from abstract.types import Shape, TensorType
from fuzz.generate.bait.program import Argument, Leaf, Literal, Ref
from fuzz.generate.scope import Scope
from fuzz.generate.tensors import choose_recipe, fill, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.dims import Dim
    from abstract.schema import Signature
    from fuzz.generate.bait.expression import Names
    from fuzz.generate.builder import Builder

__all__ = ["Wired"]

_LARGEST = 2048  # elements of a leaf
_TRIES = 4
_SCALES = Domain(2.0**-8, 0.25)  # of quantisation: no step is so coarse or so fine that nothing is left of a number
_BESIDE = ("bool", "int64", "int32")  # what stands beside the pattern's own type, in this order


class Wired(Scope):
    """A scope for one call of an instance. ``answers`` holds what each argument became, in the text's order."""

    def __init__(
        self, builder: Builder, signature: Signature, name: str, arguments: Sequence[Argument], names: Names
    ) -> None:
        super().__init__(builder, signature, name)
        self.names = names
        self.answers: list[Value] = []
        self._queue = list(arguments)
        self._inside_request = False
        self._constant: bool | None = None  # of the leaf being drawn; None for what the row draws beside the pattern

    # -- types -------------------------------------------------------------------------------------------------

    def _allowed(self, variable: str, kinds: Sequence[Kind] | None) -> tuple[DType, ...]:
        """The type that a variable has, the pattern's own type if it fits, else one that stands beside it."""
        known = self._variables.get(variable)
        if known is not None:
            return (known,)
        types = [d for d in self.signature.types.get(variable, ()) if kinds is None or d.kind in kinds]
        own = [self.names.element] if self.names.element in types else []
        beside = [BY_NAME[n] for n in _BESIDE if BY_NAME[n] in types]
        allowed = tuple(d for d in (own or beside[:1] or types[:1]) if self._runs(variable, d))
        if not allowed:
            raise Infeasible(f"no element type for {variable} of {self.operator}")
        return allowed

    def _runs(self, variable: str, dtype: DType) -> bool:
        first = self.signature.inputs[0].variable if self.signature.inputs else ""
        supports = self.builder.plan.supports
        return supports is None or variable != first or supports(self.operator, dtype.name)

    def bind(self, position: int, value: Value) -> None:
        """Hold a value to the formal input at a position. Infeasible where its type is not for that."""
        variable = self.signature.formal(position).variable
        dtype = value.type.dtype
        known = self._variables.setdefault(variable, dtype)
        if known is not dtype or dtype not in self.signature.types.get(variable, ()) or not self._runs(variable, dtype):
            raise Infeasible(f"{self.operator} does not take {dtype} there")

    # -- arguments that need no proposal -----------------------------------------------------------------------

    def settled(self, argument: Argument) -> bool:
        """Whether an argument is a value without the operator's row being asked for its shape."""
        return not isinstance(argument, Leaf) or argument.shape is not None or argument.like is not None

    def values(self, arguments: Sequence[Argument]) -> tuple[Value, ...]:
        """All arguments as values; literals last, whose type is that of what stands beside them."""
        found: dict[int, Value] = {}
        for literals in (False, True):
            for position, argument in enumerate(arguments):
                if isinstance(argument, Literal) is literals:
                    variable = self.signature.formal(position).variable
                    found[position] = self._value(argument, variable)
                    self.bind(position, found[position])
        return tuple(found[position] for position in sorted(found))

    def _value(self, argument: Argument, variable: str) -> Value:
        if isinstance(argument, Ref):
            value = self.names.values.get(argument.name)
            if value is None:
                raise SyntaxError(f"{argument.name} is no value")
            return value
        if isinstance(argument, Literal):
            return self._literal(argument, BY_NAME[argument.dtype] if argument.dtype else self.dtype(variable))
        value = self.leaf(argument, BY_NAME[argument.dtype] if argument.dtype else self.dtype(variable))
        self.names.values[argument.name] = value
        return value

    def _literal(self, literal: Literal, dtype: DType) -> Value:
        array = np.asarray(literal.value)
        if array.dtype.kind == "f" and not dtype.is_float and np.any(array != np.trunc(array)):
            raise Infeasible(f"{literal.value} is no {dtype}")
        if array.dtype.kind != "b" and dtype.kind is Kind.BOOL:
            raise Infeasible(f"{literal.value} is no bool")
        if array.size and (array.min() < dtype.minimum or array.max() > dtype.maximum):
            raise Infeasible(f"{literal.value} is beyond {dtype}")
        array = array.reshape((1,) * max(literal.rank, self.builder.plan.rank[0] - array.ndim) + array.shape)
        numbers = rounded(array.astype(np.float64), dtype) if dtype.is_float else array.astype(dtype.carrier)
        if not literal.fed:
            return self.constant(numbers, dtype)
        return self.builder.placeholder(TensorType(dtype, tuple(numbers.shape)), numbers, Origin.INPUT, None)

    def leaf(self, leaf: Leaf, dtype: DType) -> Value:
        """A leaf whose shape the pattern says: a value that exists and matches, else a new one."""
        if leaf.like is not None:
            model = self.names.values[leaf.like]
            return self._leaf(model.type.shape, model.type.dtype, constant=leaf.constant)
        if not leaf.constant and self.builder.values and not self.coin(self.builder.plan.fresh):
            found = self._matching(leaf, dtype)
            if found is not None:
                return found
        shape: list[Dim] = []
        if leaf.wide:
            shape.append(self.names.store.fresh(self.pick((2, 3)), low=1, name="d", fixed=True))
        for entry in leaf.shape or ():
            if entry is ...:
                shape.extend(self.names.store.fresh(self.pick((1, 2, 3)), low=1, name="d", fixed=True)
                             for _ in range(self.integer(0, 2)))  # fmt: skip
            else:
                shape.append(self.names.evaluate(entry))
        return self._leaf(tuple(shape), dtype, constant=leaf.constant, domain=_SCALES if leaf.scale else EVERYWHERE)

    def _leaf(self, shape: Shape, dtype: DType, *, constant: bool, domain: Domain = EVERYWHERE) -> Value:
        sizes = tuple(self.store.value(d) for d in shape)
        if prod(sizes) > _LARGEST or not self.builder.plan.rank[0] <= len(sizes) or min(sizes, default=1) < 1:
            raise Infeasible(f"an operand of shape {sizes}")
        recipe = choose_recipe(dtype, domain, self.integer, self.builder.plan.palettes)
        origin = Origin.INITIALIZER if constant else Origin.INPUT
        return self.builder.placeholder(TensorType(dtype, shape), fill(recipe, sizes, dtype), origin, recipe)

    def _matching(self, leaf: Leaf, dtype: DType) -> Value | None:
        """A computed value or an input whose shape is as the leaf's brackets say; their new names are its sizes."""
        pool = self.builder.of_type(dtype.name, computed=self.coin(0.8))
        if not pool or leaf.shape is None:
            return None
        for _ in range(_TRIES):
            value = self._recent(pool)
            if value.origin is not Origin.INITIALIZER and value.array.size and self._match(leaf.shape, value):
                return value
        return None

    def _match(self, shape: tuple[Any, ...], value: Value) -> bool:
        have = value.type.shape
        if shape and shape[0] is ...:
            shape, have = shape[1:], have[max(len(have) - len(shape) + 1, 0) :]
        if len(shape) != len(have):
            return False
        new: dict[str, Dim] = {}
        for entry, dim in zip(shape, have, strict=True):
            if isinstance(entry, ast.Constant):
                wanted: Any = entry.value
            elif isinstance(entry, ast.Name) and not self.names.known(entry.id):
                wanted = new.setdefault(entry.id, dim)
            else:
                return False
            if self.store.value(wanted) != self.store.value(dim):
                return False
        for entry, dim in zip(shape, have, strict=True):
            if isinstance(entry, ast.Name):
                self.store.unify(new[entry.id], dim)
        self.names.numbers.update(new)
        return True

    # -- requests ----------------------------------------------------------------------------------------------

    def tensor(
        self,
        variable: str = "T",
        *,
        rank: tuple[int, int] = (0, 8),
        kinds: Sequence[Kind] | None = None,
        domain: Domain = EVERYWHERE,
        where: Callable[[Value], bool] | None = None,
    ) -> Value:
        """The next argument, held to what is asked for; a leaf is drawn as ever."""
        return self._answer(
            variable,
            partial(super().tensor, variable, rank=rank, kinds=kinds, domain=domain, where=where),
            lambda v: rank[0] <= len(v.type.shape) <= rank[1] and domain.admits(v) and (where is None or where(v)),
        )

    def shaped(
        self, shape: Shape, variable: str = "T", *, domain: Domain = EVERYWHERE, weight: bool = False
    ) -> Value:
        """The next argument, if it has this shape; a constant leaf is an initializer of it."""
        return self._answer(
            variable,
            partial(super().shaped, shape, variable, domain=domain, weight=weight),
            lambda v: len(v.type.shape) == len(shape) and domain.admits(v),
        )

    def broadcastable(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """The next argument; a constant leaf broadcasts to the other operand, another leaf is alike."""
        alike, narrow = super().shaped, super().unidirectional

        def drawn(leaf: Leaf) -> Value:
            if leaf.wide:
                axis = self.names.store.fresh(self.pick((2, 3)), low=1, name="d", fixed=True)
                return alike((axis, *value.type.shape), variable, domain=domain)
            if leaf.constant:
                return narrow(value, variable, domain=domain)
            return alike(value.type.shape, variable, domain=domain)

        return self._answer(
            variable, partial(super().broadcastable, value, variable, domain=domain), domain.admits, drawn
        )

    def unidirectional(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """The next argument; a leaf broadcasts to the other operand."""
        draw = partial(super().unidirectional, value, variable, domain=domain)
        return self._answer(variable, draw, domain.admits)

    def _answer(
        self, variable: str, draw: Callable[[], Value], fits: Callable[[Value], bool],
        drawn: Callable[[Leaf], Value] | None = None,
    ) -> Value:  # fmt: skip
        """The next argument, or what the generator draws: for a leaf, and where the pattern says nothing more.

        ``drawn`` is for a leaf whose shape hangs on the leaf itself.
        """
        if self._inside_request:
            return draw()
        self._inside_request = True
        try:
            if not self._queue:
                return draw()
            argument = self._queue.pop(0)
            if isinstance(argument, Leaf) and not self.settled(argument):
                value = self._drawn(argument, draw if drawn is None else partial(drawn, argument))
                self.names.values[argument.name] = value
            else:
                value = self._value(argument, variable)
                dtype = value.type.dtype
                typed = self._variables.setdefault(variable, dtype) is dtype
                if not typed or dtype not in self.signature.types[variable] or not fits(value):
                    raise Infeasible(f"{self.operator} does not take {argument}")
            self.answers.append(value)
            return value
        finally:
            self._inside_request = False

    def _drawn(self, leaf: Leaf, draw: Callable[[], Value]) -> Value:
        self._constant = leaf.constant
        try:
            return draw()
        finally:
            self._constant = None

    # -- what existing and new operands a leaf may be ------------------------------------------------------------

    def _operand(
        self, allowed: tuple[DType, ...], rank: tuple[int, int], domain: Domain, where: Callable[[Value], bool] | None
    ) -> Value | None:
        if self._constant:
            return None
        value = super()._operand(allowed, rank, domain, where)
        return value if value is not None and value.origin is not Origin.INITIALIZER else None

    def _existing(self, sizes: tuple[int, ...], dtype: DType, domain: Domain) -> Value | None:
        if self._constant:
            return None
        value = super()._existing(sizes, dtype, domain)
        if value is not None and self._constant is False and value.origin is Origin.INITIALIZER:
            return None
        return value

    def _fresh(self, shape: Shape, dtype: DType, domain: Domain, *, weight: bool) -> Value:
        """A constant leaf and a weight beside the pattern are initializers, another leaf an input."""
        constant = weight if self._constant is None else self._constant
        if weight and not self.builder.plan.computed_weights:
            constant = True
        sizes = tuple(self.store.value(d) for d in shape)
        if prod(sizes) > 8 * _LARGEST:
            raise Infeasible(f"a new tensor of {prod(sizes)} elements")
        recipe = choose_recipe(dtype, domain, self.integer, self.builder.plan.palettes)
        array: Array = fill(recipe, sizes, dtype)
        origin = Origin.INITIALIZER if constant else Origin.INPUT
        return self.builder.placeholder(TensorType(dtype, shape), array, origin, recipe)
