"""The whole standard: each operator that ONNX has is either made or left out for a reason."""

from __future__ import annotations

import onnx.defs
import pytest

from abstract.contributed import CONTRIBUTED
from abstract.operators import FAMILIES, TABLE
from abstract.operators.absent import ABSENT
from abstract.schema import newest_opset, signature
from fuzz.generate.plan import menu
from fuzz.generate.settings import Settings

OWN = {name for name in TABLE if name not in CONTRIBUTED}
NEWEST = sorted({s.name for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated})
MISSING = {"Constant"}


def test_each_operator_has_a_row_or_a_reason():
    assert set(NEWEST) - OWN - set(ABSENT) <= MISSING
    assert not OWN & set(ABSENT)
    assert OWN | set(ABSENT) <= set(NEWEST)
    assert set(TABLE) - OWN == set(CONTRIBUTED)


def test_reasons_are_words():
    assert all(len(reason.split()) > 4 for reason in ABSENT.values())


@pytest.mark.parametrize("opset", range(13, newest_opset() + 1))
def test_each_operator_of_an_opset_is_on_its_menu(opset):
    """But those whose meaning changed since, which the row gives from a later version on."""
    there = {name for name in OWN if _has(name, opset)}
    late = {name for name in there if TABLE[name].since > opset}
    assert set(menu(Settings(opset=opset))) == there - late
    if opset == newest_opset():
        assert not late


def _has(name, opset):
    try:
        return not onnx.defs.get_schema(name, opset).deprecated and signature(name, opset).since > 0
    except onnx.defs.SchemaError:
        return False


def test_each_row_stands_in_one_file():
    assert set(FAMILIES) == set(TABLE)
    assert FAMILIES["Conv"] == "convolution"
