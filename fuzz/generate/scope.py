"""What an operator's ``propose`` sees of the generator: operands, parameters and recorded choices.

Operands come from four places, in this order of preference: a value that exists and fits; one that exists behind a
guard (Clip) or an adapter (Slice, Pad, Expand, ...); a new initializer; a new input. Nothing enters the graph before
the call that needs it is accepted: until then it waits in ``pending``.
"""

from __future__ import annotations

from itertools import zip_longest
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.constraints import Infeasible, at_least
from abstract.dims import Expr
from abstract.graph import Origin, Value
from abstract.operator import EVERYWHERE, Array, Call, Domain
from abstract.operators import TABLE
from abstract.schema import signature
from abstract.types import Container, ContainerType, Shape, TensorType
from fuzz.generate.adapter import fit, guard, to_rank
from fuzz.generate.body import Body
from fuzz.generate.draws import Draws
from fuzz.generate.lengths import derived
from fuzz.generate.tensors import choose_recipe, fill
from fuzz.generate.topology import PICKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from abstract.dims import Dim
    from abstract.dtypes import DType, Kind
    from abstract.graph import Graph
    from abstract.schema import Signature
    from fuzz.generate.builder import Builder

__all__ = ["Scope"]

_TRIES = 6
_LOOKS = 10  # values looked at for an operand; the last of them are brought to a rank
_LARGEST = 2048  # elements of a drawn tensor: beyond this a case gets slow before it gets interesting
_DEEPEST = 2  # bodies inside of bodies
_REUSED = 0.9  # how often a value of the very shape is taken where one exists
_UNUSUAL = 0.3  # how often parameters are written in another type than int64 where the model has others
_USUAL: Mapping[str, DType] = MappingProxyType({})
_JOINED = 0.9  # how often one is looked for that broadcasts
_COMPUTED = 0.95  # how often what a node computes is taken where there is one, and no input or initializer
_SIZES = (1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8)


def _fit(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether shapes broadcast, to a tensor that is not too large."""
    count = 1
    for a, b in zip_longest(reversed(one), reversed(other), fillvalue=1):
        if a not in (1, b) and b != 1:
            return False
        count *= max(a, b)
    return count <= _LARGEST


def _pools(known: Mapping[str, list[Value]], allowed: Sequence[DType]) -> list[list[Value]]:
    """The values of each of these types of which there are any."""
    return [pool for dtype in allowed if (pool := known.get(dtype.name))]


def _age(pool: Sequence[Value]) -> int:
    """The number in the name of the newest value: names are counted."""
    return int(pool[-1].name[1:])


class Scope(Draws):
    """One attempt to call one operator; implements ``abstract.operator.Scope``."""

    def __init__(self, builder: Builder, sign: Signature, name: str) -> None:
        self.builder = builder
        self.store = builder.graph.store
        self.signature = sign
        self.operator = name
        self.integer = builder.choices.integer
        self._variables: dict[str, DType] = {}
        self._pick = PICKS.get(builder.plan.topology)

    def told(self, low: int, high: int, near: Dim = 1) -> Expr | None:
        """A size in [low, high] that follows from open ones, for a parameter that is an input; None for a number."""
        known = self.builder.dims
        if not self.builder.plan.shaping.computed or not known or not self.coin(0.6):
            return None
        for _ in range(_TRIES):
            base = near if isinstance(near, Expr) and self.coin(0.6) else self.pick(known)
            dim = derived(self, base)
            if isinstance(dim, Expr) and low <= self.store.value(dim) <= high:
                self.store.require(at_least(dim, low))
                return dim
        return None

    def stored(self, variable: str, kinds: Sequence[Kind] | None = None) -> Mapping[str, DType]:
        """The type in which parameters of a variable are written: now and then one of the model's own, else none.

        What a target was found to support was tried with the usual types.
        """
        plan = self.builder.plan
        if plan.supports is not None or len(self.signature.types[variable]) < 2:
            return _USUAL
        found = [d for d in plan.allowed(self.operator, self.signature, variable) if kinds is None or d.kind in kinds]
        usual = any(d.name == "int64" for d in found)
        if not found or (usual and (len(found) == 1 or not self.coin(_UNUSUAL))):
            return _USUAL
        return {variable: self.pick([d for d in found if d.name != "int64"])}

    def dtype(self, variable: str, kinds: Sequence[Kind] | None = None) -> DType:
        """The element type that a type variable stands for in this call."""
        known = self._variables.get(variable)
        if known is None:
            known = self.pick(self._allowed(variable, kinds))
            self._variables[variable] = known
        return known

    def _allowed(self, variable: str, kinds: Sequence[Kind] | None) -> tuple[DType, ...]:
        known = self._variables.get(variable)
        if known is not None:
            return (known,)
        beside = self._variables.get(self.signature.inputs[0].variable) if self.signature.inputs else None
        first = beside.name if beside is not None else ""
        allowed = self.builder.plan.allowed(self.operator, self.signature, variable, first)
        if kinds is not None:
            allowed = tuple(d for d in allowed if d.kind in kinds)
        if not allowed:
            raise Infeasible(f"no element type for {variable}")
        return allowed

    def tensor(
        self,
        variable: str = "T",
        *,
        rank: tuple[int, int] = (0, 8),
        kinds: Sequence[Kind] | None = None,
        domain: Domain = EVERYWHERE,
        where: Callable[[Value], bool] | None = None,
    ) -> Value:
        """An operand of a type and rank that fit, inside the domain."""
        allowed = self._allowed(variable, kinds)
        if self.builder.values and not self._lacks_input() and not self.coin(self.builder.plan.fresh):
            value = self._operand(allowed, rank, domain, where)
            if value is not None:
                self._variables[variable] = value.type.dtype
                return value
        dtype = self.dtype(variable, kinds)
        low, high = self.builder.plan.rank
        low, high = max(low, rank[0]), min(max(high, rank[0]), rank[1])
        if low > high:
            raise Infeasible(f"rank {rank}")
        length = self.integer(low, high)
        value = self._fresh(self._dimensions(length), dtype, domain, weight=False)
        if where is not None and not value.array.size and not where(value):
            raise Infeasible(f"{self.operator} of an empty tensor")
        return value

    def _lacks_input(self) -> bool:
        """Whether the model must have an input and has none yet."""
        return self.builder.plan.needs_input and not self.builder.has_input

    def _operand(
        self, allowed: tuple[DType, ...], rank: tuple[int, int], domain: Domain, where: Callable[[Value], bool] | None
    ) -> Value | None:
        """A value that exists and fits, or is made to fit by adapters; None where luck or shapes say no."""
        known = self.builder.computed if self.coin(_COMPUTED) else self.builder.by_dtype
        pools = _pools(known, allowed) or _pools(self.builder.by_dtype, allowed)
        if not pools:
            return self._converted(allowed, rank, domain, where)
        for attempt in range(_LOOKS):
            pool = pools[self.integer(0, len(pools) - 1)] if len(pools) > 1 else pools[0]
            if self._pick is not None and not attempt:
                pool = max(pools, key=_age)
            value = self._recent(pool)
            if not rank[0] <= len(value.array.shape) <= rank[1]:
                adapted = to_rank(self.builder, value, rank) if attempt >= _LOOKS - 3 else None
                if adapted is None:
                    continue
                value = adapted
            if where is not None and not where(value):
                continue
            guarded = self._inside(value, domain)
            if guarded is not None:
                return guarded
        return None

    def _recent(self, pool: Sequence[Value]) -> Value:
        """A value of the pool: of three draws the first that a node computes and nothing reads, else either.

        Mostly as the model's topology has it, where it has one.
        """
        if self._pick is not None and self.integer(0, 7):
            return self._pick(pool, self.integer)
        last = len(pool) - 1
        best = pool[self.integer(0, last)]
        for _ in range(2 if last else 0):
            if best.uses == 0 and best.origin is Origin.NODE:
                break
            other = pool[self.integer(0, last)]
            if (other.origin is Origin.NODE, other.uses == 0) > (best.origin is Origin.NODE, best.uses == 0):
                best = other
        return best

    def _converted(
        self, allowed: tuple[DType, ...], rank: tuple[int, int], domain: Domain, where: Callable[[Value], bool] | None
    ) -> Value | None:
        """A value of another type behind a Cast, where none of an allowed type exists."""
        target = allowed[self.integer(0, len(allowed) - 1)]
        for _ in range(_TRIES // 2):
            value = self._recent(self.builder.values)
            if rank[0] <= len(value.array.shape) <= rank[1]:
                cast = self.builder.adapter("Cast", (value,), {"to": target.code})
                if cast is not None and (where is None or where(cast)):
                    return self._inside(cast, domain)
        return None

    def _inside(self, value: Value, domain: Domain) -> Value | None:
        """The value itself, or clipped into the domain by a node; None where it cannot be brought inside."""
        if domain is EVERYWHERE or domain.admits(value):
            return value
        return guard(self.builder, value, domain)

    def _dimensions(self, rank: int) -> Shape:
        """Sizes of a new tensor: symbols that exist, or new ones, within the element budget."""
        shape: list[Dim] = []
        count = 1
        known = self.builder.dims
        shaping = self.builder.plan.shaping
        least = 0 if self.builder.plan.dynamic or shaping.empty else 1
        for _ in range(rank):
            dim: Dim | None = None
            if known and self.coin(0.5):
                dim = known[self.integer(0, len(known) - 1)]
                if shaping.related and self.coin(shaping.related):
                    dim = derived(self, dim)
            if dim is None:
                size = 0 if shaping.empty and self.coin(shaping.empty) else self.pick(_SIZES)
            else:
                size = self.store.value(dim)
            if count * size > _LARGEST or size < 0:
                dim, size = None, 1
            if dim is None:
                dim = self.store.fresh(size, low=least, name="d", fixed=True)  # proposals read the tensor at once
                known.append(dim)
            elif isinstance(dim, Expr) and dim.symbol is None:
                self.store.require(at_least(dim, least))
            count *= size
            shape.append(dim)
        return tuple(shape)

    def _fresh(self, shape: Shape, dtype: DType, domain: Domain, *, weight: bool) -> Value:
        sizes = tuple(map(self.store.value, shape))
        if prod(sizes) > 8 * _LARGEST:
            raise Infeasible(f"a new tensor of {prod(sizes)} elements")
        recipe = choose_recipe(dtype, domain, self.integer, self.builder.plan.palettes)
        initializer = self.coin(0.85 if weight else self.builder.plan.initializer)
        taken = initializer and (weight or not self._lacks_input())
        taken = taken or (weight and not self.builder.plan.computed_weights)
        origin = Origin.INITIALIZER if taken else Origin.INPUT
        array = fill(recipe, sizes, dtype)
        return self.builder.placeholder(TensorType(dtype, shape), array, origin, recipe)

    def shaped(
        self, shape: Shape, variable: str = "T", *, domain: Domain = EVERYWHERE, weight: bool = False
    ) -> Value:
        """An operand of exactly this shape."""
        dtype = self.dtype(variable)
        if not (weight and (self.coin(0.5) or not self.builder.plan.computed_weights)):
            sizes = tuple(map(self.store.value, shape))
            value = self._existing(sizes, dtype, domain)
            if value is not None:
                for mine, theirs in zip(shape, value.type.shape, strict=True):
                    self.store.unify(mine, theirs)
                return value
        return self._fresh(shape, dtype, domain, weight=weight)

    def _existing(self, sizes: tuple[int, ...], dtype: DType, domain: Domain) -> Value | None:
        """A value that has these sizes, or one made to fit by adapters; None where luck or shapes say no."""
        alike = self.builder.by_shape.get((dtype.name, sizes))
        if alike and self.coin(_REUSED):
            value = self._recent(alike)
            guarded = self._inside(value, domain)
            if guarded is not None:
                return guarded
        if self.builder.plan.adapters and self.coin(0.5):
            same_type = self.builder.of_type(dtype.name)
            if same_type:
                value = self._recent(same_type)
                for _ in range(_TRIES // 2):
                    if len(value.array.shape) == len(sizes):
                        break
                    value = self._recent(same_type)
                fitted = fit(self.builder, value, sizes)
                return None if fitted is None else self._inside(fitted, domain)
        return None

    def broadcastable(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """An operand that broadcasts with ``value``: alike, or with axes of size 1, fewer axes, or more."""
        shape = value.type.shape
        if self.coin(_JOINED):
            joined = self._joined(value, variable, domain)
            if joined is not None:
                return joined
        style = self.integer(0, 9)
        if style < 5:
            return self.shaped(shape, variable, domain=domain)
        if style == 9 and shape and value.array.size * 4 <= _LARGEST and len(shape) < self.builder.plan.rank[1]:
            wider = (self._dimensions(1)[0], *shape)
            if self.store.value(wider[0]) * value.array.size <= _LARGEST:
                return self.shaped(wider, variable, domain=domain)
        return self.unidirectional(value, variable, domain=domain)

    def _joined(self, value: Value, variable: str, domain: Domain) -> Value | None:
        """A value that exists and happens to broadcast with this one; None where luck says no."""
        pool = self.builder.of_type(self.dtype(variable).name)
        for _ in range(_TRIES if pool else 0):
            other = self._recent(pool)
            if other is not value and _fit(value.array.shape, other.array.shape):
                return self._inside(other, domain)
        return None

    def unidirectional(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """An operand that broadcasts to ``value``'s shape: some axes 1, leading ones left out."""
        shape: list[Dim] = list(value.type.shape)
        for axis in range(len(shape)):
            if self.coin(0.35):
                shape[axis] = 1
        most = max(len(shape) - self.builder.plan.rank[0], 0)
        drop = self.integer(0, most) if self.coin(0.4) else 0
        return self.shaped(tuple(shape[drop:]), variable, domain=domain)

    def constant(self, array: Array, dtype: DType) -> Value:
        """A new initializer with given numbers (in any numpy type that converts to the carrier exactly)."""
        carried = np.asarray(array).astype(dtype.carrier)
        return self.builder.placeholder(TensorType(dtype, tuple(carried.shape)), carried, Origin.INITIALIZER, None)

    def of(self, dtype: DType, shape: Shape | None) -> Value:
        """A tensor of an element type, and of a shape where one is given."""
        if shape is None:
            value = self._operand((dtype,), (0, 8), EVERYWHERE, None) if self.builder.values else None
            if value is not None:
                return value
            shape = self._dimensions(self.integer(0, 3))
        else:
            known = self._existing(tuple(map(self.store.value, shape)), dtype, EVERYWHERE)
            if known is not None:
                for mine, theirs in zip(shape, known.type.shape, strict=True):
                    self.store.unify(mine, theirs)
                return known
        return self._fresh(shape, dtype, EVERYWHERE, weight=False)

    def forget(self, variable: str) -> None:
        """Let a variadic operand have a type of its own."""
        self._variables.pop(variable, None)

    def container(self, kinds: Sequence[Container], where: Callable[[Value], bool] | None = None) -> Value:
        """A sequence or an optional that exists, or one that is built for this call; Infeasible where none will do."""
        found = [
            value for value in self.builder.containers
            if isinstance(value.type, ContainerType) and value.type.parts.container in kinds
            and value.type.dtype in self._held
            and (where is None or where(value))
        ]  # fmt: skip
        if found and self.coin(0.9):
            return self._recent(found)
        made = self._built(kinds[0])
        if made.type.dtype not in self._held or (where is not None and not where(made)):
            raise Infeasible("no container that will do")
        return made

    @property
    def _held(self) -> tuple[DType, ...]:
        """The element types that the operator takes in its first operand, a container."""
        return self.signature.types[self.signature.inputs[0].variable]

    def _built(self, kind: Container) -> Value:
        """A container around one tensor, or two alike."""
        plan = self.builder.plan
        name = "SequenceConstruct" if kind is Container.SEQUENCE else "Optional"
        if kind is Container.SEQUENCE and "SplitToSequence" in plan.operators and self.coin(0.3):
            name = "SplitToSequence"
        sign = signature(name, plan.opset)
        inner = Scope(self.builder, sign, name)
        if not plan.runs(name, sign):
            raise Infeasible(f"the targets do not run {name}")
        if name == "SplitToSequence":
            return self.builder.apply(name, TABLE[name].propose(inner))[0]
        first = inner.tensor(sign.inputs[0].variable, where=lambda v: v.array.size <= _LARGEST // 4)
        held: tuple[Value, ...] = (first,)
        if kind is Container.SEQUENCE and self.coin(0.7):
            held = (first, inner.shaped(first.type.shape))
        return self.builder.apply(name, Call(held))[0]

    def body(self) -> Body:
        """An empty body; Infeasible where this one is deep inside of others already."""
        if self.builder.depth >= _DEEPEST:
            raise Infeasible(f"bodies {_DEEPEST} deep")
        return Body(self.builder)

    def inside(self, graph: Graph, values: Mapping[Value, Array]) -> tuple[Any, ...]:
        """What a body gives where these values are others."""
        return self.builder.inside(graph, values)
