"""Cases that go to a worker in one message: what asks for them, and what it had answered when it came to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.frame import Frame, FrameError, encode, frames_in
from fuzz.execute.attempt import Heard

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["asking", "told"]

_LARGEST = 1 << 20  # bytes of requests that go together


def asking(requests: Sequence[Sequence[bytes]]) -> tuple[Sequence[bytes], int]:
    """The message that asks for the first of these, and for how many of them: as many as are not too large together."""
    count, size = 0, 0
    for request in requests:
        size += sum(map(len, request))
        if count and size > _LARGEST:
            break
        count += 1
    if count == 1:
        return requests[0], 1
    return encode(Frame("several", blob=b"".join(part for request in requests[:count] for part in request))), count


def told(content: bytes) -> tuple[list[tuple[Heard, Frame]], Heard]:
    """What was answered to each case, with the frame that ends it; and what there is of the case after the last.

    What is garbled, or was not written to its end, is left out with all that follows.
    """
    done, heard = [], Heard()
    try:
        for frame in frames_in(content):
            if frame.operation == "report":
                heard.reports.append(frame)
            elif frame.operation in {"outputs", "done"}:
                heard.hear(frame)
            else:
                break
            if frame.operation == "done":
                done.append((heard, frame))
                heard = Heard()
    except (FrameError, TypeError):
        pass
    return done, heard
