"""The narrow and rare element types in default models, and in none for targets that do not have them."""

from __future__ import annotations

import pytest

from abstract.dtypes import dtype
from abstract.schema import newest_opset
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import DEFAULT_DTYPES, Settings
from fuzz.generate.support import joint_opset, joint_support


def types_of(seeds, settings, supports=None):
    """The names of the element types that nodes read or write."""
    found = set()
    for seed in seeds:
        graph, _ = generate_graph(Seeded(seed), settings, supports)
        values = (v for node in graph.nodes for v in (*node.inputs, *node.outputs) if v is not None)
        found |= {v.type.dtype.name for v in values if hasattr(v.type, "dtype")}
    return found


def test_default_models_have_what_their_opset_has():
    found = types_of(range(400), Settings(nodes=(10, 10)))
    assert len(found) >= 15
    assert {"bfloat16", "int4", "uint4", "float8e4m3fn", "float8e5m2fnuz"} <= found
    assert not found & {"float4e2m1", "float8e8m0", "int2", "uint2", "float6e2m3"}


@pytest.mark.parametrize("kind", [n for n in DEFAULT_DTYPES if dtype(n).extension])
def test_each_is_drawn_where_it_is_asked_for(kind):
    settings = Settings(nodes=(3, 6), opset=newest_opset(), dtypes=(kind, "float", "int64"))
    assert kind in types_of(range(60), settings)


def test_a_type_that_a_table_does_not_name_is_not_drawn_for_it():
    target = ("onnxruntime",)
    settings = Settings(nodes=(8, 8), targets=target, opset=joint_opset(target) or 21)
    supports = joint_support(target)
    found = types_of(range(40), settings, supports)
    assert "float" in found
    named = {n for n in DEFAULT_DTYPES if supports("QuantizeLinear", "float", n) or supports("Identity", n)}
    assert not named & {"float4e2m1", "float8e8m0", "float6e2m3"}
    assert not {n for n in found - named - {"string"} if dtype(n).bits < 8 or n.startswith("float8")}
