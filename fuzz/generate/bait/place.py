"""Placing one instance of a pattern in a graph: all of its calls enter, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DType, dtype
from abstract.operator import Call
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.bait.expression import Names
from fuzz.generate.bait.miss import MISSES, misses, other_types
from fuzz.generate.bait.program import Leaf, Let, Program, Step
from fuzz.generate.bait.share import Planted
from fuzz.generate.bait.wired import Wired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.graph import Value
    from fuzz.generate.bait.share import Bait
    from fuzz.generate.builder import Builder

__all__ = ["plant"]

_TRIES = 4  # draws of one instance


def plant(builder: Builder, bait: Bait, room: int) -> bool:
    """Place an instance of one of the patterns, of at most ``room`` calls; whether it could be."""
    draw = builder.choices.integer
    pattern = bait.patterns[draw(0, len(bait.patterns) - 1)]
    program, miss = pattern.program, ""
    if not bait.whole and len(program.calls) > room:
        return False
    if draw(0, 999) < bait.near * 1000:
        known = misses(pattern)
        miss = known[draw(0, len(known) - 1)]
        sites = MISSES[miss].sites(program)
        program = MISSES[miss].apply(program, sites[draw(0, len(sites) - 1)], lambda n: draw(0, n - 1))
    wanted = other_types(pattern) if miss == "type" else pattern.types
    types = [d for n in wanted if (d := BY_NAME[n]) in builder.plan.dtypes]
    if not types:
        return False
    present = builder.computed  # a pattern of a type that the graph has is joined to it
    tickets = [d for d in types for _ in range((5 if d.name == "float" else 1) * (4 if present.get(d.name) else 1))]
    for _ in range(_TRIES):
        instance = _Instance(builder, bait, program, miss, tickets[draw(0, len(tickets) - 1)])
        if builder.transact(instance.place):
            exposed = tuple(instance.names.values[name] for name in program.exposed)
            bait.planted.append(Planted(pattern.name, miss, instance.made[-1].name, exposed))
            return True
    return False


class _Instance:
    def __init__(self, builder: Builder, bait: Bait, program: Program, miss: str, element: DType) -> None:
        self.miss = miss
        self.builder = builder
        self.bait = bait
        self.program = program
        self.made: list[Value] = []
        self.names = Names(element, builder.graph.store, builder.choices, program.sizes)

    def place(self) -> Sequence[Value]:
        """Every call of the program, pending in the builder. Raises Infeasible where one does not fit."""
        for step in self.program.steps:
            if isinstance(step, Step):
                self._call(step)
            else:
                self._let(step)
        return self.made

    def _let(self, step: Let) -> None:
        if isinstance(step.value, Leaf):
            sign = signature("Identity", self.builder.plan.opset)  # takes every type, and asks for nothing
            scope = Wired(self.builder, sign, "Identity", (), self.names)
            self.names.values[step.value.name] = scope.leaf(step.value, self.names.element)
        else:
            self.names.numbers[step.name] = self.names.evaluate(step.value)

    def _call(self, step: Step) -> None:
        plan = self.builder.plan
        sign = signature(step.operator, plan.opset)
        if not plan.runs(step.operator, sign):
            raise Infeasible(f"the targets do not run {step.operator}")
        scope = Wired(self.builder, sign, step.operator, step.arguments, self.names)
        if not step.rest and all(map(scope.settled, step.arguments)):
            operands: tuple[Value | None, ...] = scope.values(step.arguments)
            params: dict[str, Any] = {}
        else:
            operands, params = self._proposed(step, scope)
        params.update({name: self.names.evaluate(node) for name, node in step.attributes.items()})
        if step.varied is not None:
            params[step.varied] = self._varied(step.varied, params[step.varied], operands[0])
        outputs = self._applied(step, Call(operands, params, len(step.targets)))
        if step.operator == "Cast" and not self._wanted(outputs[0].type.dtype):
            raise Infeasible(f"{outputs[0].type.dtype} is not asked for")
        self.builder.graph.store.freeze()  # what the next call asks for must not move what this one computed
        self.names.values.update(zip(step.targets, outputs, strict=True))
        self.made.extend(outputs)

    def _applied(self, step: Step, call: Call) -> tuple[Value, ...]:
        """The call's outputs. Infeasible where a near-miss made it illegal: rows trust what they are given."""
        try:
            return self.builder.apply(step.operator, call)
        except (ValueError, IndexError) as error:
            if not self.miss:
                raise
            raise Infeasible(f"{step.operator}: {error}") from None

    def _proposed(self, step: Step, scope: Wired) -> tuple[tuple[Value | None, ...], dict[str, Any]]:
        """The operands and attributes that the operator's row proposes, with the pattern's in their places."""
        call = TABLE[step.operator].propose(scope)
        drawn = {id(v) for v in call.inputs}
        if len(scope.answers) != len(step.arguments) or not all(id(v) in drawn for v in scope.answers):
            raise Infeasible(f"{step.operator} asked for other operands")
        more = call.inputs[len(scope.answers) :] if step.rest else ()
        return (*scope.answers, *more), dict(call.params) if step.rest else {}

    def _wanted(self, kind: DType) -> bool:
        return kind.name in self.bait.dtypes or kind.name in ("bool", "int64")

    def _varied(self, name: str, value: Any, operand: Value | None) -> Any:
        """Another legal value of an attribute. Raises Infeasible where there is none."""
        draw = self.builder.choices.integer
        rank = 0 if operand is None else len(operand.type.shape)
        if name in ("keepdims", "transA", "transB", "exclusive", "reverse"):
            return 1 - value
        if name in ("alpha", "beta", "epsilon", "min", "max"):
            return type(value)((value + 1, 2 * value - 1, -value)[draw(0, 2)])
        if name == "to":
            kinds = signature("Cast", self.builder.plan.opset).types["T2"]
            names = sorted(d.name for d in kinds if d.name in self.bait.dtypes and d.name != "string")
            return dtype(names[draw(0, len(names) - 1)]).code
        if rank < 1:
            raise Infeasible("a scalar has no axis")
        if name == "axis":
            return draw(-rank, rank - 1)
        order = list(range(rank))
        shuffled = tuple(order.pop(draw(0, len(order) - 1)) for _ in range(rank))
        if name == "axes":
            return tuple(sorted(shuffled[: max(len(value) + draw(-1, 1), 1)]))
        return shuffled

