"""Schemas, read once into plain data: what an operator's inputs, outputs, types and attributes are.

They are ONNX's own; of other domains what ``abstract/contributed.py`` declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import onnx.defs
import onnx.helper

from abstract.contributed import CONTRIBUTED, Declared, qualified
from abstract.dtypes import BY_NAME, DType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Formal", "Signature", "newest_opset", "signature"]


@dataclass(frozen=True, slots=True)
class Formal:
    """A formal input or output: its name, type variable (or fixed type) and whether it may be absent or repeated.

    ``mixed``: what is repeated may be of several types (If, Loop, Scan), so the variable does not stand for one.
    """

    name: str
    variable: str
    optional: bool
    variadic: bool
    mixed: bool = False


@dataclass(frozen=True)
class Signature:
    """An operator at an opset: formals, the element types that each type variable allows, attribute defaults.

    A node names at least ``least`` inputs, if by nothing: Loop's two are optional both.
    """

    name: str
    since: int
    inputs: tuple[Formal, ...]
    outputs: tuple[Formal, ...]
    types: Mapping[str, tuple[DType, ...]]
    defaults: Mapping[str, Any]
    attributes: frozenset[str]
    least: int = 0

    def formal(self, position: int) -> Formal:
        """The formal input at a position; a variadic last one repeats."""
        return self.inputs[min(position, len(self.inputs) - 1)]


def _dtypes(strings: Iterable[str]) -> tuple[DType, ...]:
    """The element types among type strings such as ``tensor(float)``, in the order of the element-type table.

    Where only containers are allowed, those of the tensors in them: ``seq(tensor(float))``.
    """
    given = tuple(strings)
    names = {s.removeprefix("tensor(").removesuffix(")") for s in given}
    found = tuple(row for name, row in BY_NAME.items() if name in names)
    if found:
        return found
    names = {s.rpartition("tensor(")[2].rstrip(")") for s in given if "tensor(" in s}
    return tuple(row for name, row in BY_NAME.items() if name in names)


def _formals(parameters: Iterable[Any]) -> tuple[Formal, ...]:
    option = onnx.defs.OpSchema.FormalParameterOption
    return tuple(
        Formal(p.name, p.type_str, p.option == option.Optional, p.option == option.Variadic, not p.is_homogeneous)
        for p in parameters
    )


def _declared(name: str, row: Declared) -> Signature:
    """The signature of an operator that ONNX does not have."""

    def formals(text: str) -> tuple[Formal, ...]:
        found = []
        for part in text.split():
            formal, _, variable = part.partition(":")
            found.append(Formal(formal, variable.rstrip("?*"), variable.endswith("?"), *[variable.endswith("**")] * 2))
        return tuple(found)

    inputs, outputs = formals(row.inputs), formals(row.outputs)
    types = {variable: _dtypes(f"tensor({t})" for t in names.split()) for variable, names in row.types.items()}
    for formal in (*inputs, *outputs):
        types.setdefault(formal.variable, _dtypes([f"tensor({formal.variable})"]))
    attributes = frozenset(row.defaults) | frozenset(row.attributes.split())
    least = sum(not formal.optional for formal in inputs)
    return Signature(name, 1, inputs, outputs, types, row.defaults, attributes, least)


@cache
def signature(name: str, opset: int, domain: str = "") -> Signature:
    """The schema in force at an opset; onnx.defs.SchemaError where there is none.

    Operators of other domains may be named with theirs (``com.microsoft.Gelu``); what is declared of them serves all
    opsets.
    """
    known = qualified(domain, name)
    declared = CONTRIBUTED.get(known)
    if declared is not None:
        return _declared(known, declared)
    schema = onnx.defs.get_schema(name, opset, domain)
    types = {c.type_param_str: _dtypes(c.allowed_type_strs) for c in schema.type_constraints}
    inputs, outputs = _formals(schema.inputs), _formals(schema.outputs)
    for formal in (*inputs, *outputs):
        types.setdefault(formal.variable, _dtypes([formal.variable]))
    defaults = {
        key: onnx.helper.get_attribute_value(attribute.default_value)
        for key, attribute in schema.attributes.items()
        if attribute.default_value.type
    }
    attributes = frozenset(schema.attributes)
    return Signature(name, schema.since_version, inputs, outputs, types, defaults, attributes, schema.min_input)


def newest_opset() -> int:
    """The newest version of the default domain that the installed onnx knows."""
    return int(onnx.defs.onnx_opset_version())
