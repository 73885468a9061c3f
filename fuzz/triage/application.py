"""Which application of what a compiler applies many times a failure begins with, as torch.compile's bisector asks it.

A part (Inductor's lowerings) is asked about with nothing of it applied, then with the first so many: the failure begins
with application n where it is there with the first n and gone with the first n - 1. n is found by doubling and halving,
in about 2 * log2(n) runs, so that nobody needs to know how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.protocol import APPLICATIONS

if TYPE_CHECKING:
    from fuzz.triage.board import Board, Counted, Switch
    from fuzz.triage.trials import Trials

__all__ = ["Application", "application"]

_MOST = 1 << 19  # applications: what is there still with more of them left out was not there because of one
_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class Application:
    """The application that a failure begins with.

    Attributes:
        part: what is applied: the compiler's backend and its part, ``inductor.lowerings``.
        number: which one, from 1, in the order in which the compiler comes to them.
        of: how many it would come to, 0 where that is not known.
        name: what the compiler calls it, empty where it does not say.
        gone: the option with which only those before it are applied, so that the failure is gone.
        stays: the option with which it is the last one, and the failure is there.
        own: ``gone`` as the compiler's own tools are told it.
    """

    part: str
    number: int
    of: int
    name: str
    gone: str
    stays: str
    own: str

    @property
    def told(self) -> str:
        """In words."""
        backend, _, part = self.part.rpartition(".")
        count = f" of {self.of}" if self.of else ""
        name = f" ({self.name})" if self.name else ""
        words = f"of {backend}'s {part.replace('_', ' ')} it begins with number {self.number}{count}{name}"
        return f"{words}: it is gone with {self.gone} and there with {self.stays} ({self.own})"

    def to_json(self) -> dict[str, Any]:
        """As ``blame.json`` has it."""
        return {
            "part": self.part, "number": self.number, "of": self.of or None, "name": self.name, "gone": self.gone,
            "stays": self.stays, "own": self.own,
        }  # fmt: skip


def application(board: Board, trials: Trials) -> Application | None:
    """The application with which the failure begins, of the first part that has one. None where there is none."""
    for counted in board.counted:
        # With all of it applied the failure is there, or it is not because of this part that it was gone.
        if _ask(trials, counted, 0) and _ask(trials, counted, None) is False:
            found = _begun(counted, trials)
            if found is not None:
                return found
    return None


def _begun(counted: Counted, trials: Trials) -> Application | None:
    """What is told was asked in fresh processes: gone with one fewer, there with that one."""
    number = _first(counted, trials)
    if number is None:
        return None
    less, more = counted.first(number - 1), counted.first(number)
    if trials.verify([frozenset([less]), frozenset([more])]) != [True, False]:
        return None
    names = trials.show(frozenset([less]), APPLICATIONS).decode(errors="replace").splitlines()
    name = names[number - 1][:_NAME] if number <= len(names) else ""
    return Application(counted.part, number, len(names), name, str(less), str(more), counted.own(number - 1))


def _first(counted: Counted, trials: Trials) -> int | None:
    """The least count with which it is there, where it is gone with one fewer; other failures count as gone."""
    low, high = 0, 1
    while _ask(trials, counted, high) is not False:
        low, high = high, high * 2
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if _ask(trials, counted, middle) is False:
            high = middle
        else:
            low = middle
    return high


def _ask(trials: Trials, counted: Counted, count: int | None) -> bool | None:
    one: Switch = counted.first(count)
    return trials.ask([frozenset([one])])[0]
