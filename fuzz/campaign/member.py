"""A process of the crew, and what it runs.

It imports next to nothing: the examiner takes seconds to be imported, and a process that is still at that does not know
yet whether its driver lives.
"""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

from fuzz.errors import FuzzError
from fuzz.interruption import insist
from fuzz.pool import prepare_process, seldom_collect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from fuzz.campaign.trial import Exhibit, Trial

__all__ = ["serve"]

_PATIENCE = 0.2  # seconds for which a result waits for others


def serve(pipe: Connection) -> None:
    """Take a campaign and the folder for its parts, then do tasks, several at a time, until the pipe closes.

    SIGTERM ends workers and folders on its way out.
    """
    prepare_process()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    insist()
    with contextlib.suppress(KeyboardInterrupt, EOFError, ConnectionError):
        _serve(pipe)


def _serve(pipe: Connection) -> None:
    from fuzz.campaign.examiner import Examiner  # as slow as it is, only now

    campaign, parts = pipe.recv()
    seldom_collect()
    with Examiner(campaign, parts) as examiner:
        while True:
            _answer(pipe, examiner.do_all(pipe.recv()))


def _answer(pipe: Connection, results: Iterator[Trial | Exhibit]) -> None:
    """Send what comes, together, unless it takes long to come."""
    held: list[Trial | Exhibit] = []
    sent = time.monotonic()
    try:
        for result in results:
            held.append(result)
            if time.monotonic() - sent > _PATIENCE:
                pipe.send(held)
                held, sent = [], time.monotonic()
    except FuzzError as error:
        pipe.send([*held, error])
    else:
        if held:
            pipe.send(held)
