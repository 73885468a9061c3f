"""How far a bug reaches: which standard models a target gets wrong, how, and which of them belong together.

A reduced model shows one operator, one type, one set of values. The battery says the rest: a target is run on it once,
and a finding is looked up by its operators. Of what fails, two probes belong together where they are of one operator,
where they fail alike within a family of operators (or anywhere, if the relation names one mistake by itself), or where
both fail only with the same feature (a negative axis, a bias, a stride). What a finding belongs to is its extent; two
findings of one extent are one bug.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from backends.graph import graphs
from backends.protocol import Outcome
from backends.tensor import Tensor, to_numpy
from fuzz.execute.run import beside_of
from fuzz.judge.verdict import Word
from fuzz.triage.assessment import assess, know
from fuzz.triage.battery import BATTERY
from fuzz.triage.misreading import misread
from fuzz.triage.probe import candidate_of
from fuzz.triage.relation import ANYWHERE, OTHER, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backends.tensor import Value
    from fuzz.execute.attempt import Attempt
    from fuzz.triage.candidate import Candidate
    from fuzz.triage.laboratory import Laboratory
    from fuzz.triage.probe import Probe

__all__ = ["Surveyor", "described", "extent", "survey", "told"]

_LENGTH = 300

_TELLING = frozenset({"identity", "constants", "no axes kept, scalar"})
"""Features that tell one mistake of the whole target from another."""

Link = tuple[str, ...]


class Surveyor:
    """Asks a target about the probes of a battery, each once. Raises TargetError, Interrupted.

    ``asked`` holds what was said: the relation by name of probe, empty where the target is right, or does not run it
    (which is another finding).
    """

    def __init__(self, laboratory: Laboratory, battery: Mapping[str, Probe] = BATTERY) -> None:
        self.asked: dict[str, str] = {}
        self._laboratory, self._battery = laboratory, battery

    def __call__(self, name: str) -> str:
        """How the target is wrong at a probe; empty where it is not."""
        if name not in self.asked:
            self.asked[name] = self.ask(candidate_of(self._battery[name]))
        return self.asked[name]

    def ask(self, candidate: Candidate) -> str:
        """How the target is wrong at a model that is none of the battery."""
        attempt = self._laboratory.run(candidate.model, candidate.values())
        if attempt is None or attempt.outcome is not Outcome.OK:
            return ""
        return self._laboratory.apart(told, candidate, self._laboratory.predicate.target, attempt) or ""


def told(candidate: Candidate, target: str, attempt: Attempt) -> str:
    """How the outputs of a model relate to what is due; empty where the judge has nothing against them."""
    if assess(candidate, target, attempt, beside_of(attempt)).verdict.verdict != Word.WRONG:
        return ""
    graph, values = candidate.proto().graph, know(candidate).values[0]
    due, got = [values.get(output.name) for output in graph.output], attempt.outputs[0]
    if len(got) > 1 and _same(due[0], got[1]) and _same(due[1], got[0]):
        return "outputs exchanged"
    operands = [value for name in graph.node[-1].input if isinstance(value := values.get(name), Tensor)]
    how = next((how for want, have in zip(due, got, strict=False) if (how := _how(want, have, operands))), OTHER)
    return how if how in ANYWHERE else misread(candidate, values, got) or how


def _how(want: Value, have: Value, operands: Sequence[Tensor]) -> str:
    if not (isinstance(want, Tensor) and isinstance(have, Tensor)):
        return OTHER
    if have.element_type != want.element_type:
        return "another element type"
    return relation(to_numpy(want), to_numpy(have), [to_numpy(operand) for operand in operands])


def _same(one: Value, other: Value) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and not _how(one, other, ())


def survey(laboratory: Laboratory, candidate: Candidate) -> tuple[dict[str, str], int]:
    """The extent of a wrong answer, and how many models were run to tell. Raises TargetError, Interrupted."""
    nodes = [node for graph in graphs(candidate.proto().graph) for node in graph.node]
    links: list[Link] = [("operator", node.op_type) for node in nodes if node.domain in {"", "ai.onnx"}]
    surveyor = Surveyor(laboratory)
    seen = surveyor.ask(candidate)
    if seen in ANYWHERE:
        links.append(("relation", seen))
    return extent(surveyor, links), 1 + len(surveyor.asked)


# --- what belongs together --------------------------------------------------------------------------------------------


def extent(
    ask: Callable[[str], str], links: Iterable[Link], battery: Mapping[str, Probe] = BATTERY
) -> dict[str, str]:
    """The failing probes that a finding with these links belongs to, with their relations; empty where none fails.

    A link is ``("operator", its name)`` or ``("relation", one that says enough by itself)``.
    ``ask`` says how the target is wrong at a probe. It is asked of what could belong to them and of nothing else: where
    a relation says enough by itself, of a sample, since all that fails so is one bug.
    """
    reached = set(links)
    found: dict[str, str] = {}
    grown = True
    while grown:
        grown = False
        for name, probe in battery.items():
            if name in found or not any(_near(link, probe) for link in reached) or not ask(name):
                continue
            links = _links(probe, ask, battery)
            if links & reached:
                found[name], grown = ask(name), True
                reached |= links
    told = {link[1] for link in reached if link[0] == "relation" and link[1] in ANYWHERE}
    sampled = {name: ask(name) for name in _sample(battery) if told and ask(name) in told}
    return dict(sorted((sampled or found).items()))


def _sample(battery: Mapping[str, Probe]) -> list[str]:
    """A few probes of each family: the first of each element type, plain if it can be, and with each feature the first.

    What is imprecise in one way and what is in another differ by which of these they fail.
    """
    seen: dict[tuple[str, str, str], str] = {}
    for name, probe in battery.items():
        seen.setdefault((probe.family, probe.dtype, probe.feature if probe.feature in _TELLING else ""), name)
    return list(seen.values())


def described(found: Mapping[str, str]) -> str:
    """An extent in words: under each relation its probes. What is long is cut, and ends in a digest of the whole."""
    by_relation: dict[str, list[str]] = {}
    for name, how in found.items():
        by_relation.setdefault(how, []).append(name)
    whole = "; ".join(f"{how}: {', '.join(names)}" for how, names in sorted(by_relation.items()))
    if len(whole) <= _LENGTH:
        return whole
    return f"{whole[:_LENGTH]}... {hashlib.sha256(whole.encode()).hexdigest()[:12]}"


def _near(link: Link, probe: Probe) -> bool:
    """Whether a probe could have this link, if it fails."""
    match link:
        case ("operator", operator):
            return probe.operator == operator
        case ("feature", feature):
            return feature in _features(probe)
        case ("relation", _, family):
            return probe.family == family
    return False


def _links(probe: Probe, ask: Callable[[str], str], battery: Mapping[str, Probe]) -> set[Link]:
    """What ties a failing probe to others."""
    how = ask(probe.name)
    links: set[Link] = {("operator", probe.operator)}
    links.add(("relation", how) if how in ANYWHERE else ("relation", how, probe.family))
    siblings = [other for other in battery.values() if other.operator == probe.operator and ask(other.name)]
    common = frozenset.intersection(*map(_features, siblings))
    return links | {("feature", feature) for feature in common}


def _features(probe: Probe) -> frozenset[str]:
    return frozenset(filter(None, probe.feature.split(", ")))
