"""A pattern's text as a program: steps in the order in which they are placed, each with where its operands come from.

The text is Python's grammar, read by its own parser. ``Add(MatMul(x, W), B)`` calls operators by their names; a name in
lower case that nothing has bound is an operand that varies, one in upper case a constant; what ``x[n, k]`` says in
brackets is its shape. ``docs/bait.md`` has the whole language.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from functools import cache
from types import EllipsisType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from abstract.dtypes import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Argument", "Leaf", "Let", "Literal", "Program", "Ref", "Shape", "Step", "parse"]

_TYPES = frozenset({*BY_NAME, "scale"})

Shape: TypeAlias = "tuple[ast.expr | EllipsisType, ...]"
"""The sizes that a leaf's brackets say; an Ellipsis stands for any number of axes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An operand from outside the pattern. Without a shape it gets that which the operator's own row proposes.

    ``like`` names a value whose shape and type it shares; ``wide`` gives it an axis more than the other operand.
    ``dtype`` is the element type that ``int8(W[k, n])`` says; ``scale`` makes its numbers small and positive.
    """

    name: str
    shape: Shape | None = None
    constant: bool = False
    like: str | None = None
    wide: bool = False
    dtype: str = ""
    scale: bool = False


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, or nested lists of them: an initializer, or an input if ``fed``; ``rank`` puts axes of 1 in front.

    ``dtype`` is the element type that ``int8(3)`` says; else it is that of what stands beside it.
    """

    value: Any
    fed: bool = False
    rank: int = 0
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that has a name already."""

    name: str


Argument: TypeAlias = Leaf | Literal | Ref


@dataclass(frozen=True, slots=True)
class Step:
    """One call. ``rest``: the operator's row draws what other attributes and operands it has.

    ``varied`` is an attribute that gets another value than the text says.
    """

    targets: tuple[str, ...]
    operator: str
    arguments: tuple[Argument, ...]
    attributes: Mapping[str, ast.expr] = field(default_factory=lambda: MappingProxyType({}))
    rest: bool = False
    varied: str | None = None


@dataclass(frozen=True, slots=True)
class Let:
    """A name for a number, a permutation, or (with no name) a leaf that is declared ahead of its use."""

    name: str
    value: ast.expr | Leaf


@dataclass(frozen=True, slots=True)
class Program:
    """All of a pattern. ``sizes`` fixes dimensions by name, ``exposed`` are values that become outputs of the model."""

    steps: tuple[Step | Let, ...]
    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    exposed: tuple[str, ...] = ()

    @property
    def calls(self) -> tuple[Step, ...]:
        """The steps that are calls."""
        return tuple(step for step in self.steps if isinstance(step, Step))

    def with_call(self, position: int, step: Step) -> Program:
        """The program with another step in the place of one of its calls."""
        old = self.calls[position]
        return replace(self, steps=tuple(step if s is old else s for s in self.steps))


@cache
def parse(text: str) -> Program:
    """The program of a text. Raises SyntaxError where it is none."""
    reader = _Reader()
    for statement in ast.parse(text).body:
        reader.statement(statement)
    return Program(tuple(reader.steps))


class _Reader:
    def __init__(self) -> None:
        self.steps: list[Step | Let] = []
        self.bound: set[str] = set()

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            self.call(node.value, ())
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Subscript):
            leaf = self.operand(node.value)
            if isinstance(leaf, Leaf):
                self.steps.append(Let("", leaf))
        elif isinstance(node, ast.Assign):
            (target,) = node.targets
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            targets = tuple(n.id for n in names if isinstance(n, ast.Name))
            if _is_operator(node.value):
                self.call(node.value, targets)  # type: ignore[arg-type]
            else:
                self.steps.append(Let(targets[0], node.value))
            self.bound.update(targets)
        else:
            self._refuse(node, "is no call, no name and no operand")

    def call(self, node: ast.Call, targets: tuple[str, ...]) -> str:
        if not _is_operator(node):
            self._refuse(node, "calls no operator")
        rest = any(isinstance(a, ast.Constant) and a.value is ... for a in node.args)
        given = [a for a in node.args if not (isinstance(a, ast.Constant) and a.value is ...)]
        # What is nested is called first: a name that is new there is no longer new here.
        called = {i: self.operand(a) for i, a in enumerate(given) if isinstance(a, ast.Call)}
        arguments = tuple(called[i] if i in called else self.operand(a) for i, a in enumerate(given))
        attributes = {k.arg: k.value for k in node.keywords if k.arg is not None}
        targets = targets or (f"_{len(self.steps)}",)
        self.bound.update(targets)
        self.steps.append(Step(targets, node.func.id, arguments, attributes, rest))  # type: ignore[attr-defined]
        return targets[0]

    @staticmethod
    def _refuse(node: ast.AST, why: str) -> NoReturn:
        raise SyntaxError(f"{ast.unparse(node)} {why}")

    def typed(self, kind: str, node: ast.expr) -> Argument:
        """An operand, or a constant, of the element type in front of it; ``scale`` stands for a kind of numbers."""
        if not isinstance(node, ast.Name | ast.Subscript):
            return Literal(ast.literal_eval(node), dtype=kind)
        operand = self.operand(node)
        if not isinstance(operand, Leaf):
            self._refuse(node, "has its type from where it was first named")
        return replace(operand, scale=True) if kind == "scale" else replace(operand, dtype=kind)

    def operand(self, node: ast.expr) -> Argument:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TYPES:
            return self.typed(node.func.id, node.args[0])
        if isinstance(node, ast.Call):
            return Ref(self.call(node, ()))
        shape: Shape | None = None
        name = node
        if isinstance(node, ast.Subscript):
            name = node.value
            entries = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            shape = tuple(... if isinstance(e, ast.Constant) and e.value is ... else e for e in entries)
        if not isinstance(name, ast.Name):
            return Literal(ast.literal_eval(node))
        if name.id in self.bound:
            if shape is not None:
                self._refuse(node, "has its shape from where it was first named")
            return Ref(name.id)
        self.bound.add(name.id)
        return Leaf(name.id, shape, constant=name.id[0].isupper())


def _is_operator(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id[0].isupper()
