"""The examples of docs/add-an-operator.md, executed: both rows generate, run and are judged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.checker

from abstract.operator import Operator, Run
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Float64, interpret
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "add-an-operator.md"
USERS = ("fuzz.generate.builder", "fuzz.generate.graph", "fuzz.generate.plan", "fuzz.generate.emit", "abstract.program")


def example(number: int) -> Operator:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(blocks[number], names)  # noqa: S102 - the documentation's own code
    row = names["row"]
    assert isinstance(row, Operator)
    return row


def test_a_function_of_one_element() -> None:
    row = example(0)
    run = Run({}, (np.array([8.0, -27.0]),), (None,), (), Float64())
    (y,) = row.evaluate(run)
    np.testing.assert_allclose(y, [2.0, -3.0], rtol=1e-15)
    (bound,) = row.error(run, (y,), (0.1,))
    assert np.all(np.asarray(bound) >= np.abs(np.cbrt([8.1, -27.1]) - y))


def test_a_whole_row_makes_valid_models(monkeypatch: pytest.MonkeyPatch) -> None:
    row = example(1)
    assert row.name == "Transpose"
    for user in USERS:
        monkeypatch.setattr(f"{user}.TABLE", {**TABLE, "Transpose": row})
    settings = Settings(nodes=(1, 3), operators=("Transpose",))
    permuted = 0
    for seed in range(30):
        made = generate_case(Seeded(seed), settings)
        model = onnx.ModelProto.FromString(made.model)
        onnx.checker.check_model(model, full_check=True)
        permuted += len(model.graph.node)
        program = parse(model)
        inputs = {i.name: np.zeros([d.dim_value for d in i.type.tensor_type.shape.dim]) for i in model.graph.input}
        values = interpret(program, inputs)
        for name in program.outputs:
            assert values[name].bound == 0.0
    assert permuted >= 30
