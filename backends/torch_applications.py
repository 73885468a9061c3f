"""How often torch.compile applies what it applies: its own bisector (`torch._inductor.compiler_bisector`) counts that.

The bisector is asked at each pass, decomposition and lowering whether to leave it out. Three variables tell it up to
which one it does not; it reads them once, so they are forgotten here before and after.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch._inductor import compiler_bisector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Limit", "forget_counts", "limit_of", "limited"]

_ALL = 1_000_000
"""More than any graph has applications."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one part of one of torch.compile's backends the first `count` applications are left."""

    backend: str
    part: str
    count: int


def limit_of(options: Mapping[str, str]) -> Limit | None:
    """What the option `limit` says: `BACKEND.PART.COUNT`; all applications where no count is given."""
    if "limit" not in options:
        return None
    backend, part, *count = options["limit"].split(".")
    return Limit(backend, part, int(count[0]) if count else _ALL)


def forget_counts() -> None:
    """Begin at the first application again."""
    compiler_bisector.subsystem_call_counter.clear()


@contextmanager
def limited(limit: Limit | None, names: list[str]) -> Iterator[None]:
    """Compile with a limit. What the bisector is asked about, in that order, is added to `names`, left out or not."""
    if limit is None:
        yield
        return
    bisector = compiler_bisector.CompilerBisector
    asked: Callable[..., bool] = bisector.disable_subsystem

    def noted(backend: str, part: str, told: Callable[[], str] | None = None) -> bool:
        if (backend, part) == (limit.backend, limit.part):
            names.append(" ".join(told().split()) if told is not None else "")
        return asked(backend, part, told)

    variables = {
        "TORCH_BISECT_BACKEND": limit.backend, "TORCH_BISECT_SUBSYSTEM": limit.part,
        "TORCH_BISECT_MAX": str(limit.count - 1),  # the number of the last one, counted from 0
    }  # fmt: skip
    with ExitStack() as stack:
        stack.callback(compiler_bisector.get_env_val.cache_clear)
        for name, value in variables.items():
            stack.callback(_restore, name, os.environ.get(name))
            os.environ[name] = value
        compiler_bisector.get_env_val.cache_clear()
        _set(stack, bisector, name="bisection_enabled", value=True)
        _set(stack, bisector, name="disable_subsystem", value=staticmethod(noted))
        yield


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _set(stack: ExitStack, owner: Any, *, name: str, value: object) -> None:
    stack.callback(setattr, owner, name, vars(owner)[name])
    setattr(owner, name, value)
