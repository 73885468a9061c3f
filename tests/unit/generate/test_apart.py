"""Initializers whose data lies in files beside the model."""

from __future__ import annotations

from functools import cache

import onnx
import onnx.checker
import pytest

from backends.external import check_external_data, read_model
from fuzz.case import digest, open_root, read_record, write_case
from fuzz.diversify.replay import replay
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.storage import apart
from fuzz.mutate.parent import read_parent

PLAIN = ("Add", "MatMul", "Relu", "Transpose", "Reshape", "Slice", "Gather", "Conv", "TopK")
STRINGS = "string[20,1] w = {" + ", ".join(['"a"'] * 20) + "}"
SETTINGS = Settings(nodes=(3, 8), operators=PLAIN, dtypes=("float", "int64"), structure=("external",))


@cache
def generated():
    made = [generate_case(Seeded(seed), SETTINGS) for seed in range(120)]
    return [case for case in made if case.apart is not None]


def test_a_good_part_of_the_models_have_such_data_in_every_form():
    cases = generated()
    assert len(cases) > 25
    assert {len(case.apart.files) > 1 for case in cases} == {True, False}
    assert {any("/" in name for name in case.apart.files) for case in cases} == {True, False}


def test_read_with_its_data_the_model_is_the_same_to_the_byte(tmp_path):
    open_root(tmp_path)
    for number, case in enumerate(generated()):
        assert case.stored == case.apart.model != case.model
        written = write_case(tmp_path, str(number), case.stored, case.data_sets, case.record, case.apart.files)
        content = written.model_path.read_bytes()
        onnx.checker.check_model(str(written.model_path), full_check=True)
        check_external_data(content, str(written.folder))
        assert read_model(content, str(written.folder)).SerializeToString(deterministic=True) == case.model


def test_a_case_may_be_moved_and_its_data_counts(tmp_path):
    open_root(tmp_path / "one")
    case = generated()[0]
    written = write_case(tmp_path / "one", "c", case.stored, case.data_sets, case.record, case.apart.files)
    before = digest(written)
    read_parent(written)
    (tmp_path / "one").rename(tmp_path / "two")
    moved = type(written)("c", tmp_path / "two/cases/c", tmp_path / "two/cases/c/model.onnx",
                          tuple(tmp_path / "two/cases/c" / f.name for f in written.data_sets))  # fmt: skip
    assert digest(moved) == before
    assert read_parent(moved).content == case.model
    place = moved.folder / next(iter(case.apart.files))
    place.write_bytes(bytes(byte ^ 1 for byte in place.read_bytes()))
    assert digest(moved) != before


def test_the_record_makes_the_files_again(tmp_path):
    open_root(tmp_path)
    case = generated()[0]
    written = write_case(tmp_path, "c", case.stored, case.data_sets, case.record, case.apart.files)
    again = replay(read_record(written), written.model_path.read_bytes())
    assert (again.apart, again.model) == (case.apart, case.model)


def test_what_shape_inference_asks_for_stays_inside():
    for case in generated():
        for tensor in onnx.ModelProto.FromString(case.apart.model).graph.initializer:
            if tensor.data_location:
                assert len(tensor.dims) > 1 or tensor.dims[0] > 16


def test_files_are_laid_out_at_multiples_of_lines_or_pages():
    rests = set()
    for case in generated():
        tensors = onnx.ModelProto.FromString(case.apart.model).graph.initializer
        entries = [{e.key: e.value for e in t.external_data} for t in tensors]
        offsets = [int(e["offset"]) for e in entries if "offset" in e]
        if len(offsets) > 1:
            rests.add(next(n for n in (4096, 64, 1) if not any(o % n for o in offsets)))
    assert rests == {1, 64, 4096}


@pytest.mark.parametrize("text", ["", "float[4] w = {1, 2, 3, 4}", STRINGS])
def test_a_model_without_long_numbers_keeps_all(text):
    kind = text.partition("[")[0] or "float"
    model = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["": 17]>
        g ({kind}[N] x) => ({kind}[N] y) <{text}> {{ y = Identity(x) }}""")
    assert apart(model.SerializeToString(), Replayed([])) is None
