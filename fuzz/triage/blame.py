"""``fuzz blame``: the smallest set of a target's switches that makes a finding go away."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fuzz.errors import FuzzError, StorageError
from fuzz.execute.variant import varied
from fuzz.execute.worker import Interrupted
from fuzz.file import write_json
from fuzz.triage.application import application
from fuzz.triage.blamed import BLAME
from fuzz.triage.board import PASSES, board_of
from fuzz.triage.culprit import narrowed, smallest
from fuzz.triage.sandbox import Sandbox
from fuzz.triage.trials import OTHER, Trials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fuzz.execute.attempt import Limits
    from fuzz.execute.target import Target
    from fuzz.triage.application import Application
    from fuzz.triage.board import Board, Switch
    from fuzz.triage.finding import Finding
    from fuzz.triage.observation import Observation
    from fuzz.triage.signature import Signature
    from fuzz.triage.trials import Trial

__all__ = ["NOTES", "Blame", "attach_blame", "blame"]

NOTES = "blame.jsonl"
_FEW = 4  # passes, of which each is named
_ALTERNATIVES = 2
"""How many other sets are looked for that make it go away as well."""

Off = frozenset["Switch"]


@dataclass(frozen=True, slots=True)
class Blame:
    """What is known of a finding's switches.

    Attributes:
        name: the finding's.
        fails: whether it fails at all in a fresh process; if not, nothing was asked.
        signature: how, there.
        changed: whether that is another way than the finding says.
        switches: the smallest set that makes it go away, empty where none does.
        alternatives: other such sets, which have no switch in common with it.
        coarse: the switches that are no passes and make it go away alone.
        alone: whether it is there still with all other passes off; None where that cannot be told.
        repeats: whether the same holds in fresh processes.
        passes: how many single passes could be left out.
        switched: the target with the set off, as somebody would type it.
        application: which application of a part that the compiler counts it begins with, if any.
        trials: what was asked, in that order.
        executions: how often the case has run for it, the first time included.
    """

    name: str
    target: str
    version: str
    fails: bool
    signature: Signature
    said: str = ""
    changed: bool = False
    switches: tuple[Switch, ...] = ()
    alternatives: tuple[tuple[Switch, ...], ...] = ()
    coarse: tuple[Switch, ...] = ()
    alone: bool | None = None
    repeats: bool = True
    passes: int = 0
    switched: str = ""
    application: Application | None = None
    trials: tuple[Trial, ...] = ()
    executions: int = 0

    @property
    def sentence(self) -> str:
        """What came of it of which finding, for a person."""
        version = f" {self.version}" if self.version and "==" not in self.target else ""
        return f"{self.name}: {self.target}{version}: {self.told}"

    @property
    def told(self) -> str:
        """What came of it."""
        if not self.fails:
            told = f" ({self.said})" if self.said else ""
            return f"nothing fails: it is {self.signature.word}{told}"
        otherwise = f"it fails in another way than is written down: {self.signature}; " if self.changed else ""
        return otherwise + (f"{self._deed()}{self._rest()}" if self.switches else self._nobody())

    def _nobody(self) -> str:
        """What was tried where nothing helps, and of what of it nothing can be told."""
        tried: dict[str, str] = {}
        for trial in self.trials:
            option = trial.off[0] if len(trial.off) == 1 else ""
            if _long(option) and option.count("+") + 1 < self.passes:
                continue  # a step of the search
            if option:
                tried.setdefault(self._called(option), trial.answer)
        if not tried:
            return "there is no switch that could be turned off"
        unclear = [option for option, answer in tried.items() if answer == OTHER]
        if unclear:
            beside = f"; with {' or '.join(unclear)} something else is the matter"
            return f"no switch was found that makes it go away (tried: {', '.join(tried)}{beside})"
        return (
            "no switch makes it go away, so the fault is in what no switch turns off, such as a kernel or the front "
            f"end (tried: {', '.join(tried)})"
        )

    def _called(self, option: str) -> str:
        """An option as a sentence has it: a list of many passes is counted."""
        return f"all {self.passes} passes left out" if _long(option) and self.passes > _FEW else option

    def _deed(self) -> str:
        if len(self.switches) == 1:
            return f"{_typed(self.switches)} makes it go away"
        return f"{_typed(self.switches)} makes it go away, and nothing less of it does"

    def _rest(self) -> str:
        parts = [f"so does {_typed(other)}" for other in self.alternatives]
        coarse = [str(switch) for switch in self.coarse if switch not in self.switches]
        if coarse:
            parts.append(f"so does {' or '.join(coarse)}")
        single = all(switch.option == PASSES for switch in self.switches)
        if single and self.alone:
            parts.append("it stays with all other passes off")
        elif not single and self.passes:
            parts.append(f"none of the {_count(self.passes, 'single pass')} does")
        if self.application is not None:
            parts.append(self.application.told)
        if not self.repeats:
            parts.append("but not in a fresh process: what ran before may matter")
        return "".join(f"; {part}" for part in parts)

    def to_json(self) -> dict[str, Any]:
        """``blame.json``, and a row of ``--json``."""
        return {
            "finding": self.name, "target": self.target, "version": self.version, "fails": self.fails,
            "signature": self.signature.to_json(), "changed": self.changed,
            "switches": [str(switch) for switch in self.switches],
            "alternatives": [[str(switch) for switch in other] for other in self.alternatives],
            "coarse": [str(switch) for switch in self.coarse],
            "alone": self.alone, "repeats": self.repeats, "switched": self.switched, "passes": self.passes,
            "application": self.application.to_json() if self.application else None,
            "asked": [trial.to_json() for trial in self.trials], "executions": self.executions,
            "setting": _typed(self.switches), "told": self.told, "sentence": self.sentence,
        }  # fmt: skip


def blame(
    finding: Finding, target: Target, limits: Limits, *, jobs: int = 1, keep: bool = True,
    told: Callable[[Trials], None] = lambda _: None, sandbox: Sandbox | None = None,
) -> Blame:  # fmt: skip
    """Find the switches of a finding, and write them beside it (``keep``) as ``blame.json``.

    What was answered lies in ``blame.jsonl`` until all is known: the same call goes on from there. ``sandbox`` has
    processes that parse models; without it they are started here. Raises TargetError, UsageError, StorageError.
    """
    board = board_of(target, limits)
    notes = finding.folder / NOTES if keep else None
    with ExitStack() as held:
        own = sandbox or held.enter_context(Sandbox(jobs))
        trials = held.enter_context(Trials(finding, target, board, limits, own, jobs=jobs, notes=notes))
        trials.told = told
        first = trials.first()
        found = _searched(finding, target, board, trials, first)
    if keep:
        write_json(finding.folder / BLAME, found.to_json())
        _forget(finding.folder / NOTES)
    return found


def attach_blame(finding: Finding, target: Target, limits: Limits, sandbox: Sandbox) -> None:
    """As ``blame``, for a finding that must not be lost because nobody can be blamed: ``blame.json`` then says why.

    Raises StorageError.
    """
    try:
        blame(finding, target, limits, sandbox=sandbox)
    except (StorageError, Interrupted):
        raise
    except FuzzError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - see above
        problem = f"asking failed, which is our bug: {type(error).__name__}: {error}".split("\n", 1)[0]
    else:
        return
    write_json(finding.folder / BLAME, {"finding": finding.name, "target": target.canonical, "problem": problem})


def _forget(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}") from None


def _searched(finding: Finding, target: Target, board: Board, trials: Trials, first: Observation) -> Blame:
    said = (first.problem or first.said).strip().split("\n", 1)[0][:160]
    about = Blame(finding.name, target.canonical, target.version, first.finding, first.signature, said, executions=1)
    if not first.finding:
        return about
    for trials.isolated in (False, True):
        coarse = _coarse(board, trials)
        sets = _sets(board, trials, coarse)
        chosen = sets[0] if sets else frozenset()
        repeats, alone = _verified(board, trials, chosen, sets)
        if repeats:  # else what ran before in the same process has decided: each set in a process of its own, then
            break
    begins = application(board, trials) if chosen and repeats else None
    return replace(
        about,
        changed=finding.signature is not None and finding.signature != first.signature,
        switches=tuple(sorted(chosen)), alternatives=tuple(tuple(sorted(other)) for other in sets[1:]),
        coarse=tuple(coarse), alone=alone, repeats=repeats, passes=len(board.passes),
        switched=_switched(target, board, chosen), application=begins,
        trials=tuple(trials.rows), executions=trials.executions,
    )  # fmt: skip


def _coarse(board: Board, trials: Trials) -> list[Switch]:
    """Those that are no passes and make it go away, one by one; all passes at once are asked beside them."""
    asked = [frozenset([switch]) for switch in board.coarse]
    answers = trials.ask([*asked, *([frozenset(board.passes)] if board.passes else [])])
    return [switch for switch, answer in zip(board.coarse, answers, strict=False) if answer]


def _sets(board: Board, trials: Trials, coarse: Sequence[Switch]) -> list[Off]:
    """The sets that make it go away, the one to tell first: of passes, else a coarse one, else of all there is."""
    found: list[Off] = []
    rest = list(board.passes)
    while rest and len(found) <= _ALTERNATIVES:
        least = smallest(rest, trials.ask) if not found else _another(rest, trials)
        if least is None:
            break
        found.append(least)
        rest = [switch for switch in rest if switch not in least]
    if found:
        return found
    if coarse:
        return [frozenset([_mildest(board, coarse)])]
    return _mixed(board, trials)


def _another(rest: Sequence[Switch], trials: Trials) -> Off | None:
    """A set among those that are left, where all of them make it go away as well."""
    return narrowed(rest, trials.ask) if trials.ask([frozenset(rest)])[0] else None


def _mildest(board: Board, coarse: Sequence[Switch]) -> Switch:
    """Of those that make it go away the one that turns off the least: a part, else the mildest level, else a mode."""
    dials = sorted(board.dials, key=lambda dial: (not dial.switches[0].listed, not dial.levels))
    gone = next(found for dial in dials if (found := [switch for switch in dial.switches if switch in coarse]))
    return gone[-1] if gone[0] in _levels(board) else gone[0]


def _levels(board: Board) -> set[Switch]:
    return {switch for dial in board.dials if dial.levels for switch in dial.switches}


def _mixed(board: Board, trials: Trials) -> list[Off]:
    """A set of switches of several options, where no option alone does."""
    strongest = [
        switch for dial in board.dials if dial.levels or dial.switches[0].listed
        for switch in (dial.switches if dial.switches[0].listed else dial.switches[:1])
    ]  # fmt: skip
    everything = [*strongest, *board.passes]
    if len(everything) < 2 or not strongest or not trials.ask([frozenset(everything)])[0]:
        return []
    return [narrowed(everything, trials.ask)]


def _most(board: Board) -> list[Off]:
    """What turns off the most: of each option, and all passes."""
    dials = [frozenset([dial.switches[0 if dial.levels else -1]]) for dial in board.dials]
    return [*dials, *([frozenset(board.passes)] if board.passes else [])]


def _verified(board: Board, trials: Trials, chosen: Off, sets: Sequence[Off]) -> tuple[bool, bool | None]:
    """Whether the same holds in fresh processes, and whether it stays with all passes off but these."""
    if not chosen:
        return not any(trials.verify(_most(board))), None
    single = all(switch.option == PASSES for switch in chosen)
    others = frozenset(board.passes).difference(*sets)
    answers = trials.verify([chosen, *([others] if others else [])])
    beside = answers[1] if others else None
    if single:
        return answers[0] is True, None if beside is None else not beside
    return answers[0] is True and beside is not True, None  # the passes together were said to change nothing


def _switched(target: Target, board: Board, chosen: Off) -> str:
    """The target with these off, as somebody would type it; empty where there are none."""
    return varied(target.canonical, options=dict(board.options(chosen))) if chosen else ""


def _typed(switches: Sequence[Switch]) -> str:
    """As a target has them: names of one list joined by +."""
    options: dict[str, list[str]] = {}
    for switch in switches:
        options.setdefault(switch.option, []).append(switch.value)
    return ",".join(f"{option}={'+'.join(values)}" for option, values in options.items())


def _long(option: str) -> bool:
    """Whether it is a list of passes: those are counted."""
    return option.startswith(f"{PASSES}=")


def _count(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"
