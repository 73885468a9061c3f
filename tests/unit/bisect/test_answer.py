"""When what two versions did is one bug."""

from dataclasses import replace

import pytest

from fuzz.bisect.answer import Answer, State, alike, answer_of, skipped
from fuzz.judge.verdict import Verdict
from fuzz.triage.observation import Observation
from fuzz.triage.signature import Signature

VALUE = Verdict("candidate", "tvm", 0, "wrong", "y", 9.0, (1,), 0.8, 0.7981, 1e-4)
WRONG = Observation(Signature("wrong", symptom="value"), verdict=VALUE)
SHAPED = Verdict("candidate", "tvm", 0, "wrong", "y", message="shape [1] where [] is due")
SHAPE = Observation(Signature("wrong", symptom="shape"), verdict=SHAPED)
SQUEEZE = "Non-zero status code returned while running Squeeze node. Name:'' Status Message: "
PLACE = "/core/squeeze.h:77 virtual common::Status onnxruntime::Squeeze::Compute(onnxruntime::OpKernelContext*) const "
AXES = "axes_tensor != nullptr was false. Axes input is null"
OLD = f"RuntimeException: [ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {SQUEEZE}/src{PLACE}{AXES}"
NEW = f"Fail: [ONNXRuntimeError] : 1 : FAIL : {SQUEEZE}/build/b{PLACE}{AXES}"
OTHER = f"Fail: [ONNXRuntimeError] : 1 : FAIL : {SQUEEZE}/src{PLACE}Dimension of input 0 must be 1 instead of 3"


def refused(said, message="cut off"):
    return Observation(Signature("rejected", "run", message=message), said=said)


def crashed(*frames, signal="SIGSEGV"):
    return Observation(Signature("crash", "run", message=signal, frames=frames))


def wrong(**changes):
    return replace(WRONG, verdict=replace(VALUE, **changes))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WRONG, WRONG),
        (WRONG, wrong(actual=0.7985)),
        (wrong(actual="nan"), wrong(actual="nan")),
        (SHAPE, SHAPE),
        (refused(OLD, "a"), refused(NEW, "b")),
        (refused("whatever"), refused("else")),
        (crashed("f", "g"), crashed("g", "h")),
        (crashed(), crashed("g")),
    ],
)
def test_one_bug_in_two_versions(one, other):
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WRONG, SHAPE),
        # The same inputs, another wrong number: memory that was freed, say.
        (WRONG, wrong(actual=-1.0)),
        (WRONG, wrong(actual="nan")),
        (WRONG, wrong(index=(0,))),
        (WRONG, replace(WRONG, verdict=None)),
        (SHAPE, replace(SHAPE, verdict=replace(SHAPE.verdict, message="shape [2] where [] is due"))),
        # The function is the same, and its words are many; what it says is another thing.
        (refused(OLD, "a"), refused(OTHER, "b")),
        (refused(NEW), replace(refused(NEW), signature=Signature("rejected", "import", message="cut off"))),
        (crashed("f"), crashed("h")),
        (crashed(), crashed(signal="SIGFPE")),
    ],
)
def test_two_bugs(one, other):
    assert not alike(one, other)
    assert not alike(other, one)


@pytest.mark.parametrize(
    ("seen", "answer"),
    [
        (WRONG, Answer(State.BAD)),
        (wrong(actual=-1.0), Answer(State.OTHER, "wrong (value): -1.0 where 0.8 is due")),
        (Observation(Signature("ok")), Answer(State.GOOD)),
        # The judge cannot say that it is right.
        (Observation(Signature("suspect")), Answer(State.SKIP, "suspect")),
        (Observation(Signature("unsupported", "run"), said="no"), Answer(State.SKIP, "unsupported at run: no")),
        (Observation(Signature("undecidable")), Answer(State.SKIP, "undecidable")),
        (Observation(Signature("dispute")), Answer(State.SKIP, "dispute")),
        (Observation(Signature("error"), fit=False, problem="no shape"), Answer(State.SKIP, "no shape")),
        (refused(OLD), None),
    ],
)  # fmt: skip
def test_what_a_version_did(seen, answer):
    found = answer_of(seen, WRONG.signature, WRONG)
    if answer is None:
        assert found.state is State.OTHER
        assert found.said.startswith("rejected at run: RuntimeException")
        assert found.said.endswith("Axes input is null")
        assert "/src" not in found.said
        assert len(found.said) < 200
        return
    assert found == answer


def test_where_it_was_found_the_kind_of_failure_is_enough():
    told = Signature("rejected", "run", message="as another release of this program put it")
    assert answer_of(refused(OLD), told).state is State.BAD
    assert answer_of(WRONG, told).state is State.OTHER


def test_answers_are_read_back():
    for answer in (Answer(State.GOOD), Answer(State.BAD, plain=True), replace(skipped("no\n index"), passing=True)):
        assert Answer.from_json(answer.to_json()) == answer
    with pytest.raises(ValueError, match="dreadful"):
        Answer.from_json({"word": "dreadful"})
