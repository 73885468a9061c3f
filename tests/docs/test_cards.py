"""The page on cards: its commands, typed in order beside the example, print what they are said to."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.cli.corpus import command as corpus

pytest.importorskip("rapidfuzz", reason="near misses are rapidfuzz's")
FUZZ = Path(sys.executable).with_name("fuzz")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cards.md").read_text(encoding="utf-8")


def test_the_examples_print_what_they_are_said_to(tmp_path):
    shutil.copytree(ROOT / "corpus" / "cards" / "example", tmp_path / "example")
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        command, _, printed = block.removeprefix("$ ").partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "fuzz"
        done = subprocess.run([FUZZ, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout) == (0, printed), (command, done.stderr)
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    lines = (tmp_path / "out" / "matches.jsonl").read_text("utf-8").splitlines()
    assert json.loads(shown) in [match for line in lines for match in json.loads(line)["matches"]]


def test_options_that_the_page_names_are_there():
    parts = [corpus.commands[name] for name in ("collect", "match", "tuples", "samples", "sequence")]
    options = {option for part in parts for parameter in part.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z]+\b", PAGE)) <= options
