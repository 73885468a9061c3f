"""Models exported: what is put in the place of the exporter's own gives the same models and leaves it as it was."""

from __future__ import annotations

import pytest
import torch
from onnxscript.rewriter import _matcher, _rewrite_rule
from torch.onnx._internal.exporter import _registration

from corpus import exporter
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


class Rewritten(torch.nn.Module):
    """What rules of the exporter rewrite: normalisations behind convolutions, clips, slices, and casts of casts."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU6())

    def forward(self, x):
        y = self.body(torch.nn.functional.pad(x, (1, 1, 1, 1)))
        return torch.relu(y[:, 1:][:, :2] + 0.0).double().float().reshape(-1, 4).max().clamp(0, 1)


def test_rules_that_are_asked_of_their_operator_alone_rewrite_the_same(monkeypatch):
    torch.manual_seed(0)
    program = export(Rewritten().eval(), (torch.ones(1, 3, 8, 8),), {})
    asked = []
    match = _matcher.SimplePatternMatcher.match

    def counted(self, *args, **options):
        asked.append(self)
        return match(self, *args, **options)

    monkeypatch.setattr(_matcher.SimplePatternMatcher, "match", counted)
    before = _rewrite_rule.RewriteRule.try_rewrite
    ours = converted(program)[1]
    ours_asked = len(asked)
    assert _rewrite_rule.RewriteRule.try_rewrite is before
    monkeypatch.setattr(exporter, "_first", lambda _rule, _kind: None)
    assert converted(program)[1].SerializeToString(deterministic=True) == ours.SerializeToString(deterministic=True)
    assert 0 < 10 * ours_asked < len(asked) - ours_asked
