"""The graph as the report reads it, and its picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, parser

from fuzz.report.drawings import draw_models
from fuzz.report.families import FAMILIES, family
from fuzz.report.graph import read_graph, type_label
from fuzz.report.picture import COMPACT_FROM, LARGEST, draw
from fuzz.signature import ValueType
from fuzz.wire import WireError

HOSTILE = "</svg><script>alert('x')</script>\x1b[31m\"&"


def model_of(text: str) -> onnx.ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')


SMALL = model_of("""
    g (float[1,3,N,8] x, bool c) => (float[1,4,M,6] y) {
        t = Conv <kernel_shape = [3, 3], auto_pad = "VALID"> (x, w, b)
        y = Relu (t)
    }
""")
SMALL.graph.initializer.add(name="w", data_type=1, dims=[4, 3, 3, 3], raw_data=bytes(4 * 108))
SMALL.graph.initializer.add(name="b", data_type=1, dims=[4], raw_data=bytes(16))


def chain(length: int) -> onnx.ModelProto:
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(length)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("v0", f"v{length}")]
    return helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]))


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own picture


def test_nodes_values_and_types_are_read():
    graph = read_graph(SMALL.SerializeToString())
    conv, relu = graph.nodes
    assert (conv.operator, conv.inputs, conv.outputs) == ("Conv", ("x", "w", "b"), ("t",))
    assert dict(conv.attributes) == {"kernel_shape": "3, 3", "auto_pad": "VALID"}
    assert (relu.operator, relu.domain) == ("Relu", "")
    assert (graph.inputs, graph.outputs) == (("x", "c"), ("y",))
    assert graph.initializers == {"w", "b"}
    assert graph.types == {"x": "f32 1×3×N×8", "c": "bool scalar", "y": "f32 1×4×M×6", "w": "f32 4×3×3×3", "b": "f32 4"}


def test_attributes_of_every_kind_are_short_texts():
    node = helper.make_node(
        "Any", [], ["y"], f=0.1, i=-3, s="text", fs=[1.0] * 9, ints=list(range(9)), ss=["a", "b"],
        t=helper.make_tensor("t", TensorProto.INT8, [2], [1, 2]), g=SMALL.graph,
    )  # fmt: skip
    graph = helper.make_model(helper.make_graph([node], "g", [], []))
    found = dict(read_graph(graph.SerializeToString()).nodes[0].attributes)
    assert found == {
        "f": "0.1", "i": "-3", "s": "text", "fs": "1, 1, 1, 1, 1, 1, …", "ints": "0, 1, 2, 3, 4, 5, …",
        "ss": "a, b", "t": "i8 2", "g": "subgraph",
    }  # fmt: skip


def test_what_a_subgraph_reads_from_outside_is_an_input_of_its_node():
    graph = read_graph(
        model_of("""
            g (bool c, float[2] a, float[2] z) => (float[2] y) {
                y = If (c) <
                    then_branch = t () => (float[2] p) { q = Neg (a)  p = Add (q, z) },
                    else_branch = e () => (float[2] r) { r = Abs (a) }
                >
            }""").SerializeToString()
    )
    assert graph.nodes[0].captured == ("a", "z")
    assert draw(graph).count("<path") == len(("c", "a", "z")) + len(("y",)) + 0


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (ValueType("tensor", "float16", ()), "f16 scalar"),
        (ValueType("tensor", None, None), "?"),
        (ValueType("tensor", "uint8", (2, None, "unk__7", "N")), "u8 2×?×?×N"),
        (ValueType("sequence", element=ValueType("tensor", "int64", None)), "seq(i64)"),
        (ValueType("optional", element=ValueType("sequence", element=ValueType("unknown"))), "opt(seq(unknown()))"),
    ],
)
def test_types_as_labels(kind, label):
    assert type_label(kind) == label


@given(st.binary(max_size=120))
def test_no_bytes_bring_down_the_reader_or_the_picture(data):
    try:
        svg = draw(read_graph(data))
    except WireError:
        return
    assert svg == "" or parse(svg).tag.endswith("svg")


def test_the_picture_shows_operators_constants_types_and_ports():
    svg = draw(read_graph(onnx.shape_inference.infer_shapes(SMALL).SerializeToString()))
    texts = [element.text for element in parse(svg).iter() if element.tag.endswith("text")]
    assert {"Conv", "Relu", "x", "f32 1×3×N×8", "y", "w  f32 4×3×3×3", "b  f32 4"} <= set(texts)
    assert any(text.startswith("f32 1×4×") for text in texts)
    assert 'class="node linear"' in svg
    assert 'class="node activation"' in svg


@pytest.mark.parametrize("mark", ["n1", "v2"])
def test_the_marked_node_stands_out_whether_named_by_itself_or_by_its_value(mark):
    svg = draw(read_graph(chain(4).SerializeToString()), [mark])
    bad = re.findall(r'<g class="node [a-z]+ bad"><title>(.*?)</title>', svg, re.DOTALL)
    assert len(bad) == 1
    assert "n1" in bad[0]


def test_an_empty_name_marks_nothing():
    model = chain(2)
    for node in model.graph.node:
        node.name = ""
        node.output.append("")
    assert "bad" not in draw(read_graph(model.SerializeToString()), [])


def test_names_are_escaped():
    model = chain(1)
    model.graph.node[0].op_type = model.graph.node[0].name = model.graph.input[0].name = HOSTILE
    model.graph.node[0].input[0] = HOSTILE
    svg = draw(read_graph(model.SerializeToString()))
    assert "<script" not in svg


def test_large_graphs_are_compact_and_huge_ones_are_left_out():
    full = draw(read_graph(chain(COMPACT_FROM).SerializeToString()))
    compact = draw(read_graph(chain(COMPACT_FROM + 1).SerializeToString()), ["n7"])
    assert 'class="graph compact"' not in full
    assert 'class="graph compact"' in compact
    assert "<text" not in compact
    assert compact.count(" bad") == 1
    assert compact.count("<rect") == COMPACT_FROM + 2
    assert len(compact) < len(full)
    assert draw(read_graph(chain(LARGEST + 1).SerializeToString())) == ""


def test_a_wide_graph_of_many_skips_is_drawn():
    nodes = [helper.make_node("Add", [f"v{i}", "v0"], [f"v{i + 1}"]) for i in range(60)]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("v0", "v60")]
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:]))
    assert parse(draw(read_graph(model.SerializeToString()))).tag.endswith("svg")


def test_families_are_disjoint_and_name_operators_of_onnx():
    names = [name for text in FAMILIES.values() for name in text.split()]
    assert len(names) == len(set(names))
    assert set(names) <= {schema.name for schema in onnx.defs.get_all_schemas()} | {"Upsample", "Scatter"}
    assert family("Conv") == "linear"
    assert family("Conv", "com.example") == "other"
    assert family("Constant") == "other"


def test_drawings_come_with_operators_and_say_why_there_is_none(tmp_path):
    files = {"fine": SMALL.SerializeToString(), "huge": chain(LARGEST + 1).SerializeToString(), "corrupt": b"\xff"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = {name: tmp_path / name for name in (*files, "missing")}
    found = draw_models(paths, {"fine": ["t"]}, jobs=1)
    assert list(found) == list(paths)
    assert found["fine"].operators == (("Conv", 1), ("Relu", 1))
    assert " bad" in found["fine"].svg
    assert "f32 1×4×" in found["fine"].svg
    assert found["huge"].problem == f"a graph of {LARGEST + 1:,} nodes is too large to draw"
    assert "cannot be drawn" in found["corrupt"].problem
    assert "cannot be drawn" in found["missing"].problem
