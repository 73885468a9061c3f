"""What a failing answer is taken for before it is reduced."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx.parser
import pytest

from backends.protocol import Outcome, Stage
from backends.tensor import from_numpy
from fuzz.campaign.rough import rough_key, sites_of
from fuzz.execute.attempt import Attempt
from fuzz.judge.judge import Sample
from fuzz.judge.verdict import Verdict

MODEL = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
g (float[2] x) => (float[2] z) { [node_a] y = Relu(x) [node_b] z = Neg(y) }
""").SerializeToString()
SAMPLES = [Sample({"x": from_numpy(np.array([-1.0, 2.0], np.float32))})]


def attempt(outcome, message="", outputs=()):
    return Attempt(outcome, Stage.RUN, message, "", 0.0, 0.0, outputs)


def key(word, answer, run=None):
    verdict = Verdict("c", "tvm", 0, word, output="z")
    return rough_key("tvm", MODEL, SAMPLES, verdict, answer, run)


def exposed(*arrays):
    outputs = tuple(from_numpy(np.array(array, np.float32)) for array in arrays)
    return lambda _model: attempt(Outcome.OK, outputs=(outputs,))


WRONG = attempt(Outcome.OK, outputs=((),))


def test_a_wrong_answer_begins_where_its_values_first_part():
    found = key("wrong", WRONG, exposed([-1.0, 2.0], [1.0, -2.0]))
    assert found == ("tvm | wrong (value) | Relu:float", "Relu:float")


LONG = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
g (float[5] x) => (float[5] z) { y = Sin(x) z = Neg(y) }
""").SerializeToString()


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (lambda y: -y, "Sin negated"),
        (lambda y: y.astype(ml_dtypes.bfloat16).astype(np.float32), "held in bfloat16"),
        (lambda y: y + np.arange(5, dtype=np.float32) ** 3, "Sin other values"),
    ],
)
def test_how_it_is_wrong_stands_in_place_of_the_type_and_of_the_operator_where_that_says_enough(wrong, what):
    x = np.array([0.1, 0.7, 1.3, 2.1, 3.0], np.float32)
    y = wrong(np.sin(x))
    verdict = Verdict("c", "tvm", 0, "wrong", output="z")
    samples = [Sample({"x": from_numpy(x)})]
    found = rough_key("tvm", LONG, samples, verdict, WRONG, exposed(y, -y))
    assert found == (f"tvm | wrong (value) | {what}", "Sin:float")


@pytest.mark.parametrize("run", [exposed([0.0, 2.0], [0.0, -2.0]), lambda _: attempt(Outcome.CRASH), exposed([1.0])])
def test_where_exposing_tells_nothing_it_is_the_output(run):
    assert key("wrong", WRONG, run)[1] == "Neg:float"


def test_a_refusal_names_a_node_or_an_output_or_none():
    assert key("rejected", attempt(Outcome.REJECTED, "in node 'node_b': no"))[1] == "Neg:float"
    assert key("rejected", attempt(Outcome.REJECTED, "value y: no"))[1] == "Relu:float"
    told, site = key("rejected", attempt(Outcome.REJECTED, "no such thing"))
    assert (told, site) == ("tvm | rejected at run: no such thing | ", "")


def test_a_crash_has_its_signature_alone():
    assert key("crash", attempt(Outcome.CRASH, "the worker died of SIGSEGV"))[1] == ""


def test_a_reduced_model_is_put_down_to_its_last_node():
    assert sites_of(MODEL) == "Neg:float"
