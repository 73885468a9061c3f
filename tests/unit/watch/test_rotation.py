"""Whose turn it is, and what a new release changes about that."""

from itertools import islice

import pytest

from backends.registry import BACKENDS, installed_version
from fuzz.errors import StorageError
from fuzz.watch.rotation import Rotation, read_state

GROUPS = (("onnxruntime",), ("onnxruntime:opt=0",), ("reference",))


def rotation(root, index, **options):
    told = []
    return Rotation(root, GROUPS, told.append, index=index, **options), told


def here(entry):
    return [installed_version(entry)]


def test_targets_take_turns_and_go_on_after_a_restart(tmp_path):
    first, told = rotation(tmp_path, here)
    assert list(islice(first.turns(), 4)) == [GROUPS[0], GROUPS[1], GROUPS[2], GROUPS[0]]
    again, _ = rotation(tmp_path, here)
    assert read_state(tmp_path).turns == 3  # the fourth was begun, and not finished
    assert next(again.turns()) == GROUPS[0]
    assert told == []


def test_a_new_release_is_next_and_then_has_its_turns(tmp_path):
    released = []

    def index(entry):
        return [*here(entry), *(released if entry.name == "onnxruntime" else [])]

    begun, told = rotation(tmp_path, index)
    turns = begun.turns()
    assert next(turns) == GROUPS[0]
    released.append("999.1")
    assert next(turns) == ("onnxruntime==999.1",)
    assert told == ["onnxruntime 999.1 is out: it is tested next"]
    assert list(islice(turns, 5)) == [*GROUPS[1:], ("onnxruntime==999.1",), *GROUPS[:2]]
    assert len(told) == 1
    again, told = rotation(tmp_path, index)
    assert ("onnxruntime==999.1",) in list(islice(again.turns(), 4))
    assert told == []  # it was told before


def test_a_root_is_made_and_one_that_cannot_be_is_told(tmp_path):
    begun, _ = rotation(tmp_path / "new" / "root", lambda _: ["999.1"])
    assert next(begun.turns()) == ("onnxruntime==999.1",)
    assert read_state(tmp_path / "new" / "root").joined == ("onnxruntime==999.1",)
    (tmp_path / "file").write_text("", "utf-8")
    begun, _ = rotation(tmp_path / "file" / "root", lambda _: ["999.1"])
    with pytest.raises(StorageError, match="give another --root"):
        next(begun.turns())


@pytest.mark.parametrize("answer", [None, [], ["0.1"]])
def test_an_index_that_is_away_or_behind_changes_nothing(tmp_path, answer):
    begun, told = rotation(tmp_path, lambda _: answer)
    assert list(islice(begun.turns(), 3)) == list(GROUPS)
    assert told == []


def test_targets_with_a_version_and_own_builds_are_not_watched(tmp_path):
    version = installed_version(BACKENDS["onnxruntime"])
    groups = ((f"onnxruntime=={version}",), ("tvm:python=/some/python",))
    asked = []
    begun = Rotation(tmp_path, groups, print, index=asked.append)
    assert list(islice(begun.turns(), 2)) == list(groups)
    unwatched, _ = rotation(tmp_path, asked.append, watches=False)
    assert len(list(islice(unwatched.turns(), 3))) == 3
    assert asked == []


@pytest.mark.parametrize("text", ["{", "[]", '{"turns": 1}'])
def test_a_state_that_is_none_is_told(tmp_path, text):
    (tmp_path / "service.json").write_text(text, "utf-8")
    with pytest.raises(StorageError, match=r"service\.json cannot be read .*remove it"):
        read_state(tmp_path)
