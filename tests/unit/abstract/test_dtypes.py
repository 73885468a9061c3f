"""The element-type table against onnx's own enumeration and what numpy and ml_dtypes say of each type."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest

from abstract.dtypes import BY_CODE, BY_NAME, DTYPES, Kind, dtype

FLOATS = [row for row in DTYPES if row.is_float]
INTEGERS = [row for row in DTYPES if row.is_integer]


def test_every_type_of_onnx_has_its_row_and_no_row_is_invented():
    theirs = {name.lower(): code for name, code in onnx.TensorProto.DataType.items() if name != "UNDEFINED"}
    assert {row.name: row.code for row in DTYPES} == theirs


def test_names_and_codes_are_unique():
    assert len(BY_NAME) == len(BY_CODE) == len(DTYPES)


@pytest.mark.parametrize("row", DTYPES, ids=str)
def test_storage_is_what_onnx_stores(row):
    assert row.numpy == onnx.helper.tensor_dtype_to_np_dtype(row.code)


@pytest.mark.parametrize("row", FLOATS, ids=str)
def test_floats_agree_with_finfo(row):
    info = ml_dtypes.finfo(row.numpy)
    assert row.bits == info.bits
    assert row.maximum == float(info.max)
    assert row.minimum == float(info.min)
    assert row.smallest_normal == float(info.smallest_normal)
    assert row.unit == float(info.eps) / 2


@pytest.mark.parametrize("row", FLOATS, ids=str)
def test_the_unit_is_half_the_gap_above_one(row):
    one = np.ones((), row.numpy)
    above = (one.view(f"u{one.itemsize}") + 1).astype(f"u{one.itemsize}").view(row.numpy)
    assert float(above) - 1.0 == 2 * row.unit


@pytest.mark.parametrize("row", FLOATS, ids=str)
def test_the_extremes_of_floats_are_representable(row):
    for extreme in (row.maximum, row.minimum, row.smallest_normal):
        assert float(np.asarray(extreme).astype(row.numpy)) == extreme


@pytest.mark.parametrize("row", INTEGERS, ids=str)
def test_integers_agree_with_iinfo(row):
    info = ml_dtypes.iinfo(row.numpy)
    assert (row.bits, row.minimum, row.maximum) == (info.bits, int(info.min), int(info.max))
    assert (row.kind is Kind.SIGNED) == (row.minimum < 0)
    assert row.unit == 0.0


@pytest.mark.parametrize("row", FLOATS + INTEGERS, ids=str)
def test_the_carrier_holds_every_value(row):
    for extreme in (row.minimum, row.maximum):
        stored = np.asarray(extreme, dtype=row.carrier)
        assert stored.item() == extreme
        assert stored.astype(row.numpy).astype(row.carrier).item() == extreme


def test_bool_and_strings_are_neither_floats_nor_integers():
    for name in ("bool", "string", "complex64"):
        assert not dtype(name).is_float
        assert not dtype(name).is_integer


def test_an_unknown_type_is_a_key_error():
    with pytest.raises(KeyError):
        dtype("float32")
