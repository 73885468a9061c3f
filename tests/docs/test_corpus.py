"""The page on real models: its script and its commands, typed in order into one folder, print what they are said to."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.cli.corpus import command as corpus

pytest.importorskip("torch", reason="scripts are PyTorch's")
FUZZ = Path(sys.executable).with_name("fuzz")
PAGE = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def shape(text: str) -> str:
    """What is printed but for the numbers, and the columns' widths, which follow from them."""
    return re.sub(r" +", " ", re.sub(r"[\d,]*\d(\.\d+)?", "#", text))


def test_the_examples_print_what_they_are_said_to(tmp_path):
    home = tmp_path / "here"
    home.mkdir()
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (home / "my_model.py").write_text(script, "utf-8")
    typed = [part.partition("\n") for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(typed) == 5
    for command, _, printed in typed:
        program, *arguments = shlex.split(command)
        assert program == "fuzz"
        done = subprocess.run([FUZZ, *arguments], capture_output=True, text=True, cwd=home, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert shape(done.stdout + done.stderr) == shape(printed), command


def test_options_that_the_page_names_are_there():
    parts = [corpus.commands[name] for name in ("run", "report", "clean", "list")]
    options = {option for part in parts for parameter in part.params for option in parameter.opts}
    elsewhere = {"--root", "--backend", "--baseline", "--batch_size", "--html"}
    assert set(re.findall(r"--[a-z_-]+\b", PAGE)) - elsewhere <= options
