"""The folder of findings: who writes there, how a case gets into its place, what is said where it cannot."""

from __future__ import annotations

import os

import pytest

from fuzz.campaign.shelf import clear, lock_findings, replace_folder, sync
from fuzz.errors import StorageError


def made(folder, text):
    (folder / "test_data_set_0").mkdir(parents=True)
    (folder / "model.onnx").write_text(text)
    return folder


def test_a_case_takes_the_place_of_another_and_a_call_may_come_again(tmp_path):
    place = tmp_path / "findings" / "0123"
    for text in ("first", "second"):
        part = made(tmp_path / "findings" / f".part-{text}", text)
        sync(part)
        replace_folder(part, place)
        replace_folder(part, place)
        assert (place / "model.onnx").read_text() == text
    assert list(place.parent.iterdir()) == [place]


def test_what_is_half_done_is_cleared(tmp_path):
    made(tmp_path / "findings" / ".part-1-2", "x")
    place = made(tmp_path / "findings" / "0123", "x")
    clear(tmp_path)
    assert list(place.parent.iterdir()) == [place]


def test_one_run_at_a_time(tmp_path):
    descriptor = lock_findings(tmp_path / "findings")
    with pytest.raises(StorageError, match="another fuzz run works in"):
        lock_findings(tmp_path / "findings")
    os.close(descriptor)


def test_what_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="give another --root"):
        lock_findings(tmp_path / "file" / "findings")
    with pytest.raises(StorageError, match="free some space"):
        replace_folder(tmp_path / "nowhere", tmp_path / "findings" / "0123")
    with pytest.raises(StorageError, match="free some space"):
        sync(tmp_path / "nowhere")
