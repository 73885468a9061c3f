"""Subnormal numbers: who meets them is not called slow."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import onnx.parser
import pytest

from backends.tensor import from_numpy
from fuzz.case import find_cases
from fuzz.judge.verdict import Word
from fuzz.performance import climb, speed, subnormal
from fuzz.performance.subnormal import slowed_by_subnormals
from fuzz.performance.timer import Subject


def subject(values: list[float], body: str = "y = Mul (x, x)") -> Subject:
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[n] x) => (float[n] y) {{ {body} }}'
    return Subject(onnx.parser.parse_model(text).SerializeToString(), ((from_numpy(np.array(values, np.float32)),),))


def test_a_value_on_the_way_counts():
    assert slowed_by_subnormals(subject([1e-20, 1.0]))
    assert not slowed_by_subnormals(subject([0.0, 1.0]))


def test_what_the_reference_cannot_tell_is_not_held_against_the_target(monkeypatch):
    assert not slowed_by_subnormals(replace(subject([1e-20]), model=b"no model"))
    monkeypatch.setattr(subnormal, "_LARGEST", 1)
    assert not slowed_by_subnormals(subject([1e-20, 1.0]))


@pytest.mark.parametrize(("module", "judge", "way"), [
    (speed, speed.judge_run, "triple"), (climb, climb.judge_growth, "quadratic"),
])  # fmt: skip
def test_a_slow_case_with_subnormals_is_undecidable(monkeypatch, case, plan, pair, module, judge, way):
    monkeypatch.setattr(module, "slowed_by_subnormals", lambda _: True)
    made = plan(f"run={way}", "run=linear")
    found = judge(case(), made, pair(made), threading.Event())
    assert found.word is Word.UNDECIDABLE
    assert "subnormal" in found.message


def test_growth_that_cannot_be_counted_is_undecidable(tmp_path, case, plan, pair):
    made = case()
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[n] x) => (int64[1, m] y) { y = NonZero (x) }'
    made.model_path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    chosen = plan("run=linear", "run=twin")
    found = climb.judge_growth(find_cases(tmp_path / "root")[0], chosen, pair(chosen), threading.Event())
    assert found.word is Word.UNDECIDABLE
    assert "not known before it runs" in found.message


def test_growth_of_what_is_refused_is_undecidable(case, plan, pair):
    chosen = plan("run=refuses", "run=linear")
    found = climb.judge_growth(case(elements=2000), chosen, pair(chosen), threading.Event())
    assert found.word is Word.UNDECIDABLE
    assert "unsupported so many elements" in found.message
