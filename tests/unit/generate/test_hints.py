"""What keeps ONNX's shape inference from refusing valid models: each hint beside the refusal that it is there for."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import onnx.shape_inference
import pytest

from abstract.constraints import Constraints
from abstract.dtypes import dtype
from abstract.graph import Graph, Node, Origin, Value
from abstract.types import TensorType
from fuzz.generate import emit as emitter
from fuzz.generate.chain import Sources
from fuzz.generate.choices import Seeded
from fuzz.generate.convex import is_alike
from fuzz.generate.functions import fold
from fuzz.generate.hints import declared, overflows
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

ATTENTION = Settings(
    nodes=(3, 8), operators=("GroupNormalization", "Attention", "Relu"), dtypes=("float",), opset=28, dynamic=None
)
CUT = """
<ir_version: 10, opset_import: ["": 21]>
g (float[5, 6, 7] x) => (float[a] y, float[b] z, float[c, d, e] r) {
  shape = Shape (x)
  one = Constant <value: tensor = int64[1] {1}> ()
  two = Constant <value: tensor = int64[1] {2}> ()
  three = Constant <value: tensor = int64[1] {3}> ()
  middle = Slice (shape, one, two)
  last = Slice (shape, two, three)
  axes = Constant <value: tensor = int64[1] {0}> ()
  axis = Constant <value: tensor = int64 {0}> ()
  first = Gather (shape, axis)
  front = Unsqueeze (first, axes)
  sizes = Concat <axis = 0> (front, middle, last)
  r = Resize (x, , , sizes)
  y = ConstantOfShape (middle)
  z = ConstantOfShape (last)
}
"""


def refused(model):
    """What strict inference says of a model, "" if it takes it."""
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        return str(error)
    return ""


def attentions():
    """What is said of models with Attention behind an operator of which inference knows nothing."""
    made = (onnx.ModelProto.FromString(generate_case(Seeded(seed), ATTENTION).model) for seed in range(150))
    return [(model, refused(model)) for model in made]


def test_attention_is_accepted_with_its_scores():
    found = attentions()
    assert [said for _, said in found if said] == []
    assert any(model.graph.value_info for model, _ in found)


def test_attention_is_refused_where_the_query_is_not_declared(monkeypatch):
    monkeypatch.setattr(emitter, "declared", lambda *_: [])
    assert any("Inferred shape and existing shape differ" in said for _, said in attentions())


def sizes_of_0():
    """The models in which inference finds an output of Attention to be empty; none of these is."""
    found = []
    for model, _ in attentions():
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        outputs = {name for node in inferred.node if node.op_type == "Attention" for name in node.output}
        for info in (*inferred.value_info, *inferred.output):
            dims = info.type.tensor_type.shape.dim
            if info.name in outputs and any(d.HasField("dim_value") and d.dim_value == 0 for d in dims):
                found.append(model)
    return found


def test_what_inference_finds_of_attention_is_not_empty(monkeypatch):
    assert not sizes_of_0()
    monkeypatch.setattr(emitter, "numbers", lambda _: ())
    assert sizes_of_0()


def number(array, origin=Origin.INITIALIZER, kind="int64"):
    array = np.asarray(array, dtype(kind).carrier)
    return Value("w1", TensorType(dtype(kind), array.shape), array, origin, exact=True)


MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("operator", "operands", "expected"),
    [
        ("Mul", (number([MOST]), number(8)), True),
        ("Add", (number([1, MOST]), number([1, 1])), True),
        ("Sub", (number(-MOST), number(2)), True),
        ("Mul", (number([MOST]), number(8, Origin.INPUT)), False),
        ("Mul", (number([[MOST]]), number(8)), False),
        ("Mul", (number([3, 4]), number(8)), False),
        ("Mul", (number([], Origin.NODE), number(8)), False),
        ("Mul", (number([2.0**40], kind="float"), number(2.0**40, kind="float")), False),
    ],
)
def test_arithmetic_that_inference_does_may_not_overflow(operator, operands, expected):
    assert overflows(operator, operands) is expected
    constant = all(v.origin is Origin.INITIALIZER for v in operands)
    if constant:  # what inference does indeed
        tensors = [
            onnx.numpy_helper.from_array(v.array.astype(v.type.dtype.numpy), name)
            for name, v in zip("ab", operands, strict=True)
        ]
        y = onnx.helper.make_tensor_value_info("y", tensors[0].data_type, None)
        node = onnx.helper.make_node(operator, ["a", "b"], ["y"])
        model = onnx.helper.make_model(
            onnx.helper.make_graph([node], "g", [], [y], tensors), opset_imports=[onnx.helper.make_opsetid("", 21)]
        )
        said = ""
        try:
            onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError as error:
            said = str(error)
        assert ("overflow" in said) is expected


def test_no_function_hides_where_a_slice_begins_nor_axes():
    plain = onnx.parser.parse_model(CUT)
    folded = [onnx.ModelProto.FromString(fold(plain.SerializeToString(), Seeded(seed), 3)) for seed in range(40)]
    assert any(model.functions for model in folded)
    for model in folded:
        assert refused(model) == ""
        hidden = [node for function in model.functions for node in function.node if node.op_type == "Constant"]
        assert all(node.output[0] == "axis" for node in hidden)


def hiding(text, number):
    """A model in which a function gives one of the constants."""
    constant = f"Constant <value: tensor = int64[1] {{{number}}}> ()"
    return onnx.parser.parse_model(
        text.replace('"": 21', '"": 21, "local": 1').replace(constant, "local.One ()")
        + f'<domain: "local", opset_import: ["": 21]> One () => (c) {{ c = {constant} }}'
    )


def test_inference_begins_a_slice_at_0_where_a_function_hides_where():
    text = CUT.replace("  r = Resize (x, , , sizes)\n", "").replace(", float[c, d, e] r", "")
    assert "differ in rank" in refused(hiding(text, 1))


def test_inference_counts_no_sizes_where_a_function_hides_axes():
    assert "Number of elements of input 'sizes' (0)" in refused(hiding(CUT, 0))


def test_a_sequence_is_of_a_type_that_its_reader_takes():
    """SplitToSequence takes bfloat16, which SequenceAt does not."""
    settings = Settings(
        nodes=(2, 6), operators=("SplitToSequence", "SequenceAt", "Relu"), dtypes=("bfloat16", "float"), opset=25
    )
    for seed in range(60):
        assert refused(onnx.ModelProto.FromString(generate_case(Seeded(seed), settings).model)) == ""


WINDOW = """
<ir_version: 12, opset_import: ["": 26]>
g (float[1, 4, 2, 3] x, float[4] s, float[2, 9, 1] t) => (float[a, b, c, 2] y) {
  n = GroupNormalization <num_groups = 2> (x, s, s)
  axes = Constant <value: tensor = int64[3] {0, 1, 2}> ()
  w = ReduceMax <keepdims = 0> (n, axes)
  step = Constant <value: tensor = int64 {2}> ()
  length = Constant <value: tensor = int64 {3}> ()
  y = STFT <onesided = 0> (t, step, w, length)
}
"""


def test_a_window_of_which_nothing_is_known_is_a_scalar_to_inference():
    model = onnx.parser.parse_model(WINDOW)
    assert "window input must have rank = 1" in refused(model)
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [3]))
    assert refused(model) == ""


def test_a_computed_window_is_declared():
    kinds = [Value(name, TensorType(dtype("float"), (3,)), np.zeros(3), Origin.NODE, exact=False) for name in "xw"]
    graph = Graph(26, Constraints())
    graph.nodes.append(Node("Relu", (), (kinds[1],), {}))
    assert declared(Node("STFT", tuple(kinds), (), {}), graph) == [kinds[1]]
    assert declared(Node("Relu", tuple(kinds), (), {}), graph) == []


ELLIPSIS = """
<ir_version: 8, opset_import: ["": 17]>
g (float[3, 1, 1, 3] a, float[2, 2, k] b) => (float[p, q, r] y) { y = Einsum <equation = "z...z,y..."> (a, b) }
"""


def test_inference_takes_1_for_a_size_that_is_not_known_beside_it():
    found = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(ELLIPSIS)).graph.output[0]
    assert [dim.dim_value for dim in found.type.tensor_type.shape.dim] == [2, 1, 2]


def test_no_ellipsis_is_stretched_by_what_inference_does_not_know():
    settings = Settings(nodes=(3, 7), operators=("OneHot", "Einsum", "Concat"), dtypes=("float", "int64"), opset=17)
    for seed in range(150):
        model = onnx.ModelProto.FromString(generate_case(Seeded(seed), settings).model)
        assert refused(model) == "", seed


def test_calls_that_leave_out_the_split_share_no_function():
    one, other = (onnx.helper.make_node("SplitToSequence", names, ["y"]) for names in (["x", "s"], ["x"]))
    assert is_alike(one, one)
    assert not is_alike(one, other)
    clip = [onnx.helper.make_node("Clip", names, ["y"]) for names in (["x", "s"], ["x"])]
    assert is_alike(*clip)


def test_sizes_are_read_off_types_that_shape_takes():
    values = [
        Value(kind, TensorType(dtype(kind), (2,)), np.zeros(2), Origin.INPUT, exact=True)
        for kind in ("float", "float6e2m3")
    ]
    sources = Sources(Constraints(), frozenset(), (dtype("float"),))
    sources.add(values)
    assert sources.known == {values[0]}
