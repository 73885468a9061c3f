"""Findings that are one bug by their blame, and what a report says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fuzz.report.markdown import markdown
from fuzz.report.overview import overview
from fuzz.report.sameness import same_bugs
from fuzz.report.sources import read_account
from fuzz.triage.blamed import BLAME, NOBODY, Blamed, read_blame
from tests.unit.report.test_sources import write_folder

PAD = Blamed(
    "disable=Pad_Fusion makes it go away", "disable=Pad_Fusion", ("disable=Pad_Fusion",), "onnxruntime", "1.31.1",
    "wrong", "value",
)  # fmt: skip


def test_the_same_switches_versions_symptom_and_operators(discovery):
    first, second = (discovery(id=name, blamed=PAD) for name in ("first", "second"))
    assert same_bugs([first, second, replace(second, id="third")]) == {"second": "first", "third": "first"}


@pytest.mark.parametrize(
    "change",
    [
        {"switches": ("disable=Pad_Fusion", "opt=1")}, {"switches": ()}, {"version": "1.30.0"}, {"target": "tvm"},
        {"symptom": "shape"}, {"word": "rejected"},
    ],
    ids="-".join,
)  # fmt: skip
def test_what_tells_two_bugs_apart(discovery, change):
    first, second = discovery(id="first", blamed=PAD), discovery(id="second", blamed=replace(PAD, **change))
    assert same_bugs([first, second]) == {}


def test_other_operators_and_what_was_not_reduced_stand_by_themselves(discovery):
    first, second = (discovery(id=name, blamed=PAD) for name in ("first", "second"))
    assert same_bugs([first, replace(second, pairs=(("MaxPool", "float"),))]) == {}
    assert same_bugs([first, replace(second, unreduced="it takes too long")]) == {}
    assert same_bugs([replace(first, blamed=NOBODY), replace(second, blamed=NOBODY)]) == {}


def test_a_report_says_what_is_to_blame_and_which_are_one_bug(account, discovery):
    told = account(discoveries=(discovery(id="0123456789ab", blamed=PAD, same_as="ba9876543210"),))
    text = markdown(told)
    assert "The same bug as `ba9876543210`" in text
    assert "Switches: disable=Pad" in text
    page = overview(told)
    assert "same bug as ba9876543210" in page
    assert "disable=Pad_Fusion makes it go away" in page


def test_a_root_with_two_folders_of_one_bug(tmp_path):
    said = {
        "fails": True, "switches": ["disable=Pad_Fusion"], "setting": "disable=Pad_Fusion", "told": "it goes away",
        "target": "onnxruntime", "version": "1.31.1", "signature": {"word": "wrong", "symptom": "value"},
    }  # fmt: skip
    for name in ("0123456789ab", "1123456789ab", "2123456789ab"):
        folder = tmp_path / "findings" / name
        write_folder(folder)
        (folder / BLAME).write_text(json.dumps(said if name[0] != "2" else {**said, "switches": []}), "utf-8")
    found = {one.id: one for one in read_account(tmp_path, 1).discoveries}
    assert {name: one.same_as for name, one in found.items()} == {
        "0123456789ab": "", "1123456789ab": "0123456789ab", "2123456789ab": "",
    }  # fmt: skip
    assert found["2123456789ab"].blamed.told == "it goes away"


@pytest.mark.parametrize("text", ["{", "[]", '{"fails": false}', '{"fails": true, "switches": 7, "signature": 7}'])
def test_a_file_that_others_wrote(tmp_path, text):
    (tmp_path / BLAME).write_text(text, "utf-8")
    assert read_blame(tmp_path).switches == ()
    assert read_blame(tmp_path / "nowhere") == NOBODY
