"""The service: one turn after another until somebody ends it."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from fuzz.errors import TargetError
from fuzz.watch.diary import Diary
from fuzz.watch.rotation import Rotation
from fuzz.watch.turn import take_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.campaign.campaign import Campaign
    from fuzz.watch.turn import Observers, Wish

__all__ = ["serve"]

_PAUSE = 60.0  # seconds to wait where no target can be tested: a full disk, an index that is away


def serve(
    wish: Wish, groups: Sequence[tuple[str, ...]], campaign_of: Callable[[tuple[str, ...]], Campaign],
    observers: Observers, *, watches: bool = True,
) -> NoReturn:  # fmt: skip
    """Give each group of targets its turn, of ``wish.seconds``, without end.

    SIGTERM ends it as Ctrl-C does: KeyboardInterrupt. A target that cannot be tested is told, and has its turn again
    when it comes round. Raises StorageError.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    diary = Diary(wish.root, lambda: datetime.now(UTC).date().isoformat())
    watched = replace(observers, diary=diary)

    def tell(text: str) -> None:
        observers.tell(text)
        diary.note(text)

    failed = 0
    for texts in Rotation(wish.root, groups, tell, watches=watches).turns():
        try:
            take_turn(wish, campaign_of(texts), watched)
            failed = 0
        except TargetError as error:
            tell(f"{' and '.join(texts)} cannot be tested: {error}")
            failed += 1
            if failed >= len(groups):
                time.sleep(_PAUSE)
    raise AssertionError("turns have no end")
