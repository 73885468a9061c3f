"""Models exported: the exporter's table of operators is kept, and the exporter left as it was."""

from __future__ import annotations

import pytest
import torch
from torch.onnx._internal.exporter import _registration

from corpus.export import converted, export

REGISTRY = _registration.ONNXRegistry


def operators(opset=20):
    program = export(torch.nn.ReLU(), (torch.ones(2),), {})
    model = converted(program, opset)[1]
    return [node.op_type for node in model.graph.node], model.opset_import[0].version


def test_the_table_of_operators_is_made_once_an_opset(monkeypatch):
    made = []
    make = vars(REGISTRY)["from_torchlib"].__func__


    def counted(kind, **told):
        made.append(told)
        return make(kind, **told)

    monkeypatch.setattr(REGISTRY, "from_torchlib", classmethod(counted))
    before = vars(REGISTRY)["from_torchlib"]
    assert [operators(), operators(), operators(18)] == [(["Relu"], 20), (["Relu"], 20), (["Relu"], 18)]
    assert len(made) == 2
    assert vars(REGISTRY)["from_torchlib"] is before


@pytest.mark.parametrize("own", [
    {},
    {"from_torchlib": staticmethod(lambda opset_version: REGISTRY.from_torchlib(opset_version=opset_version))},
])  # fmt: skip
def test_an_exporter_that_makes_its_table_otherwise_exports_all_the_same(monkeypatch, own):
    monkeypatch.setattr(_registration, "ONNXRegistry", type("ONNXRegistry", (REGISTRY,), own))
    assert operators()[0] == ["Relu"]
