"""The names of XLA's HLO passes, which it tells only in its log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.protocol import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["hlo_passes"]

# The module that runs passes logs the name of each, at the lowest level of detail.
_LOG: Mapping[str, str] = MappingProxyType({
    "TF_CPP_VMODULE": "hlo_pass_pipeline=1", "TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_MAX_VLOG_LEVEL": "1",
})  # fmt: skip
_NAME = re.compile(rb"hlo_pass_pipeline\.cc:\d+\]\s+HLO pass (?P<name>[\w-]+)$", re.MULTILINE)


def hlo_passes(program: str) -> list[str]:
    """The passes that run when a Python program has XLA compile something, sorted.

    The program has a process of its own: the log is opened once, as the library is loaded. Raises `Rejected` where it
    fails or tells nothing.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=False, env={**os.environ, **_LOG}
    )
    names = sorted({match["name"].decode() for match in _NAME.finditer(done.stderr)})
    if done.returncode or not names:
        raise Rejected(f"XLA's log names no passes: {done.stderr[-500:].decode(errors='replace')}")
    return names
