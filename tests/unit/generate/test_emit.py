"""The model file: valid at every opset, parameters where the schema wants them, open dims said relatively."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from abstract.dims import Expr
from abstract.dtypes import DTYPES, Kind, dtype
from abstract.graph import Graph, Node, Origin, Value
from abstract.schema import newest_opset
from abstract.types import TensorType
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit, stored_type
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

OPSETS = range(13, newest_opset() + 1)


def value(graph, name, shape, kind="float", origin=Origin.INPUT, array=None):
    sizes = tuple(graph.store.value(d) for d in shape)
    array = np.zeros(sizes, dtype(kind).carrier) if array is None else np.asarray(array, dtype(kind).carrier)
    made = Value(name, TensorType(dtype(kind), tuple(shape)), array, origin, exact=True)
    {Origin.INPUT: graph.inputs, Origin.INITIALIZER: graph.initializers, Origin.NODE: graph.outputs}[origin].append(
        made
    )
    return made


def apply(graph, operator, inputs, params, shape, kind="float"):
    """Append a node with one output of this shape, which is an output of the graph."""
    result = value(graph, f"y{len(graph.nodes)}", shape, kind, Origin.NODE)
    graph.nodes.append(Node(operator, tuple(inputs), (result,), params))
    return result


def proto(graph, *, dynamic=False):
    model = onnx.ModelProto.FromString(emit(graph, dynamic=dynamic).model)
    onnx.checker.check_model(model, full_check=True)
    return model


def constants(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def dims(info):
    return [d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in info.type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", OPSETS)
def test_the_checker_accepts_every_opset(opset):
    for seed in range(3):
        made = generate_case(Seeded(seed), Settings(nodes=(4, 8), opset=opset))
        model = onnx.ModelProto.FromString(made.model)
        onnx.checker.check_model(model, full_check=True)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]


@pytest.mark.parametrize("opset", OPSETS)
def test_the_ir_version_is_the_oldest_that_knows_the_opset(opset):
    graph = Graph(opset)
    apply(graph, "Relu", [value(graph, "x", (2,))], {}, (2,))
    version = proto(graph).ir_version
    releases = [row for row in onnx.helper.VERSION_TABLE if row[2] >= opset]
    assert version == min(row[1] for row in releases)


class TestParameters:
    def reduced(self, opset):
        graph = Graph(opset)
        apply(graph, "ReduceMax", [value(graph, "x", (2, 3))], {"axes": (1,), "keepdims": 0}, (2,))
        return proto(graph)

    def test_as_attributes_where_the_opset_has_them_so(self):
        (node,) = self.reduced(13).graph.node
        assert list(node.input) == ["x"]
        assert {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} == {"axes": [1], "keepdims": 0}

    def test_as_inputs_where_the_opset_has_them_so(self):
        model = self.reduced(18)
        (node,) = model.graph.node
        assert [a.name for a in node.attribute] == ["keepdims"]
        assert constants(model)[node.input[1]].tolist() == [1]
        assert constants(model)[node.input[1]].dtype == np.int64

    def test_absent_ones_leave_a_gap_but_none_at_the_end(self):
        graph = Graph(21)
        x = value(graph, "x", (2,))
        apply(graph, "Clip", [x], {"max": 1.5}, (2,))
        apply(graph, "Clip", [x], {"min": -1.5}, (2,))
        apply(graph, "Clip", [x], {}, (2,))
        model = proto(graph)
        assert [[n if n in {"x", ""} else "c" for n in node.input] for node in model.graph.node] == [
            ["x", "", "c"], ["x", "c"], ["x"],
        ]  # fmt: skip
        assert constants(model)[model.graph.node[0].input[2]].tolist() == 1.5

    @pytest.mark.parametrize("kind", ["float", "double", "float16", "int8", "uint64"])
    def test_of_the_type_of_the_operand_that_shares_their_variable(self, kind):
        graph = Graph(21)
        apply(graph, "Clip", [value(graph, "x", (2,), kind)], {"max": 2 if kind[0] in "iu" else 2.0}, (2,), kind)
        (tensor,) = proto(graph).graph.initializer
        assert tensor.data_type == dtype(kind).code

    def test_scalars_and_lists_keep_their_rank(self):
        graph = Graph(21)
        x = value(graph, "x", (4,))
        apply(graph, "CumSum", [x], {"axis": 0}, (4,))
        apply(graph, "Reshape", [x], {"shape": (2, 2)}, (2, 2))
        assert [a.shape for a in constants(proto(graph)).values()] == [(), (2,)]

    def test_an_empty_list_is_a_list_of_integers(self):
        graph = Graph(21)
        apply(graph, "Reshape", [value(graph, "x", (1,))], {"shape": ()}, ())
        (array,) = constants(proto(graph)).values()
        assert (array.shape, array.dtype) == ((0,), np.int64)

    def test_every_kind_of_attribute(self):
        graph = Graph(21)
        x = value(graph, "x", (1, 1, 4, 4))
        params = {"kernel_shape": (2, 2), "auto_pad": b"SAME_UPPER", "ceil_mode": 0}
        apply(graph, "MaxPool", [x], params, (1, 1, 4, 4))
        apply(graph, "LeakyRelu", [x], {"alpha": 0.25}, (1, 1, 4, 4))
        apply(graph, "EyeLike", [value(graph, "z", (2, 2))], {"k": True}, (2, 2))
        first, second, third = proto(graph).graph.node
        kinds = {a.name: a.type for node in (first, second, third) for a in node.attribute}
        kind = onnx.AttributeProto
        assert kinds == {
            "kernel_shape": kind.INTS, "auto_pad": kind.STRING, "ceil_mode": kind.INT, "alpha": kind.FLOAT,
            "k": kind.INT,
        }  # fmt: skip

    def test_tensors_and_texts(self):
        graph = Graph(21)
        x = value(graph, "x", (1, 1, 4, 4))
        filled = onnx.TensorProto(data_type=1, dims=[1])
        filled.raw_data = np.float32([2.5]).tobytes()
        apply(graph, "ConstantOfShape", [], {"input": (2,), "value": filled}, (2,))
        apply(graph, "Gelu", [x], {"approximate": b"tanh"}, (1, 1, 4, 4))
        first, second = proto(graph).graph.node
        assert numpy_helper.to_array(first.attribute[0].t).tolist() == [2.5]
        assert second.attribute[0].s == b"tanh"

    def test_symbolic_parameters_are_written_by_their_witness(self):
        graph = Graph(21)
        kernel = graph.store.fresh(3, low=1, high=5, name="k")
        pool = {"kernel_shape": (kernel, kernel)}
        apply(graph, "MaxPool", [value(graph, "x", (1, 1, 4, 4))], pool, (1, 1, 5 - kernel, 5 - kernel))
        (attribute,) = proto(graph).graph.node[0].attribute
        assert list(attribute.ints) == [3, 3]

    def test_where_no_operand_shares_their_variable(self):
        allowed = (dtype("float"), dtype("int64"), dtype("int8"))
        assert stored_type(allowed, (1, 2)) is dtype("int64")
        assert stored_type(allowed, 1.5) is dtype("float")
        assert stored_type((dtype("int8"),), 1) is dtype("int8")
        assert stored_type(allowed, ()) is dtype("int64")


class TestInputs:
    def test_variadic_operands(self):
        graph = Graph(21)
        operands = [value(graph, n, (2,)) for n in "abc"]
        apply(graph, "Concat", operands, {"axis": 0}, (6,))
        assert list(proto(graph).graph.node[0].input) == ["a", "b", "c"]

    def test_an_absent_operand_leaves_a_gap(self):
        graph = Graph(21)
        operands = [value(graph, "x", (1, 1, 3)), value(graph, "w", (1, 1, 2)), None]
        apply(graph, "Conv", operands, {}, (1, 1, 2))
        assert list(proto(graph).graph.node[0].input) == ["x", "w"]

    @pytest.mark.parametrize("kind", [d.name for d in DTYPES if d.kind not in {Kind.STRING, Kind.COMPLEX}])
    def test_initializers_of_every_type_are_read_back(self, kind):
        numbers = [0, 1, 1, 0, 1] if kind.startswith("bool") else [1, 2, 1] if kind == "float8e8m0" else [0, 1, 1, 0, 1]
        graph = Graph(newest_opset())
        weight = value(graph, "w", (len(numbers),), kind, Origin.INITIALIZER, numbers)
        apply(graph, "Identity", [weight], {}, (len(numbers),), kind)
        model = onnx.ModelProto.FromString(emit(graph, dynamic=False).model)
        array = numpy_helper.to_array(model.graph.initializer[0])
        assert array.astype(np.float64).tolist() == numbers
        assert model.graph.initializer[0].data_type == dtype(kind).code

    def test_negative_numbers_of_half_a_byte(self):
        graph = Graph(21)
        weight = value(graph, "w", (3,), "int4", Origin.INITIALIZER, [-8, 7, -1])
        apply(graph, "Identity", [weight], {}, (3,), "int4")
        (array,) = constants(proto(graph)).values()
        assert array.astype(np.int64).tolist() == [-8, 7, -1]


class TestDynamic:
    def open_graph(self, *sizes):
        graph = Graph(21)
        symbols = [graph.store.fresh(n, low=1) for n in sizes]
        return graph, symbols, value(graph, "x", tuple(symbols))

    def test_a_static_model_has_numbers_alone(self):
        graph, (a, b), x = self.open_graph(2, 3)
        apply(graph, "Relu", [x], {}, (a, b))
        model = proto(graph)
        assert dims(model.graph.input[0]) == dims(model.graph.output[0]) == [2, 3]
        assert emit(graph, dynamic=False).open == []

    def test_symbols_are_kept_as_names(self):
        graph, (a, b), x = self.open_graph(2, 3)
        apply(graph, "Relu", [x], {}, (a, b))
        model = proto(graph, dynamic=True)
        assert dims(model.graph.input[0]) == dims(model.graph.output[0]) == ["d0", "d1"]
        assert [s.name for s in emit(graph, dynamic=True).open] == ["d0", "d1"]

    def test_bound_symbols_are_named_as_what_they_are_bound_to(self):
        graph, (a, b), x = self.open_graph(3, 3)
        graph.store.unify(a, b)
        apply(graph, "Relu", [x], {}, (a, b))
        one, other = dims(proto(graph, dynamic=True).graph.input[0])
        assert one == other
        assert len(emit(graph, dynamic=True).open) == 1

    def test_related_dims_are_said_in_inputs_and_left_open_in_outputs(self):
        graph, (a,), x = self.open_graph(3)
        y = value(graph, "z", (2 * a + 1,))
        apply(graph, "Concat", [x, y], {"axis": 0}, (3 * a + 1,))
        model = proto(graph, dynamic=True)
        assert dims(model.graph.input[1]) == ["2*d0+1"]
        assert dims(model.graph.output[0]) == [None]

    def test_initializers_pin_their_sizes(self):
        graph, (a, b), x = self.open_graph(2, 3)
        weight = value(graph, "w", (b,), origin=Origin.INITIALIZER)
        apply(graph, "Add", [x, weight], {}, (a, b))
        model = proto(graph, dynamic=True)
        assert dims(model.graph.input[0]) == ["d0", 3]

    def test_parameters_pin_their_sizes(self):
        graph, (a, b), x = self.open_graph(4, 3)
        apply(graph, "Slice", [x], {"starts": (0,), "ends": (b,), "axes": (1,)}, (a, b))
        assert dims(proto(graph, dynamic=True).graph.input[0]) == ["d0", 3]

    @pytest.mark.parametrize(
        ("target", "said", "opened"),
        [
            (lambda a, b: (a, b, 1), [0, 0, 1], ["d0", "d1"]),
            (lambda a, b: (a * b,), [-1], ["d0", "d1"]),
            (lambda a, b: (b, a), [3, 2], [2, 3]),
            (lambda a, b: (a, 1, b), [0, 1, -1], ["d0", "d1"]),
            (lambda a, b: (1, a, b), [1, 2, 3], [2, 3]),
            (lambda _a, _b: (6, 1), [6, 1], ["d0", "d1"]),
        ],
    )
    def test_reshape_copies_and_infers(self, target, said, opened):
        graph, (a, b), x = self.open_graph(2, 3)
        shape = target(a, b)
        apply(graph, "Reshape", [x], {"shape": shape}, shape)
        model = proto(graph, dynamic=True)
        assert constants(model)["c1"].tolist() == said
        assert dims(model.graph.input[0]) == opened

    def test_reshape_copies_nothing_where_zero_means_zero(self):
        graph, (a, b), x = self.open_graph(2, 3)
        apply(graph, "Reshape", [x], {"shape": (a, b), "allowzero": 1}, (a, b))
        assert constants(proto(graph, dynamic=True))["c1"].tolist() == [2, 3]

    def test_reshape_says_minus_one_once(self):
        graph, (a, b), x = self.open_graph(2, 3)
        apply(graph, "Reshape", [x], {"shape": (-1, b)}, (a, b))
        assert constants(proto(graph, dynamic=True))["c1"].tolist() == [-1, 0]

    def test_expand_says_one_for_what_is_there(self):
        graph, (a, b), x = self.open_graph(2, 3)
        apply(graph, "Expand", [x], {"shape": (4, a, b)}, (4, a, b))
        model = proto(graph, dynamic=True)
        assert constants(model)["c1"].tolist() == [4, 1, 1]
        assert dims(model.graph.input[0]) == ["d0", "d1"]

    def test_no_open_symbol_leaves_no_mark(self):
        graph = Graph(21)
        apply(graph, "Relu", [value(graph, "x", (2, 3))], {}, (2, 3))
        assert emit(graph, dynamic=True).model == emit(graph, dynamic=False).model

    def test_the_witness_size_of_a_pinned_expression(self):
        graph, (a, b), x = self.open_graph(2, 3)
        assert isinstance(a, Expr)
        weight = value(graph, "w", (a, b), origin=Origin.INITIALIZER)
        apply(graph, "Add", [x, weight], {}, (a, b))
        emitted = emit(graph, dynamic=True)
        assert emitted.open == []
        assert dims(onnx.ModelProto.FromString(emitted.model).graph.input[0]) == [2, 3]


def test_bytes_are_the_same_each_time():
    graph = Graph(21)
    apply(graph, "Relu", [value(graph, "x", (2, 3))], {}, (2, 3))
    assert emit(graph, dynamic=False).model == emit(graph, dynamic=False).model
