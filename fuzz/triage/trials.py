"""A case tried on a target with sets of switches off: each set once, side by side, noted as it is answered."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from fuzz.errors import StorageError
from fuzz.execute.variant import varied
from fuzz.judge.verdict import Word
from fuzz.show import show_model
from fuzz.triage.predicate import VerdictPredicate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.triage.board import Board, Switch
    from fuzz.triage.finding import Finding
    from fuzz.triage.observation import Observation
    from fuzz.triage.sandbox import Sandbox
    from fuzz.triage.signature import Signature

__all__ = ["GONE", "OTHER", "STAYS", "Trial", "Trials"]

GONE, STAYS, OTHER = "gone", "stays", "other"
_SAID = 160
_HASTE = 10.0  # seconds that a case which hangs may take while switches are searched
_ANSWERS = {GONE: True, STAYS: False}


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was asked: what was off (as options of the target), what then became of the failure.

    ``answer`` is ``gone`` (the case is ``ok``), ``stays`` (it fails with the same signature) or ``other``: suspect,
    undecidable, unsupported, or a failure of another kind. ``said`` tells which; ``fresh`` is of a process of its own.
    """

    off: tuple[str, ...]
    answer: str
    said: str
    fresh: bool = False

    def to_json(self) -> dict[str, Any]:
        """As files have it."""
        return {"off": list(self.off), "answer": self.answer, "said": self.said, "fresh": self.fresh}


class Trials:
    """A context manager; ``sandbox`` has the processes that parse models.

    ``rows`` is what was asked so far, ``executions`` how often the case has run for it, ``recalled`` how often an
    answer was known. ``told`` is called after each. With ``isolated`` each set gets a process of its own.
    """

    def __init__(
        self, finding: Finding, target: Target, board: Board, limits: Limits, sandbox: Sandbox, *, jobs: int = 1,
        notes: Path | None = None,
    ) -> None:  # fmt: skip
        unstable = finding.signature is not None and finding.signature.word == Word.NONDETERMINISTIC
        self.isolated = False
        self.told: Callable[[Trials], None] = lambda _: None
        self.rows: list[Trial] = []
        self.executions = 0
        self.recalled = 0
        self._case, self._target, self._board, self._limits = finding.case, target, board, limits
        self._sandbox = sandbox
        self._unstable, self._jobs, self._notes = unstable, jobs, notes
        self._predicate = VerdictPredicate(target, limits, jobs, unstable=unstable)
        self._known: dict[tuple[tuple[str, ...], bool], Trial] = {}
        self._running: set[VerdictPredicate] = set()
        self._lock = threading.Lock()
        self._due: Signature | None = None
        self._heading = json.dumps({**self._predicate.heading, "case": finding.case.digest}, sort_keys=True)

    def __enter__(self) -> Self:
        self._recall()
        self._threads = ThreadPoolExecutor(self._jobs, thread_name_prefix="blame")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for predicate in (self._predicate, *self._running):
            predicate.stop()
        self._threads.shutdown()

    def first(self) -> Observation:
        """What the case does in a fresh process with nothing turned off; all else is compared with it."""
        seen = self._threads.submit(self._apart, {}).result()
        self.executions += 1
        self._due = seen.signature
        if seen.signature.word == Word.TIMEOUT:  # what is told is asked again with all of the limit
            self._predicate.hasten(_HASTE)
        return seen

    def ask(self, sets: Sequence[frozenset[Switch]]) -> list[bool | None]:
        """Whether the failure is gone with each of these sets off; None where something else is the matter."""
        return [_ANSWERS.get(trial.answer) for trial in self._tried(sets, fresh=False)]

    def verify(self, sets: Sequence[frozenset[Switch]]) -> list[bool | None]:
        """The same, each in a process of its own that starts with these options, as somebody would type them."""
        return [_ANSWERS.get(trial.answer) for trial in self._tried(sets, fresh=True)]

    def _tried(self, sets: Sequence[frozenset[Switch]], *, fresh: bool) -> list[Trial]:
        """Trials in the order of the sets; of several ends the first in that order is told first."""
        futures = [self._threads.submit(self._try, off, fresh) for off in dict.fromkeys(sets)]
        for future in futures:
            trial, new = future.result()
            if trial not in self.rows:
                self.rows.append(trial)
            self.executions += new
            self.recalled += not new
            self.told(self)
        done = dict(zip(dict.fromkeys(sets), (future.result()[0] for future in futures), strict=True))
        return [done[off] for off in sets]

    def _try(self, off: frozenset[Switch], fresh: bool) -> tuple[Trial, bool]:
        options = self._board.options(off)
        names = tuple(f"{option}={value}" for option, value in sorted(options.items()))
        fresh = fresh or self.isolated or not set(options).isdisjoint(self._target.entry.once)
        with self._lock:
            if (names, fresh) in self._known:
                return self._known[names, fresh], False
        seen = self._apart(options) if fresh else self._predicate.examine(self._case, self._sandbox, options)
        trial = Trial(names, self._answer(seen), _said(seen), fresh)
        with self._lock:
            self._known[names, fresh] = trial
            self._note(json.dumps(trial.to_json(), sort_keys=True))
        return trial, True

    def show(self, off: frozenset[Switch], name: str) -> bytes:
        """One artefact of the target with these off, in a process of its own; empty where there is none."""
        target = self._varied(self._board.options(off))
        case = self._case
        _, files = self._threads.submit(show_model, target, case.model, case.values(), self._limits).result()
        self.executions += 1
        return files.get(name, b"")

    def _varied(self, options: dict[str, str]) -> Target:
        """The target with these options on top of its own."""
        if not options:
            return self._target
        return replace(
            self._target, canonical=varied(self._target.canonical, options=dict(options)),
            options=tuple(sorted({**dict(self._target.options), **options}.items())),
        )

    def _apart(self, options: dict[str, str]) -> Observation:
        """In a process that is started for it, judged by what the target may do as it is."""
        target = self._varied(options)
        predicate = VerdictPredicate(target, self._limits, unstable=self._unstable, judged=self._target.canonical)
        with self._lock:
            self._running.add(predicate)
        try:
            return predicate.examine(self._case, self._sandbox)
        finally:
            predicate.stop()
            with self._lock:
                self._running.discard(predicate)

    def _answer(self, seen: Observation) -> str:
        if seen.fit and seen.signature.word == Word.OK:
            return GONE
        return STAYS if seen.finding and seen.signature == self._due else OTHER

    # --- what was asked before ----------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Read the notes of an earlier call that asked the same; others are begun anew."""
        if self._notes is None:
            return
        try:
            lines = self._notes.read_text("utf-8").splitlines() if self._notes.exists() else []
            if not lines or lines[0] != self._heading:
                self._notes.write_text(f"{self._heading}\n", "utf-8")
                lines = []
        except OSError as error:
            raise StorageError(f"cannot write {self._notes}: {error.strerror}") from None
        for line in lines[1:]:
            trial = _trial(line)
            if trial is not None:
                self._known[trial.off, trial.fresh] = trial

    def _note(self, line: str) -> None:
        if self._notes is not None:
            with self._notes.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def _trial(line: str) -> Trial | None:
    """One line of the notes; None for one that a kill cut short."""
    try:
        row = json.loads(line)
        return Trial(tuple(row["off"]), row["answer"], row["said"], row["fresh"])
    except (ValueError, KeyError, TypeError):
        return None


def _said(seen: Observation) -> str:
    told = seen.problem or str(seen.signature)
    return told.split("\n", 1)[0][:_SAID]
