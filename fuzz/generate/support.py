"""What all chosen targets run, for ``fuzz gen --for``."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from backends.support import load_support
from fuzz.generate.settings import Settings

if TYPE_CHECKING:
    from backends.support import Support
    from fuzz.generate.plan import Supports

__all__ = ["joint_constant_data", "joint_need_of_input", "joint_opset", "joint_ranks", "joint_support"]


@cache
def joint_support(targets: tuple[str, ...]) -> Supports | None:
    """Whether every target's support table has an operator on a type; None where no target is named.

    Raises ValueError with a one-line message for a target that was never probed.
    """
    if not targets:
        return None
    tables = _tables(targets)
    return lambda operator, first, second="": all(t.supports(operator, first, second) for t in tables)


def joint_opset(targets: tuple[str, ...]) -> int | None:
    """The oldest version of the operator set that a target's table was probed at; None where no target is named.

    Raises ValueError as `joint_support` does.
    """
    return min((table.opset for table in _tables(targets)), default=None)


def joint_ranks(targets: tuple[str, ...]) -> tuple[int, int]:
    """The lowest and highest rank of tensors that all targets have, within those that are drawn by default.

    Raises ValueError where no rank is left.
    """
    low, high = Settings().rank
    for target in targets:
        first, last = BACKENDS[_backend(target)].ranks
        low, high = max(low, first), min(high, last)
    if low > high:
        raise ValueError(f"no rank of tensors suits all of {', '.join(targets)}")
    return low, high


def joint_need_of_input(targets: tuple[str, ...]) -> bool:
    """Whether a target takes no model that has no inputs."""
    return any(BACKENDS[_backend(target)].needs_input for target in targets)


def joint_constant_data(targets: tuple[str, ...]) -> bool:
    """Whether all targets take constants for operands that are no weights."""
    return all(BACKENDS[_backend(target)].constant_data for target in targets)


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
