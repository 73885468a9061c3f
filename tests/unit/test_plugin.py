"""Entry points of other distributions: those that can be used, and what is said of those that cannot."""

from __future__ import annotations

import sys

import pytest

from backends.entry import Entry
from backends.plugin import GROUP, plugins
from backends.registry import BACKENDS
from fuzz.errors import TargetError
from fuzz.execute.target import parse_target

ROWS = """
from backends.entry import Entry
FINE = Entry("fine", __file__, ("onnx",), ("onnx==1.0",))
INSIDE = Entry("inside", "backends.reference", ("onnx",), ("onnx==1.0",))
TAKEN = Entry("tvm", __file__, ("onnx",), ("onnx==1.0",))
NOWHERE = Entry("nowhere", "/nowhere/backend.py", ("onnx",), ("onnx==1.0",))
ODD = Entry("a b", __file__, ("onnx",), ("onnx==1.0",))
NUMBER = 7
"""


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A distribution on the path with an entry point of each kind; the rows that come of it."""
    information = tmp_path / "rows-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: rows\nVersion: 1.0\n", encoding="ascii")
    names = ("FINE", "INSIDE", "TAKEN", "NOWHERE", "ODD", "NUMBER", "MISSING")
    points = "".join(f"{name.lower()} = rows_of_a_test:{name}\n" for name in names)
    (information / "entry_points.txt").write_text(f"[{GROUP}]\n{points}again = rows_of_a_test:FINE\n", encoding="ascii")
    (tmp_path / "rows_of_a_test.py").write_text(ROWS, encoding="ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield plugins({"tvm": BACKENDS["tvm"]})
    sys.modules.pop("rows_of_a_test", None)


def test_what_can_be_used_is_a_row_as_any_other(rows):
    assert rows["inside"].module == "backends.reference"
    target = parse_target("inside", rows)
    assert (target.backend, target.entry) == ("inside", rows["inside"])
    assert isinstance(rows["fine"], Entry)
    assert rows["fine"].module.endswith("rows_of_a_test.py")
    assert not rows["fine"].problem


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fine.rows", "the name 'fine' is taken"),
        ("taken.rows", "the plug-in taken of rows cannot be used: the name 'tvm' is taken"),
        ("nowhere", "its module '/nowhere/backend.py' is no path of a Python file"),
        ("odd", "'a b' is no name"),
        ("number", r"rows_of_a_test:NUMBER is no backends\.entry\.Entry"),
        ("missing", "AttributeError: .*MISSING"),
    ],
)
def test_what_cannot_be_used_says_why(rows, name, words):
    with pytest.raises(TargetError, match=words) as caught:
        parse_target(name, rows)
    assert "\n" not in str(caught.value)
