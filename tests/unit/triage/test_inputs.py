"""A candidate whose inputs are not of the types that its model declares is none: a target may refuse them."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from backends.tensor import from_numpy
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits
from fuzz.triage.candidate import Candidate
from fuzz.triage.predicate import VerdictPredicate

ONE, TWO = from_numpy(np.zeros(1, np.uint8)), from_numpy(np.zeros((1, 2), np.uint8))


def observed(kind, value):
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
        g ({kind} x, float z) => (float y) {{ y = Identity (z) }}"""
    model = onnx.parser.parse_model(text).SerializeToString()
    feed = {"x": value, "z": from_numpy(np.array(1, np.float32))}
    predicate = VerdictPredicate(parse_target("onnxruntime"), Limits(60.0, 4096 << 20))
    try:
        return predicate.examine(Candidate(model, (feed,)), lambda function, *arguments: function(*arguments))
    finally:
        predicate.stop()


@pytest.mark.parametrize(
    ("kind", "value"), [("optional(uint8[1,2])", ONE), ("seq(uint8[1,2])", [TWO, ONE]), ("uint8[1,2]", ONE)]
)
def test_an_input_of_another_shape_is_no_candidate(kind, value):
    found = observed(kind, value)
    assert not found.fit
    assert "asks for rank 2" in found.problem


@pytest.mark.parametrize(
    ("kind", "value"), [("optional(uint8[1,n])", TWO), ("optional(uint8[1,2])", None), ("seq(uint8[1,2])", [TWO])]
)
def test_inputs_that_fit_are_run(kind, value):
    assert observed(kind, value).fit
