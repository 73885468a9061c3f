"""The page on cases in CI: its examples, typed in order into one folder, print what they are said to."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from fuzz.cli.regress import command as regress
from fuzz.regress.expectations import _KEYS

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs" / "regress.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def shape(text: str) -> str:
    """What is printed but for the numbers, and the columns' widths, which follow from them."""
    return re.sub(r" +", " ", re.sub(r"[\d,]*\d(\.\d+)?", "#", text))


def test_the_examples_print_what_they_are_said_to(tmp_path, with_plugin):
    home = tmp_path / "here"
    home.mkdir()
    (home / "findings").symlink_to(HOME / "findings")
    typed = [part.partition("\n") for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(typed) == 8
    for command, _, printed in typed:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, cwd=home, env=with_plugin, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert shape(done.stdout + done.stderr) == shape(printed), command


def test_every_key_of_an_entry_is_explained():
    table = re.search(r"^\| key \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(_KEYS)


def test_every_option_of_the_plugin_is_one(with_plugin):
    done = subprocess.run(["pytest", "--help"], capture_output=True, text=True, check=True, env=with_plugin)
    named = set(re.findall(r"--fuzz-[a-z]+", PAGE))
    assert named == set(re.findall(r"--fuzz-[a-z]+", done.stdout))


def test_options_that_the_page_names_are_there():
    section = PAGE[: PAGE.index("## In pytest")]
    options = {option for parameter in regress.params for option in parameter.opts}
    of_gen = {"--root", "--count", "--ops", "--dtypes", "--opset"}
    assert set(re.findall(r"--[a-z]+\b", section)) - of_gen <= options
