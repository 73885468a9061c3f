"""docs/findings.md and findings/: a row for each case and a case for each row, each a standard ONNX test case."""

from __future__ import annotations

import json
import re
from pathlib import Path

import onnx
import pytest

from backends.registry import BACKENDS
from fuzz.case import find_cases, read_inputs, read_outputs
from fuzz.judge.verdict import FINDINGS
from fuzz.signature import read_signature

HERE = Path(__file__).parents[2]
FOLDERS = sorted(path for path in (HERE / "findings").iterdir() if path.is_dir())


def test_each_case_has_a_row_and_each_row_a_case():
    rows = re.findall(r"^\| ([a-z0-9-]+) \|", (HERE / "docs" / "findings.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(row for row in rows if row != "id") == [folder.name for folder in FOLDERS]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_is_whole(folder):
    said = json.loads((folder / "verdict.json").read_text("utf-8"))
    assert said["target"] in BACKENDS
    assert folder.name.startswith(f"{said['target']}-")
    assert said["version"]
    assert said["verdict"]["verdict"] == said["signature"]["word"]
    assert said["signature"]["word"] in FINDINGS
    (case,) = find_cases(folder)
    ports = read_signature(folder / "model.onnx")
    (data_set,) = sorted(folder.glob("test_data_set_*"))
    assert len(read_inputs(case, data_set, ports)) == len(ports.inputs)
    assert len(read_outputs(case, data_set)) == len(ports.outputs)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_model_is_valid(folder):
    onnx.checker.check_model(onnx.load(folder / "model.onnx"), full_check=True)
