"""One case on one target: run in every way, what differs repeated in fresh workers, a verdict for each way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.frame import FrameError
from backends.protocol import Outcome
from backends.tensor import TensorError
from fuzz.errors import CaseError
from fuzz.judge.crash import crash_signature
from fuzz.judge.verdict import Verdict, Word
from fuzz.stability.crew import has_poison, with_heap, with_threads
from fuzz.stability.difference import first_difference
from fuzz.stability.material import gather, left_open, parted
from fuzz.stability.message import compare_attempts, read_subject, seen_in
from fuzz.stability.way import HEAP_BYTES, ROUNDS, THREADS, WAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.apart import Apart
    from fuzz.case import Case
    from fuzz.execute.target import Target
    from fuzz.execute.worker import Attempt
    from fuzz.stability.crew import Crew
    from fuzz.stability.difference import Place
    from fuzz.stability.message import Observation, Seen, Subject
    from fuzz.stability.way import Way

__all__ = ["study"]

_PROCESS, _HEAP = "another process", "filled memory"
_TOLD_ELSEWHERE = frozenset({Outcome.UNSUPPORTED, Outcome.ERROR})


def study(case: Case, other: Case | None, ways: Sequence[Way], crew: Crew, apart: Apart) -> list[Verdict]:
    """One verdict for each way; `other` is the case that runs as a neighbour.

    Raises Interrupted, TargetError.
    """
    names = {way.name for way in ways}
    target = crew.target.canonical
    try:
        material = apart.call(gather, case, mutants="once" in names, weights="neighbour" in names)
        if material.random:
            return _all(case, target, ways, Word.UNDECIDABLE, f"{material.random} draws random numbers")
        return _Study(read_subject(case, material, other), ways, crew, apart).verdicts()
    except (CaseError, FrameError, TensorError, OSError) as problem:
        return _all(case, target, ways, Word.ERROR, f"the case cannot be run: {problem}")


def _all(case: Case, target: str, ways: Sequence[Way], word: Word, message: str) -> list[Verdict]:
    return [Verdict(case.id, target, 0, word.value, message=message[:500], oracle=way.name) for way in ways]


@dataclass(frozen=True, slots=True)
class _Ruling:
    """What an observation amounts to: a word, and where the two results differ most or first."""

    word: Word
    observation: Observation
    place: Place | None = None
    message: str = ""

    @property
    def grave(self) -> bool:
        """Whether it is worth a second look."""
        return self.word not in {Word.OK, Word.UNDECIDABLE}


@dataclass(frozen=True, slots=True)
class _Round:
    """A way tried once, in fresh workers: what was unlike, or the control that already is."""

    unlike: Sequence[Observation] = ()
    control: str = ""


class _Study:
    def __init__(self, subject: Subject, ways: Sequence[Way], crew: Crew, apart: Apart) -> None:
        self.subject = subject
        self.ways = ways
        self.crew = crew
        self.target = crew.target
        self.apart = apart
        # With several threads each run may sum in an order of its own.
        self.parallel = dict(crew.target.options).get("threads", "1") != "1"
        self.compared = dict.fromkeys((way.name for way in ways), 0)
        self.lacking: dict[str, list[str]] = {}
        self.unlike: dict[str, list[Observation]] = {}
        self.plain: Attempt | None = None
        self.found: list[str] = []

    def verdicts(self) -> list[Verdict]:
        """One for each way."""
        self.screen()
        if self.plain is not None and self.plain.outcome is not Outcome.OK:
            return self.broken(self.plain)
        return [self.verdict(way) for way in self.ways]

    # --- the first look ---------------------------------------------------------------------------------------------

    def screen(self) -> None:
        """Run every way once; kept workers do what does not ask for fresh ones. Stops where the plain run fails."""
        inside = [way.name for way in self.ways if way.inside]
        fresh = any(way.fresh for way in self.ways)
        while inside:
            seen = self.vary(inside, fresh=fresh)
            self.take(seen)
            if not seen.begun:
                return
            inside = list(seen.left)
        for name in self.compared:
            if self.plain is not None and self.plain.outcome is not Outcome.OK:
                return
            if name == "session" and self.plain is not None:
                self.note(name, _PROCESS, self.plain, self.crew.ask_fresh(self.target, self.subject.execute()))
            elif name == "threads":
                self.screen_threads()
            elif name == "heap":
                self.screen_heap()

    def take(self, seen: Seen) -> None:
        """Add up what a request brought."""
        if self.plain is None or not seen.begun:
            self.plain = seen.plain
        for name, count in seen.compared.items():
            self.compared[name] += count
        for name, reasons in seen.lacking.items():
            self.lacking.setdefault(name, []).extend(reasons)
        for name, found in seen.unlike.items():
            self.unlike.setdefault(name, []).extend(found)

    def note(self, way: str, variant: str, one: Attempt, two: Attempt) -> None:
        """Compare two executions."""
        self.compared[way] += min(len(one.outputs), len(two.outputs))
        if found := compare_attempts(way, variant, one, two):
            self.unlike.setdefault(way, []).extend(found)

    def screen_threads(self) -> None:
        """Each thread count against the first, in workers that have all run the same before."""
        if self.target.entry.option("threads") is None:
            self.lacking["threads"] = [f"{self.target.backend} has no option `threads`"]
            return
        first = self.crew.ask(with_threads(self.target, THREADS[0]), self.subject.execute())
        self.plain = self.plain or first
        for count in THREADS[1:] if first.outcome is Outcome.OK else ():
            other = self.crew.ask(with_threads(self.target, count), self.subject.execute())
            self.note("threads", _threads(count), first, other)

    def screen_heap(self) -> None:
        """Two workers that have run the same before, with other memory."""
        if not has_poison():
            self.lacking["heap"] = ["the C library here cannot fill memory"]
            return
        one, two = (self.crew.ask(with_heap(self.target, byte), self.subject.execute()) for byte in HEAP_BYTES)
        self.plain = self.plain or (two if one.outcome is not Outcome.OK else one)
        self.note("heap", _HEAP, one, two)

    def vary(self, ways: Sequence[str], *, fresh: bool) -> Seen:
        """Ways inside one process."""
        ask = self.crew.ask_fresh if fresh else self.crew.ask
        return seen_in(ask(self.target, self.subject.vary(ways)), ways)

    # --- a second look ----------------------------------------------------------------------------------------------

    def repeated(self, way: Way, variant: str) -> _Round:
        """The way once more, in fresh workers, after its controls."""
        if way.name == "heap":
            one, two = (with_heap(self.target, byte) for byte in HEAP_BYTES)
            return self.across(way, variant, one, two)
        if way.name == "threads":
            count = next(count for count in THREADS if _threads(count) == variant)
            return self.across(way, variant, with_threads(self.target, 1), with_threads(self.target, count))
        seen = self.vary([*way.controls, way.name], fresh=True)
        for control in way.controls:
            if self.rulings(WAYS[control], seen.unlike.get(control, ())):
                return _Round(control=control)
        unlike = list(seen.unlike.get(way.name, ()))
        if way.name == "session":
            other = self.crew.ask_fresh(self.target, self.subject.execute())
            unlike += compare_attempts(way.name, _PROCESS, seen.plain, other)
        return _Round(unlike)

    def across(self, way: Way, variant: str, one: Target, two: Target) -> _Round:
        """Two variants of the target, the first of them twice."""
        seen = seen_in(self.crew.ask_fresh(one, self.subject.vary(["repeat"])), ["repeat"])
        if self.rulings(WAYS["repeat"], seen.unlike.get("repeat", ())):
            return _Round(control="repeat")
        first = self.crew.ask_fresh(one, self.subject.execute())
        if self.rulings(WAYS["session"], compare_attempts("session", _PROCESS, seen.plain, first)):
            return _Round(control="session")
        return _Round(compare_attempts(way.name, variant, first, self.crew.ask_fresh(two, self.subject.execute())))

    # --- what it amounts to -----------------------------------------------------------------------------------------

    def rulings(self, way: Way, unlike: Sequence[Observation]) -> list[_Ruling]:
        """The grave ones, refusals and deaths first."""
        rulings = [ruling for seen in unlike if (ruling := self.ruling(way, seen)).grave]
        return sorted(rulings, key=lambda ruling: ruling.word is Word.NONDETERMINISTIC)

    def ruling(self, way: Way, seen: Observation) -> _Ruling:
        """Whether an observation may be legal."""
        if seen.outcome is not Outcome.OK:
            text = crash_signature(seen.outcome, seen.stage, seen.message, seen.stderr)
            return _Ruling(Word(seen.outcome.value), seen, message=text)
        if not (way.reorders or self.parallel):
            place = first_difference(seen.expected, seen.actual)
            return _Ruling(Word.NONDETERMINISTIC, seen, place, place[1].message if place else "")
        if seen.data_set >= len(self.subject.data_sets):
            return _Ruling(Word.UNDECIDABLE, seen, message="several threads, and inputs of which no bound is known")
        place, problem = self.apart.call(
            parted, self.subject.case, self.target.canonical, seen.data_set, seen.expected, seen.actual
        )
        if place is None:
            return _Ruling(Word.UNDECIDABLE if problem else Word.OK, seen, message=problem)
        return _Ruling(place[1].word, seen, place, place[1].message)

    def verdict(self, way: Way) -> Verdict:
        """What all that was seen of a way comes to."""
        unlike = self.unlike.get(way.name, [])
        grave = self.rulings(way, unlike)
        if not grave:
            return self.mild(way, unlike)
        first, tried, seen = grave[0], 1, 1
        if first.observation.outcome in _TOLD_ELSEWHERE:
            return self.told(way, first, first.word, first.message)
        if reason := self.excuse(first.observation):
            return self.told(way, first, Word.UNDECIDABLE, f"the specification leaves open what happens here: {reason}")
        while tried < ROUNDS and seen < 2:
            tried += 1
            again = self.repeated(way, first.observation.variant)
            if again.control:
                message = f"differs, but not by this way alone: see {again.control}"
                return self.told(way, first, Word.UNDECIDABLE, message)
            if found := self.rulings(way, again.unlike):
                first, seen = found[0], 2
        if seen > 1:
            self.found.append(way.name)
        elif way.inside and (before := next((name for name in self.found if WAYS[name].inside), "")):
            return self.told(way, first, Word.UNDECIDABLE, f"differs only in the process in which {before} did")
        count = f"{first.observation.variant}: in {seen} of {tried} rounds"
        message = f"{count}; {first.message}" if first.message else count
        return self.told(way, first, first.word if seen > 1 else Word.FLAKY, message)

    def excuse(self, seen: Observation) -> str:
        """Why an observation is no fault of the target; mutants are kept from all that could excuse one."""
        if seen.data_set >= len(self.subject.data_sets):
            return ""
        return self.apart.call(left_open, self.subject.case, self.target.canonical, seen.data_set)

    def mild(self, way: Way, unlike: Sequence[Observation]) -> Verdict:
        """Nothing to report: all the same, near enough, undecidable, or not to be had here."""
        for seen in unlike:
            ruling = self.ruling(way, seen)
            if ruling.word is Word.UNDECIDABLE:
                return self.told(way, ruling, Word.UNDECIDABLE, f"{seen.variant}: {ruling.message}")
        lacking = "; ".join(dict.fromkeys(self.lacking.get(way.name, ())))
        word = Word.OK if self.compared[way.name] else Word.UNSUPPORTED
        message = lacking or ("" if word is Word.OK else "nothing here that could be run so")
        return self.plainly(way, word, message)

    def told(self, way: Way, ruling: _Ruling, word: Word, message: str) -> Verdict:
        """A verdict with the place of the difference."""
        verdict = self.plainly(way, word, message, ruling.observation.data_set)
        if ruling.place is None:
            return verdict
        position, found = ruling.place
        names = self.subject.outputs
        return replace(
            verdict, output=names[position] if position < len(names) else None, bound_ratio=found.ratio,
            index=found.index, expected=found.expected, actual=found.actual, bound=found.bound,
        )  # fmt: skip

    def plainly(self, way: Way, word: Word, message: str, data_set: int = 0) -> Verdict:
        """A verdict in words alone."""
        case, target = self.subject.case.id, self.target.canonical
        return Verdict(case, target, data_set, word.value, message=message[:500], oracle=way.name)

    def broken(self, plain: Attempt) -> list[Verdict]:
        """No way can be compared with a plain run that fails; one that fails now and then is itself a finding."""
        text = crash_signature(plain.outcome, plain.stage, plain.message, plain.stderr)
        if plain.outcome in _TOLD_ELSEWHERE:
            return [self.plainly(way, Word(plain.outcome.value), plain.message) for way in self.ways]
        ill, tried = 1, 1
        while tried < ROUNDS and (tried == 1 or ill == 1):
            tried += 1
            ill += self.crew.ask_fresh(self.target, self.subject.execute()).outcome is plain.outcome
        if ill == tried:
            message = f"the plain run fails already ({plain.outcome.value}: {text}): see `fuzz diff`"
            return [self.plainly(way, Word.UNDECIDABLE, message) for way in self.ways]
        word = Word(plain.outcome.value) if ill > 1 else Word.FLAKY
        message = f"the plain run, {plain.outcome.value} in {ill} of {tried} rounds; {text}"
        first = next((way for way in self.ways if way.name == "session"), self.ways[0])
        rest = "the plain run does not end in the same way each time"
        return [
            self.plainly(way, word, message) if way is first else self.plainly(way, Word.UNDECIDABLE, rest)
            for way in self.ways
        ]


def _threads(count: int) -> str:
    return f"{count} threads"
