"""Relations on real backends: pairs that agree, and what a saved program is."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from fuzz.check import Limits
from fuzz.execute.target import parse_target
from fuzz.relations.prepare import FAMILIES, Plan
from fuzz.relations.run import relate

BODY = """
    g (float[4, 6] x) => (float[4, 2] y)
    <float[6, 2] w = {1.,2.,3.,4.,5.,6.,7.,8.,9.,10.,11.,12.}, float[2] b = {0.5, -0.5}>
    { p = MatMul (x, w) q = Add (p, b) y = Relu (q) }
"""


@pytest.fixture
def root(tmp_path, model):
    folder = tmp_path / "root" / "case"
    (folder / "test_data_set_0").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model(BODY))
    x = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)
    (folder / "test_data_set_0" / "input_0.pb").write_bytes(numpy_helper.from_array(x).SerializeToString())
    return folder.parent


@pytest.mark.parametrize(
    ("target", "families"),
    [
        ("onnxruntime", {"unoptimised", "static", "metamorphic", "batch", "opset", "save"}),
        ("openvino", {"unoptimised", "static", "metamorphic", "batch", "opset", "save"}),
        ("tvm", {"unoptimised", "static", "metamorphic", "batch", "opset", "save"}),
    ],
)
def test_a_small_model_keeps_all_relations(root, target, families):
    related = relate(root, [parse_target(target)], Plan(tuple(FAMILIES), rewrites=3), limits=Limits(), jobs=1)
    assert set(related.counts[target]) == families
    words = {(v.oracle, v.verdict, v.message) for v in related.verdicts if v.verdict not in {"ok", "unsupported"}}
    assert words == set()
    assert all(words["ok"] for family, words in related.counts[target].items() if family != "opset")
    assert related.notes == []


def test_a_tvm_program_is_saved_by_a_compiler_or_not_at_all(monkeypatch):
    from backends.protocol import Unsupported
    from backends.tvm import _reloaded, cc

    monkeypatch.setattr(cc, "get_cc", lambda: None)
    with pytest.raises(Unsupported, match="C\\+\\+ compiler"):
        _reloaded(None)
