"""The commands of docs/neighbourhood.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from onnx import parser, save_model

PAGE = Path(__file__).parents[2] / "docs" / "neighbourhood.md"
FUZZ = Path(sys.executable).with_name("fuzz")
MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[4, 6] x) => (float[4, 3] y) <float half = {0.5}, float[6, 3] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9}>
{ a = Sigmoid (x)  b = Mul (x, a)  c = Add (b, half)  d = MatMul (c, w)  y = Softmax (d) }"""


def test_every_command_of_the_page(tmp_path):
    commands = [line[2:] for line in PAGE.read_text().splitlines() if line.startswith("$ fuzz ")]
    assert len(commands) == 7
    save_model(parser.parse_model(MODEL), tmp_path / "model.onnx")
    (tmp_path / "exported").mkdir()
    save_model(parser.parse_model(MODEL.replace("Sigmoid", "Tanh")), tmp_path / "exported" / "other.onnx")
    said = {}
    for command in commands:
        few = re.sub(r"--count \d+", "--count 12", command)
        done = subprocess.run([FUZZ, *shlex.split(few)[1:]], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode in (0, 1), (command, done.stderr)
        said[command.split()[1]] = done.stdout
    assert "cases" in said["gen"]
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "near" / "cases").rglob("case.json"))]
    assert len(records) == 12
    assert {record.get("parent") for record in records[3::4]} <= {"model", None}
    assert sum("parent" in record for record in records) >= 2
    assert sum(len(record.get("windows", ())) for record in records) >= 9
    assert (tmp_path / "near" / "windows.jsonl").is_file()
