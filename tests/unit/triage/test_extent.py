"""Which failing standard models belong together, and that the battery is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from backends.protocol import Outcome
from backends.tensor import from_numpy, to_numpy
from fuzz.execute.attempt import Attempt
from fuzz.triage.assessment import invalid, know
from fuzz.triage.battery import BATTERY
from fuzz.triage.extent import described, extent, survey, told
from fuzz.triage.probe import Probe, candidate_of

SMALL = {
    probe.name: probe
    for probe in (
        Probe("Sub", "arithmetic", ((2, 3), (2, 3))),
        Probe("Sub", "arithmetic", ((2, 3), (2, 3)), dtype="double"),
        Probe("Pow", "arithmetic", ((2, 3), (2, 3))),
        Probe("Softmax", "softmax", ((2, 3),), feature="negative axis"),
        Probe("Concat", "join", ((2, 3),), feature="negative axis"),
        Probe("Concat", "join", ((2, 3),)),
        Probe("Neg", "unary", ((2, 3),)),
    )
}
SUB = ("operator", "Sub")


def reached(failing, *links):
    return sorted(extent(lambda name: failing.get(name, ""), links, SMALL))


def test_nothing_fails_so_nothing_is_reached():
    assert reached({}, SUB) == []
    assert reached({"Neg": "other values"}, SUB) == []


def test_one_operator_belongs_together_whatever_its_type():
    assert reached({"Sub": "negated", "Sub:double": "imprecise"}, SUB) == ["Sub", "Sub:double"]


def test_operators_of_one_family_that_fail_alike():
    assert reached({"Sub": "negated", "Pow": "negated"}, SUB) == ["Pow", "Sub"]
    assert reached({"Sub": "negated", "Pow": "imprecise", "Neg": "negated"}, SUB) == ["Sub"]


def test_some_mistakes_are_the_same_anywhere():
    failing = {"Sub": "held in bfloat16", "Neg": "held in bfloat16"}
    assert reached(failing, SUB) == ["Neg", "Sub"]
    assert reached(failing, ("operator", "Cosh"), ("relation", "held in bfloat16")) == ["Neg", "Sub"]


def test_a_feature_without_which_both_are_right():
    failing = {"Softmax[negative axis]": "other values", "Concat[negative axis]": "permuted"}
    assert reached(failing, ("operator", "Softmax")) == ["Concat[negative axis]", "Softmax[negative axis]"]
    assert reached(failing | {"Concat": "permuted"}, ("operator", "Softmax")) == ["Softmax[negative axis]"]


def test_of_a_mistake_that_is_the_same_anywhere_a_sample_tells():
    failing = dict.fromkeys(BATTERY, "held in bfloat16")
    asked = []

    def ask(name):
        asked.append(name)
        return failing[name]

    first = extent(ask, [("operator", "Cosh"), ("relation", "held in bfloat16")])
    assert 20 < len(set(asked)) == len(first) < len(BATTERY) / 3
    assert extent(failing.get, [("operator", "Gemm"), ("relation", "held in bfloat16")]) == first


def test_of_several_features_the_common_one_ties():
    failing = {name: "other values" for name, probe in BATTERY.items() if "bias" in probe.feature}
    found = extent(lambda name: failing.get(name, ""), [("operator", "Conv")])
    assert set(found) == set(failing)
    constants = {name: "other values" for name, probe in BATTERY.items() if "constants" in probe.feature}
    found = extent(lambda name: constants.get(name, ""), [("operator", "LayerNormalization")])
    assert set(found) == set(constants)


def test_what_cannot_belong_to_it_is_not_asked():
    asked = []

    def ask(name):
        asked.append(name)
        return ""

    extent(ask, [("operator", "Neg")], SMALL)
    assert asked == ["Neg"]


def test_an_extent_in_words():
    assert described({"Sub": "negated", "Pow": "imprecise", "Sub:double": "negated"}) == (
        "imprecise: Pow; negated: Sub, Sub:double"
    )
    long = {f"Operator{n}": "imprecise" for n in range(99)}
    assert len(described(long)) < 330
    assert described(long) != described(long | {"Operator99": "imprecise"})


def test_every_probe_is_valid_and_defined():
    for name, probe in BATTERY.items():
        case = candidate_of(probe)
        assert (name, invalid(case.model), know(case).problem) == (name, "", "")


# --- how a model's outputs are told ----------------------------------------------------------------------------------


class Bench:
    """A laboratory whose target computes what it is told to."""

    class predicate:  # noqa: N801 - stands in for the attribute
        target = "onnxruntime"

    def __init__(self, change, outcome=Outcome.OK):
        self.change, self.outcome = change, outcome

    def run(self, model, sets):
        from fuzz.triage.candidate import Candidate

        names = [i.name for i in Candidate(model, ()).proto().graph.input]
        case = Candidate(model, (dict(zip(names, sets[0], strict=True)),))
        due = [know(case).values[0][o.name] for o in case.proto().graph.output]
        return Attempt(self.outcome, None, "", "", 0.0, 0.0, (tuple(self.change(case, due)),))

    def apart(self, function, *arguments):
        return function(*arguments)


def flipped_difference(case, due):
    sub = case.proto().graph.node[0].op_type == "Sub"
    return [from_numpy(-to_numpy(value)) for value in due] if sub else due


def test_a_survey_finds_the_operator_that_is_wrong():
    found, asked = survey(Bench(flipped_difference), candidate_of(BATTERY["Sub[broadcast]"]))
    assert set(found.values()) == {"negated"}
    assert {BATTERY[name].operator for name in found} == {"Sub"}
    assert len(found) < asked < len(BATTERY)


def test_a_target_that_is_right_or_refuses_has_no_extent():
    assert survey(Bench(lambda _, due: due), candidate_of(BATTERY["Sub"]))[0] == {}
    assert survey(Bench(lambda _, __: (), Outcome.REJECTED), candidate_of(BATTERY["Sub"]))[0] == {}


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda one, two: [two, one], "outputs exchanged"),
        (lambda one, two: [one, from_numpy(to_numpy(two).astype(np.float64))], "another element type"),
        (lambda one, two: [from_numpy(-to_numpy(one)), two], "negated"),
        (lambda one, two: [one, two], ""),
        (lambda one, _: [one, [one]], "other values"),
    ],
)
def test_several_outputs(change, how):
    case = candidate_of(BATTERY["Split"])
    attempt = Bench(lambda _, due: change(*due)).run(case.model, case.values())
    assert told(case, "onnxruntime", attempt) == how
