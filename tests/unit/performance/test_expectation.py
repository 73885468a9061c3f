"""What a predictor expects of a model, against what the model takes."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

pytest.importorskip("torch", reason="predictors need it")
pytest.importorskip("torch_geometric", reason="predictors need it")
pytest.importorskip("safetensors", reason="predictors need it")

from corpus.predictor.checkpoint import save
from corpus.predictor.network import Settings, build
from corpus.predictor.target import Target
from corpus.predictor.training import Fitted
from fuzz.check import case_of
from fuzz.errors import UsageError
from fuzz.execute.target import parse_target
from fuzz.performance.expectation import expect, predictor
from fuzz.performance.measurement import Plan
from fuzz.performance.place import Place, place

PLAN = Plan(parse_target("onnxruntime"), parse_target("onnxruntime:opt=0"))
SUMS = Settings(features="costs", readout="shares", layers=1, width=8)
# A factor of e^5 is one spread: no load makes a millisecond of a microsecond six times over.
KNOWN = Target("latency_ms", 0.0, 1.0, 0.0, 5.0)


@pytest.fixture
def case(tmp_path):
    def make(text):
        body = f'<ir_version: 8, opset_import: ["" : 17]> {text}'
        (tmp_path / "model.onnx").write_bytes(parser.parse_model(body).SerializeToString())
        folder = tmp_path / "test_data_set_0"
        folder.mkdir()
        (folder / "input_0.pb").write_bytes(numpy_helper.from_array(np.ones((4, 4), np.float32)).SerializeToString())
        return case_of(tmp_path / "model.onnx", None, tmp_path)

    return make


def asked(case, target, settings=SUMS):
    return expect(case, Fitted(build(settings, 0), target), PLAN, threading.Event())


def test_what_is_expected_and_what_is_far_off(case):
    made = case("g (float[4,4] x) => (float[4,4] y) { t = MatMul (x, x)  y = Relu (t) }")
    found = asked(made, KNOWN)
    assert (found.why, found.far) == ("", False)
    assert found.measured > 0
    assert 0 < found.share <= 1
    assert found.node.rpartition(" ")[2] in {"(MatMul)", "(Relu)", "(input)", "(output)"}
    slow = asked(made, replace(KNOWN, offset=-50.0))
    assert slow.far
    assert slow.deviation > 6
    assert "FAR OFF" in slow.text()
    fast = asked(made, replace(KNOWN, offset=50.0))
    assert fast.far
    assert fast.deviation < -6
    assert not asked(made, replace(KNOWN, offset=-50.0, bias=50.0)).far


def test_a_node_that_takes_most_of_it_is_found(case):
    """The predictor expects next to nothing: what leaves the prediction is what takes most of the time."""
    slow = "e = Tile (x, s)  r = Relu (x)  m = MatMul (e, e)  a = ReduceSum <keepdims = 0> (m)  y = Add (r, a)"
    made = case(f"g (float[4,4] x) => (float[4,4] y) <int64[2] s = {{200, 200}}> {{ {slow} }}")
    found = asked(made, replace(KNOWN, offset=-50.0))
    assert asked(made, KNOWN).place is None
    assert found.far
    assert found.place.operator == "MatMul"
    assert found.place.share > 0.5
    assert "of the difference at m (MatMul); predicted to take" in found.text()
    assert found.to_json()["place"]["node"] == "m"
    shares = {share: replace(found, place=replace(found.place, share=share)).text() for share in (0.75, 1.0, 6.07)}
    assert "; 75% of the difference at m" in shares[0.75]
    assert "; 100% of the difference at m" in shares[1.0]
    assert "; all of the difference at m" in shares[6.07]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_node_at_which_half_of_the_excess_has_come_together(sign):
    text = "g (float[4] x) => (float[4] y) { a = Relu (x)  b = Neg (a)  c = Abs (b)  d = Exp (c)  y = Sin (d) }"
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}').SerializeToString()
    asked_for = []

    def excess(part):
        onnx.checker.check_model(part, full_check=True)
        assert [info.name for info in part.graph.input] == ["x"]
        asked_for.append(len(part.graph.node))
        return sign * sum({"Relu": 1, "Neg": 1, "Abs": 7}.get(node.op_type, 0.25) for node in part.graph.node)

    assert place(model, excess) == Place("c", "Abs", 7 / 9.5)
    assert asked_for == [5, 2, 3]
    assert place(model, lambda _part: 0.0) is None


def test_what_cannot_be_cut_has_no_place():
    text = "g (float[4] x, bool c) => (float[4] y) { y = If (c) <then_branch = t () => (float[4] z) { z = Relu (x) }, "
    text += "else_branch = e () => (float[4] z) { z = Neg (x) }> }"
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}').SerializeToString()
    assert place(model, lambda _part: 1.0) is None
    assert place(b"no model", lambda _part: 1.0) is None
    empty = parser.parse_model('<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] x) { }')
    assert place(empty.SerializeToString(), lambda _part: 1.0) is None


def test_a_mean_has_no_shares(case):
    made = case("g (float[4,4] x) => (float[4,4] y) { y = Relu (x) }")
    found = asked(made, KNOWN, replace(SUMS, readout="mean"))
    assert (found.node, found.share) == ("", 0.0)
    assert found.text().endswith("spreads)")


def test_a_size_that_is_not_fixed_cannot_be_predicted(case):
    found = asked(case("g (float[n,4] x) => (float[n,4] y) { y = Relu (x) }"), KNOWN)
    assert (found.why, found.far) == ("a size is not fixed", False)
    assert "no prediction: a size is not fixed" in found.text()


def test_predictors_that_cannot_judge_are_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    for target, said in ((replace(KNOWN, label="flops"), "no latency"), (replace(KNOWN, spread=None), "its error")):
        save(Fitted(build(SUMS, 0), target), path)
        with pytest.raises(UsageError, match=said):
            predictor(path)
    save(Fitted(build(SUMS, 0), KNOWN), path)
    assert predictor(path).target == KNOWN
    with pytest.raises(UsageError, match="cannot read"):
        predictor(tmp_path / "missing")
    path.write_bytes(b"none")
    with pytest.raises(UsageError, match="is no predictor"):
        predictor(path)
