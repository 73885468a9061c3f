"""Execution to verdict: by outcome, by the reference, by a second opinion, by one another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.contract import PERMISSIVE
from abstract.dtypes import dtype
from backends.protocol import COMPARED, Outcome, Stage
from backends.registry import BACKENDS
from backends.tensor import from_numpy
from fuzz.judge.judge import Oracle, Sample, base_name, contract, judge
from fuzz.judge.verdict import FINDINGS, SEVERITY, Word

X = np.float32([1.0, -2.0, 3.0])


def node(*args, **attributes):
    return helper.make_node(*args, **attributes)


@pytest.fixture
def negated(model):
    return model([node("Neg", ["x"], ["y"])], [("x", "float", [3])], [("y", "float", [3])])


def words(verdicts):
    return [Word(v.verdict) for v in verdicts]


class TestOutcomes:
    @pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.OK])
    def test_what_did_not_run_has_the_word_of_its_outcome(self, negated, ended, sample, outcome):
        (verdict,) = judge("case", negated, "", [sample(x=X)], [ended(outcome, "its own words", finished=1)])
        assert verdict.verdict == outcome.value
        assert verdict.message.startswith("its own words")
        assert (verdict.case, verdict.target, verdict.data_set) == ("case", "toy", 1)

    def test_every_outcome_has_a_word(self):
        assert {o.value for o in Outcome} <= {w.value for w in Word}

    def test_refusing_an_invalid_model_is_no_finding(self, model, ended, sample):
        broken = model([node("Neg", ["x"], ["y"], nonsense=1)], [("x", "float", [3])], [("y", "float", [3])])
        (verdict,) = judge("case", broken, "", [sample(x=X)], [ended(Outcome.REJECTED, "bad attribute")])
        assert verdict.verdict == Word.UNSUPPORTED
        assert Word(verdict.verdict) not in FINDINGS
        assert "the model is invalid" in verdict.message
        assert "nonsense" in verdict.message

    def test_refusing_one_whose_shapes_contradict_is_none_either(self, model, ended, sample):
        broken = model([node("Neg", ["x"], ["y"])], [("x", "float", [3])], [("y", "float", [4])])
        (verdict,) = judge("case", broken, "", [sample(x=X)], [ended(Outcome.REJECTED)])
        assert verdict.verdict == Word.UNSUPPORTED

    def test_a_refusal_names_the_witnesses_that_the_model_is_valid(self, negated, ended, sample):
        (verdict,) = judge("case", negated, "", [sample(x=X)], [ended(Outcome.REJECTED, "no Neg for you")])
        assert verdict.message == (
            "no Neg for you [the model is valid: onnx.checker accepts it, strict shape inference included; "
            "our reference runs it]"
        )

    def test_a_refusal_of_data_that_the_reference_cannot_run_either_is_undecidable(self, model, ended, sample):
        nodes = [node("Gather", ["x", "i"], ["y"])]
        made = model(nodes, [("x", "float", [3]), ("i", "int64", [1])], [("y", "float", [1])])
        unrunnable = [sample(x=X, i=np.int64([9]))]
        while_running = ended(Outcome.REJECTED, "index out of range")
        (verdict,) = judge("case", made, "", unrunnable, [while_running])
        assert verdict.verdict == Word.UNDECIDABLE
        assert "index out of range" in verdict.message
        # What is refused before any data comes into play is refused for the model's sake.
        mystery = model([node("StringNormalizer", ["x"], ["y"])], [("x", "string", [3])], [("y", "string", [3])])
        refused = replace(while_running, stage=Stage.COMPILE)
        (verdict,) = judge("case", mystery, "", [], [refused])
        assert (verdict.verdict, "our reference was not asked" in verdict.message) == (Word.REJECTED, True)

    @pytest.mark.parametrize(("numbers", "word"), [([1, 2, 1], Word.UNDECIDABLE), ([1, 2, 3], Word.REJECTED)])
    def test_a_refusal_behind_a_size_that_hangs_on_last_bits_is_undecidable(self, model, ended, sample, numbers, word):
        """Equal numbers need not have equal cosines, where several are computed at once: two uniques may be three."""
        nodes = [node("Cos", ["x"], ["c"]), node("Unique", ["c"], ["u"]), node("Add", ["u", "z"], ["y"])]
        made = model(nodes, [("x", "float", [3]), ("z", "float", [1])], [("y", "float", ["n"])])
        feed = sample(x=np.float32(numbers), z=np.float32([0]))
        (verdict,) = judge("case", made, "", [feed], [ended(Outcome.REJECTED, "attempting to broadcast 2 by 3")])
        assert verdict.verdict == word
        assert (verdict.message == "how large u is hangs on last bits") is (word is Word.UNDECIDABLE)

    def test_a_crash_is_told_by_its_signature(self, negated, ended, sample):
        crashed = replace(
            ended(Outcome.CRASH, "the worker died of SIGSEGV"),
            stderr='Fatal Python error: Segmentation fault\n\n  File "/a/b/session.py", line 220 in run',
        )
        (verdict,) = judge("case", negated, "", [sample(x=X)], [crashed])
        assert verdict.message == "SIGSEGV at run: session.py run"

    def test_refusing_bytes_that_are_no_model_is_none(self, ended):
        (verdict,) = judge("case", b"\xff\xff", "", [], [ended(Outcome.REJECTED)])
        assert verdict.verdict == Word.UNSUPPORTED

    def test_crashing_on_an_invalid_model_is_a_finding(self, model, ended):
        broken = model([node("Neg", ["x"], ["y"], nonsense=1)], [("x", "float", [3])], [("y", "float", [3])])
        (verdict,) = judge("case", broken, "", [], [ended(Outcome.CRASH)])
        assert Word(verdict.verdict) in FINDINGS

    def test_findings_are_what_a_maintainer_must_see(self):
        assert {w.value for w in FINDINGS} == {
            "wrong", "nondeterministic", "slow", "rejected", "crash", "timeout", "oom",
        }  # fmt: skip

    def test_severity_ranks_what_comparisons_say(self):
        assert sorted(SEVERITY, key=SEVERITY.__getitem__) == [
            Word.OK, Word.UNDECIDABLE, Word.DISPUTE, Word.SUSPECT, Word.WRONG, Word.ERROR,
        ]  # fmt: skip


class TestAgainstTheReference:
    def test_right_suspect_and_wrong(self, model, ran, sample):
        made = model([node("Mul", ["x", "x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])])
        x = np.float32([1.1])
        nearest = np.float32(np.float64(x[0]) ** 2)
        for steps, word in ((0, Word.OK), (1, Word.SUSPECT), (30, Word.WRONG)):
            y = np.float32([nearest + np.float32(steps * 2.0**-23)])
            (verdict,) = judge("case", made, "", [sample(x=x)], [ran("toy", [y])])
            assert verdict.verdict == word

    def test_a_wrong_element_is_described(self, negated, ran, sample):
        (verdict,) = judge("case", negated, "", [sample(x=X)], [ran("toy", [np.float32([-1.0, 2.0, 3.0])])])
        assert verdict.verdict == Word.WRONG
        assert (verdict.output, verdict.index, verdict.expected, verdict.actual) == ("y", (2,), -3.0, 3.0)
        assert verdict.data_set == 0

    def test_the_worst_of_all_outputs_and_data_sets_speaks(self, model, ran, sample):
        nodes = [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["b"])]
        made = model(nodes, [("x", "float", [3])], [("a", "float", [3]), ("b", "float", [3])])
        good = [-X, np.abs(X)]
        bad = [-X, np.abs(X) + np.float32(1)]
        (verdict,) = judge("case", made, "", [sample(x=X)] * 3, [ran("toy", good, bad, good)])
        assert (verdict.verdict, verdict.output, verdict.data_set) == (Word.WRONG, "b", 1)

    def test_verdicts_come_in_the_order_of_executions(self, negated, ran, ended, sample):
        executions = [ended(Outcome.CRASH, target="a"), ran("b", [-X]), ended(Outcome.OOM, target="c"), ran("d", [X])]
        verdicts = judge("case", negated, "", [sample(x=X)], executions)
        assert [v.target for v in verdicts] == list("abcd")
        assert words(verdicts) == [Word.CRASH, Word.OK, Word.OOM, Word.WRONG]

    def test_too_few_outputs_are_wrong(self, model, ran, sample):
        nodes = [node("Neg", ["x"], ["a"]), node("Abs", ["x"], ["b"])]
        made = model(nodes, [("x", "float", [3])], [("a", "float", [3]), ("b", "float", [3])])
        (verdict,) = judge("case", made, "", [sample(x=X)], [ran("toy", [-X])])
        assert verdict.verdict == Word.WRONG
        assert verdict.message == "1 outputs where 2 are due"

    def test_no_data_set_is_nothing_to_judge(self, negated, ran):
        (verdict,) = judge("case", negated, "", [], [ran("toy")])
        assert verdict.verdict == Word.UNDECIDABLE
        assert verdict.message == "there is no output to judge"


class TestBeyondTheReference:
    def test_a_model_that_it_cannot_read(self, ran, sample):
        (verdict,) = judge("case", b"\xff\xff", "", [sample(x=X)], [ran("toy", [X])])
        assert verdict.verdict == Word.UNDECIDABLE
        assert verdict.message.startswith("the reference cannot read the model: ")

    def test_a_model_that_it_cannot_run(self, model, ran, sample):
        alien = model([node("Neg", ["x"], ["y"], domain="com.example")], [("x", "float", [3])], [("y", "float", [3])])
        (verdict,) = judge("case", alien, "", [sample(x=X)], [ran("toy", [X])])
        assert verdict.verdict == Word.UNDECIDABLE
        assert verdict.message.startswith("the reference cannot run the model: ")

    def test_a_model_that_is_too_large(self, model, ran, sample):
        expand = node("Expand", ["x", "s"], ["y"])
        made = model([expand], [("x", "float", [1])], [("y", "float", [None])], {"s": np.array([2**40])})
        (verdict,) = judge("case", made, "", [sample(x=X[:1])], [ran("toy", [X])])
        assert verdict.verdict == Word.UNDECIDABLE
        assert verdict.message.startswith("too large to judge: ")

    def test_inputs_that_are_missing(self, negated, ran, sample):
        (verdict,) = judge("case", negated, "", [sample()], [ran("toy", [X])])
        assert verdict.verdict == Word.ERROR

    def test_a_rule_that_fails_is_our_bug_and_not_hidden(self, negated, ran, sample, monkeypatch):
        def broken(*_args, **_kwargs):
            raise AttributeError("no such thing")

        monkeypatch.setattr("fuzz.judge.judge.interpret", broken)
        (verdict,) = judge("case", negated, "", [sample(x=X)], [ran("toy", [X])])
        assert verdict.verdict == Word.ERROR
        assert "our bug: AttributeError" in verdict.message

    def test_random_numbers(self, model, ran, sample):
        made = model([node("RandomNormalLike", ["x"], ["y"])], [("x", "float", [3])], [("y", "float", [3])])
        assert words(judge("case", made, "", [sample(x=X)], [ran("toy", [X])])) == [Word.UNDECIDABLE]
        assert words(judge("case", made, "", [sample(x=X)], [ran("toy", [X[:2]])])) == [Word.WRONG]


class TestWitness:
    def test_an_output_without_a_shape_is_no_reason_to_refuse(self, model, ran, sample):
        made = model([node("Neg", ["x"], ["y"])], [("x", "float", [3])], [("y", "float", None)])
        refused = replace(ran("toy", [X]), outcome=Outcome.REJECTED, outputs=())
        (verdict,) = judge("case", made, "", [sample(x=X)], [refused])
        assert verdict.verdict == Word.REJECTED

    def test_a_graph_that_computes_nothing_may_be_refused(self, model, ran, sample):
        made = model([], [("x", "float", [3])], [])
        refused = replace(ran("toy", [X]), outcome=Outcome.REJECTED, outputs=())
        (verdict,) = judge("case", made, "", [sample(x=X)], [refused])
        assert verdict.verdict == Word.UNSUPPORTED


class TestSecondOpinion:
    def test_what_its_author_expects_is_a_dispute(self, negated, ran, sample):
        (verdict,) = judge("case", negated, "", [sample([X], x=X)], [ran("toy", [X])])
        assert verdict.verdict == Word.DISPUTE
        assert verdict.message == "it agrees with the outputs that came with the case, not with the reference"

    def test_what_nobody_expects_is_wrong(self, negated, ran, sample):
        (verdict,) = judge("case", negated, "", [sample([X], x=X)], [ran("toy", [X + 1])])
        assert verdict.verdict == Word.WRONG

    def test_what_the_reference_expects_is_ok(self, negated, ran, sample):
        assert words(judge("case", negated, "", [sample([X], x=X)], [ran("toy", [-X])])) == [Word.OK]

    def test_our_own_outputs_are_no_second_opinion(self, negated, ran):
        own = Sample({"x": from_numpy(X)}, (from_numpy(X),), foreign=False)
        assert words(judge("case", negated, "", [own], [ran("toy", [X])])) == [Word.WRONG]

    def test_it_stands_alone_where_the_reference_cannot_tell(self, model, ran, sample):
        alien = model([node("Neg", ["x"], ["y"], domain="com.example")], [("x", "float", [3])], [("y", "float", [3])])
        for answer, word in ((-X, Word.OK), (-X * np.float32(1.0005), Word.OK), (X, Word.WRONG)):
            assert words(judge("case", alien, "", [sample([-X], x=X)], [ran("toy", [answer])])) == [word]

    @pytest.mark.parametrize("special", [np.nan, np.inf])
    def test_special_numbers_of_its_author_are_not_met_by_any_number(self, model, ran, sample, special):
        alien = model([node("Neg", ["x"], ["y"], domain="com.example")], [("x", "float", [3])], [("y", "float", [3])])
        expected = np.float32([special, 1, 2])
        for answer, word in ((expected, Word.OK), (np.float32([0, 1, 2]), Word.WRONG)):
            assert words(judge("case", alien, "", [sample([expected], x=X)], [ran("toy", [answer])])) == [word]


class TestDispute:
    def test_all_independent_backends_agree_and_not_with_the_reference(self, negated, ran, sample):
        verdicts = judge("case", negated, "", [sample(x=X)], [ran("one", [X]), ran("two", [X])])
        assert words(verdicts) == [Word.DISPUTE] * 2
        assert verdicts[0].message == "all backends agree, and not with the reference"
        assert verdicts[0].expected == -1.0

    def test_one_backend_at_two_settings_is_not_independent(self, negated, ran, sample):
        executions = [ran("one", [X]), ran("one:opt=0", [X]), ran("one==1.2@cuda", [X])]
        assert words(judge("case", negated, "", [sample(x=X)], executions)) == [Word.WRONG] * 3

    def test_a_graph_to_graph_tool_is_not_independent_of_its_runtime(self, negated, ran, sample):
        same = replace(ran("onnxsim", [X]), message=COMPARED)
        for others, expected in (
            ([ran("onnxruntime", [X])], [Word.WRONG]),
            ([ran("onnxruntime", [X]), ran("two", [X])], [Word.DISPUTE] * 2),
            ([ran("reference", [X])], [Word.WRONG]),
        ):
            verdicts = judge("case", negated, "", [sample(x=X)], [*others, same])
            assert words(verdicts) == [*expected, Word.UNDECIDABLE]

    def test_a_tool_on_whose_runtime_it_is_right_settles_it(self, negated, ran, sample):
        executions = [ran("onnxruntime", [X]), ran("two", [X]), ran("onnxslim", [-X])]
        verdicts = judge("case", negated, "", [sample(x=X)], executions)
        assert words(verdicts) == [Word.WRONG, Word.WRONG, Word.OK]
        assert ["agrees" in verdict.message for verdict in verdicts] == [False, True, False]

    def test_one_that_is_right_settles_it(self, negated, ran, sample):
        executions = [ran("one", [X]), ran("two", [X]), ran("three", [-X])]
        assert words(judge("case", negated, "", [sample(x=X)], executions)) == [Word.WRONG, Word.WRONG, Word.OK]

    def test_wrong_in_different_ways_is_wrong(self, negated, ran, sample):
        executions = [ran("one", [X]), ran("two", [X + 1])]
        assert words(judge("case", negated, "", [sample(x=X)], executions)) == [Word.WRONG] * 2

    def test_the_reference_itself_is_not_disputed(self, negated, ran, sample):
        executions = [ran("one", [X]), ran("reference", [X])]
        assert words(judge("case", negated, "", [sample(x=X)], executions)) == [Word.WRONG] * 2

    @pytest.mark.parametrize("answer", [X, -X, X + 1])
    def test_the_evaluator_is_no_witness_for_the_reference(self, negated, ran, sample, answer):
        executions = [ran("one", [X]), ran("reference", [answer]), ran("reference:threads=1", [-X])]
        verdicts = judge("case", negated, "", [sample(x=X)], executions)
        assert verdicts[0].verdict == Word.WRONG
        assert not any("agree" in verdict.message for verdict in verdicts)
        first, second, _ = judge("case", negated, "", [sample(x=X)], [executions[0], ran("two", [X]), executions[1]])
        assert words([first, second]) == [Word.DISPUTE] * 2

    def test_others_outvote_the_evaluator(self, negated, ran, sample):
        verdicts = judge("case", negated, "", [sample(x=X)], [ran("one", [-X]), ran("reference", [X])])
        assert words(verdicts) == [Word.OK, Word.WRONG]
        assert verdicts[1].message == "one agrees with the reference"

    def test_last_bits_may_differ(self, model, ran, sample):
        made = model([node("Mul", ["x", "x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])])
        one, two = np.float32([1.5]), np.nextafter(np.float32([1.5]), np.float32(2))
        executions = [ran("one", [one]), ran("two", [two])]
        assert words(judge("case", made, "", [sample(x=np.float32([1.1]))], executions)) == [Word.DISPUTE] * 2

    def test_an_output_of_which_nothing_is_known_does_not_settle_it(self, model, ran, sample):
        nodes = [node("Neg", ["x"], ["y"]), node("RandomNormalLike", ["x"], ["r"])]
        made = model(nodes, [("x", "float", [3])], [("y", "float", [3]), ("r", "float", [3])])
        executions = [ran("one", [X, X]), ran("two", [X, X + 1])]
        assert words(judge("case", made, "", [sample(x=X)], executions)) == [Word.DISPUTE] * 2

    def test_who_did_not_run_has_no_vote(self, negated, ran, ended, sample):
        executions = [ran("one", [X]), ended(Outcome.UNSUPPORTED, target="two")]
        assert words(judge("case", negated, "", [sample(x=X)], executions)) == [Word.WRONG, Word.UNSUPPORTED]


class TestAllclose:
    def test_against_the_reference(self, negated, ran, sample):
        near = -X * np.float32(1.0005)
        for rtol, word in ((1e-3, Word.OK), (1e-6, Word.WRONG)):
            oracle = Oracle("allclose", rtol=rtol, atol=0.0)
            assert words(judge("case", negated, "", [sample(x=X)], [ran("toy", [near])], oracle)) == [word]

    def test_the_absolute_part(self, negated, ran, sample):
        oracle = Oracle("allclose", rtol=0.0, atol=0.5)
        assert words(judge("case", negated, "", [sample(x=X)], [ran("toy", [-X + np.float32(0.5)])], oracle)) == [
            Word.OK
        ]

    def test_against_another_target(self, negated, ran, sample):
        oracle = Oracle("allclose", against="two")
        executions = [ran("one", [X]), ran("two", [X]), ran("three", [-X])]
        verdicts = judge("case", negated, "", [sample(x=X)], executions, oracle)
        assert words(verdicts) == [Word.OK, Word.OK, Word.WRONG]
        assert (verdicts[2].expected, verdicts[2].actual) == (3.0, -3.0)

    def test_against_a_target_that_did_not_run(self, negated, ran, ended, sample):
        oracle = Oracle("allclose", against="two")
        executions = [ran("one", [X]), ended(Outcome.CRASH, target="two")]
        verdicts = judge("case", negated, "", [sample(x=X)], executions, oracle)
        assert words(verdicts) == [Word.UNDECIDABLE, Word.CRASH]
        assert verdicts[0].message == "two has no result to compare with"

    @pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
    def test_special_numbers_are_near_to_themselves_alone(self, negated, ran, sample, special):
        oracle = Oracle("allclose", against="two")
        theirs = np.float32([special, 1, 2])
        for mine, word in ((theirs, Word.OK), (np.float32([0, 1, 2]), Word.WRONG)):
            executions = [ran("one", [mine]), ran("two", [theirs])]
            assert words(judge("case", negated, "", [sample(x=X)], executions, oracle))[0] is word

    def test_integers_have_the_tolerance_booleans_have_none(self, model, ran, sample):
        oracle = Oracle("allclose", rtol=0.5, atol=0.0)
        made = model([node("Neg", ["x"], ["y"])], [("x", "int32", [1])], [("y", "int32", [1])])
        assert words(judge("case", made, "", [sample(x=np.int32([-8]))], [ran("t", [np.int32([12])])], oracle)) == [
            Word.OK
        ]
        made = model([node("Not", ["x"], ["y"])], [("x", "bool", [1])], [("y", "bool", [1])])
        answer = [ran("t", [np.array([True])])]
        assert words(judge("case", made, "", [sample(x=np.array([True]))], answer, oracle)) == [Word.WRONG]

    def test_it_disputes_nothing(self, negated, ran, sample):
        executions = [ran("one", [X]), ran("two", [X])]
        assert words(judge("case", negated, "", [sample(x=X)], executions, Oracle("allclose"))) == [Word.WRONG] * 2


class TestSequences:
    """Sequences travel as lists, in and out."""

    def answer(self, ran, *arrays):
        sequence = [from_numpy(a) for a in arrays]
        return replace(ran("toy"), outputs=((sequence,),))

    def test_as_outputs_and_as_inputs(self, model, ran):
        nodes = [node("SequenceInsert", ["s", "x"], ["t"])]
        proto = onnx.ModelProto.FromString(model(nodes, [("x", "float", [3])], []))
        kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [3]))
        proto.graph.input.append(helper.make_value_info("s", kind))
        proto.graph.output.append(helper.make_value_info("t", kind))
        sample = Sample({"x": from_numpy(X), "s": [from_numpy(-X)]})
        for last, word in ((X, Word.OK), (-X, Word.WRONG)):
            answer = self.answer(ran, -X, last)
            assert words(judge("case", proto.SerializeToString(), "", [sample], [answer])) == [word]

    def test_against_another_target(self, negated, ran, sample):
        one, two = self.answer(ran, X), replace(self.answer(ran, X), target="two")
        oracle = Oracle("allclose", against="two")
        assert words(judge("case", negated, "", [sample(x=X)], [one, two], oracle)) == [Word.OK, Word.OK]
        other = replace(self.answer(ran, X + 1), target="two")
        assert words(judge("case", negated, "", [sample(x=X)], [one, other], oracle)) == [Word.WRONG, Word.OK]


class TestContracts:
    """What a target may hold in narrower types enters its bound; nobody else's."""

    def test_names_without_version_options_and_device(self):
        for text in ("tvm", "tvm==0.27", "tvm:opt=3", "tvm@cuda", "tvm==1:opt=3@cuda"):
            assert base_name(text) == "tvm"

    def test_who_holds_what(self):
        assert contract("onnxruntime").held == contract("toy").held == {}
        narrow = dict.fromkeys((dtype("int64"), dtype("uint64")), dtype("int32"))
        assert contract("openvino").held == {dtype("double"): dtype("float"), **narrow}
        assert contract("openvino:precision=f16").held[dtype("float")] is dtype("float16")
        assert contract("openvino:precision=bf16").held[dtype("float")] is dtype("bfloat16")

    def test_who_may_do_what(self):
        assert contract("toy") is PERMISSIVE
        assert not contract("onnxruntime:opt=0").half_accumulator
        assert contract("tvm:opt=3@cpu").half_accumulator
        assert not contract("jax:mode=eager").half_accumulator
        assert contract("jax:disable=algsimp").half_accumulator
        assert not contract("torch:mode=eager").half_accumulator
        assert contract("torch@cuda").half_accumulator
        assert not contract("onnxruntime@cpu").tf32
        assert contract("onnxruntime:opt=1@cuda").tf32
        assert contract("onnxruntime@cuda").winograd > 0

    def test_every_backend_in_the_table_has_a_contract(self):
        for name, entry in BACKENDS.items():
            for option, value, _ in (("", "", None), *entry.relaxed):
                text = f"{name}@{value}" if option == "@" else f"{name}:{option}={value}" if option else name
                assert contract(text).held is not None

    def test_double_held_in_float(self, model, ran, sample):
        made = model([node("Add", ["x", "x"], ["y"])], [("x", "double", [1])], [("y", "double", [1])])
        y = np.float64([np.float32(0.1) + np.float32(0.1)])
        executions = [ran("openvino", [y]), ran("onnxruntime", [y])]
        assert words(judge("case", made, "", [sample(x=np.float64([0.1]))], executions)) == [Word.OK, Word.WRONG]

    def test_targets_that_hold_the_same_types_in_different_ones_are_told_apart(self, model, ran, sample):
        made = model([node("Add", ["x", "x"], ["y"])], [("x", "float", [1])], [("y", "float", [1])])
        y = np.float32([2 * (1 + 2.0**-8)])  # what bfloat16 makes of 1 + 3 * 2**-9, and float16 does not
        x = np.float32([1 + 2.0**-8 + 2.0**-7])
        executions = [ran(f"openvino:precision={p}", [y]) for p in ("bf16", "f16")]
        forwards = words(judge("case", made, "", [sample(x=x)], executions))
        backwards = words(judge("case", made, "", [sample(x=x)], executions[::-1]))
        assert forwards == backwards[::-1]
        assert forwards == [Word.OK, Word.WRONG]
