"""What all chosen targets run, for ``fuzz gen --for``."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from backends.support import load_support

if TYPE_CHECKING:
    from backends.support import Support
    from fuzz.generate.plan import Supports

__all__ = ["joint_opset", "joint_support"]


@cache
def joint_support(targets: tuple[str, ...]) -> Supports | None:
    """Whether every target's support table has an operator on a type; None where no target is named.

    Raises ValueError with a one-line message for a target that was never probed.
    """
    if not targets:
        return None
    tables = _tables(targets)
    return lambda operator, element_type: all(t.supports(operator, element_type) for t in tables)


def joint_opset(targets: tuple[str, ...]) -> int | None:
    """The oldest version of the operator set that a target's table was probed at; None where no target is named.

    Raises ValueError as `joint_support` does.
    """
    return min((table.opset for table in _tables(targets)), default=None)


def _tables(targets: tuple[str, ...]) -> list[Support]:
    tables = []
    for target in targets:
        backend = re.split("[:@=]", target, maxsplit=1)[0]
        table = load_support(backend)
        if table is None and backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}: known are {', '.join(sorted(BACKENDS))}")
        if table is None:
            raise ValueError(f"{target} has no support table: make one with `fuzz backends probe {backend}`")
        tables.append(table)
    return tables
