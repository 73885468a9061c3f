"""The README's examples, typed in order into one folder; its links and its list of commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.cli.main import COMMANDS
from fuzz.judge.verdict import FINDINGS, Word

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def examples(block: str) -> list[tuple[str, str]]:
    """(command, what it prints), for each `$ ` line."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def shape(text: str) -> str:
    """What is printed but for the numbers, and the columns' widths, which follow from them."""
    return re.sub(r" +", " ", re.sub(r"[\d,]*\d(\.\d+)?", "#", text))


def test_the_examples_print_what_they_are_said_to(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    typed = [example for block in BLOCKS for example in examples(block)]
    assert len(typed) >= 8
    for command, printed in typed:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert shape(done.stdout + done.stderr) == shape(printed), command


def test_every_command_stands_in_the_table():
    rows = re.findall(r"^\| `fuzz (\w+)", README, re.MULTILINE)
    assert rows == list(COMMANDS)


def test_every_verdict_is_explained():
    table = re.search(r"^\| verdict \|.*?\n\n", README, re.MULTILINE | re.DOTALL)[0]
    words = {word for row in re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE) for word in row.split(", ")}
    assert words - {"verdict"} == {word.value for word in Word}
    finding = re.search(r"A finding is (.*?)\.", README, re.DOTALL)[1].replace(" or ", ", ")
    assert set(re.split(r",\s+", finding)) == {word.value for word in FINDINGS}


def test_the_targets_of_make_are_there():
    named = set(re.findall(r"^    make (\w+)", README, re.MULTILINE))
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    assert named == {"demo", "test"}
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)


@pytest.mark.parametrize("page", [HOME / "README.md", *sorted(HOME.glob("docs/**/*.md"))], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
