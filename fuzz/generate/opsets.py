"""Which version of the operator set a model is written in, where each model draws its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from abstract.schema import newest_opset
from fuzz.generate.plan import OLDEST_OPSET, menu

if TYPE_CHECKING:
    from fuzz.generate.choices import Choices
    from fuzz.generate.settings import Settings

__all__ = ["draw_opset", "mixed"]


def mixed(settings: Settings) -> Settings:
    """Settings by which each model draws its version, up to the newest."""
    return replace(settings, opset=newest_opset(), mixed_opsets=True)


def draw_opset(choices: Choices, settings: Settings) -> Settings:
    """The settings with one version: the newest three times in ten, else any of them alike."""
    versions = _versions(settings)
    if choices.integer(0, 9) < 3:
        return versions[-1]
    return versions[choices.integer(0, len(versions) - 1)]


@cache
def _versions(settings: Settings) -> tuple[Settings, ...]:
    """One for each version that has all operators that were named. Raises ValueError as ``menu`` does."""
    newest = replace(settings, mixed_opsets=False)
    most = menu(newest)  # says which names are wrong
    if not settings.operators:
        return tuple(replace(newest, opset=v) for v in range(OLDEST_OPSET, settings.opset + 1))
    found = []
    for version in range(OLDEST_OPSET, settings.opset + 1):
        asked = replace(newest, opset=version)
        try:
            if len(menu(asked)) == len(most):
                found.append(asked)
        except ValueError:
            continue  # none of them exists so early
    return tuple(found)
