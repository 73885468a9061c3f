"""The backend of the how-to works as it is printed there."""

from __future__ import annotations

import re
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


def test_the_backend_of_the_page_runs(tmp_path):
    file, row = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
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
