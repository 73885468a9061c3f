"""The page on search spaces: its commands, typed in order into one folder, print what they are said to."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="networks are PyTorch's")
FUZZ = Path(sys.executable).with_name("fuzz")
PAGE = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_print_what_they_are_said_to(tmp_path):
    typed = [part.partition("\n") for block in BLOCKS for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(typed) == 5
    for command, _, printed in typed:
        program, *arguments = shlex.split(command)
        assert program == "fuzz"
        done = subprocess.run([FUZZ, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if "gen" not in arguments:  # it tells its time
            assert done.stdout == printed, command
