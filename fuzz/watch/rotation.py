"""Whose turn it is: targets one after another, a new release of one as soon as it is out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.registry import BACKENDS
from fuzz.bisect.releases import in_index, is_older
from fuzz.execute.target import backend_of, parse_target, version_in
from fuzz.execute.variant import varied
from fuzz.file import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from backends.entry import Entry

__all__ = ["Rotation", "State", "read_state"]

_FILE = "service.json"


@dataclass(frozen=True, slots=True)
class State:
    """What a service goes on from: how many turns were finished, and the releases that came while it ran.

    ``joined`` are targets with those versions, which have turns of their own; ``seen`` is the newest release by
    backend.
    """

    turns: int = 0
    joined: tuple[str, ...] = ()
    seen: tuple[tuple[str, str], ...] = ()


def read_state(root: Path) -> State:
    """The state that a root's service was left in. Raises StorageError for a file that is none."""
    return read_json(root / _FILE, _state, "the turns begin") or State()


def _state(said: Any) -> State:
    return State(int(said["turns"]), tuple(said["joined"]), tuple((str(n), str(v)) for n, v in said["seen"]))


class Rotation:
    """Turns, without end: each names the targets that are tested together in it.

    ``groups`` take turns. A target without a version that belongs to no user's own build is watched: when its index
    has a newer release, that one joins as a group of its own, and has the next turn. ``tell`` hears of it. ``index``
    says which releases there are, oldest first, None where no index answers.
    """

    def __init__(
        self, root: Path, groups: Sequence[tuple[str, ...]], tell: Callable[[str], None], *, watches: bool = True,
        index: Callable[[Entry], list[str] | None] = in_index,
    ) -> None:  # fmt: skip
        self._root, self._groups, self._tell = root, tuple(groups), tell
        self._watches, self._index = watches, index
        self.state = read_state(root)

    def turns(self) -> Iterator[tuple[str, ...]]:
        """The targets of one turn after another; asking for the next one says that the last is finished."""
        while True:
            for fresh in self._fresh():
                yield (fresh,)
            groups = (*self._groups, *((text,) for text in self.state.joined))
            yield groups[self.state.turns % len(groups)]
            self._keep(replace(self.state, turns=self.state.turns + 1))

    def _keep(self, state: State) -> None:
        self.state = state
        write_json(self._root / _FILE, asdict(state), "give another --root", folder=True)

    def _fresh(self) -> Iterator[str]:
        """Targets with a version that came out since the last look."""
        if not self._watches:
            return
        for text in dict.fromkeys(text for group in self._groups for text in group):
            found = self._newer(text)
            if found is not None:
                yield found

    def _newer(self, text: str) -> str | None:
        name = backend_of(text)
        if name not in BACKENDS or version_in(text) or "python=" in text:  # the latter is somebody's own build
            return None
        target = parse_target(text)
        known = dict(self.state.seen).get(name, target.version)
        newest = (self._index(target.entry) or [known])[-1]
        if not is_older(known, newest):
            return None
        self._tell(f"{name} {newest} is out: it is tested next")
        fresh = varied(text, version=newest)
        seen = tuple(sorted({**dict(self.state.seen), name: newest}.items()))
        self._keep(replace(self.state, seen=seen, joined=(*self.state.joined, fresh)))
        return fresh
