"""`check_model` on a compiler with a known fault: the node at which it parts from the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.entry import Entry
from fuzz.check import Limits, check_model
from fuzz.errors import CaseError
from fuzz.execute.target import parse_target
from fuzz.judge.judge import Oracle


@pytest.fixture
def faulty():
    module = str(Path(__file__).with_name("sin_backend.py"))
    return parse_target(
        "faulty", {"faulty": Entry(name="faulty", module=module, distributions=("onnx",), requirements=("onnx",))}
    )


@pytest.fixture
def check(tmp_path, faulty):
    def run(*operators: str, names: dict[str, str] | None = None, external: bool = False):
        nodes = [
            helper.make_node(operator, [f"v{i}"], [f"v{i + 1}"], name=(names or {}).get(operator, f"n{i}"))
            for i, operator in enumerate(operators)
        ]
        ports = [helper.make_tensor_value_info(v, TensorProto.FLOAT, [3]) for v in ("v0", f"v{len(nodes)}")]
        model = helper.make_model(
            helper.make_graph(nodes, "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 17)]
        )
        if external:
            weight = numpy_helper.from_array(np.zeros(1024, np.float32), "w")
            model.graph.initializer.append(weight)
        onnx.save(model, tmp_path / "m.onnx", save_as_external_data=external, location="w.bin" if external else None)
        data = tmp_path / "test_data_set_0"
        data.mkdir()
        values = np.array([0.5, 1.0, 2.0], np.float32)
        (data / "input_0.pb").write_bytes(numpy_helper.from_array(values, "v0").SerializeToString())
        (verdict,) = check_model(tmp_path / "m.onnx", None, [faulty], Oracle(), Limits(60, 2048))
        return verdict

    return run


def test_a_sound_model_is_ok_and_names_no_node(check):
    verdict = check("Abs", "Neg")
    assert (verdict.verdict, verdict.node) == ("ok", None)


def test_the_first_wrong_node_is_named_though_later_ones_are_off_too(check):
    verdict = check("Neg", "Sin", "Neg", "Abs")
    assert (verdict.verdict, verdict.output) == ("wrong", "v4")
    assert verdict.node == "Sin 'n1', output 'v2'; the node alone is wrong too"


def test_weights_that_lie_beside_the_model_are_found(check):
    assert check("Neg", "Sin", external=True).node == "Sin 'n1', output 'v2'; the node alone is wrong too"


def test_a_fault_that_hides_once_values_are_exposed_is_told_as_such(check):
    verdict = check("Abs", "Sin", names={"Sin": "hide"})
    assert verdict.verdict == "wrong"
    assert verdict.node.startswith("Sin 'hide', output 'v2', of the model cut off behind it")
    assert "exposed the answer is right" in verdict.node


def test_a_folder_without_inputs(check, tmp_path, faulty):
    check("Abs")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseError, match=r"holds neither input_0\.pb nor test_data_set_0"):
        check_model(tmp_path / "m.onnx", tmp_path / "empty", [faulty], Oracle(), Limits())
