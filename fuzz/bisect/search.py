"""The search in an ordered history: from a version that is bad to the nearest good one on a side.

Histories are not assumed to change once, and some versions cannot be asked. What is found is a step between two
versions that were asked, with nothing between them that can be: further steps may hide where nobody looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.bisect.answer import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Span", "edge", "search", "spans"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a history in which all that was asked is bad, by positions: its first and last bad ones.

    ``before`` is the nearest good one below and ``after`` the nearest above; None where there is none that was asked.
    What lies between them and the stretch was skipped, or fails otherwise, or was not asked.
    """

    first: int
    last: int
    before: int | None
    after: int | None


def edge(ask: Callable[[int], State], bad: int, far: int) -> tuple[int, int | None]:
    """The last bad version on the way from ``bad`` to ``far``, and the good one that follows it (None: there is none).

    ``far`` is asked first, then the middle of what is left, as bisection does. Where it cannot be told, its neighbours
    are. Until something good is known, what lies beyond a version that cannot be asked counts as such too: old
    releases have an end.
    """
    if bad == far:
        return bad, None
    step = 1 if far > bad else -1
    good: int | None = None
    limit = far + step  # what is asked next lies between bad and this
    mute: set[int] = set()
    at = far
    while True:
        match ask(at):
            case State.BAD:
                bad = at
            case State.GOOD:
                good = limit = at
            case _:
                mute.add(at)
                limit = at if good is None else limit
        left = [place for place in range(bad + step, limit, step) if place not in mute]
        if not left:
            return bad, good
        at = min(left, key=lambda place: (abs(2 * place - bad - limit), place * step))


def search(ask: Callable[[int], State], length: int, known: int | None) -> int | None:
    """Ask until both ends of a stretch of bad versions are found; ``ask`` keeps what was answered.

    Args:
        ask: the state of the version at a position, oldest first.
        length: how many versions there are.
        known: where the finding was seen, which is asked first; None where nobody knows.

    Returns:
        The position of a bad version; None where no version is bad, and all were asked.
    """
    order = list(range(length - 1, -1, -1))
    if known is not None:
        order.sort(key=lambda place: place != known)
    bad = next((place for place in order if ask(place) is State.BAD), None)
    if bad is None:
        return None
    edge(ask, bad, 0)
    edge(ask, bad, length - 1)
    return bad


def spans(order: Sequence[str], states: Mapping[str, State]) -> list[Span]:
    """The stretches of bad versions in what is known of a history, oldest first; ``order`` are all its versions."""
    told = [(place, states[name]) for place, name in enumerate(order) if name in states]
    clear = [(place, state) for place, state in told if state in (State.BAD, State.GOOD)]
    found: list[Span] = []
    before: int | None = None
    run: list[int] = []
    for place, state in clear:
        if state is State.BAD:
            run.append(place)
            continue
        if run:
            found.append(Span(run[0], run[-1], before, place))
        run, before = [], place
    if run:
        found.append(Span(run[0], run[-1], before, None))
    return found
