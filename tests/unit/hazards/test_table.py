"""The table of hazards against the texts of the installed onnx: each row's claim is looked up there."""

from __future__ import annotations

import re

import onnx.defs
import onnxruntime
import pytest

from abstract.contributed import CONTRIBUTED, qualified
from abstract.hazards import BY_ID, HAZARDS, Says, Treatment, hazards_of

VERSIONS: dict[str, set[int]] = {}
for _schema in onnx.defs.get_all_schemas_with_history():
    if not _schema.domain and not _schema.deprecated:
        VERSIONS.setdefault(_schema.name, set()).add(_schema.since_version)

_KNOWN = onnxruntime.capi.onnxruntime_pybind11_state.get_all_operator_schema()
CONTRIBUTED_TEXTS = {name: s for s in _KNOWN if (name := qualified(s.domain, s.name)) in CONTRIBUTED}
VERSIONS |= {name: {1} for name in CONTRIBUTED_TEXTS}


def text(operator, version):
    schema = CONTRIBUTED_TEXTS.get(operator) or onnx.defs.get_schema(operator, version)
    ports = [p.description for p in (*schema.inputs, *schema.outputs)]
    return "\n".join([schema.doc, *(a.description for a in schema.attributes.values()), *ports])


def covered(row, operator):
    return [v for v in VERSIONS.get(operator, ()) if v >= row.since and (row.until is None or v < row.until)]


@pytest.mark.parametrize("row", HAZARDS, ids=lambda row: row.id)
class TestRows:
    def test_there_are_versions_of_each_operator(self, row):
        assert all(covered(row, operator) for operator in row.operators)

    def test_the_text_speaks_or_is_silent_as_the_row_says(self, row):
        for operator in row.operators:
            for version in covered(row, operator):
                found = re.search(row.words, text(operator, version), re.IGNORECASE)
                assert bool(found) is (row.says is not Says.SILENT), (operator, version, found)

    def test_it_is_written_for_readers(self, row):
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+|upsample", row.id)
        assert row.condition
        assert row.place
        assert row.operators == tuple(sorted(row.operators))
        assert row.words

    def test_what_the_text_defines_is_compared_unless_there_is_a_reason(self, row):
        if row.treatment is Treatment.COMPARE:
            assert row.detect is None
            assert not row.stops


def test_names_are_unique():
    assert len(BY_ID) == len(HAZARDS)


def test_the_version_of_an_operator_decides():
    assert [row.id for row in hazards_of("BitShift", 11)] == ["shift-beyond-width"]
    assert [row.id for row in hazards_of("BitShift", 28)] == ["shift-beyond-width-defined"]
    assert hazards_of("Identity", 13) == ()
