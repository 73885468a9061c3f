"""The connection to a Ray cluster that is there."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["connected"]

_REACHED = 10.0  # seconds
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Join a cluster: ``HOST:PORT``, or ``auto`` for that which runs on this machine or $RAY_ADDRESS names.

    Raises:
        UsageError: Ray is not installed, or the address is that of a client.
        TargetError: no cluster answers there.
    """
    if address.startswith("ray://"):
        raise UsageError("fuzz run drives a cluster from one of its nodes: start it there, with --ray auto")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs Ray: pip install 'dnnfuzz[ray]', here and on each node") from None
    with ExitStack() as stack:
        # Ray prints what it hears of nodes; the fleet tells that itself, and standard output is for the result.
        stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))))
        _join(ray, address)
        stack.callback(ray.shutdown)
        yield


def _join(ray: ModuleType, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        if port.isdecimal():  # Ray itself would ask again and again, for minutes
            socket.create_connection((host, int(port)), timeout=_REACHED).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        told = str(error).strip().split("\n", 1)[0]
        raise TargetError(f"no Ray cluster answers at {address!r} ({told}): `ray start --head` starts one") from None
