"""The summary of a day."""

import json

import pytest

from fuzz.campaign.readings import Finding
from fuzz.campaign.trial import Answer, Trial
from fuzz.errors import StorageError
from fuzz.watch.diary import Diary


def trial(seed, **verdicts):
    answers = [Answer(target, "1", "ok", verdict, "", 1, 0.0) for target, verdict in verdicts.items()]
    return Trial(seed, answers=tuple(answers))


def test_days_are_counted_apart_and_go_on_after_a_restart(tmp_path):
    dates = ["2026-11-22"]
    diary = Diary(tmp_path, lambda: dates[-1])
    diary.take([trial(0, tvm="ok", iree="wrong"), trial(1, tvm="ok")])
    diary.find([Finding("ab12", "iree", 0, "wrong (value)", "Max(a|b)", 1, "2026-11-22T10:00:00", 1)])
    diary.note("tvm 0.28 is out")
    diary.write()
    again = Diary(tmp_path, lambda: dates[-1])
    again.take([trial(2, tvm="rejected")])
    dates.append("2026-11-23")
    again.take([trial(3, tvm="ok")])
    again.write()
    first, second = (json.loads((tmp_path / "days" / f"{d}.json").read_text("utf-8")) for d in dates)
    assert (first["cases"], second["cases"]) == (3, 1)
    assert first["verdicts"] == {"iree": {"wrong": 1}, "tvm": {"ok": 2, "rejected": 1}}
    assert list(first["findings"]) == ["ab12"]
    page = (tmp_path / "days" / "2026-11-22.md").read_text("utf-8")
    assert "3 cases, 1 new findings." in page
    assert "| [ab12](../findings/ab12/) | iree | wrong (value) | Max(a\\|b) |" in page
    assert "| target | ok | rejected | wrong |" in page
    assert "| tvm | 2 | 1 | 0 |" in page
    assert "- tvm 0.28 is out" in page


def test_a_day_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "2026-11-22.json").write_text('{"cases": 1}', "utf-8")
    with pytest.raises(StorageError, match="remove it"):
        Diary(tmp_path, lambda: "2026-11-22")
