"""ONNX Runtime timed: work that its optimiser takes away is found missing in its unoptimised form, and only there."""

from __future__ import annotations

import threading

import numpy as np
import onnx
import onnx.parser
import pytest

from backends.tensor import from_numpy
from fuzz.case import DataSet, open_root, write_case
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.judge.verdict import Word
from fuzz.performance.climb import judge_growth
from fuzz.performance.measurement import Plan
from fuzz.performance.speed import judge_run

FOLDED = """g (float[n, 640] x) => (float[n, 640] y) {
    s = Constant <value = int64[2] {640, 640}> ()
    w = ConstantOfShape <value = float[1] {0.5}> (s)
    a = MatMul (w, w)
    b = MatMul (a, w)
    y = Add (x, b)
}"""


@pytest.fixture
def case(tmp_path):
    def make(body: str, **inputs):
        model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')
        open_root(tmp_path)
        data = DataSet({name: from_numpy(array) for name, array in inputs.items()})
        made = write_case(tmp_path, "case", model.SerializeToString(), [data], {})
        (made.folder / "case.json").unlink()
        return made

    return make


def judged(judge, case, candidate, baseline):
    plan = Plan(parse_target(candidate), parse_target(baseline), pairs=10, limits=Limits(10.0, 2 << 30))
    stop = threading.Event()
    with plan.pair(stop) as pair:
        return judge(case, plan, pair, stop)


def test_work_that_could_be_folded_is_slow(case):
    made = case(FOLDED, x=np.ones((640, 640), np.float32))
    found = judged(judge_run, made, "onnxruntime:opt=0", "onnxruntime")
    assert found.word is Word.SLOW, found.message
    assert all(comparison.ratio > 2 for comparison in found.comparisons)
    assert judged(judge_run, made, "onnxruntime", "onnxruntime:opt=0").word is not Word.SLOW


def test_products_grow_as_they_are_counted(case):
    body = "g (float[n, k] x, float[k, n] w) => (float[n, n] y) { y = MatMul (x, w) }"
    made = case(body, x=np.ones((16, 16), np.float32), w=np.ones((16, 16), np.float32))
    found = judged(judge_growth, made, "onnxruntime", "onnxruntime:opt=0")
    assert found.word is Word.OK, found.message
    assert found.points[-1].seconds > 5 * found.points[0].seconds
