"""What a predictor expects of a model, against what the model takes."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
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
