"""How a script drives one backend by its public interface: packages, imports, and a function ``build(model)``."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.tensor import EXTENDED

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NoRecipe", "Recipe", "Request", "lines", "source"]


class NoRecipe(Exception):
    """Why there is no script for a finding, in words for its reader."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a recipe is asked for: a target's options and device, the element types of the model's inputs and outputs.

    ``outputs`` are the types by name, empty for what is no tensor.
    """

    options: Mapping[str, str]
    device: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def extended(self) -> bool:
        """Whether a value that goes in or comes out has a type that numpy lacks."""
        return not EXTENDED.isdisjoint((*self.inputs.values(), *self.outputs.values()))

    def option(self, name: str, default: str) -> str:
        """An option's value."""
        return self.options.get(name, default)

    def names(self, option: str) -> list[str]:
        """The names that an option joins by +."""
        return [name for name in self.options.get(option, "").split("+") if name]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One backend in a script.

    Attributes:
        called: the backend's own name.
        distributions: what must be installed beside numpy and onnx; the first is the backend's own.
        imports: lines of imports.
        build: source of ``build(model)``, which gives a function from inputs by name to outputs in the model's order,
            and of what that needs.
        environment: variables that must be set before the imports.
        bare: distributions that are installed without what they ask for themselves.
        before: source that stands before the imports of the backend.
    """

    called: str
    distributions: tuple[str, ...]
    imports: str
    build: str
    environment: tuple[tuple[str, str], ...] = ()
    bare: tuple[str, ...] = ()
    before: str = ""


def source(text: str) -> str:
    """Source as it stands in a module, written indented here."""
    return textwrap.dedent(text).strip("\n")


def lines(*given: str) -> str:
    """Those lines that are not empty, as the body of a function."""
    return re.sub(r"(?m)^(?=.)", "    ", "\n".join(line for line in given if line))
