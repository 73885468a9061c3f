"""What a worker is asked, and what it answers: requests for `execute` and `vary`, reports read as observations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.frame import BODY_LIMIT, Frame, FrameError, encode
from backends.protocol import Outcome, Stage
from backends.tensor import Tensor
from fuzz.case import read_inputs
from fuzz.errors import CaseError
from fuzz.signature import read_signature
from fuzz.stability.difference import first_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.tensor import Value
    from fuzz.case import Case
    from fuzz.execute.worker import Attempt
    from fuzz.stability.material import Material

__all__ = ["Observation", "Seen", "Subject", "compare_attempts", "read_subject", "seen_in"]

_DEAD = frozenset({Outcome.CRASH, Outcome.TIMEOUT, Outcome.OOM})


@dataclass(frozen=True, slots=True)
class Observation:
    """One way of running that did not come to the same as the plain run.

    Where `outcome` is ok, the values of `data_set` differ (mutants are counted on); else it is what became of the run.
    """

    way: str
    variant: str
    outcome: Outcome = Outcome.OK
    stage: Stage | None = None
    message: str = ""
    stderr: str = ""
    data_set: int = 0
    expected: Sequence[Value] = ()
    actual: Sequence[Value] = ()


@dataclass(slots=True)
class Seen:
    """What a `vary` request brought: how the plain run went, and of each way what was run, lacking or unlike.

    Attributes:
        plain: the plain run; where it was done and a way ended the process after it, its outcome is ok.
        begun: whether the plain run was done.
        compared: how many results each way compared.
        lacking: why variants of a way cannot be run here.
        unlike: what differs, by way.
        left: the ways that a death kept from being run.
    """

    plain: Attempt
    begun: bool
    compared: dict[str, int]
    lacking: dict[str, list[str]]
    unlike: dict[str, list[Observation]]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A case as it is sent: the model, its folder, the data sets, the neighbours."""

    case: Case
    outputs: tuple[str, ...]
    model: bytes
    folder: str
    data_sets: tuple[list[Value], ...]
    mutants: tuple[list[Value], ...] = ()
    neighbours: tuple[tuple[str, str | None, list[Value]], ...] = ()

    def execute(self) -> Sequence[bytes]:
        """The request for a plain run. Raises FrameError."""
        return encode(Frame("execute", {"folder": self.folder}, self.data_sets, self.model))

    def vary(self, ways: Sequence[str]) -> Sequence[bytes]:
        """The request for a plain run and ways after it. Raises FrameError."""
        mutants = self.mutants if "once" in ways else ()
        neighbours = self.neighbours if "neighbour" in ways else ()
        fields = {
            "folder": self.folder,
            "ways": list(ways),
            "data_sets": len(self.data_sets),
            "mutants": len(mutants),
            "neighbours": [{"name": name, "folder": folder} for name, folder, _ in neighbours],
        }
        values: list[Value] = [*self.data_sets, *mutants, *(values for _, _, values in neighbours)]
        return encode(Frame("vary", fields, values, self.model))


def read_subject(case: Case, material: Material, other: Case | None) -> Subject:
    """Read a case; `other` is the one that runs before it as a neighbour. Raises CaseError, OSError."""
    model = _model(case)
    ports = read_signature(case.model_path)
    data_sets = tuple(list(read_inputs(case, data_set, ports)) for data_set in case.data_sets)
    neighbours: list[tuple[str, str | None, list[Value]]] = []
    if material.weights is not None and data_sets:
        neighbours.append(("weights", str(case.folder.resolve()), [_bytes(material.weights), *data_sets[0]]))
    if other is not None and other.data_sets:
        try:
            inputs = read_inputs(other, other.data_sets[0])
            neighbours.append(("case", str(other.folder.resolve()), [_bytes(_model(other)), *inputs]))
        except (CaseError, OSError):
            pass  # a case that cannot be read is its own affair
    outputs = tuple(port.name for port in ports.outputs)
    mutants = tuple(list(mutant) for mutant in material.mutants)
    return Subject(case, outputs, model, str(case.folder.resolve()), data_sets, mutants, tuple(neighbours))


def _model(case: Case) -> bytes:
    if case.model_path.stat().st_size > BODY_LIMIT:
        raise CaseError(f"{case.model_path} is larger than 2 GiB, which no protocol buffer is")
    return case.model_path.read_bytes()


def _bytes(model: bytes) -> Tensor:
    return Tensor("uint8", (len(model),), model)


def seen_in(attempt: Attempt, ways: Sequence[str]) -> Seen:
    """Read the reports of a `vary` request. Raises FrameError where they make no sense."""
    begun = attempt.outcome is Outcome.OK
    seen = Seen(attempt, begun, compared=dict.fromkeys(ways, 0), lacking={}, unlike={})
    way = variant = ""
    away = False  # whether the neighbour runs, whose death is its own affair
    try:
        for report in attempt.reports:
            match report.fields:
                case {"begun": way, "variant": variant}:
                    seen.begun = True
                case {"neighbour": state}:
                    away = state == "begun"
                case {"result": number}:
                    seen.compared[way] += 1
                    _take_result(seen, way, variant, number, report.values)
                case {"ended": way}:
                    _take_end(seen, way, variant, report.fields)
                    variant = ""
    except (KeyError, TypeError, ValueError) as problem:
        raise FrameError(f"a report without its fields: {problem}") from None
    if attempt.outcome in _DEAD and seen.begun:
        if away:
            seen.lacking.setdefault(way, []).append(f"the neighbour itself ended the process: {attempt.message}")
        elif variant:
            death = Observation(way, variant, attempt.outcome, attempt.stage, attempt.message, attempt.stderr)
            seen.unlike.setdefault(way, []).append(death)
        seen.left = tuple(ways[list(ways).index(way) + 1 :])
        # The death is that way's: the plain run was done.
        seen.plain = replace(attempt, outcome=Outcome.OK)
    return seen


def _take_result(seen: Seen, way: str, variant: str, number: int, values: Sequence[Value]) -> None:
    if not values:
        return
    expected, actual = values
    if not isinstance(expected, list) or not isinstance(actual, list):
        raise TypeError("a result is a list of values")
    if first_difference(expected, actual) is not None:
        found = Observation(way, variant, data_set=number, expected=expected, actual=actual)
        seen.unlike.setdefault(way, []).append(found)


def _take_end(seen: Seen, way: str, variant: str, fields: Any) -> None:
    outcome, message = Outcome(fields["outcome"]), str(fields["message"])
    if outcome is Outcome.UNSUPPORTED:
        seen.lacking.setdefault(way, []).append(message)
    elif outcome is not Outcome.OK:
        found = Observation(way, variant, outcome, Stage(fields["stage"]), message)
        seen.unlike.setdefault(way, []).append(found)


def compare_attempts(way: str, variant: str, plain: Attempt, other: Attempt) -> list[Observation]:
    """What differs between two executions of a case, the first of which stands for the plain run."""
    if plain.outcome is not other.outcome:
        # Of two outcomes the one that is not well is told, whichever came first.
        ill = plain if other.outcome is Outcome.OK else other
        return [Observation(way, variant, ill.outcome, ill.stage, ill.message, ill.stderr)]
    pairs = zip(plain.outputs, other.outputs, strict=False)
    return [
        Observation(way, variant, data_set=number, expected=list(one), actual=list(two))
        for number, (one, two) in enumerate(pairs)
        if first_difference(one, two) is not None
    ]
