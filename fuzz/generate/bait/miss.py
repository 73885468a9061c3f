"""Near-misses: a pattern with one thing off, after which the rewrite is mostly no longer right.

Each is a function from a program and one of its sites to another program; ``sites`` says where it can be done. What
they vary is what guards of real passes forgot once (the codes N1 to N15 of the project's list of fusion patterns).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TypeAlias, TypeVar

import onnx.defs

from fuzz.generate.bait.pattern import FLOATS, NUMBERS, Pattern
from fuzz.generate.bait.program import Argument, Leaf, Let, Literal, Program, Ref, Step

__all__ = ["MISSES", "VARIATIONS", "Miss", "misses"]

Kind = TypeVar("Kind", Leaf, Literal, Ref)
Site: TypeAlias = tuple[int, int]
"""A call's position among the calls of a program, and an argument's among its arguments (or an attribute's)."""
Draw: TypeAlias = Callable[[int], int]
"""A recorded choice in [0, n)."""


@dataclass(frozen=True, slots=True)
class Miss:
    """One kind: its name, what is off, where it can be done, how. ``apply`` may draw with recorded choices."""

    name: str
    purpose: str
    sites: Callable[[Program], Sequence[Site]]
    apply: Callable[[Program, Site, Draw], Program]


# -- sites ---------------------------------------------------------------------------------------------------------


def _arguments(program: Program, test: Callable[[Argument], bool]) -> list[Site]:
    return [(i, j) for i, step in enumerate(program.calls) for j, a in enumerate(step.arguments) if test(a)]


def _inner(program: Program) -> list[Site]:
    """Arguments that another call of the pattern computes."""
    made = {target for step in program.calls for target in step.targets}
    return _arguments(program, lambda a: isinstance(a, Ref) and a.name in made)


def _leaf_again(program: Program) -> list[Site]:
    leaves = {a.name for step in program.calls for a in step.arguments if isinstance(a, Leaf)}
    return _arguments(program, lambda a: isinstance(a, Ref) and a.name in leaves)


def _named(program: Program, wanted: Callable[[str], bool]) -> list[Site]:
    return [(i, j) for i, step in enumerate(program.calls) for j, name in enumerate(step.attributes) if wanted(name)]


def _two(arguments: tuple[Argument, ...]) -> bool:
    """Whether there are two operands, and not twice the same."""
    names = {i if isinstance(a, Literal) else a.name for i, a in enumerate(arguments)}
    return len(arguments) == len(names) == 2


def _names_of_sizes(program: Program) -> list[str]:
    found: dict[str, None] = {}
    leaves = [a for step in program.calls for a in step.arguments if isinstance(a, Leaf)]
    leaves += [step.value for step in program.steps if isinstance(step, Let) and isinstance(step.value, Leaf)]
    for leaf in leaves:
        for entry in leaf.shape or ():
            if isinstance(entry, ast.Name):
                found[entry.id] = None
    return list(found)


# -- changes -------------------------------------------------------------------------------------------------------


def _at(program: Program, site: Site, kind: type[Kind]) -> Kind:
    """The argument at a site, which ``sites`` found to be of this kind."""
    argument = program.calls[site[0]].arguments[site[1]]
    if not isinstance(argument, kind):
        raise TypeError(f"{argument} is no {kind.__name__}")
    return argument


def _with_argument(program: Program, site: Site, argument: Argument) -> Program:
    step = program.calls[site[0]]
    arguments = (*step.arguments[: site[1]], argument, *step.arguments[site[1] + 1 :])
    return program.with_call(site[0], replace(step, arguments=arguments))


def _before(program: Program, site: Site, *extra: Step) -> Program:
    """The program with calls put in front of one, whose argument at the site is what the last of them gives."""
    changed = _with_argument(program, site, Ref(extra[-1].targets[0]))
    at = changed.steps.index(changed.calls[site[0]])
    return replace(changed, steps=(*changed.steps[:at], *extra, *changed.steps[at:]))


def _input(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    if isinstance(program.calls[site[0]].arguments[site[1]], Literal):
        return _with_argument(program, site, replace(_at(program, site, Literal), fed=True))
    argument = _at(program, site, Leaf)
    return _with_argument(program, site, replace(argument, constant=False))


def _constant(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    argument = _at(program, site, Leaf)
    return _with_argument(program, site, replace(argument, constant=True))


_NEAR: tuple[Callable[[float], float], ...] = (
    lambda v: v * 0.9998, lambda v: v * 1.0002, lambda v: v + 1, lambda v: v - 1, lambda v: -v, lambda v: 2 * v,
)  # fmt: skip


def _number(program: Program, site: Site, draw: Draw) -> Program:
    argument = _at(program, site, Literal)
    value = argument.value
    changes = _NEAR if isinstance(value, float) else _NEAR[2:]
    return _with_argument(program, site, replace(argument, value=changes[draw(len(changes))](value)))


def _rank(program: Program, site: Site, draw: Draw) -> Program:
    argument = _at(program, site, Literal)
    return _with_argument(program, site, replace(argument, rank=(1, 2, 4)[draw(3)]))


def _wide(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    argument = _at(program, site, Leaf)
    return _with_argument(program, site, replace(argument, wide=True))


_CONSUMERS = ("Neg", "Identity", "Abs")


def _consumer(program: Program, site: Site, draw: Draw) -> Program:
    argument = program.calls[site[0]].arguments[site[1]]
    name = _at(program, site, Leaf).name if isinstance(argument, Leaf) else _at(program, site, Ref).name
    extra = Step(("_extra",), _CONSUMERS[draw(len(_CONSUMERS))], (Ref(name),))
    return replace(program, steps=(*program.steps, extra))


def _output(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    argument = _at(program, site, Ref)
    return replace(program, exposed=(argument.name,))


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


_THROUGH = ("float16", "bfloat16", "double", "int32", "int8", "uint8", "float")


def _cast(program: Program, site: Site, draw: Draw) -> Program:
    argument = _at(program, site, Ref)
    there = Step(("_cast",), "Cast", (argument,), {"to": _expression(_THROUGH[draw(len(_THROUGH))])})
    back = Step(("_back",), "Cast", (Ref("_cast"),), {"to": _expression("T")})
    return _before(program, site, there, back)


def _identity(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    return _before(program, site, Step(("_same",), "Identity", (program.calls[site[0]].arguments[site[1]],)))


def _reshape(program: Program, site: Site, draw: Draw) -> Program:
    argument = _at(program, site, Ref)
    if draw(2):
        flat = Step(("_flat",), "Reshape", (argument,), {"shape": _expression("[-1]")})
        shape = Step(("_shape",), "Reshape", (Ref("_flat"),), {"shape": _expression(f"{argument.name}.shape")})
        return _before(program, site, flat, shape)
    more = Step(("_more",), "Unsqueeze", (argument,), {"axes": _expression("[0]")})
    return _before(program, site, more, Step(("_less",), "Squeeze", (Ref("_more"),), {"axes": _expression("[0]")}))


def _transpose(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    argument = _at(program, site, Ref)
    return _before(program, site, Step(
        ("_turned",), "Transpose", (argument,), {"perm": _expression(f"shuffled({argument.name})")}))  # fmt: skip


def _another(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    argument = _at(program, site, Ref)
    return _with_argument(program, site, Leaf("_other", like=argument.name))


def _swap(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    step = program.calls[site[0]]
    first, second, *rest = step.arguments
    return program.with_call(site[0], replace(step, arguments=(second, first, *rest)))


# Operators that a sloppy match takes for each other.
_SIBLINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "Add": ("Sub", "Mul", "Max"), "Sub": ("Add",), "Mul": ("Add", "Div"), "Div": ("Mul",), "Max": ("Min",),
    "Min": ("Max",), "ReduceMean": ("ReduceSum", "ReduceMax"), "ReduceSum": ("ReduceMean",),
    "ReduceMax": ("ReduceMin",), "Sqrt": ("Abs",), "Exp": ("Abs",), "Relu": ("LeakyRelu", "Elu"),
    "Sigmoid": ("HardSigmoid", "Tanh"), "Tanh": ("Sigmoid", "Erf"), "Erf": ("Tanh",),
    "Softmax": ("LogSoftmax", "Sigmoid"), "Greater": ("GreaterOrEqual", "Less"), "Less": ("LessOrEqual",),
    "And": ("Or", "Xor"), "Or": ("And",), "ArgMax": ("ArgMin",), "AveragePool": ("MaxPool",),
    "MaxPool": ("AveragePool",), "Floor": ("Ceil", "Round"), "Ceil": ("Floor",),
})  # fmt: skip


def _sibling(program: Program, site: Site, draw: Draw) -> Program:
    step = program.calls[site[0]]
    others = _SIBLINGS[step.operator]
    other = others[draw(len(others))]
    schema = onnx.defs.get_schema(other)
    known = {*schema.attributes, *(formal.name for formal in schema.inputs)}
    kept = {name: value for name, value in step.attributes.items() if name in known}
    return program.with_call(site[0], replace(step, operator=other, attributes=kept))


def _one(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    return replace(program, sizes={_names_of_sizes(program)[site[0]]: 1})


def _vary(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    step = program.calls[site[0]]
    return program.with_call(site[0], replace(step, varied=tuple(step.attributes)[site[1]]))


def _drop(program: Program, site: Site, draw: Draw) -> Program:
    del draw
    step = program.calls[site[0]]
    name = tuple(step.attributes)[site[1]]
    kept = {k: v for k, v in step.attributes.items() if k != name}
    return program.with_call(site[0], replace(step, attributes=kept))


def _same(program: Program, site: Site, draw: Draw) -> Program:
    del site, draw
    return program


VARIATIONS = frozenset({"axis", "axes", "perm", "keepdims", "alpha", "beta", "epsilon", "to", "transA", "transB",
                        "exclusive", "reverse", "min", "max"})  # fmt: skip
"""Attributes that get another legal value; ``place`` knows which."""
_DROPPED = frozenset({"keepdims", "perm", "axis", "alpha", "beta", "epsilon", "min", "max", "transA", "transB"})


def _may_be_left_out(operator: str, name: str) -> bool:
    """Whether an attribute, or an input that is one in all but name, has a meaning when it is not given."""
    schema = onnx.defs.get_schema(operator)
    if name in schema.attributes:
        return not schema.attributes[name].required
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    return any(formal.name == name and formal.option == optional for formal in schema.inputs)



_BROADCASTS = frozenset({"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"})
# Operators whose scalar operands may have any rank; a scale or a zero point may not.
_ANY_RANK = _BROADCASTS | frozenset({"Where", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or",
                                     "Mod", "Gather"})  # fmt: skip
_SWAPPED = frozenset({"Add", "Sub", "Mul", "Div", "Max", "Min", "MatMul", "Pow", "Greater", "Less", "Concat"})

MISSES: Mapping[str, Miss] = MappingProxyType({miss.name: miss for miss in (
    Miss("attribute", "an attribute has another value", lambda p: _named(p, VARIATIONS.__contains__), _vary),
    Miss("default", "an attribute is left out", lambda p: [
        (i, j) for i, j in _named(p, _DROPPED.__contains__)
        if _may_be_left_out(p.calls[i].operator, tuple(p.calls[i].attributes)[j])], _drop),
    Miss("number", "a constant is another number, or not exactly that number", lambda p: _arguments(
        p, lambda a: isinstance(a, Literal) and isinstance(a.value, int | float) and not isinstance(a.value, bool)),
        _number),
    Miss("rank", "a scalar constant has axes of size 1", lambda p: [
        (i, j) for i, j in _arguments(p, lambda a: isinstance(a, Literal) and isinstance(a.value, int | float))
        if p.calls[i].operator in _ANY_RANK], _rank),
    Miss("input", "a constant is an input of the model", lambda p: _arguments(
        p, lambda a: isinstance(a, Literal) or (isinstance(a, Leaf) and a.constant)), _input),
    Miss("constant", "an operand that varies is a constant", lambda p: _arguments(
        p, lambda a: isinstance(a, Leaf) and not a.constant), _constant),
    Miss("broadcast", "a constant broadcasts the other operand up", lambda p: [
        (i, j) for i, j in _arguments(p, lambda a: isinstance(a, Leaf) and a.constant)
        if j == 1 and p.calls[i].operator in _BROADCASTS], _wide),
    Miss("consumer", "an inner value has a second consumer", _inner, _consumer),
    Miss("shared", "a constant has a second consumer", lambda p: _arguments(
        p, lambda a: isinstance(a, Leaf) and a.constant), _consumer),
    Miss("output", "an inner value is an output of the model", _inner, _output),
    Miss("cast", "a Cast to another type and back stands in between", _inner, _cast),
    Miss("identity", "an Identity stands in between", _inner, _identity),
    Miss("reshape", "a Reshape and its inverse stand in between", _inner, _reshape),
    Miss("transpose", "a Transpose stands in between", _inner, _transpose),
    Miss("another", "an operand that stands twice is two operands", _leaf_again, _another),
    Miss("swap", "two operands are swapped", lambda p: [
        (i, 0) for i, s in enumerate(p.calls) if s.operator in _SWAPPED and _two(s.arguments)], _swap),
    Miss("operator", "an operator is one that is like it", lambda p: [
        (i, 0) for i, s in enumerate(p.calls) if s.operator in _SIBLINGS and len(s.targets) == 1], _sibling),
    Miss("one", "a dimension is 1", lambda p: [(i, 0) for i, _ in enumerate(_names_of_sizes(p))], _one),
    Miss("type", "the element type is one that the rewrite was not made for", lambda _: [(0, 0)], _same),
)})  # fmt: skip


@cache
def misses(pattern: Pattern) -> tuple[str, ...]:
    """The kinds of near-miss that a pattern has a site for."""
    found = [name for name, miss in MISSES.items() if miss.sites(pattern.program)]
    return tuple(n for n in found if n != "type" or other_types(pattern))


def other_types(pattern: Pattern) -> tuple[str, ...]:
    """The element types beside those that a pattern is drawn on."""
    everything = NUMBERS if set(pattern.types) <= set(FLOATS) else (*NUMBERS, "bool")
    return tuple(name for name in everything if name not in pattern.types)
