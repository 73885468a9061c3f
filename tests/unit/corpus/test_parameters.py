"""The arguments of scripts: TurnkeyML's names and defaults, what is given, small variants, rows of families."""

from __future__ import annotations

import sys

import pytest

from corpus.family import Member, save
from corpus.parameters import ARGUMENTS, member, parse


@pytest.fixture
def given(monkeypatch):
    """Have the command line of a script hold these words."""
    return lambda text="": monkeypatch.setattr(sys, "argv", ["net.py", *text.split()])


@pytest.fixture
def family(tmp_path):
    """A script with a table of two models."""
    script = tmp_path / "net.py"
    save(script, {"a": Member("a", arguments={"height": 64}, build={"way": "small"}), "b": Member("b")})
    return str(script)


def test_names_and_defaults_are_those_of_turnkeyml(given):
    given()
    defaults = {
        "batch_size": 1, "max_seq_length": 128, "max_audio_seq_length": 25600, "height": 224, "num_channels": 3,
        "width": 224, "pretrained": False, "k": 8, "alpha": 2.2, "out_channels": 16, "num_layers": 8,
        "in_channels": 1433,
    }  # fmt: skip
    assert dict(zip(defaults, parse(list(defaults)), strict=True)) == defaults
    assert set(ARGUMENTS) == {*defaults, "model", "full", "weights"}


def test_one_name_gives_the_value_itself(given):
    given("--batch_size 8")
    assert parse(["batch_size"]) == 8


def test_arguments_of_other_scripts_are_let_pass(given):
    given("--batch_size 8 --max_seq_length 64 --alpha 0.5")
    assert parse(["max_seq_length", "height"]) == [64, 224]


@pytest.mark.parametrize(("text", "value"), [("--pretrained", True), ("--pretrained false", False), ("", False)])
def test_a_flag_stands_alone_or_with_a_word(given, text, value):
    given(text)
    assert parse(["pretrained"]) is value


def test_small_counts_where_neither_full_nor_a_value_is_given(given):
    small = {"height": 32, "width": 32}
    given("--width 48")
    assert parse(["height", "width"], small=small) == [32, 48]
    given("--full --width 48")
    assert parse(["height", "width", "full"], small=small) == [224, 48, True]


def test_a_row_of_the_family_counts_before_what_is_small(given, family):
    given("--model a")
    assert parse(["model", "height", "width"], small={"height": 32, "width": 32}, family=family) == ["a", 64, 32]
    given()
    assert parse(["model", "height"], small={"height": 32}, family=family, default="b") == ["b", 32]
    assert member(family, "a").build == {"way": "small"}
    assert member(family, "c") is None


def test_a_model_may_have_standards_of_its_own(given, family):
    given("--model b --width 8")
    assert parse(["height", "width"], family=family, standard={"height": 384, "width": 384}) == [384, 8]
    given("--model a")
    assert parse(["height", "width"], family=family, standard={"height": 384, "width": 384}) == [64, 384]
    given("--model a --full")
    assert parse(["height", "width"], family=family, standard={"height": 384, "width": 384}) == [384, 384]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--batch_size 0", "'0' is no whole number of 1 or more"), ("--height wide", "'wide' is no whole number"),
        ("--pretrained maybe", "'maybe' is neither true nor false"), ("--bach_size 2", "--bach_size"),
        ("--model c", "no model 'c' in net.py"), ("--model", "expected one argument"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_a_line_and_exit_code_2(given, family, capsys, text, words):
    given(text)
    with pytest.raises(SystemExit) as ended:
        parse(["model", "batch_size", "height", "pretrained"], family=family, default="a")
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith("net.py: ")
    assert told.count("\n") == 1
