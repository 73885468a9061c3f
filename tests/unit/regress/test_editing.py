"""Entries taken out of a file of expectations and put in: what people wrote stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.errors import UsageError
from fuzz.file import write_text
from fuzz.regress.editing import block, edited
from fuzz.regress.expectations import Entry, read_expectations, read_text

TEXT = """\
# What this team knows.

targets = ["onnxruntime"]   # the product

# --- Max ---

# Looked at by A.
# Twice.
[[xfail]]
case = "first"      # the smallest
target = "onnxruntime"
reason = "one"
# seen on ARM too

# --- strings ---

[[xfail]]
case = "second"
target = "onnxruntime"
reason = '''
# two
'''

# about the third
[[xfail]]
case = "third"
target = "onnxruntime"
reason = "three"
"""
FIRST = TEXT[TEXT.index("# Looked") : TEXT.index("# --- strings")]
SECOND = TEXT[TEXT.index('[[xfail]]\ncase = "second"') : TEXT.index("# about the third")]
THIRD = TEXT[TEXT.index("# about the third") :]
PATH = Path("expectations.toml")


def edit(text: str, *gone: int, added: tuple[Entry, ...] = ()) -> str:
    entries = read_expectations(PATH, text).entries
    return edited(PATH, text, [entries[at] for at in gone], added)


def test_without_a_change_nothing_changes():
    assert edit(TEXT) == TEXT


@pytest.mark.parametrize(("gone", "part"), [(0, FIRST), (1, SECOND)])
def test_an_entry_goes_with_the_comments_at_it_alone(gone, part):
    assert edit(TEXT, gone) == TEXT.replace(part, "")


def test_the_last_entry_leaves_no_blank_line():
    assert edit(TEXT, 2) == TEXT.replace("\n" + THIRD, "")


def test_all_entries_can_go():
    assert edit(TEXT, 0, 1, 2) == TEXT[: TEXT.index("# Looked")] + "# --- strings ---\n"


def test_entries_that_touch_keep_their_comments():
    entries = [f'# about {name}\n[[xfail]]\ncase = "{name}"\ntarget = "tvm"\nreason = "r"\n' for name in "abc"]
    assert edit("".join(entries), 1) == entries[0] + entries[2]
    assert edit("".join(entries), 0, 2) == entries[1]


def test_an_entry_is_put_at_the_end():
    reason = 'a "quoted" \\ thing\n\x7f\x01 ×'
    new = Entry("", 0, "new", "tvm", ">=1,<2", "crash", strict=False, reason=reason, link="https://t/1")
    text = edit(TEXT, 0, added=(new, new))
    assert text.startswith(TEXT.replace(FIRST, ""))
    *_, one, two = read_expectations(PATH, text).entries
    assert [getattr(one, key) for key in ("case", "target", "versions", "verdict", "strict", "reason", "link")] == [
        "new", "tvm", ">=1,<2", "crash", False, 'a "quoted" \\ thing\n\x7f\x01 ×', "https://t/1",
    ]  # fmt: skip
    assert (two.case, two.reason) == (one.case, one.reason)
    assert edit("", added=(new,)) == block(new)
    assert edit("require = true\n", added=(new,)) == "require = true\n\n" + block(new)


def test_a_written_entry_has_what_says_something():
    entry = Entry("", 0, "c", "tvm", reason="r")
    assert block(entry) == '[[xfail]]\ncase = "c"\ntarget = "tvm"\nreason = "r"\n'


def test_lines_that_end_as_on_windows(tmp_path):
    text = TEXT.replace("\n", "\r\n")
    new = Entry("", 0, "c", "tvm", reason="r")
    after = TEXT.replace(FIRST, "") + "\n" + block(new)
    assert edit(text, 0, added=(new,)) == after.replace("\n", "\r\n")
    path = tmp_path / "expectations.toml"
    write_text(path, text)
    assert read_text(path) == text


def test_a_key_behind_all_entries_is_told_not_lost():
    with pytest.raises(UsageError, match="targets is unknown"):
        edit(TEXT + 'targets = ["tvm"]\n', 0)
