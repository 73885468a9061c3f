"""The catalogue: scripts and families of a folder, by globs, labels and paths."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from corpus.catalogue import MODELS, CatalogueError, entries, find, select
from corpus.family import FamilyError, Member, load, save
from corpus.labels import wanted
from corpus.parameters import ARGUMENTS
from corpus.requirements import NEEDS


@pytest.fixture
def folder(tmp_path):
    """A folder of somebody's own: a script without labels, a family, a helper that is no script."""
    (tmp_path / "nets").mkdir()
    (tmp_path / "alone.py").write_text("print()\n", "utf-8")
    (tmp_path / "_helper.py").write_text("\n", "utf-8")
    family = tmp_path / "nets" / "all.py"
    family.write_text("# labels: author::me task::NLP test_group::large\n", "utf-8")
    save(
        family,
        {
            "one": Member("one", labels={"test_group": ("small",)}, seconds=0.1, parameters=7),
            "two": Member("two", arguments={"height": 8}, problem="needs more"),
        },
    )
    return tmp_path


def test_a_folder_of_ones_own(folder):
    alone, one = entries(folder)
    (two,) = entries(folder, problems=True)
    assert [e.path for e in (alone, one, two)] == ["alone.py", "nets/all.py::one", "nets/all.py::two"]
    assert (alone.name, alone.corpus, alone.labels, alone.arguments) == ("alone", folder.name, {}, ())
    assert (one.name, one.corpus, one.arguments) == ("one", "nets", ("--model", "one"))
    assert one.labels == {"author": ("me",), "task": ("NLP",), "test_group": ("small",), "name": ("one",)}
    assert (two.labels["test_group"], two.problem) == (("large",), "needs more")


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", ["alone", "one"]), ("nets", ["one"]), ("all.py", ["one"]), ("one", ["one"]),
        ("nets/*.py", ["one"]), ("all.py::o*", ["one"]), ("nets/all.py::*", ["one"]), ("net", []),
    ],
)  # fmt: skip
def test_globs(folder, glob, names):
    assert [entry.name for entry in select(entries(folder), (glob,))] == names


def test_labels_are_asked_for_beside_globs(folder):
    assert [entry.name for entry in select(entries(folder), (), wanted(["author::me", "test_group::small"]))] == ["one"]


def test_paths_of_ones_own_scripts_and_folders(folder):
    assert [entry.name for entry in find([str(folder)])] == ["alone", "one"]
    assert [entry.name for entry in find([str(folder)], problems=True)] == ["two"]
    assert [entry.name for entry in find([f"{folder}/nets/all.py::o*", f"{folder}/alone.py"])] == ["one", "alone"]
    assert [entry.path for entry in find([str(MODELS / "selftest" / "linear.py")])] == ["selftest/linear.py"]


def test_what_names_nothing(folder):
    with pytest.raises(CatalogueError, match=r"'resnet1800' \(did you mean resnet18"):
        find(["resnet1800"])
    with pytest.raises(CatalogueError, match="nothing is named like"):
        find([f"{folder}/nets/all.py::three"])


def test_a_table_that_cannot_be_read_is_named(folder):
    (folder / "alone.json").write_text('{"models": [1]}', "utf-8")
    with pytest.raises(FamilyError, match=r"alone\.json is no table of models"):
        entries(folder)


def test_a_table_is_read_as_it_was_written(folder):
    script = folder / "nets" / "all.py"
    before = script.with_suffix(".json").read_text("utf-8")
    save(script, load(script))
    assert script.with_suffix(".json").read_text("utf-8") == before


# --- what comes with the project -------------------------------------------------------------------------------------

SCRIPTS = sorted(MODELS.rglob("*.py"))


def test_there_are_nine_corpora_and_hundreds_of_models():
    found = find()
    assert {entry.corpus for entry in found} == set(NEEDS)
    small = [entry for entry in found if "small" in entry.labels["test_group"]]
    assert len(small) >= 400
    assert len({entry.corpus for entry in small}) >= 6
    assert len({entry.path for entry in found}) == len(found)
    for entry in found:
        assert {"author", "task", "test_group"} <= set(entry.labels), entry.path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_script_begins_with_labels_and_says_where_its_models_are_from(script):
    text = script.read_text("utf-8")
    assert text.startswith("# labels: ")
    assert ast.get_docstring(ast.parse(text))
    assert "http" in text or "Made for this project" in text
    assert "manual_seed" in text


@pytest.mark.parametrize("table", sorted(MODELS.rglob("*.json")), ids=lambda path: path.stem)
def test_a_table_belongs_to_a_script_and_holds_what_a_table_may(table):
    assert table.with_suffix(".py").exists()
    rows = json.loads(table.read_text("utf-8"))["models"]
    fields = {"labels", "arguments", "build", "parameters", "seconds", "problem"}
    for name, row in rows.items():
        assert set(row) <= fields, name
        assert set(row.get("arguments", {})) <= set(ARGUMENTS), name
        assert row.get("seconds", 0) <= 60, name


def test_what_a_corpus_needs_is_pinned():
    pins = (Path(__file__).parents[3] / "backends" / "constraints.txt").read_text("utf-8").lower().replace("_", "-")
    for needs in NEEDS.values():
        for name in needs:
            assert f"\n{name.lower()}==" in pins
