"""The recipes of all backends, by the names of the registry."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from fuzz.repro.recipe import NoRecipe, Recipe, Request
from fuzz.repro.recipes import compilers, edge, frameworks, runtimes, tensorflow, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RECIPES", "recipe_for"]

RECIPES: Mapping[str, Callable[[Request], Recipe]] = MappingProxyType({
    **runtimes.RECIPES, **compilers.RECIPES, **frameworks.RECIPES, **tensorflow.RECIPES, **edge.RECIPES,
    **tools.RECIPES,
})  # fmt: skip


def recipe_for(backend: str, request: Request) -> Recipe:
    """The recipe of a target. Raises NoRecipe where there is none."""
    if "fault" in request.options:
        raise NoRecipe("the fault is planted by `fuzz selftest` around the backend, which itself is right")
    if backend not in RECIPES:
        raise NoRecipe(f"{backend} is a plug-in, of which nothing is known here but how its worker drives it")
    return RECIPES[backend](request)
