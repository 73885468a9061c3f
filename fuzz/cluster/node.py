"""A node of the cluster: the same processes as on one machine, fed from afar."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.campaign.crew import Crew
from fuzz.cluster.parcel import Parcel, pack
from fuzz.errors import FuzzError
from fuzz.execute.scratch import Scratch, clear_abandoned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.campaign.task import Task
    from fuzz.campaign.trial import Exhibit, Trial
    from fuzz.cluster.order import Order

__all__ = ["Node", "Trouble"]

_TICK = 0.25  # seconds between two looks at the processes
_GATHERED = 0.05  # seconds for which results are gathered before they are sent
_FAREWELL = 8.0  # seconds that the processes have to end


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a node does not work (any more), for the user."""

    text: str


class Node:
    """An actor. Its crew belongs to one thread: the kernel ends processes with the thread that started them."""

    def __init__(self, order: Order, jobs: int) -> None:
        self._order, self._jobs = order, jobs
        self._waiting: deque[Task] = deque()
        self._done: list[Parcel] = []
        self._trouble: Trouble | None = None
        self._news = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def prepare(self) -> Trouble | None:
        """Make what is missing here, and begin; why that cannot be, else None."""
        clear_abandoned()
        try:
            self._campaign = self._order.campaign()
        except FuzzError as error:
            return Trouble(str(error))
        self._thread.start()
        return None

    def work(self, tasks: Sequence[Task], seconds: float) -> list[Parcel] | Trouble:
        """Take tasks on; what is finished by now, or within so many seconds."""
        end = time.monotonic() + seconds
        with self._news:
            self._waiting.extend(tasks)
            self._news.notify_all()
            self._news.wait_for(lambda: self._done or self._trouble, seconds)
            if self._done and self._trouble is None:
                self._news.wait_for(lambda: self._trouble, min(_GATHERED, max(end - time.monotonic(), 0.0)))
            done, self._done = self._done, []
            return done or self._trouble or []

    def close(self) -> None:
        """End all processes."""
        with self._news:
            self._closing = True
            self._waiting.clear()
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)

    # --- the thread that the crew belongs to --------------------------------------------------------------------------

    def _serve(self) -> None:
        scratch = Scratch.make()
        try:
            with Crew(self._campaign, Path(scratch.path), self._jobs) as crew:
                while self._wait():
                    for results in crew.results(self._next, _TICK):
                        self._put(results)
                        if self._closing:
                            return
        except FuzzError as error:
            self._give_up(str(error))
        except Exception as error:  # noqa: BLE001 - the driver has to hear of it: nobody waits for this thread
            self._give_up(f"{type(error).__name__}: {error}")
        finally:
            scratch.remove()

    def _wait(self) -> bool:
        """Sleep until there is something to do; False where nothing will be any more."""
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._closing)
            return not self._closing

    def _next(self) -> Task | None:
        with self._news:
            return self._waiting.popleft() if self._waiting else None

    def _put(self, results: Sequence[Trial | Exhibit]) -> None:
        parcels = [pack(result) for result in results]
        if parcels:
            with self._news:
                self._done.extend(parcels)
                self._news.notify_all()

    def _give_up(self, text: str) -> None:
        with self._news:
            self._trouble = Trouble(text)
            self._news.notify_all()
