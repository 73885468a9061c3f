"""Tables are written and read, keep explanations as long as these hold, and tell what has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fuzz.doctor import examination
from fuzz.doctor.comparison import compare
from fuzz.doctor.examination import Examined, Result
from fuzz.doctor.page import page
from fuzz.doctor.table import FOLDER, Failure, load_table, load_tables, table_of, write_table
from fuzz.errors import StorageError, UsageError

LINE = "IsInf ignores detect_positive"


@pytest.fixture
def examined(toy):
    return lambda **results: Examined(
        toy, tuple(examination.Tested(name, Result(word), word.upper(), 0.5) for name, word in sorted(results.items()))
    )


@pytest.fixture
def table(examined):
    found = examined(test_a="pass", test_b="wrong", test_c="wrong", test_d="unsupported", test_e="crash")
    return replace(table_of(found, "1.23"), explanations={LINE: ("test_b", "test_c")})


def test_a_table_comes_back_as_it_was(tmp_path, table):
    write_table(table, tmp_path)
    (tmp_path / "toy.json").write_text(table.to_json(), encoding="utf-8")
    assert load_table("toy", tmp_path) == table
    assert load_tables(tmp_path) == [table]
    assert table.results() == {
        "test_b": Result.WRONG, "test_c": Result.WRONG, "test_d": Result.UNSUPPORTED, "test_e": Result.CRASH,
    }  # fmt: skip
    assert table.failures["test_e"] == Failure(Result.CRASH, "CRASH")
    assert (table.tests, table.seconds) == (5, 2.5)


def test_no_table(tmp_path):
    assert load_table("toy", tmp_path) is None
    assert load_tables(tmp_path / "none") == []


@pytest.mark.parametrize("text", ["[]", "{", '{"backend": 1}', '{"others": []}'])
def test_a_file_that_is_no_table(tmp_path, text):
    (tmp_path / "toy.json").write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match=r"toy\.json is no table"):
        load_table("toy", tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path, table):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        write_table(table, tmp_path / "file" / "folder")


def test_an_explanation_stays_as_long_as_the_test_fails_in_the_same_way(tmp_path, table, examined):
    (tmp_path / "toy.json").write_text(table.to_json(), encoding="utf-8")
    write_table(table_of(examined(test_b="wrong", test_c="crash"), "1.23"), tmp_path)
    assert load_table("toy", tmp_path).explanations == {LINE: ("test_b",)}
    write_table(table_of(examined(test_b="pass", test_c="pass"), "1.23"), tmp_path)
    assert load_table("toy", tmp_path).explanations == {}


def test_an_explanation_may_stand_before_the_test_was_measured(table):
    before = replace(table, failures={}, explanations={LINE: ("test_b", "test_gone")})
    assert table.explained_by(before).explanations == {LINE: ("test_b",)}


def test_all_as_the_table_says(table, examined, toy):
    here = replace(table, version=toy.version)
    found = examined(test_a="pass", test_b="wrong", test_d="unsupported", test_e="crash")
    compared = compare(found, here, "1.23")
    assert (compared.note, compared.failing, compared.passing, compared.changed) == ("", (), (), ())
    assert [(test.name, line) for test, line in compared.lines] == [("test_b", LINE), ("test_e", "CRASH")]


def test_what_is_not_as_the_table_says(table, examined):
    found = examined(test_a="timeout", test_b="crash", test_c="unsupported", test_d="pass", test_e="error")
    compared = compare(found, replace(table, version="0.1"), "1.23")
    assert compared.note == "the repository's table is of version 0.1"
    other = replace(table, version=found.target.version, target="toy:mood=bad")
    assert compare(found, other, "1.23").note == "the repository's table is of toy:mood=bad"
    assert [(c.test.name, c.before) for c in compared.failing] == [("test_a", "pass"), ("test_b", "wrong")]
    assert [c.test.name for c in compared.passing] == ["test_d"]
    assert [c.test.name for c in compared.changed] == ["test_c"]
    # The line told of another failure.
    assert [line for _, line in compared.lines] == ["TIMEOUT", "CRASH"]
    assert compared.to_json()["newly_failing"][0] == {
        "test": "test_a", "before": "pass", "now": "timeout", "message": "TIMEOUT",
    }  # fmt: skip


def test_a_table_of_the_quick_tests_says_nothing_of_others(tmp_path, table, examined):
    quick = replace(table, suite="quick", version=examined().target.version)
    compared = compare(examined(test_a="crash", test_z="crash"), quick, "1.23", ("test_a",))
    assert compared.note == "the repository's table is of the quick tests alone"
    assert [change.test.name for change in compared.failing] == ["test_a"]
    assert "The quick tests alone, 5: about one an operator." in page([quick])
    write_table(quick, tmp_path)
    write_table(table, tmp_path)
    with pytest.raises(UsageError, match="is of all tests"):
        write_table(quick, tmp_path)


def test_nothing_to_compare_with(table, examined):
    found = examined(test_a="wrong")
    none = compare(found, None, "1.23")
    assert "no table of toy" in none.note
    assert (none.failing, none.lines) == ((), ((found.tests[0], "WRONG"),))
    older = compare(found, table, "1.24")
    assert "onnx 1.23, these are of 1.24" in older.note
    assert (older.failing, len(older.lines)) == ((), 1)


def test_the_page(table, examined):
    sound = table_of(examined(a="pass"), "1.23")
    text = page([replace(table, target="toy:mood=bad"), replace(sound, backend="onnxruntime", target="onnxruntime")])
    assert f"| [toy](#toy) | {table.version} | 1 | 1 | 2 | · | 1 | · | 5 |" in text
    assert f"- wrong: {LINE} (test_b, test_c)" in text
    assert "- crash: `CRASH` (test_e)" in text
    assert "- devices: cpu, cuda" in text
    assert "- switches off graph optimisations above that level: `opt` = 0 or 1 or 2" in text
    assert "No failure of its own." in text
    assert "Measured as `toy:mood=bad`." in text
    assert "Measured as `onnxruntime`." not in text


def test_the_tables_of_the_repository():
    tables = load_tables()
    assert {table.backend for table in tables} == {path.stem for path in FOLDER.glob("*.json")}
    for table in tables:
        # Nothing is lost: the columns add up to all tests, and the lists to the columns.
        assert sum(table.counts.values()) == table.tests, table.backend
        assert table.tests >= (2030 if table.suite == "all" else 210), table.backend
        assert table.counts[Result.PASSED] == table.tests - len(table.results()), table.backend
        assert table.counts[Result.ERROR] == 0, table.backend
        assert set(table.lines()) <= set(table.failures), table.backend
