"""The case layout: finding, reading, writing."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from backends.tensor import Tensor, from_numpy
from fuzz import case as case_module
from fuzz.case import (
    DataSet,
    clean_root,
    digest,
    find_cases,
    open_root,
    read_inputs,
    read_outputs,
    read_record,
    read_values,
    write_case,
)
from fuzz.errors import CaseError, RootError, StorageError


def serialized(body: str) -> bytes:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}').SerializeToString()


MODEL = serialized("g (float[2,n] x, int64[3] i) => (float[2,n] y) { y = Relu (x) }")
X = from_numpy(np.array([[1, -2], [3, 4]], np.float32))
I = from_numpy(np.array([0, 1, 2]))  # noqa: E741 - the name of the input
Y = from_numpy(np.array([[1, 0], [3, 4]], np.float32))


@pytest.fixture
def root(tmp_path):
    return open_root(tmp_path / "root")


@pytest.fixture
def one(root):
    return write_case(root, "one", MODEL, [DataSet({"x": X, "i": I}, {"y": Y})], {"seed": 7, "a": [1, 2]})


def test_what_is_written_is_what_is_found_and_read(root, one):
    assert find_cases(root) == [one]
    assert one.model_path.read_bytes() == MODEL
    assert read_inputs(one, one.data_sets[0]) == (X, I)
    assert read_outputs(one, one.data_sets[0]) == (Y,)
    assert read_record(one) == {"seed": 7, "a": [1, 2]}


def test_onnx_reads_our_files(one):
    proto = onnx.TensorProto.FromString((one.data_sets[0] / "input_0.pb").read_bytes())
    assert proto.name == "x"
    np.testing.assert_array_equal(numpy_helper.to_array(proto), [[1, -2], [3, 4]])


def test_the_record_is_compact_with_sorted_keys(one):
    assert (one.folder / "case.json").read_bytes() == b'{"a":[1,2],"seed":7}\n'


def test_only_whole_cases_lie_in_the_root(root, one):
    assert [path.name for path in (root / "cases").iterdir()] == ["one"]
    assert sorted(path.name for path in one.folder.rglob("*")) == [
        "case.json", "input_0.pb", "input_1.pb", "model.onnx", "output_0.pb", "test_data_set_0",
    ]  # fmt: skip


def test_writing_again_replaces_the_whole_case(root, one):
    again = write_case(root, "one", MODEL, [DataSet({"x": X, "i": I}), DataSet({"x": Y, "i": I})], {})
    assert [path.name for path in again.data_sets] == ["test_data_set_0", "test_data_set_1"]
    assert not (one.data_sets[0] / "output_0.pb").exists()
    assert find_cases(root) == [again]


def test_a_failed_write_leaves_nothing_and_says_why(root, monkeypatch):
    written = []

    def write(path, _):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(case_module, "_write", write)
    with pytest.raises(StorageError, match="No space left on device; free some space"):
        write_case(root, "one", MODEL, [DataSet({"x": X, "i": I})], {})
    assert list((root / "cases").iterdir()) == []


def test_an_interrupted_write_leaves_nothing(root, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(case_module, "_write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_case(root, "one", MODEL, [DataSet({"x": X, "i": I})], {})
    assert list((root / "cases").iterdir()) == []


def test_values_under_other_names_than_the_models_are_our_own_mistake(root):
    with pytest.raises(ValueError, match="not those of the model"):
        write_case(root, "one", MODEL, [DataSet({"i": I, "x": X})], {})
    assert list((root / "cases").iterdir()) == []


def test_what_a_dead_run_left_is_removed_and_what_a_live_one_writes_is_not(root):
    dead, alive = root / "cases/.part-999999999-a", root / f"cases/.part-{os.getpid()}-b"
    for folder in (dead, alive):
        folder.mkdir()
    assert clean_root(root) == 1
    assert not dead.exists()
    assert alive.exists()


# --- finding -----------------------------------------------------------------------------------------------------


def test_a_folder_of_foreign_test_cases_is_a_root_and_ids_are_paths(tmp_path, one):
    for place in ("b/deep/er", "a", ".hidden/c"):
        shutil.copytree(one.folder, tmp_path / "zoo" / place)
    (tmp_path / "zoo/a/test_data_set_10").mkdir()
    (tmp_path / "zoo/a/test_data_set_2").mkdir()
    (tmp_path / "zoo/empty").mkdir()
    first, second = find_cases(tmp_path / "zoo")
    assert (first.id, second.id) == ("a", "b/deep/er")
    assert [path.name for path in first.data_sets] == ["test_data_set_0", "test_data_set_2", "test_data_set_10"]


def test_a_single_test_case_is_a_root_too(one):
    (found,) = find_cases(one.folder)
    assert (found.id, found.folder) == ("one", one.folder)


def test_folders_in_our_root_that_are_no_cases_are_passed_over(root, one):
    (root / "cases/notes").mkdir()
    assert find_cases(root) == [one]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: None, "there is no root at"),
        (lambda path: path.write_text("x"), "is no folder"),
        (lambda path: path.mkdir(), "holds no case"),
        (open_root, "holds no case"),
    ],
)
def test_a_root_that_is_none_says_so_and_how_to_make_one(tmp_path, make, words):
    path = tmp_path / "root"
    make(path)
    with pytest.raises(RootError, match=words) as caught:
        find_cases(path)
    assert "fuzz gen --root" in str(caught.value)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nothing"])
def test_a_root_that_cannot_be_made(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"cannot write to .*; give a --root that you may write to"):
        open_root(tmp_path / place)


# --- reading -----------------------------------------------------------------------------------------------------


def test_a_missing_number_between_others(one):
    (one.data_sets[0] / "input_0.pb").unlink()
    with pytest.raises(CaseError, match=r"has no input_0\.pb, but later ones"):
        read_values(one.data_sets[0], "input")


def test_an_input_that_is_missing(one):
    (one.data_sets[0] / "input_1.pb").unlink()
    with pytest.raises(CaseError, match=r"gives 1 of 2 inputs: add input_1\.pb for the model's input 'i'"):
        read_inputs(one, one.data_sets[0])


def test_more_inputs_than_the_model_has(one):
    shutil.copy(one.data_sets[0] / "input_0.pb", one.data_sets[0] / "input_2.pb")
    with pytest.raises(CaseError, match="3 input files, but the model has 2"):
        read_inputs(one, one.data_sets[0])


def test_a_data_set_that_is_not_there(one):
    with pytest.raises(CaseError, match=r"cannot read .*: No such file"):
        read_values(one.folder / "test_data_set_9", "input")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2)), "asks for float, the file holds double"),
        (np.zeros(2, np.float32), "asks for rank 2, the file holds rank 1"),
        (np.zeros((3, 2), np.float32), "asks for 2 in dim 0, the file holds 3"),
    ],
)
def test_an_input_that_does_not_fit_the_model(one, array, words):
    (one.data_sets[0] / "input_0.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    with pytest.raises(CaseError, match=f"does not fit input 'x': the model {words}"):
        read_inputs(one, one.data_sets[0])


def test_a_symbolic_dim_takes_any_size(one):
    array = np.zeros((2, 11), np.float32)
    (one.data_sets[0] / "input_0.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    assert read_inputs(one, one.data_sets[0])[0].shape == (2, 11)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x08\x05\x10\x01"])
def test_a_corrupt_value_file(one, data):
    (one.data_sets[0] / "input_0.pb").write_bytes(data)
    with pytest.raises(CaseError, match=r"input_0\.pb is corrupt: "):
        read_inputs(one, one.data_sets[0])


@pytest.mark.parametrize("data", [b"", b"not a model", MODEL[: len(MODEL) // 2]])
def test_a_corrupt_model(one, data):
    one.model_path.write_bytes(data)
    with pytest.raises(CaseError, match=r"model\.onnx is no ONNX model .*; check the file with onnx\.checker"):
        read_inputs(one, one.data_sets[0])


def test_a_file_that_claims_to_be_huge_asks_for_no_memory(one):
    path = one.data_sets[0] / "input_0.pb"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(CaseError, match="larger than 2 GiB"):
        read_inputs(one, one.data_sets[0])


def test_external_data_within_the_folder_of_the_case(one):
    (one.folder / "weights.bin").write_bytes(b"junk" + X.data)
    write_external(one, location="weights.bin", offset="4", length="16")
    assert read_inputs(one, one.data_sets[0])[0] == X


@pytest.mark.parametrize("location", ["../../../outside.bin", "/etc/hostname", "sub/../../../outside.bin", ""])
def test_external_data_outside_the_folder_is_refused(root, one, location):
    (root.parent / "outside.bin").write_bytes(X.data)
    write_external(one, location=location)
    with pytest.raises(CaseError, match="outside the folder of the case"):
        read_inputs(one, one.data_sets[0])


def test_external_data_behind_a_link_that_leads_outside_is_refused(root, one):
    (root / "outside.bin").write_bytes(X.data)
    (one.folder / "link.bin").symlink_to(root / "outside.bin")
    write_external(one, location="link.bin")
    with pytest.raises(CaseError, match="outside the folder of the case"):
        read_inputs(one, one.data_sets[0])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": "nothing.bin"}, "which is no file"),
        ({"location": "weights.bin", "offset": "8"}, "needs 16 bytes but the file holds 8"),
        ({"location": "weights.bin", "offset": "8", "length": "16"}, "lies outside"),
        ({"location": "weights.bin", "offset": "-4", "length": "16"}, "lies outside"),
        ({"location": "weights.bin", "offset": "x"}, "is no number"),
    ],
)
def test_external_data_that_is_not_there(one, entries, words):
    (one.folder / "weights.bin").write_bytes(X.data)
    write_external(one, **entries)
    with pytest.raises(CaseError, match=words):
        read_inputs(one, one.data_sets[0])


def write_external(one, **entries):
    tensor = onnx.TensorProto(name="x", data_type=1, dims=[2, 2], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    (one.data_sets[0] / "input_0.pb").write_bytes(tensor.SerializeToString())


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"])
def test_a_corrupt_record(one, text):
    (one.folder / "case.json").write_text(text)
    with pytest.raises(CaseError, match=r"case\.json"):
        read_record(one)


def test_a_foreign_case_has_an_empty_record(one):
    (one.folder / "case.json").unlink()
    assert read_record(one) == {}


# --- digest ------------------------------------------------------------------------------------------------------


def test_the_digest_sees_what_a_backend_sees_and_nothing_else(one):
    before = digest(one)
    (one.folder / "case.json").write_text(json.dumps({"other": 1}))
    (one.data_sets[0] / "output_0.pb").write_bytes(b"")
    (one.folder / "notes.txt").write_text("a neighbour")
    assert digest(one) == before
    (one.data_sets[0] / "input_1.pb").write_bytes(b"\x10\x01")
    changed = digest(one)
    assert changed != before
    one.model_path.write_bytes(MODEL + b"")
    assert digest(one) == changed
    one.model_path.write_bytes(serialized("g (float[2,n] x) => (float[2,n] y) { y = Abs (x) }"))
    assert digest(one) != changed


def test_the_digest_sees_external_data(root):
    case = write_case(root, "e", MODEL, [], {})
    case.model_path.write_bytes(MODEL + b"\x32\x08location")  # a doc_string: the word alone is what counts
    (case.folder / "weights").mkdir()
    (case.folder / "weights/w.bin").write_bytes(b"1")
    before = digest(case)
    (case.folder / "weights/w.bin").write_bytes(b"2")
    assert digest(case) != before


def test_the_digest_does_not_run_names_and_contents_together(root):
    def of(first: bytes, second: bytes) -> str:
        case = write_case(root, "d", MODEL, [DataSet({"x": X, "i": I})], {})
        (case.data_sets[0] / "input_0.pb").write_bytes(first)
        (case.data_sets[0] / "input_1.pb").write_bytes(second)
        return digest(case)

    assert of(b"ab", b"c") != of(b"a", b"bc")


def test_values_that_numpy_lacks_survive(root):
    model = serialized("g (int4[3] a, string[2] s) => (int4[3] y) { y = Identity (a) }")
    values = {"a": Tensor("int4", (3,), b"\x21\x03"), "s": Tensor("string", (2,), b'["a", "\\udcff"]')}
    case = write_case(root, "narrow", model, [DataSet(values)], {})
    assert read_inputs(case, case.data_sets[0]) == tuple(values.values())
