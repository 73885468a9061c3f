"""Placing one window in a graph: all of its calls enter, or none.

Its sizes are those of the values that it is joined to, or of its own that were found to do; what may be changed in it
is in ``fuzz/seeds/change.py``.
"""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from abstract.constraints import Infeasible
from abstract.dtypes import BY_CODE, BY_NAME, DType
from abstract.graph import Origin, Value
from abstract.operator import EVERYWHERE, Call, Domain
from abstract.operators import TABLE
from abstract.schema import signature
from abstract.types import TensorType
from fuzz.generate.adapter import fit, guard
from fuzz.generate.tensors import choose_recipe, fill
from fuzz.seeds.change import draw_changes, in_place, in_type, other_operators, other_types, varied
from fuzz.seeds.stock import Placed
from fuzz.seeds.tap import tap
from fuzz.seeds.window import decoded, number, symbol_name, symbols_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abstract.dims import Dim
    from abstract.types import Shape
    from fuzz.generate.builder import Builder
    from fuzz.seeds.stock import Seeds
    from fuzz.seeds.window import Operand, Size, Window

__all__ = ["Instance", "place_window"]

_PICKS = 6  # windows looked at for one that the opset and the targets have
_TRIES = 5  # draws of one instance: the last is joined to nothing
_CHANGING = 3  # of them those that change something
_LOOKS = 4  # values looked at for an operand
_LARGEST = 4096  # elements of a drawn tensor
_JOINED = 85  # of a hundred operands that nodes computed, those that are joined to a value that there is
_OTHER_SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 9)
_SCALES = (0.015625, 0.0625, 0.05, 0.25)  # of what is quantised: powers of two, and one that is none
_QUANTISED = ("uint8", "int8")
_FIRST_SCALED = 4  # operands of a call that are quantised at most


def place_window(builder: Builder, seeds: Seeds) -> bool:
    """Place one of the windows; whether it could be."""
    draw = builder.choices.integer
    window = _picked(builder, seeds)
    if window is None:
        return False
    changes = draw_changes(draw, seeds.change)
    for attempt in range(_TRIES):
        if not changes and 0 < attempt < _CHANGING:
            continue
        kept = changes if attempt < _CHANGING else frozenset()
        own = (seeds.dtypes, seeds.operators)
        instance = Instance(builder, window, *own, kept, join=attempt < _TRIES - 1)
        if builder.transact(instance.place):
            if "user" in kept:
                instance.changed += _tapped(builder, instance.values)
            said = "; ".join(instance.changed)
            seeds.placed.append(Placed(window.key, said, instance.values[-1].name, instance.exposed))
            return True
    return False


def _tapped(builder: Builder, values: Sequence[Value]) -> list[str]:
    """Another reader of one of the values that a window's calls hand on; what is said of it."""
    inner = [value for value in values if value.uses]
    if not inner:
        return []
    value = inner[builder.choices.integer(0, len(inner) - 1)]
    name = tap(builder, value)
    return [f"user {name} of {value.name}"] if name else []


def _picked(builder: Builder, seeds: Seeds) -> Window | None:
    for _ in range(_PICKS):
        window = seeds.window(builder.choices.integer(0, len(seeds.lines) - 1))
        if _exists(window, builder):
            return window
    return None


def _exists(window: Window, builder: Builder) -> bool:
    """Whether the opset has the attributes that the window gives its operators, and the targets run these."""
    plan = builder.plan
    for call in window.calls:
        sign = signature(call.operator, plan.opset)
        named = sign.attributes | {formal.name for formal in sign.inputs}
        if not named.issuperset(call.params) or not plan.runs(call.operator, sign):
            return False
    return True


class Instance:
    """One window on its way into a graph. ``values`` are its operands, then what its calls made."""

    def __init__(
        self, builder: Builder, window: Window, dtypes: frozenset[str], operators: frozenset[str],
        changes: frozenset[str], *, join: bool, base: int | None = None,
    ) -> None:  # fmt: skip
        self.builder, self.window, self.dtypes, self.join = builder, window, dtypes, join
        self.operators = operators
        self.changes = changes
        self.changed: list[str] = []
        self.draw = builder.choices.integer
        self.values: list[Value] = []
        self.operands: list[Value | None] = [None] * len(window.operands)
        self.names: dict[str, Dim] = {}
        self.exposed: tuple[Value, ...] = ()
        self.base = base

    def place(self) -> Sequence[Value]:
        """Every call of the window, pending in the builder. Raises Infeasible where one does not fit."""
        self.types = self._types()
        self.sizes = self._sizes()
        last = len(self.window.calls) - 1
        # From which call on the first that can be is changed.
        starts = {name: self.draw(0, last) for name in ("attribute", "operator", "quantised") if name in self.changes}
        made: list[Value] = []
        for place, call in enumerate(self.window.calls):
            inputs = tuple(None if i is None else self._value(i, made) for i in call.inputs)
            params = {name: decoded(value, _Lazy(self)) for name, value in call.params.items()}
            if "to" in params and BY_CODE[params["to"]].name in self.types:
                params["to"] = BY_NAME[self.types[BY_CODE[params["to"]].name]].code
            due = [name for name, start in starts.items() if start <= place]
            operator = self._operator(call.operator, inputs, call.outputs) if "operator" in due else call.operator
            self._admit(operator, inputs)
            given = (self.builder.choices, self.builder.plan.opset, operator, inputs, params, call.outputs)
            if operator != call.operator:
                params = in_place(*given)
            elif "attribute" in due:
                params, name = varied(*given)
                if name:
                    del starts["attribute"]
                    self.changed.append(f"attribute {operator}.{name}")
            absent = frozenset(call.absent) if call.absent else None
            if "quantised" in due and self._quantisable(inputs):
                del starts["quantised"]
                made += self._between(operator, inputs, params, call.outputs, absent)
            else:
                made += self._applied(operator, Call(inputs, params, call.outputs, absent))
        if "exposed" in self.changes:
            self._expose(made)
        self.values = made
        return made

    # -- sizes and types -------------------------------------------------------------------------------------------

    def _sizes(self) -> list[int]:
        """The symbols' values: of those found at mining, mostly not the traced ones; one of them perhaps another."""
        sizes = self.window.sizes
        if self.base is None:
            usual = len(sizes) > 1 and (self.draw(0, 15) > 0 or not self._small(sizes[0]))
            chosen = list(sizes[self.draw(1, len(sizes) - 1)] if usual else sizes[0])
        else:
            chosen = list(sizes[self.base])
        if "size" in self.changes and chosen:
            at = self.draw(0, len(chosen) - 1)
            chosen[at] = _OTHER_SIZES[self.draw(0, len(_OTHER_SIZES) - 1)]
            self.changed.append(f"size {symbol_name(at)}={chosen[at]}")
        return chosen

    def _small(self, sizes: Sequence[int]) -> bool:
        names: dict[str, Dim] = {symbol_name(i): size for i, size in enumerate(sizes)}
        return all(_count(operand.shape, names) <= _LARGEST for operand in self.window.operands)

    def _types(self) -> Mapping[str, str]:
        """What the window's element types become."""
        present = tuple(dict.fromkeys(operand.dtype for operand in self.window.operands))
        if not present or self.base is not None:
            return {}
        model = frozenset(d.name for d in self.builder.plan.dtypes)
        types = other_types(self.draw, present, model, self.dtypes, wanted="type" in self.changes)
        self.changed += [f"type {own}={other}" for own, other in types.items()]
        return types

    def _operator(self, operator: str, inputs: Sequence[Value | None], outputs: int) -> str:
        """Another operator of the same form for these operands, where there is one; of several calls one in two."""
        again = any(said.startswith("operator") for said in self.changed)
        others = other_operators(self.builder.plan, operator, inputs, outputs)
        others = [name for name in others if name in self.operators]
        if not others or (again and self.draw(0, 1)):
            return operator
        other = others[self.draw(0, len(others) - 1)]
        self.changed.append(f"operator {operator}={other}")
        return other

    def _admit(self, operator: str, inputs: Sequence[Value | None]) -> None:
        """Infeasible where an operator does not take these types or ranks, or the targets or settings do not."""
        plan = self.builder.plan
        sign = signature(operator, plan.opset)
        data = [f for f in sign.inputs if f.name not in TABLE[operator].parameters]
        variables: dict[str, DType] = {}
        for place, value in enumerate(inputs):
            if value is None:
                continue
            formal = data[min(place, len(data) - 1)]
            own = value.type.dtype
            if own not in sign.types[formal.variable] or own.name not in self.dtypes:
                raise Infeasible(f"{operator} of {own}")
            if variables.setdefault(formal.variable, own) is not own and not formal.mixed:
                raise Infeasible(f"{operator} of {own} and another type")
            first = not place and formal is sign.inputs[0]
            if first and plan.supports is not None and not plan.supports(operator, own.name):
                raise Infeasible(f"the targets do not run {operator} on {own}")
            if len(value.type.shape) > plan.rank[1]:
                raise Infeasible(f"rank {len(value.type.shape)}")

    # -- operands --------------------------------------------------------------------------------------------------

    def _value(self, index: int, made: Sequence[Value]) -> Value:
        if index >= len(self.operands):
            return made[index - len(self.operands)]
        known = self.operands[index]
        if known is None:
            known = self.operands[index] = self._operand(self.window.operands[index])
        return known

    def _operand(self, operand: Operand) -> Value:
        dtype = BY_NAME[self.types.get(operand.dtype, operand.dtype)]
        bounded = operand.low > -inf or operand.high < inf
        domain = Domain(operand.low, operand.high) if bounded else EVERYWHERE
        if operand.kind == "constant":
            return self._constant(operand, dtype)
        if operand.kind == "input" and self.join and self.draw(0, 99) < _JOINED:
            joined = self._joined(operand, dtype, domain)
            if joined is not None:
                return joined
        return self._fresh(operand, dtype, domain)

    def _constant(self, operand: Operand, dtype: DType) -> Value:
        own = np.asarray(operand.numbers, dtype=BY_NAME[operand.dtype].carrier)
        array = in_type(own.reshape([int(size) for size in operand.shape]), dtype)
        return self.builder.placeholder(TensorType(dtype, tuple(array.shape)), array, Origin.INITIALIZER, None)

    def _fresh(self, operand: Operand, dtype: DType, domain: Domain) -> Value:
        shape = self.shape(operand.shape)
        sizes = tuple(map(self.builder.graph.store.value, shape))
        if min(sizes, default=1) < 0 or prod(sizes) > _LARGEST:
            raise Infeasible(f"a new tensor of sizes {sizes}")
        plan = self.builder.plan
        recipe = choose_recipe(dtype, domain, self.draw, plan.palettes)
        weight = operand.kind == "weight" and (self.draw(0, 7) > 0 or not plan.computed_weights)
        origin = Origin.INITIALIZER if weight else Origin.INPUT
        return self.builder.placeholder(TensorType(dtype, shape), fill(recipe, sizes, dtype), origin, recipe)

    def _joined(self, operand: Operand, dtype: DType, domain: Domain) -> Value | None:
        """A value that there is: one that fits as it is, or one that nodes make fit; None where luck says no."""
        pool = self.builder.of_type(dtype.name)
        if not pool:
            return None
        for look in range(_LOOKS):
            # The newest are the ends of what was placed before: windows of different models meet there.
            last = len(pool) - 1
            value = pool[self.draw(max(0, last - 7), last) if look % 2 == 0 else self.draw(0, last)]
            if self._fits(operand.shape, value):
                inside = self._inside(value, domain)
                if inside is not None:
                    return inside
        names = {name: self._sized(name) for size in operand.shape for name in symbols_of(size)}
        sizes = tuple(cast("int", number(size, names)) for size in operand.shape)
        if not self.builder.plan.adapters or prod(sizes) > _LARGEST or min(sizes, default=1) < 1:
            return None
        value = pool[self.draw(max(0, len(pool) - 4), len(pool) - 1)]
        fitted = fit(self.builder, value, sizes)
        inside = None if fitted is None else self._inside(fitted, domain)
        if inside is not None:
            for mine, theirs in zip(self.shape(operand.shape), inside.type.shape, strict=True):
                self.builder.graph.store.unify(mine, theirs)
        return inside

    def _inside(self, value: Value, domain: Domain) -> Value | None:
        return value if domain is EVERYWHERE or domain.admits(value) else guard(self.builder, value, domain)

    def _fits(self, shape: Sequence[Size], value: Value) -> bool:
        """Whether a value has these sizes; symbols that have none yet take those of the value then."""
        if len(shape) != len(value.array.shape) or 0 in value.array.shape:
            return False
        taken: dict[str, Dim] = {}
        known = self.builder.graph.store.value
        for size, dim, own in zip(shape, value.type.shape, value.array.shape, strict=True):
            if isinstance(size, str) and size.isalnum() and size not in self.names and size not in taken:
                if own == 1 and self._sized(size) != 1:
                    return False  # an axis that only broadcasts is another window
                taken[size] = dim
                continue
            if any(name not in self.names and name not in taken for name in symbols_of(size)):
                return False
            if known(number(size, {**self.names, **taken})) != own:
                return False
        self.names.update(taken)
        return True

    def _sized(self, name: str) -> int:
        """A symbol's value as it was chosen, whatever it is joined to."""
        given = self.names.get(name)
        return self.sizes[_place(name)] if given is None else self.builder.graph.store.value(given)

    def shape(self, shape: Sequence[Size]) -> Shape:
        """Sizes in the builder's symbols."""
        return tuple(number(size, _Lazy(self)) for size in shape)

    def symbol(self, name: str) -> Dim:
        """What stands for a symbol of the window in this graph."""
        known = self.names.get(name)
        if known is None:
            size = self.sizes[_place(name)]
            known = self.names[name] = self.builder.graph.store.fresh(size, low=min(size, 1), name="d")
        return known

    # -- calls -----------------------------------------------------------------------------------------------------

    def _applied(self, operator: str, call: Call) -> tuple[Value, ...]:
        try:
            outputs = self.builder.apply(operator, call)
        except (ValueError, IndexError, KeyError, TypeError, ArithmeticError, AssertionError) as error:
            # Rows trust what they get; a change, or a size that is moved, gives what they do not look for.
            raise Infeasible(f"{operator}: {error}") from None
        self.builder.graph.store.freeze()  # what the next call asks for must not move what this one computed
        if len(outputs) != call.outputs:
            raise Infeasible(f"{operator} makes another number of values")
        if any(len(value.type.shape) > self.builder.plan.rank[1] for value in outputs):
            raise Infeasible(f"{operator} makes a rank that is not wanted")
        return outputs

    def _quantisable(self, inputs: Sequence[Value | None]) -> bool:
        """Whether operands are of float, and targets and settings have what stands around a quantised call."""
        plan = self.builder.plan
        kinds = {"float", *_QUANTISED}
        runs = plan.supports is None or (
            plan.supports("QuantizeLinear", "float") and all(plan.supports("DequantizeLinear", q) for q in _QUANTISED)
        )
        runs = runs and {"QuantizeLinear", "DequantizeLinear"} <= self.operators
        return runs and kinds <= self.dtypes and any(v is not None and v.type.dtype.name == "float" for v in inputs)

    def _between(
        self, operator: str, inputs: Sequence[Value | None], params: Mapping[str, Any], outputs: int,
        absent: frozenset[int] | None,
    ) -> tuple[Value, ...]:  # fmt: skip
        """A call as quantised models have it: its float operands and its first result rounded to eight bits."""
        self.changed.append(f"quantised {operator}")
        kind = BY_NAME[_QUANTISED[self.draw(0, len(_QUANTISED) - 1)]]
        given = [self._rounded(v, kind) if i < _FIRST_SCALED else v for i, v in enumerate(inputs)]
        first, *rest = self._applied(operator, Call(tuple(given), params, outputs, absent))
        return (self._rounded(first, kind) or first, *rest)

    def _rounded(self, value: Value | None, kind: DType) -> Value | None:
        """A value of float through QuantizeLinear and DequantizeLinear; any other as it is."""
        if value is None or value.type.dtype.name != "float" or value.array.size == 0:
            return value
        scale = self._number(_SCALES[self.draw(0, len(_SCALES) - 1)], value.type.dtype)
        zero = self._number(128 if kind.name == "uint8" else 0, kind)
        (whole,) = self._applied("QuantizeLinear", Call((value, scale, zero)))
        (again,) = self._applied("DequantizeLinear", Call((whole, scale, zero)))
        return again

    def _number(self, number: float, dtype: DType) -> Value:
        array = in_type(np.asarray(number, np.float64), dtype)
        return self.builder.placeholder(TensorType(dtype, ()), array, Origin.INITIALIZER, None)

    def _expose(self, made: Sequence[Value]) -> None:
        """A value inside of the window becomes an output of the model as well."""
        value = made[self.draw(0, len(made) - 1)]
        self.exposed = (value,)
        self.changed.append(f"exposed {value.name}")


class _Lazy(dict[str, "Dim"]):
    """The symbols of an instance, made when they are first asked for."""

    def __init__(self, instance: Instance) -> None:
        super().__init__()
        self._instance = instance

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.isalnum()

    def __getitem__(self, name: str) -> Dim:
        return self._instance.symbol(name)


def _place(name: str) -> int:
    """The position of a symbol, from its name."""
    return ord(name[0]) - ord("a") + 26 * int(name[1:] or 0)


def _count(shape: Sequence[Size], names: Mapping[str, Dim]) -> int:
    return prod(cast("int", number(size, names)) for size in shape)
