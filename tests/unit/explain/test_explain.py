"""Which node is wrong, and what it needs around it in order to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from backends.entry import Entry
from fuzz.case import find_cases
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.explain import Explainer
from fuzz.judge.verdict import Verdict, Word

TABLE = {
    "contextual": Entry(
        name="contextual",
        module=str(Path(__file__).with_name("contextual_backend.py")),
        distributions=("onnx",),
        requirements=("onnx",),
    )
}

ONE, TWO = np.float32([0.5, -1.5, 2.5]), np.float32([-1.0, 3.5, 0.25])


@pytest.fixture
def explain(tmp_path):
    """What is found of a model in text form on some data sets, for a wrong answer to the last of them."""

    def found(body: str, *data_sets: np.ndarray):
        folder = tmp_path / "root" / "case"
        folder.mkdir(parents=True)
        model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        for number, array in enumerate(data_sets):
            place = folder / f"test_data_set_{number}"
            place.mkdir()
            (place / "input_0.pb").write_bytes(onnx.numpy_helper.from_array(array).SerializeToString())
        (case,) = find_cases(tmp_path / "root")
        target = parse_target("contextual", TABLE)
        verdict = Verdict(case.id, target.canonical, len(data_sets) - 1, Word.WRONG.value)
        with Explainer([target], Limits(60.0, 1 << 30)) as explainer:
            divergence = explainer.explain(case, verdict)
        with Explainer([target], Limits(60.0, 1 << 30)) as explainer:
            (told,) = explainer.with_nodes({case.id: case}, [verdict])
        return divergence, told

    return found


def test_the_other_nodes_that_a_fault_needs_are_named(explain):
    found, told = explain(
        """g (float[3] x) => (float[3] y, float[3] z) {
             [n0] a = Abs (x) [n1] s = Sqrt (a) [n2] f = Floor (a) [n3] y = Neg (s) [n4] z = Add (y, f) }""",
        ONE,
    )
    assert (found.node, found.alone, found.hidden, found.after) == ("n3", False, False, False)
    assert found.needs == (("Abs", "n0"), ("Floor", "n2"))
    assert told.verdict == "wrong"
    assert told.node == (
        "Neg 'n3', output 'y'; the node alone is right, wrong only together with Abs 'n0' and Floor 'n2'"
    )


def test_the_data_set_before_is_named_where_a_fault_needs_it(explain):
    found, told = explain("g (float[3] x) => (float[3] y) { [n0] a = Abs (x) [n1] y = Exp (a) }", ONE, TWO)
    assert (found.node, found.alone, found.needs, found.after) == ("n1", False, (), True)
    assert told.node == "Exp 'n1', output 'y'; the node alone is right, wrong only after other data sets"


def test_what_a_new_process_does_not_repeat_is_flaky(explain):
    found, told = explain("g (float[3] x) => (float[3] y) { [n0] y = Sin (x) }", ONE)
    assert found.gone
    assert (told.verdict, told.node) == ("flaky", None)
    assert "run again in a new process" in told.message


def test_what_only_the_whole_model_shows_has_its_nodes_named_too(explain):
    found, told = explain(
        """g (float[3] x) => (float[3] y, float[3] z) {
             [n0] a = Relu (x) [n1] b = Neg (a) [n2] c = Tan (x) [n3] y = Cos (b) [n4] z = Ceil (c) }""",
        ONE,
    )
    assert (found.node, found.hidden, found.entire) == ("n3", True, True)
    assert found.needs == (("Neg", "n1"), ("Tan", "n2"))
    where = "Cos 'n3', output 'y', of the model as a whole, wrong only together with Neg 'n1' and Tan 'n2': "
    assert told.node.startswith(where)
