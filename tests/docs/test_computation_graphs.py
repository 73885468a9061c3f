"""The page on computation graphs: its network, its commands and its program, in order, print what they are said to."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.cli.corpus import command as corpus

pytest.importorskip("torch", reason="the network is PyTorch's")
pytest.importorskip("matplotlib", reason="PNG is drawn by it")
FUZZ = Path(sys.executable).with_name("fuzz")
PAGE = (Path(__file__).parents[2] / "docs" / "computation-graphs.md").read_text(encoding="utf-8")


def run(command, folder):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def timeless(text):
    return re.sub(r"\d+\.\d s\)", "# s)", text)


def test_the_examples_print_what_they_are_said_to(tmp_path):
    network, program = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    run([sys.executable, "-W", "ignore", "-c", network], tmp_path)
    typed = [
        part.partition("\n")
        for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    ]
    assert len(typed) == 6
    for command, _, said in typed:
        assert timeless(run([FUZZ, *shlex.split(command)[1:]], tmp_path)) == timeless(said), command
    assert run([sys.executable, "-c", program], tmp_path) == printed


def test_options_that_the_page_names_are_there():
    parts = [corpus.commands[name] for name in ("graph", "show", "sequence")]
    options = {option for part in parts for parameter in part.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+\b", PAGE)) <= options
