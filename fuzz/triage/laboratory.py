"""Candidates examined: side by side, models parsed in a process apart, nothing examined twice."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fuzz.triage.assessment import know
from fuzz.triage.observation import Observation
from fuzz.triage.sandbox import Sandbox
from fuzz.triage.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from backends.tensor import Value
    from fuzz.execute.attempt import Attempt
    from fuzz.triage.assessment import Known
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.predicate import Predicate

__all__ = ["Laboratory"]

T = TypeVar("T")


class Laboratory:
    """One predicate, and what it has said so far. A context manager.

    ``executions`` counts the candidates that were examined, and pieces that were run; ``recalled`` those whose result
    was known already. ``notes`` is a file that keeps the results for the next time. ``sandbox`` is the caller's,
    with processes that parse models; else it has its own.
    """

    def __init__(
        self, predicate: Predicate, *, jobs: int = 1, notes: Path | None = None, sandbox: Sandbox | None = None
    ) -> None:  # fmt: skip
        self.predicate = predicate
        self.jobs = jobs
        self.executions = 0
        self.recalled = 0
        self._seen: dict[str, Observation] = {}
        self._lock = threading.Lock()
        self._notes = notes
        self._held = ExitStack()
        self._sandbox = self._held.enter_context(Sandbox(jobs)) if sandbox is None else sandbox

    def __enter__(self) -> Self:
        self._recall()
        self._threads = ThreadPoolExecutor(self.jobs, thread_name_prefix="reduce")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.predicate.stop()
        self._threads.shutdown()
        self._held.close()

    # --- asking -----------------------------------------------------------------------------------------------------

    def observe(self, candidate: Candidate) -> Observation:
        """What becomes of a candidate. Raises TargetError, Interrupted."""
        digest = candidate.digest
        with self._lock:
            if digest in self._seen:
                self.recalled += 1
                return self._seen[digest]
        found = self.fresh(candidate, renew=False)
        with self._lock:
            self._seen.setdefault(digest, found)
            self._note(digest, found)
        return found

    def observe_all(self, candidates: Sequence[Candidate]) -> list[Observation]:
        """The same for several, side by side."""
        if len(candidates) == 1 or self.jobs == 1:
            return [self.observe(candidate) for candidate in candidates]
        return list(self._threads.map(self.observe, candidates))

    def fresh(self, candidate: Candidate, *, renew: bool = True) -> Observation:
        """As ``observe``, whatever was seen before; with ``renew`` in a new process."""
        if renew:
            self.predicate.renew()
        found = self.predicate.examine(candidate, self.apart)
        with self._lock:
            self.executions += found.fit
        return found

    def forget(self) -> None:
        """Examine everything anew."""
        with self._lock:
            self._seen.clear()

    def run(self, model: bytes, sets: Sequence[Sequence[Value]]) -> Attempt | None:
        """One attempt at a model on the target, not judged; None where there is no target."""
        attempt = self.predicate.run(model, sets)
        with self._lock:
            self.executions += attempt is not None
        return attempt

    def know(self, candidate: Candidate) -> Known | None:
        """What the reference knows of the values; None where it cannot even read the model."""
        return self.apart(know, candidate)

    def apart(self, function: Callable[..., T], /, *arguments: Any) -> T | None:
        """Call a function in the process that parses models; None where that died of it, or the function failed."""
        return self._sandbox(function, *arguments)

    # --- what was seen before -----------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Read the notes of an earlier run that asked the same; others are begun anew."""
        if self._notes is None:
            return
        lines = self._notes.read_text("utf-8").splitlines() if self._notes.exists() else []
        rows = [row for line in lines if (row := _row(line)) is not None]
        if not rows or rows[0] != self.predicate.heading:
            self._notes.write_text(json.dumps(self.predicate.heading, sort_keys=True) + "\n", "utf-8")
            return
        for row in rows[1:]:
            signature = Signature.from_json(row["signature"])
            self._seen[row["digest"]] = Observation(signature, row["fit"], row["problem"])

    def _note(self, digest: str, found: Observation) -> None:
        if self._notes is None:
            return
        row = {
            "digest": digest, "signature": found.signature.to_json(), "fit": found.fit, "problem": found.problem,
        }  # fmt: skip
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")


def _row(line: str) -> dict[str, Any] | None:
    """One line of the notes; None for one that a kill cut short."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
