"""The page on the predictor: its commands and its program run, on graphs that are smaller than the page's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.graphs.cache import Cache
from corpus.graphs.computation import ComputationGraph, Edge, Node
from fuzz.cli.corpus import command as corpus
from fuzz.cli.perf import command as perf

for module in ("torch", "torch_geometric", "safetensors", "scipy"):
    pytest.importorskip(module, reason="predictors need it")
FUZZ = Path(sys.executable).with_name("fuzz")
PAGE = (Path(__file__).parents[2] / "docs" / "predictor.md").read_text(encoding="utf-8")
COMMANDS = [line[2:] for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def chain(number, family):
    length = 2 + number % 5
    nodes = tuple(Node(name=f"n{place}", operator="ReLU", source="Relu", shape=(1, 8)) for place in range(length))
    edges = tuple(Edge(place, place + 1, 0) for place in range(length - 1))
    return ComputationGraph(f"{family}-{number}", family, nodes, edges, {"latency_ms": float(length)})


def test_the_page_trains_and_tests_and_its_program_predicts(tmp_path):
    cache = Cache(tmp_path / "graphs")
    for family, count in (("nb201", 10), ("hiaml", 53)):
        cache.append(family, [chain(number, family) for number in range(count)])
    commands = [command for command in COMMANDS if " predict " in command]
    assert len(commands) == 2
    for command in commands:
        quick = [*shlex.split(command)[1:], "--epochs", "2", "--fine-tune-epochs", "1"]
        done = subprocess.run([FUZZ, *quick], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, (command, done.stderr)
        assert "hiaml" in done.stdout
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^hiaml-\d+ [0-9.e+-]+ ms$", done.stdout, re.MULTILINE)) == 53


def test_options_that_the_page_names_are_there():
    parts = corpus.commands
    commands = [parts["measure"], parts["predict"], *parts["families"].commands.values(), perf]
    options = {
        option for command in commands for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }  # fmt: skip
    assert set(re.findall(r"--[a-z-]+\b", PAGE)) <= options
    assert {shlex.split(command)[2] for command in COMMANDS} == {"families", "measure", "predict"}
