"""The page on architectures: its programs and its command, in order, print what they are said to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the networks are PyTorch's")
FUZZ = Path(sys.executable).with_name("fuzz")
PAGE = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")


def test_the_examples_print_what_they_are_said_to(tmp_path):
    made, read, learnt = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    unlike, checked = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    command, _, said = checked.removeprefix("$ ").partition("\n")

    def run(arguments, code):
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout

    run([sys.executable, "-W", "ignore", "-c", made], 0)
    names = "('convolutional', 'perceptron') 5\n"
    assert run([sys.executable, "-W", "ignore", "-c", read + learnt], 0) == printed + names
    assert command.startswith("fuzz corpus label-check ")
    # Seconds and percentages of the network are the machine's; that they are there is not.
    numberless = [re.sub(r"[\d.]+( s\)|%)", "#", text) for text in (run([FUZZ, *command.split()[1:]], 1), said)]
    assert numberless[0] == numberless[1]
    for line in unlike.splitlines():
        told = run([FUZZ, *line.split()[2:]], 0)
    assert "; new: " in told
