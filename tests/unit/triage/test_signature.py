"""What tells one failure from another, and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from backends.protocol import Outcome, Stage
from fuzz.execute.attempt import Attempt
from fuzz.judge.verdict import Verdict
from fuzz.triage.signature import Signature, blamed, element_types, identity, pattern, signature_of
from tests.unit.triage.conftest import candidate, text


def seen(word, message="", stderr="", stage=Stage.COMPILE, names=(), **told):
    outcome = Outcome.OK if word in {"wrong", "ok"} else Outcome(word)
    attempt = Attempt(outcome, stage, message, stderr, 0.0, 0.0, ())
    verdict = Verdict("c", "t", 0, word, message=told.pop("told", message), **told)
    return signature_of(verdict, attempt, names)


@pytest.mark.parametrize(
    ("told", "symptom"),
    [
        ({"actual": 1.0, "expected": 2.0}, "value"),
        ({"actual": "nan", "expected": 2.0}, "not finite"),
        ({"actual": 3.0, "expected": "inf"}, "not finite"),
        ({"actual": "nan", "expected": "inf"}, "value"),
        ({"told": "shape [1] where [] is due"}, "shape"),
        ({"told": "element type int32 where int64 is due"}, "element type"),
        ({"told": "a sequence where a tensor is due"}, "container"),
        ({"told": "a tensor where a sequence is due"}, "container"),
        ({"told": "one side is an absent optional, the other is not"}, "container"),
        ({"told": "1 outputs where 2 are due"}, "count"),
    ],
)
def test_what_is_wrong_of_a_wrong_answer(told, symptom):
    assert seen("wrong", **told) == Signature("wrong", symptom=symptom)


def test_a_message_is_the_same_whatever_the_model_is_called():
    one = seen("rejected", "Node (conv7) Op (Conv) of shape {2,3,4} in /tmp/b.onnx failed: 0x7f12", names=("conv7",))
    two = seen("rejected", "Node (x) Op (Conv) of shape {1,1} in /home/c.onnx failed: 0x12", names=("x",))
    three = seen("rejected", "Node (head) Op (Gemm) of shape {1,1} in /home/c.onnx failed: 0x12", names=("head",))
    assert one == seen("rejected", "Node (other) Op (Conv) of shape {5} in /tmp/b.onnx failed: 0x7f", names=("other",))
    assert two != three
    assert "Conv" in one.message


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("RuntimeError: Exception from a/b.cpp:1:\nException from a/c.cpp:2:\nCheck 'x' failed at d.cpp:3:\nno edge\n",
         "no edge"),
        ("Exception from a/b.cpp:1:\nException from a/c.cpp:2:\n[CPU] only spatial dimensions\n\n", "only spatial"),
        ("Exception from a/b.cpp:1:", "Exception from"),
        ("one line\nand its details of 7 values", "one line"),
    ],
)  # fmt: skip
def test_a_message_begins_where_it_tells_something(message, told):
    found = seen("rejected", message)
    assert told in found.message
    assert "details" not in found.message
    assert found == seen("rejected", message.replace(":1:", ":99:"))


@pytest.mark.parametrize("name", ["mine.secret/conv", "secret conv-7", "s" * 600])
def test_names_go_whatever_they_are_made_of(name):
    spelled = name.replace(".", "_").replace("/", "_").replace(" ", "_").replace("-", "_")
    for text_ in (f"cannot run {name} at all", f"cannot run {spelled}_0 at all", f"cannot run tvmgen_{spelled} at all"):
        assert "s" * 9 not in seen("rejected", text_, names=(name,)).message
        assert "secret" not in seen("rejected", text_, names=(name,)).message


def test_lists_of_names_are_one_name():
    words = "inputs of Concat {} cannot be combined"
    assert seen("rejected", words.format("n3, n5")) == seen("rejected", words.format("n1"))


def test_a_crash_is_its_signal_its_stage_and_its_frames():
    stack = 'Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File "/a/b.py", line 7 in go\n'
    found = seen("crash", "the worker died of SIGSEGV", stack)
    assert found == Signature("crash", "compile", message="SIGSEGV", frames=("b.py go",))
    assert found != seen("crash", "the worker died of SIGSEGV", stack.replace("in go", "in come"))
    assert found == seen("crash", "the worker died of SIGSEGV", "warning: node n7\n" + stack)
    assert str(found) == "crash at compile: SIGSEGV < b.py go"


def test_what_took_too_long_or_too_much_is_told_by_its_stage():
    assert seen("timeout", "stopped after 2.0 s") == Signature("timeout", "compile")
    assert seen("oom", "stopped at 9 MiB", stage=Stage.RUN) == Signature("oom", "run")
    assert seen("ok") == Signature("ok")


def test_a_signature_survives_a_file():
    found = seen("crash", "the worker died of SIGABRT", '  File "/a/b.py", line 7 in go\n')
    assert Signature.from_json(found.to_json()) == found


def test_a_pattern_is_the_structure_and_the_types():
    one = text("g (float[2] x, float[2] z) => (float[6] y) { a = Relu (x) b = Neg (z)  y = Concat <axis=0> (a, a, b) }")
    two = text("h (float[9] p, float[9] q) => (float[9] r) { u = Neg (q)  v = Relu (p)  r = Concat <axis=0> (v, u) }")
    found = [pattern(proto, element_types(proto)) for proto in (one, two)]
    assert found == ["Concat(Relu(float),Neg(float))"] * 2
    half = text("g (float16[2] x) => (float16[2] y) { y = my.Relu (x) }")
    assert pattern(half, element_types(half)) == "my.Relu(float16)"


def test_a_pattern_names_what_is_in_a_body():
    proto = text("""g (float[2] x, bool p) => (float[2] y) {
        y = If (p) <then_branch = t () => (float[2] u) { u = Exp (x) },
                    else_branch = e () => (float[2] o) { o = Neg (x) }> }""")
    assert pattern(proto, element_types(proto)) == "If{Exp,Neg}(bool)"


def test_an_identity_leaves_versions_out():
    signature = Signature("wrong", symptom="value")
    assert identity("tvm==0.27:opt=3", signature, "Exp(float)") == "tvm | wrong (value) | Exp(float)"


def test_what_else_a_model_has_is_none_of_the_message():
    told = "tool changes the model's signature: input 'x' is gone"
    few, many = seen("rejected", f"{told} (inputs are y)"), seen("rejected", f"{told} (inputs are y, z, longer)")
    assert few == many == seen("rejected", told)
    assert few.message == "tool changes the model's signature: input N is gone"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("[ShapeInferenceError] (op_type:TopK, node name: N): Output N is out of bounds.", "TopK"),
        ("Non-zero status code returned while running Sigmoid node. Name:N", "Sigmoid"),
        ("Node (N) Op (TopK) [TypeInferenceError]", "TopK"),
        ("(op_type:Sigmoid) after (op_type:TopK)", "Sigmoid; TopK"),
        ("Node (N) Op (QuantizeLinear) that a pass has made", ""),
        ("(op_type:TopKay) TopK is mentioned", ""),
    ],
)
def test_a_refusal_may_name_its_operator(message, expected):
    proto = text("g (float[3] x, int64[1] k) => (float[1] y) { v, i = TopK (x, k)  y = Sigmoid (v) }")
    assert blamed(message, proto) == expected


def test_findings_that_name_their_operator_are_told_apart_by_it(reduced):
    said = Signature("rejected", "import", message="(op_type:Exp): no")
    cases = [
        candidate(f"g (float[3] x) => (float[3] y) {{ e = Exp (x)  y = {after} (e) }}", [np.ones(3, np.float32)])
        for after in ("Neg", "Abs")
    ]
    found = [reduced(case, lambda proto, _: said if len(proto.graph.node) == 2 else False) for case in cases]
    assert {one.identity("tool") for one in found} == {"tool | rejected at import: (op_type:Exp): no | Exp"}
