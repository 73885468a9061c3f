"""What stands in brackets and behind keywords of a pattern's text: sizes and attributes, worked out as it is placed."""

from __future__ import annotations

import ast
import operator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from abstract.constraints import Infeasible
from abstract.dtypes import BY_NAME, DType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from abstract.constraints import Constraints
    from abstract.dims import Dim
    from abstract.graph import Value
    from fuzz.generate.choices import Choices

__all__ = ["Names"]

_SIZES = (1, 2, 2, 3, 3, 4, 4, 5, 6, 8)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType({
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
})  # fmt: skip


@dataclass(slots=True)
class Names:
    """What the names of one instance stand for: values, numbers, sizes (made at first mention), ``T``."""

    element: DType
    store: Constraints
    choices: Choices
    sizes: Mapping[str, int]
    values: dict[str, Value] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)

    def evaluate(self, node: ast.expr) -> Any:
        """The number, string, tuple or size that an expression stands for. Raises SyntaxError where it has none."""
        if isinstance(node, ast.Constant):
            return node.value.encode() if isinstance(node.value, str) else node.value
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.List):
            return tuple(self.evaluate(e) for e in node.elts)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return _FUNCTIONS[node.func.id](self, *(self.evaluate(a) for a in node.args))
        return self._computed(node)

    def _computed(self, node: ast.expr) -> Any:
        """Sums and the like; ``x.rank``, ``x.shape`` and ``x.shape[i]``."""
        if isinstance(node, ast.BinOp):
            return _ARITHMETIC[type(node.op)](self.evaluate(node.left), self.evaluate(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.evaluate(node.operand)
        if isinstance(node, ast.Subscript):
            return self.evaluate(node.value)[self.evaluate(node.slice)]
        if isinstance(node, ast.Attribute):
            value = self.evaluate(node.value)
            return value.type.shape if node.attr == "shape" else len(value.type.shape)
        raise SyntaxError(f"{ast.unparse(node)} has no meaning in a pattern")

    def _name(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.numbers:
            return self.numbers[name]
        if name == "T":
            return self.element.code
        if name in BY_NAME:
            return BY_NAME[name].code
        return self.size(name)

    def size(self, name: str) -> Dim:
        """The dimension of a name: a new symbol at first mention."""
        if name not in self.numbers:
            fixed = self.sizes.get(name)
            size = _SIZES[self.choices.integer(0, len(_SIZES) - 1)] if fixed is None else fixed
            self.numbers[name] = self.store.fresh(size, low=1, name="d", fixed=True)
        return self.numbers[name]  # type: ignore[no-any-return]

    def known(self, name: str) -> bool:
        """Whether a name stands for something already, or for a size that must not be chosen freely."""
        return name in self.numbers or name in self.sizes or name in self.values


def _pick(names: Names, *options: Any) -> Any:
    return options[names.choices.integer(0, len(options) - 1)]


def _shuffled(names: Names, value: Value) -> tuple[int, ...]:
    """A permutation of the axes of a value."""
    left = list(range(len(value.type.shape)))
    return tuple(left.pop(names.choices.integer(0, len(left) - 1)) for _ in range(len(left)))


def _inverse(names: Names, permutation: tuple[int, ...]) -> tuple[int, ...]:
    del names
    return tuple(permutation.index(axis) for axis in range(len(permutation)))


def _axis(names: Names, value: Value) -> int:
    """An axis of a value, counted from the front or from the back."""
    rank = len(value.type.shape)
    if not rank:
        raise Infeasible("a scalar has no axis")
    return names.choices.integer(-rank, rank - 1)


def _where_in(names: Names, axis: int, permutation: tuple[int, ...]) -> int:
    """Where an axis of the operand lies after a transposition."""
    del names
    return permutation.index(axis % len(permutation))


def _all_but(names: Names, value: Value, axis: int, size: Any) -> tuple[Any, ...]:
    """The shape of a value with another size at one axis."""
    del names
    shape = list(value.type.shape)
    shape[axis] = size
    return tuple(shape)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({
    "pick": _pick, "shuffled": _shuffled, "inverse": _inverse, "axis": _axis, "where_in": _where_in,
    "with_size": _all_but,
})  # fmt: skip
