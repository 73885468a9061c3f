"""What all chosen targets run, for ``fuzz gen --for``."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from backends.support import load_support
from fuzz.generate.settings import DEFAULT_RANK, USUAL_RANK, Settings

if TYPE_CHECKING:
    from backends.support import Support
    from fuzz.generate.plan import Supports

__all__ = ["joint_demands", "joint_opset", "joint_ranks", "joint_support"]


@cache
def joint_support(targets: tuple[str, ...]) -> Supports | None:
    """Whether every target's support table has an operator on a type; None where no target is named.

    Raises ValueError with a one-line message for a target that was never probed.
    """
    if not targets:
        return None
    tables = _tables(targets)

    @cache  # a case asks some fifty times, of a few thousand pairs in all
    def supports(operator: str, first: str, second: str = "") -> bool:
        return all(table.supports(operator, first, second) for table in tables)

    return supports


def joint_opset(targets: tuple[str, ...]) -> int | None:
    """The oldest version of the operator set that a target's table was probed at; None where no target is named.

    Raises ValueError as `joint_support` does.
    """
    return min((table.opset for table in _tables(targets)), default=None)


def joint_ranks(targets: tuple[str, ...]) -> tuple[int, int]:
    """The lowest and highest rank of tensors that all targets have, within those that are drawn by default.

    Raises ValueError where no rank is left.
    """
    low, high = USUAL_RANK if targets else DEFAULT_RANK
    for target in targets:
        first, last = BACKENDS[_backend(target)].ranks
        low, high = max(low, first), min(high, last)
    if low > high:
        raise ValueError(f"no rank of tensors suits all of {', '.join(targets)}")
    return low, high


def joint_demands(targets: tuple[str, ...], settings: Settings) -> Settings:
    """The settings with what the targets' rows demand beside operators, types and ranks.

    Of inputs, constants and attributes, and of structure where all of it is asked for: what is named stays.
    """
    rows = [BACKENDS[_backend(target)] for target in targets]
    return replace(
        settings,
        needs_input=settings.needs_input or any(row.needs_input for row in rows),
        constant_data=settings.constant_data and all(row.constant_data for row in rows),
        structure=_had(settings.structure, [name for row in rows for name in row.lacks]),
        computed_weights=settings.computed_weights and all(row.computed_weights for row in rows),
        refused=tuple(dict.fromkeys((*settings.refused, *(each for row in rows for each in row.refuses)))),
    )


def _had(structure: tuple[str, ...], lacking: list[str]) -> tuple[str, ...]:
    return (*structure, *(f"-{name}" for name in dict.fromkeys(lacking))) if "all" in structure else structure


def _backend(target: str) -> str:
    return re.split("[:@=]", target, maxsplit=1)[0]


def _tables(targets: tuple[str, ...]) -> list[Support]:
    tables = []
    for target in targets:
        backend = _backend(target)
        table = load_support(backend)
        if table is None and backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}: known are {', '.join(sorted(BACKENDS))}")
        if table is None:
            raise ValueError(f"{target} has no support table: make one with `fuzz backends probe {backend}`")
        tables.append(table)
    return tables
