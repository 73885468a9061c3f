"""Verdicts where the specification leaves something open: undecidable, with the hazard's name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.hazards.detection import Arising
from abstract.program import parse
from backends.protocol import Outcome
from backends.tensor import from_numpy
from fuzz.judge.hazards import excuse, told
from fuzz.judge.judge import judge
from fuzz.judge.undecidable import OVERFLOW, STRADDLED, UNKNOWN, model_hazards, undecidable_share
from fuzz.judge.verdict import Word

TWO = [("a", "int32", [2]), ("b", "int32", [2])]


@pytest.fixture
def divided(model):
    nodes = [helper.make_node("Div", ["a", "b"], ["q"], name="div"), helper.make_node("Neg", ["q"], ["y"])]
    return model(nodes, TWO, [("y", "int32", [2])])


def verdict(proto, samples, executions):
    (found,) = judge("case", proto, "", samples, executions)
    return found


class TestCrashes:
    @pytest.mark.parametrize("outcome", [Outcome.CRASH, Outcome.REJECTED, Outcome.TIMEOUT])
    def test_one_that_a_hazard_excuses_is_undecidable_and_names_it(self, divided, sample, ended, outcome):
        found = verdict(divided, [sample(a=np.int32([6, 6]), b=np.int32([2, 0]))], [ended(outcome, "SIGFPE")])
        assert found.verdict == Word.UNDECIDABLE
        assert "integer-division-by-zero at Div 'div' (1 element)" in found.message
        assert "SIGFPE" in found.message

    @pytest.mark.parametrize("outcome", [Outcome.CRASH, Outcome.REJECTED])
    def test_one_without_a_hazard_stays_a_finding(self, divided, sample, ended, outcome):
        found = verdict(divided, [sample(a=np.int32([6, 6]), b=np.int32([2, 3]))], [ended(outcome, "SIGFPE")])
        assert found.verdict == outcome.value
        assert found.message.startswith("SIGFPE")

    def test_the_data_set_that_crashed_decides(self, divided, sample, ended):
        samples = [sample(a=np.int32([6, 6]), b=np.int32([2, b])) for b in (0, 3)]
        assert verdict(divided, samples, [ended(Outcome.CRASH, finished=1)]).verdict == Word.CRASH

    def test_memorys_end_is_never_excused(self, divided, sample, ended):
        samples = [sample(a=np.int32([6, 6]), b=np.int32([2, 0]))]
        assert verdict(divided, samples, [ended(Outcome.OOM)]).verdict == Word.OOM

    def test_a_hazard_that_stops_nobody_excuses_nothing(self, model, sample, ended):
        proto = model([helper.make_node("Relu", ["x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])])
        samples = [sample(x=np.float32([np.nan]))]
        assert verdict(proto, samples, [ended(Outcome.CRASH)]).verdict == Word.CRASH


class TestOutputs:
    def test_the_elements_that_a_hazard_reaches_are_not_judged_and_the_others_are(self, divided, sample, ran):
        samples = [sample(a=np.int32([6, 6]), b=np.int32([2, 0]))]
        assert verdict(divided, samples, [ran("toy", [np.int32([-3, 99])])]).verdict == Word.OK
        wrong = verdict(divided, samples, [ran("toy", [np.int32([-4, 99])])])
        assert (wrong.verdict, wrong.index) == (Word.WRONG, (0,))
        assert "it also depends, elsewhere" in wrong.message
        assert "integer-division-by-zero" in wrong.message

    def test_an_output_without_an_element_to_judge_says_why(self, divided, sample, ran):
        samples = [sample(a=np.int32([6, 6]), b=np.int32([0, 0]))]
        found = verdict(divided, samples, [ran("toy", [np.int32([7, 9])])])
        assert found.verdict == Word.UNDECIDABLE
        assert found.message == "no element can be judged: integer-division-by-zero at Div 'div' (2 elements)"

    def test_an_output_that_does_not_depend_on_it_does_not_mention_it(self, model, sample, ran):
        nodes = [helper.make_node("Div", ["a", "b"], ["y"]), helper.make_node("Neg", ["a"], ["z"])]
        proto = model(nodes, TWO, [("y", "int32", [2]), ("z", "int32", [2])])
        samples = [sample(a=np.int32([6, 6]), b=np.int32([0, 0]))]
        found = verdict(proto, samples, [ran("toy", [np.int32([1, 1]), np.int32([1, 1])])])
        assert (found.verdict, found.output, found.message) == (Word.WRONG, "z", "")

    def test_a_model_that_cannot_be_run_names_the_hazard(self, model, sample, ran):
        nodes = [helper.make_node("Range", ["s", "l", "d"], ["y"], name="range")]
        proto = model(nodes, [(n, "int64", []) for n in "sld"], [("y", "int64", [None])])
        samples = [sample(s=np.int64(0), l=np.int64(4), d=np.int64(0))]
        found = verdict(proto, samples, [ran("toy", [np.int64([0])])])
        assert found.verdict == Word.UNDECIDABLE
        assert "range-delta-zero at Range 'range'" in found.message


class TestWords:
    def test_only_the_first_are_named(self):
        many = [Arising("nan-in-sign", f"n{i}", "Sign", "y", i) for i in range(5)]
        assert told(many).endswith("(1 element), nan-in-sign at Sign 'n2' (2 elements), and 2 more")
        assert told([]) == ""

    def test_nothing_excuses_without_a_reason(self):
        assert not excuse([Arising("nan-in-sign", "n", "Sign", "y", 1)], "SIGSEGV")

    def test_a_node_without_a_name_is_told_by_its_output(self):
        assert str(Arising("arg-empty", "", "ArgMax", "y", None)) == "arg-empty at ArgMax 'y'"


class TestOfAModel:
    def test_by_data_set(self, divided):
        sets = [{"a": from_numpy(np.int32([6, 6])), "b": from_numpy(np.int32([1, b]))} for b in (1, 0)]
        found = model_hazards(divided, "", sets)
        assert [(n, a.hazard, a.elements) for n, a in found.arisings] == [(1, "integer-division-by-zero", 1)]
        assert found.problem == ""

    def test_what_cannot_be_read_is_told(self):
        assert "the reference cannot read the model" in model_hazards(b"\x00\x01", "", [{}]).problem


class TestShare:
    def share(self, model, nodes, ports, outputs, constants=None, **inputs):
        proto = model(nodes, ports, outputs, constants or {})
        program = parse(onnx.ModelProto.FromString(proto))
        return undecidable_share(program, {n: from_numpy(np.asarray(a)) for n, a in inputs.items()})

    def test_nothing_is_undecidable_where_all_is_known(self, model):
        nodes = [helper.make_node("Exp", ["x"], ["y"])]
        found = self.share(model, nodes, [("x", "float", [3])], [("y", "float", [3])], x=np.float32([0, 1, 2]))
        assert (found.elements, dict(found.causes), found.undecidable) == (3, {}, 0.0)

    def test_a_hazard_is_a_cause_and_is_inherited(self, model):
        nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Neg", ["r"], ["y"])]
        found = self.share(model, nodes, [("x", "float", [4])], [("y", "float", [4])], x=np.float32([0, np.nan, 2, 3]))
        assert dict(found.causes) == {"nan-in-clamp": 1}
        assert found.undecidable == 0.25

    def test_a_range_that_is_left_is_a_cause(self, model):
        nodes = [helper.make_node("Mul", ["x", "x"], ["y"])]
        found = self.share(model, nodes, [("x", "float", [2])], [("y", "float", [2])], x=np.float32([1e30, 2]))
        assert dict(found.causes) == {OVERFLOW: 1}

    def test_a_comparison_that_an_error_straddles_is_a_cause(self, model):
        nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node("Less", ["e", "e"], ["y"])]
        found = self.share(model, nodes, [("x", "float", [2])], [("y", "bool", [2])], x=np.float32([1, 2]))
        assert dict(found.causes) == {STRADDLED: 2}

    def test_what_has_no_rules_is_unknown(self, model):
        nodes = [
            helper.make_node("Exp", ["z"], ["e"]),
            helper.make_node("Cast", ["e"], ["place"], to=7),
            helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
            helper.make_node("SequenceAt", ["s", "place"], ["y"]),
        ]
        found = self.share(
            model, nodes, [("x", "float", [2])], [("y", "float", [2])], {"z": np.float32(0)}, x=np.float32([1, 2])
        )
        assert dict(found.causes) == {UNKNOWN: 2}
