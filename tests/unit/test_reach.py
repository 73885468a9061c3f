"""Pairs of operator and element type: as the generator knows them, and as they are read from a model."""

from __future__ import annotations

import onnx
import pytest

from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.reach import drawn, pairs


@pytest.mark.untraced
def test_what_is_drawn_is_what_the_model_holds():
    operators = ("Add", "If", "Range", "ConstantOfShape", "Cast", "Conv", "Clip", "Loop", "com.microsoft.Gelu")
    settings = Settings(nodes=(3, 8), operators=operators, domains=("com.microsoft",))
    seen = set()
    for seed in range(40):
        made = generate_case(Seeded(seed), settings)
        known = set(drawn(made.graph))
        read = {pair for pair in pairs(onnx.ModelProto.FromString(made.model)) if pair[0] != "Constant"}
        unsure = {operator for operator, kind in read if not kind}  # ONNX does not infer them all
        assert {pair for pair in known if pair[0] not in unsure} == {pair for pair in read if pair[0] not in unsure}
        assert {operator for operator, _ in known} == {operator for operator, _ in read}
        seen |= known
    assert {("Range", "int64"), ("ConstantOfShape", "int64"), ("Cast", "bool")} <= seen
    assert set(operators) <= {operator for operator, _ in seen}
