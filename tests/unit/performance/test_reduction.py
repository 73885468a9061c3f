"""A slow model made small: what is left is slow by the rule of `fuzz perf`, and nothing else is taken for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper, parser

from backends.tensor import from_numpy
from fuzz.errors import UsageError
from fuzz.performance.comparison import Comparison, Threshold
from fuzz.triage.candidate import Candidate
from fuzz.triage.run import Wish, reduce_model
from fuzz.triage.slowness import SlowPredicate, _bar


def serialized(side: int) -> bytes:
    shape = f"float[{side},{side}]"
    body = f"g ({shape} x) => ({shape} y) {{ a = Exp (x) y = Add (a, x) }}"
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}').SerializeToString()


@pytest.fixture
def model(tmp_path):
    """Its file, with an input beside it, of so many elements along each of two axes."""

    def make(side: int):
        data = tmp_path / "test_data_set_0"
        data.mkdir()
        value = np.linspace(-1, 1, side * side, dtype=np.float32).reshape(side, side)
        (data / "input_0.pb").write_bytes(numpy_helper.from_array(value, "x").SerializeToString())
        (tmp_path / "model.onnx").write_bytes(serialized(side))
        return tmp_path / "model.onnx"

    return make


def test_the_node_that_is_slow_is_left(plan, model, tmp_path):
    predicate = SlowPredicate(plan("heavy=Exp", "run=linear"))
    done = reduce_model(Wish(model(200), None, tmp_path / "small", sized=predicate.subject), predicate)
    assert (done.nodes_before, done.pattern, done.repeats) == (2, "Exp(float)", True)
    assert done.last.said.startswith("a run takes 3.")
    said = json.loads((tmp_path / "small/reduction.json").read_text("utf-8"))
    assert (said["signature"]["word"], said["slower"]) == ("slow", done.last.said)
    assert not (tmp_path / "small/repro.py").exists()


def test_a_model_that_is_not_slow_is_refused(plan, model, tmp_path):
    predicate = SlowPredicate(plan("run=twin", "run=linear"))
    with pytest.raises(UsageError, match=r"is ok on slow:run=twin .*1\.0\d times as long"):
        reduce_model(Wish(model(400), None, tmp_path / "small"), predicate)


def test_what_is_too_small_or_cannot_be_timed_is_not_slow(plan):
    case = Candidate(serialized(40), ({"x": from_numpy(np.ones((40, 40), np.float32))},))
    said = {}
    for options in ("run=triple", "run=refuses"):
        predicate = SlowPredicate(plan(options, "run=linear"))
        said[options] = predicate.examine(case, lambda function, *arguments: function(*arguments))
        predicate.stop()
    assert [found.signature.word for found in said.values()] == ["ok", "undecidable"]
    assert said["run=triple"].said.startswith("too small to judge: 0.09")
    assert "cannot be timed" in said["run=refuses"].said


def test_a_model_on_which_the_reference_is_not_defined_is_no_candidate(plan):
    text = "g (float[200,200] x, int64[1] i) => (float[n] y) { y = Reshape (x, i) }"
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}').SerializeToString()
    feed = {"x": from_numpy(np.ones((200, 200), np.float32)), "i": from_numpy(np.array([7]))}
    predicate = SlowPredicate(plan("run=triple", "run=linear"))
    found = predicate.examine(Candidate(model, (feed,)), lambda function, *arguments: function(*arguments))
    predicate.stop()
    assert (found.signature.word, found.fit) == ("slow", False)


def test_what_one_side_would_fold_is_not_taken_for_slow(plan):
    """The same nodes on a constant are folded by an optimiser, whatever made the first case slow."""
    first = Candidate(serialized(200), ({"x": from_numpy(np.ones((200, 200), np.float32))},))
    frozen = first.proto()
    frozen.graph.initializer.append(numpy_helper.from_array(np.ones((200, 200), np.float32), "x"))
    del frozen.graph.input[:]
    predicate = SlowPredicate(plan("run=triple", "run=linear"))
    said = [
        predicate.examine(candidate, lambda function, *arguments: function(*arguments)).signature.word
        for candidate in (first, Candidate(frozen.SerializeToString(), ({},)))
    ]
    predicate.stop()
    assert said == ["slow", "undecidable"]


def test_candidates_are_held_to_a_higher_bar_than_the_first():
    def measured(ratio):
        return Comparison((ratio * 2e-3,) * 8, (2e-3,) * 8, 1e-6)

    limit = Threshold()
    far, near = _bar(limit, [measured(3.0)] * 2), _bar(limit, [measured(3.0), measured(1.6)])
    assert (far.ratio, far.seconds) == pytest.approx((1.5 * 1.25, 1.25e-3))
    assert 1.5 < near.ratio < 1.6
    assert 1e-3 < near.seconds < 1.2e-3
    assert replace(near, ratio=0, seconds=0) == replace(limit, ratio=0, seconds=0)


def test_other_thresholds_are_other_questions(plan):
    made = plan("run=triple", "run=linear")
    headings = [SlowPredicate(one).heading for one in (made, replace(made, threshold=Threshold(2.0)))]
    assert headings[0] != headings[1]
    assert json.loads(json.dumps(headings[0])) == headings[0]
