"""How much work ONNX's own operators may do, counted in steps and not in seconds: the same on every machine."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Exhausted", "limited"]

_STEPS = 10**7
_THEIRS = f"{Path(onnx.__file__).parent / 'reference'}/"  # to import it is a tenth of what a command takes to start


class Exhausted(Exception):
    """An operator takes more steps than it is given."""


@contextmanager
def limited(steps: int = _STEPS) -> Iterator[None]:
    """Let ONNX's reference operators execute so many lines of Python, and no more, inside of a block.

    Most of them are a few calls of numpy; some (RoiAlign, MaxUnpool, pooling of old opsets) loop over the elements, a
    microsecond or ten a line: the limit is a minute or two. What numpy does inside of one line is bounded by the memory
    that it gets. A clock would make a verdict hang on the machine and its load.

    Raises Exhausted, from inside of the block.
    """
    left = steps

    def line(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left < 0:
                raise Exhausted(f"it takes more than {steps:,} steps")
        return line

    def call(frame: Any, _event: str, _argument: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(_THEIRS) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)
