"""The example of docs/notes/diversify.md prints what it is said to."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from fuzz.diversify.aim import AIMS

PAGE = (Path(__file__).parents[2] / "docs" / "notes" / "diversify.md").read_text(encoding="utf-8")
(BLOCK,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)


def shape(text: str) -> str:
    """What is printed but for the numbers, and the columns' widths, which follow from them."""
    return re.sub(r" +", " ", re.sub(r"[\d,]*\d(\.\d+)?", "#", text))


def test_the_example_prints_what_it_is_said_to(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    typed = [part.partition("\n") for part in re.split(r"^\$ ", BLOCK, flags=re.MULTILINE)[1:]]
    assert len(typed) == 4
    for command, _, printed in typed:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if "aimed at" in printed:  # which sizes are tried hangs on the graphs that this version of the generator makes
            first, aims = done.stdout.splitlines()[:2]
            assert shape(first) == shape(printed.splitlines()[0])
            assert set(re.findall(r"([a-z]+) \d+", aims)) <= set(AIMS)
        else:
            assert shape(done.stdout + done.stderr) == shape(printed), command
