"""The backend of the how-to works as it is printed there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import numpy_helper, parser

from backends.protocol import Outcome
from backends.registry import BACKENDS
from backends.tensor import to_numpy
from fuzz.case import find_cases
from fuzz.execute.run import execute
from fuzz.execute.target import parse_target
from fuzz.store import Store

PAGE = Path(__file__).parents[2] / "docs" / "add-a-backend.md"


def add_case(root: Path, name: str, body: str) -> None:
    data = root / name / "test_data_set_0"
    data.mkdir(parents=True)
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 9]> {body}')
    (root / name / "model.onnx").write_bytes(model.SerializeToString())
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(np.array([-1, 2], np.float32)).SerializeToString())


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_backend_of_the_page_runs(tmp_path):
    file, row, _ = blocks("python")
    module = tmp_path / "example.py"
    module.write_text(file, encoding="utf-8")
    names: dict[str, object] = {}
    exec(row, names)  # noqa: S102 - the page's own text
    entry = names["row"]
    assert entry.module == "backends.example"
    target = parse_target("example:verbose=1", {"example": replace(entry, module=str(module))})
    root = tmp_path / "root"
    add_case(root, "relu", "g (float[2] x) => (float[2] y) { y = Relu (x) }")
    add_case(root, "bad", "g (float[2] x) => (float[3] y) { y = Reshape (x, x) }")
    with Store.open(root, create=True) as store:
        summary = execute(find_cases(root), [target], store=store)
        (execution,) = store.executions("relu")
    assert to_numpy(execution.outputs[0][0]).tolist() == [0, 2]
    assert summary.outcomes[target.canonical][Outcome.OK] == 1
    assert summary.outcomes[target.canonical][Outcome.REJECTED] == 1
    assert "example" not in BACKENDS


def test_the_plug_in_of_the_page_runs_once_it_is_installed(tmp_path, make_wheel):
    (project,), module = blocks("toml"), blocks("python")[2]
    assert len(module.splitlines()) <= 40
    settings = tomllib.loads(project)
    ((group, points),) = settings["project"]["entry-points"].items()
    declared = f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
    (file,) = settings["tool"]["setuptools"]["py-modules"]
    wheel = make_wheel(tmp_path, "dnnfuzz_example", "1.0", {f"{file}.py": module}, entry_points=declared)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    root = tmp_path / "root"
    add_case(root, "relu", "g (float[2] x) => (float[2] y) { y = Relu (x) }")

    def fuzz(*arguments: object) -> str:
        paths = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        command = [str(Path(sys.executable).with_name("fuzz")), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": paths}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    (row,) = (row for row in json.loads(fuzz("backends", "--json"))["backends"] if row["name"] == "example")
    assert row["runnable"]
    assert json.loads(fuzz("exec", "--root", root, "--backend", "example", "--json"))["targets"]["example"]["ok"] == 1
    assert json.loads(fuzz("diff", "--root", root, "--json"))["verdicts"]["example"]["ok"] == 1
