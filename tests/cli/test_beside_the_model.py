"""Cases whose inputs are containers, or whose data lies in files of its own, through every command that reads cases."""

from __future__ import annotations

import json

import pytest

SMALL = ("--count", 12, "--nodes", "2-4", "--dynamic", "mixed", "--for", "onnxruntime", "--jobs", 1)
FEATURES = {
    "external": (("--seed", 47, "--ops", "Add,MatMul,Relu,Conv,Gather"), "data in another file"),
    "containers": (("--seed", 3, "--ops", "Add,SequenceAt,SequenceInsert,OptionalHasElement,OptionalGetElement"),
                   "a sequence as input"),
}  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
def test_every_command_reads_them(fuzz, feature):
    wanted, trait = FEATURES[feature]
    made = fuzz("gen", "--root", "first", "--structure", feature, *wanted, *SMALL)
    assert made.returncode == 0, made.stderr
    (fuzz.home / "first").rename(fuzz.home / "root")
    counted = json.loads(fuzz("structure", "--root", "root", "--json").stdout)
    assert counted["traits"][trait] >= 3
    assert counted["unread"] == []
    assert json.loads(fuzz("ops", "--root", "root", "--json").stdout)["unread"] == []
    for command in (("exec", "--backend", "onnxruntime:reload=yes"), ("diff",)):
        done = fuzz(command[0], "--root", "root", *command[1:], "--json")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    mutated = fuzz("mutate", "--root", "root", "--out", "mutants", "--count", 2, "--json")
    assert mutated.returncode == 0, mutated.stderr
    assert json.loads(mutated.stdout)["cases"] >= 1
    diverse = fuzz("diversify", "--root", "root", "--count", 1, "--json")
    assert diverse.returncode == 0, diverse.stderr
    assert "another version of fuzz made it" not in json.loads(diverse.stdout)["skipped"]
    case = min(path for path in (fuzz.home / "root" / "cases").iterdir() if "-" not in path.name)
    checked = fuzz("check", case / "model.onnx", "--backend", "onnxruntime", "--json")
    assert checked.returncode == 0, (checked.stdout, checked.stderr)
