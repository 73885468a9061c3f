"""Files whole or not at all: the old one stays where the new one cannot be written, nothing is left beside it."""

from __future__ import annotations

import json

import pytest

from fuzz.errors import StorageError
from fuzz.file import read_json, unwritten, write_bytes, write_json, write_text


def test_a_file_and_its_folder_are_made_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "file"
    write_text(path, "one\r\n\ud800", folder=True)
    assert path.read_bytes() == b"one\r\n\\ud800"
    write_json(path, {"b": 1, "a": "ü"})
    assert list(json.loads(path.read_text("utf-8")).items()) == [("a", "ü"), ("b", 1)]
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_what_cannot_be_written_is_told_with_the_way_out_and_the_old_one_stays(tmp_path):
    place = tmp_path / "taken"
    (place / "inside").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"^cannot write .*taken: .*; give another --out$"):
        write_bytes(place, b"new", "give another --out")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^cannot write .*; free some space or mend its rights$"):
        write_bytes(tmp_path / "file" / "below", b"new")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"n": "x"}', "[" * 100_000])
def test_what_is_broken_is_told_with_what_begins_anew_without_it(tmp_path, content):
    path = tmp_path / "state.json"
    assert read_json(path, lambda said: int(said["n"]), "the count begins") is None
    write_json(path, {"n": 3})
    assert read_json(path, lambda said: int(said["n"]), "the count begins") == 3
    path.write_text(content)
    with pytest.raises(StorageError, match=r"state\.json cannot be read \(.*\): remove it, and the count begins anew$"):
        read_json(path, lambda said: int(said["n"]), "the count begins")


def test_what_another_package_could_not_write_is_told_with_the_way_out(tmp_path):
    place = tmp_path / "out"
    with pytest.raises(FileNotFoundError) as caught:
        (place / "file").touch()
    named = str(unwritten(caught.value, place))
    assert named == f"cannot write {place / 'file'}: No such file or directory; free some space or mend its rights"
    assert str(unwritten(OSError("odd"), place)) == f"cannot write {place}: odd; free some space or mend its rights"
