"""Labels: read as they are written, matched by key and value, kept beside a build."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.labels import FILE, LabelsError, load_from_cache, matches, parse, read, save_to_cache, wanted, write

LINE = "# labels: name::bert author::google,huggingface test_group::daily"
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters="_-/."), min_size=1)


def test_a_line_of_turnkeyml():
    assert parse(LINE) == {"name": ("bert",), "author": ("google", "huggingface"), "test_group": ("daily",)}
    assert write(parse(LINE)) == LINE


@given(st.dictionaries(WORDS, st.lists(WORDS, min_size=1).map(tuple)))
def test_what_is_written_is_read(labels):
    assert parse(write(labels)) == labels


@pytest.mark.parametrize("line", ["", "import torch", "#labels: a::b", '"""A docstring."""'])
def test_other_first_lines_have_no_labels(line):
    assert parse(line) == {}


@pytest.mark.parametrize("text", ["name", "name:bert", "::bert", "name::", "name::,"])
def test_what_is_no_label_is_named(text, tmp_path):
    with pytest.raises(LabelsError, match="is no label: write key::value"):
        wanted([text])
    script = tmp_path / "s.py"
    script.write_text(f"# labels: {text}\n", "utf-8")
    with pytest.raises(LabelsError, match=r"s\.py: "):
        read(script)


@pytest.mark.parametrize(
    ("asked", "whether"),
    [
        ([], True), (["author::google"], True), (["author::GOOGLE"], True), (["author::meta"], False),
        (["author::meta,google"], True), (["author::meta", "author::google"], True), (["license::mit"], False),
        (["author::google", "name::bert"], True), (["author::google", "name::vit"], False),
    ],
)  # fmt: skip
def test_one_value_of_each_key_must_be_there(asked, whether):
    assert matches(parse(LINE), wanted(asked)) is whether


def test_labels_lie_in_the_cache(tmp_path):
    path = save_to_cache(tmp_path, "bert_1", parse(LINE))
    assert path == tmp_path / "bert_1" / FILE
    assert load_from_cache(tmp_path, "bert_1") == {
        "name": ["bert"], "author": ["google", "huggingface"], "test_group": ["daily"]
    }  # fmt: skip
    assert load_from_cache(str(tmp_path), "other") == {}
    path.write_text("[1]", "utf-8")
    with pytest.raises(LabelsError, match="remove it and run the model again"):
        load_from_cache(tmp_path, "bert_1")
