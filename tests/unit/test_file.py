"""Files whole or not at all: the old one stays where the new one cannot be written, nothing is left beside it."""

from __future__ import annotations

import json

import pytest

from fuzz.errors import StorageError
from fuzz.file import write_bytes, write_json, write_text


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
