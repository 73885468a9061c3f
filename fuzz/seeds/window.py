"""A window: a few connected nodes of a real model with symbolic sizes, as data and as a line of JSON.

A size is an integer or a formula of the window's symbols ``a``, ``b``, ... in the operators + - * // with their usual
precedence. Nothing of it needs the model that it comes from.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx

from abstract.dims import Dim, Expr, Quotient, Symbol, floor_div

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Call", "Operand", "Size", "Window", "decoded", "encoded", "formula", "number", "symbol_name", "symbols_of"]

Size: TypeAlias = int | str
"""A number, or a formula of symbols."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Operand:
    """What a window reads from outside.

    ``kind``: "input" is what another node computed, "weight" a large constant whose numbers are drawn anew, "constant"
    a small one that keeps its ``numbers``. ``low`` and ``high`` is where the numbers lay on which the window was
    found to be defined.
    """

    dtype: str
    shape: tuple[Size, ...]
    kind: str
    numbers: tuple[Any, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")


@dataclass(frozen=True, slots=True)
class Call:
    """One node. ``inputs`` count the operands first, then the outputs of the calls in order; None is an absent one.

    ``params`` are by formal name, sizes in them as in shapes; ``absent`` are the positions of outputs left out.
    """

    operator: str
    inputs: tuple[int | None, ...]
    params: Mapping[str, Any]
    outputs: int = 1
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Some calls in order with their operands.

    ``results`` are the values that were read outside. ``sizes`` has the symbols' values: as traced, then others on
    which the window was evaluated. ``reason`` says why no size is symbolic; empty where one is. ``models`` are those
    that it comes from, ``count`` how often it was met.
    """

    key: str
    operands: tuple[Operand, ...]
    calls: tuple[Call, ...]
    results: tuple[int, ...]
    sizes: tuple[tuple[int, ...], ...]
    models: tuple[str, ...] = ()
    count: int = 1
    reason: str = ""

    @property
    def operators(self) -> frozenset[str]:
        """The operators that it calls."""
        return frozenset(call.operator for call in self.calls)

    def to_json(self) -> str:
        """One line; ``from_json`` reads it."""
        data: dict[str, Any] = {
            "key": self.key,
            "operands": [_operand(operand) for operand in self.operands],
            "calls": [_call(call) for call in self.calls],
            "results": list(self.results), "sizes": [list(s) for s in self.sizes],
            "models": list(self.models), "count": self.count,
        }  # fmt: skip
        if self.reason:
            data["reason"] = self.reason
        return json.dumps(data, separators=(",", ":"), ensure_ascii=True)

    @staticmethod
    def from_json(line: str) -> Window:
        """Read a line. Raises ValueError or KeyError where it is none of ours."""
        data = json.loads(line)
        return Window(
            data["key"],
            tuple(
                Operand(o["type"], tuple(o["shape"]), o["kind"], tuple(o.get("numbers", ())),
                        float(o.get("low", "-inf")), float(o.get("high", "inf")))
                for o in data["operands"]
            ),
            tuple(
                Call(c["op"], tuple(c["in"]), c.get("params", {}), c.get("out", 1), tuple(c.get("absent", ())))
                for c in data["calls"]
            ),
            tuple(data["results"]), tuple(tuple(s) for s in data["sizes"]), tuple(data["models"]), data["count"],
            data.get("reason", ""),
        )  # fmt: skip


def _operand(operand: Operand) -> dict[str, Any]:
    data: dict[str, Any] = {"type": operand.dtype, "shape": list(operand.shape), "kind": operand.kind}
    if operand.numbers:
        data["numbers"] = list(operand.numbers)
    if operand.low != float("-inf"):
        data["low"] = operand.low
    if operand.high != float("inf"):
        data["high"] = operand.high
    return data


def _call(call: Call) -> dict[str, Any]:
    data: dict[str, Any] = {"op": call.operator, "in": list(call.inputs)}
    if call.params:
        data["params"] = dict(call.params)
    if call.outputs != 1:
        data["out"] = call.outputs
    if call.absent:
        data["absent"] = list(call.absent)
    return data


# --- parameters as JSON -----------------------------------------------------------------------------------------


def encoded(value: Any, size: Callable[[Dim], Size]) -> Any:
    """A parameter as JSON has it. Raises TypeError for what has no form there (graphs, sparse tensors)."""
    if isinstance(value, bytes):
        return {"text": value.decode()}
    if isinstance(value, onnx.TensorProto):
        array = onnx.numpy_helper.to_array(value)
        return {"tensor": value.data_type, "dims": list(array.shape), "numbers": array.ravel().tolist()}
    if isinstance(value, float):
        return value if value - value == 0 else {"float": str(value)}
    if isinstance(value, tuple):
        return [encoded(item, size) for item in value]
    if isinstance(value, int | Expr):
        return size(value)
    raise TypeError(f"a parameter of {type(value).__name__}")


def decoded(value: Any, names: Mapping[str, Dim]) -> Any:
    """A parameter as operators read it, with these sizes for the symbols."""
    if isinstance(value, dict):
        if "text" in value:
            return value["text"].encode()
        if "float" in value:
            return float(value["float"])
        return onnx.helper.make_tensor("", value["tensor"], value["dims"], value["numbers"])
    if isinstance(value, list):
        return tuple(decoded(item, names) for item in value)
    return number(value, names) if isinstance(value, str) else value


# --- formulas ---------------------------------------------------------------------------------------------------


def symbol_name(index: int) -> str:
    """A to z, then a1, b1, ..."""
    turn, letter = divmod(index, len(_LETTERS))
    return _LETTERS[letter] + (str(turn) if turn else "")


def formula(dim: Dim, name: Callable[[Symbol], str]) -> Size:
    """A size as text: ``(a+1)//2``."""
    if isinstance(dim, int):
        return dim
    parts: list[str] = []
    for monomial, coefficient in dim.terms:
        factors = [name(f) if isinstance(f, Symbol) else _quotient(f, name) for f in monomial]
        body = "*".join(factors if abs(coefficient) == 1 else [str(abs(coefficient)), *factors])
        parts.append(("-" if coefficient < 0 else "+") + body)
    if dim.constant:
        parts.append(f"{dim.constant:+d}")
    return "".join(parts).removeprefix("+")


def _quotient(quotient: Quotient, name: Callable[[Symbol], str]) -> str:
    return f"(({formula(quotient.numerator, name)})//({formula(quotient.denominator, name)}))"


def number(size: Size, names: Mapping[str, Dim]) -> Dim:
    """What a size is for these values of the symbols. Raises ValueError or KeyError for what is no formula of them."""
    if isinstance(size, int):
        return size
    return names[size] if size in names else _value(_parsed(size), names)


def symbols_of(size: Size) -> tuple[str, ...]:
    """The symbols of a formula, each once."""
    if isinstance(size, int):
        return ()
    return tuple(dict.fromkeys(node.id for node in ast.walk(_parsed(size)) if isinstance(node, ast.Name)))


@cache
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"no size: {text!r}") from error


_OPERATIONS: Mapping[type[ast.operator], Callable[[Dim, Dim], Dim]] = MappingProxyType({
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b, ast.FloorDiv: floor_div,
})  # fmt: skip


def _value(node: ast.expr, names: Mapping[str, Dim]) -> Dim:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, names)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, names), _value(node.right, names))
    raise ValueError(f"no size: {ast.unparse(node)}")
