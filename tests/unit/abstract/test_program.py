"""Reading a model: what is data, what a parameter, what a constant, and what is left to ONNX's own operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from abstract.dtypes import dtype
from abstract.program import parameter, parse, to_carrier

X = ("x", "float", [2, 3])


def node(*args, **attributes):
    return helper.make_node(*args, **attributes)


class TestParameters:
    @pytest.mark.parametrize("opset", [13, 18, 21])
    def test_axes_are_the_same_parameter_as_attribute_and_as_input(self, model, opset):
        if opset < 18:
            made = model(
                [node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)], [X], [("y", "float", [2])], opset=opset
            )
        else:
            reduce = node("ReduceMax", ["x", "axes"], ["y"], keepdims=0)
            made = model([reduce], [X], [("y", "float", [2])], {"axes": np.array([1])}, opset)
        onnx.checker.check_model(made, full_check=True)
        (step,) = parse(made).steps
        assert step.row is not None
        assert step.inputs == ("x",)
        assert step.params["axes"] == (1,)
        assert step.params["keepdims"] == 0
        assert step.late == {}

    @pytest.mark.parametrize("opset", [13, 18, 21])
    def test_defaults_come_from_the_schema_of_the_opset(self, model, opset):
        made = model([node("ReduceSum", ["x"], ["y"])], [X], [("y", "float", [1, 1])], opset=opset)
        (step,) = parse(made).steps
        assert step.params == {"keepdims": 1, "noop_with_empty_axes": 0}

    def test_the_parameters_of_split_differ_by_opset(self, model):
        outputs = [("a", "float", [1, 3]), ("b", "float", [1, 3])]
        old = parse(model([node("Split", ["x"], ["a", "b"])], [X], outputs, opset=13)).steps[0]
        new = parse(model([node("Split", ["x"], ["a", "b"], num_outputs=2)], [X], outputs, opset=18)).steps[0]
        assert "num_outputs" not in old.params
        assert new.params["num_outputs"] == 2

    def test_a_parameter_that_the_graph_computes_is_late(self, model, run):
        nodes = [node("Shape", ["z"], ["s"]), node("Reshape", ["x", "s"], ["y"])]
        made = model(nodes, [X, ("z", "float", [3, 2])], [("y", "float", [3, 2])])
        step = parse(made).steps[1]
        assert step.late == {"shape": "s"}
        assert step.inputs == ("x",)
        values = run(made, {"x": np.arange(6).reshape(2, 3), "z": np.zeros((3, 2))})
        assert values["y"].value.tolist() == [[0, 1], [2, 3], [4, 5]]

    def test_a_parameter_that_the_caller_feeds_is_late(self, model, run):
        made = model([node("Reshape", ["x", "s"], ["y"])], [X, ("s", "int64", [2])], [("y", "float", [None, None])])
        assert parse(made).steps[0].late == {"shape": "s"}
        assert run(made, {"x": np.zeros((2, 3)), "s": [6, 1]})["y"].value.shape == (6, 1)

    def test_a_parameter_with_a_default_that_the_caller_may_override_is_late_too(self, model, run):
        ports = [X, ("s", "int64", [2])]
        made = model(
            [node("Reshape", ["x", "s"], ["y"])], ports, [("y", "float", [None, None])], {"s": np.array([3, 2])}
        )
        assert parse(made).steps[0].late == {"shape": "s"}
        assert run(made, {"x": np.zeros((2, 3))})["y"].value.shape == (3, 2)
        assert run(made, {"x": np.zeros((2, 3)), "s": [6, 1]})["y"].value.shape == (6, 1)

    def test_absent_optional_parameters_are_not_there(self, model, run):
        clip = node("Clip", ["x", "", "top"], ["y"])
        made = model([clip], [X], [("y", "float", [2, 3])], {"top": np.float32(1.5)})
        (step,) = parse(made).steps
        assert step.inputs == ("x",)
        assert dict(step.params) == {"max": 1.5}
        assert run(made, {"x": [[-9, 0, 9], [1, 2, 3]]})["y"].value.tolist() == [[-9, 0, 1.5], [1, 1.5, 1.5]]

    def test_absent_optional_data_is_none(self, model):
        resize = node("Resize", ["x", "", "scales"], ["y"], mode="nearest")
        made = model([resize], [X], [("y", "float", [4, 6])], {"scales": np.array([2, 2], np.float32)})
        (step,) = parse(made).steps
        assert step.inputs == ("x",)
        assert step.params["scales"] == (2.0, 2.0)
        assert "roi" not in step.params

    def test_scalars_are_numbers_and_vectors_tuples(self):
        assert parameter("axes", np.array([1, 2])) == (1, 2)
        assert parameter("axes", np.array([], np.int64)) == ()
        assert parameter("min", np.array(2.5)) == 2.5
        assert type(parameter("axis", np.array(3))) is int

    def test_a_scalar_where_a_list_is_due_is_a_list(self):
        assert parameter("axes", np.array(0)) == (0,)

    def test_list_attributes_are_tuples(self, model):
        pool = node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])
        made = model([pool], [("x", "float", [1, 1, 4, 4])], [("y", "float", [1, 1, 3, 3])])
        assert parse(made).steps[0].params["kernel_shape"] == (2, 2)


CONSTANTS = [
    ({"value_float": 1.5}, "float", 1.5),
    ({"value_floats": [1.5, 2.0]}, "float", [1.5, 2.0]),
    ({"value_int": -3}, "int64", -3),
    ({"value_ints": [2**40]}, "int64", [2**40]),
    ({"value_string": "é"}, "string", "é"),
    ({"value_strings": ["a", ""]}, "string", ["a", ""]),
    ({"value": numpy_helper.from_array(np.array([[1, -2]], np.int8))}, "int8", [[1, -2]]),
    ({"value": numpy_helper.from_array(np.ones((), bool))}, "bool", True),
    ({"value": numpy_helper.from_array(np.array([0.5], np.float16))}, "float16", [0.5]),
    ({"value": helper.make_tensor("v", dtype("bfloat16").code, [2], [0.5, 3.0])}, "bfloat16", [0.5, 3.0]),
    ({"value": helper.make_tensor("v", dtype("int4").code, [3], [1, -8, 7])}, "int4", [1, -8, 7]),
    ({"value": helper.make_tensor("v", dtype("string").code, [1], ["s"])}, "string", ["s"]),
]


class TestConstants:
    @pytest.mark.parametrize(("attribute", "kind", "value"), CONSTANTS, ids=lambda p: str(p)[:24])
    def test_every_form_of_constant_is_a_value_not_a_step(self, model, attribute, kind, value):
        made = model([node("Constant", [], ["c"], **attribute)], [], [("c", kind, np.shape(value))])
        onnx.checker.check_model(made, full_check=True)
        program = parse(made)
        assert program.steps == ()
        assert program.dtypes["c"] is dtype(kind)
        assert program.constants["c"].dtype == dtype(kind).carrier
        assert program.constants["c"].tolist() == value

    @pytest.mark.parametrize(("indices", "dims"), [([2, 5], [6]), ([2, 5], [2, 3]), ([[0, 2], [1, 2]], [2, 3])])
    def test_sparse_tensors_are_held_in_full(self, model, indices, dims):
        values = numpy_helper.from_array(np.array([1.5, 2.5], np.float32), "s")
        sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices)), dims)
        made = model([node("Constant", [], ["c"], sparse_value=sparse)], [], [("c", "float", dims)])
        made.graph.sparse_initializer.append(sparse)
        program = parse(made)
        dense = np.reshape([0, 0, 1.5, 0, 0, 2.5], dims).tolist()
        assert program.steps == ()
        for name in ("c", "s"):
            assert program.constants[name].tolist() == dense
            assert program.dtypes[name] is dtype("float")

    def test_a_sparse_tensor_of_strings_is_empty_elsewhere(self, model):
        values = helper.make_tensor("", onnx.TensorProto.STRING, [1], [b"x"])
        sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1])), [2])
        made = model([node("Constant", [], ["c"], sparse_value=sparse)], [], [("c", "string", [2])])
        assert parse(made).constants["c"].tolist() == ["", "x"]

    def test_a_constant_node_is_a_parameter_like_an_initializer(self, model):
        nodes = [node("Constant", [], ["s"], value_ints=[3, 2]), node("Reshape", ["x", "s"], ["y"])]
        (step,) = parse(model(nodes, [X], [("y", "float", [3, 2])])).steps
        assert step.params["shape"] == (3, 2)

    def test_initializers_are_held_in_carrier_types(self, model):
        constants = {"h": np.array([1.5], np.float16), "u": np.array([2**64 - 1], np.uint64), "i": np.int8(3)}
        program = parse(model([node("Relu", ["h"], ["y"])], [], [("y", "float16", [1])], constants))
        assert {n: a.dtype.name for n, a in program.constants.items()} == {"h": "float64", "u": "uint64", "i": "int64"}
        assert program.constants["u"].tolist() == [2**64 - 1]

    def test_an_initializer_that_is_an_input_is_an_input(self, model, run):
        made = model(
            [node("Relu", ["w"], ["y"])], [("w", "float", [2])], [("y", "float", [2])], {"w": np.float32([1, 2])}
        )
        assert parse(made).inputs == ("w",)
        assert run(made)["y"].value.tolist() == [1, 2]
        assert run(made, {"w": [3, 4]})["y"].value.tolist() == [3, 4]

    def test_a_broken_initializer_is_refused(self, model):
        made = model([node("Relu", ["w"], ["y"])], [], [("y", "float", [2])], {"w": np.float32([1, 2])})
        made.graph.initializer[0].raw_data = b"\0\0\0"
        with pytest.raises(ValueError, match=r".+"):
            parse(made)

    def test_data_outside_of_the_folder_is_refused(self, model, tmp_path):
        (tmp_path / "secret").write_bytes(np.float32([1, 2]).tobytes())
        (tmp_path / "inner").mkdir()
        made = model([node("Relu", ["w"], ["y"])], [], [("y", "float", [2])], {"w": np.float32([1, 2])})
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="secret")
        assert parse(made, str(tmp_path)).constants["w"].tolist() == [1, 2]
        tensor.external_data[0].value = "../secret"
        with pytest.raises((ValueError, onnx.checker.ValidationError)):
            parse(made, str(tmp_path / "inner"))


class TestTypes:
    def test_types_flow_through_the_graph(self, model):
        nodes = [
            node("Cast", ["x"], ["h"], to=dtype("float16").code),
            node("Relu", ["h"], ["r"]),
            node("Equal", ["r", "h"], ["b"]),
            node("TopK", ["r", "k"], ["v", "i"]),
            node("Shape", ["i"], ["s"]),
        ]
        made = model(nodes, [X], [("b", "bool", [2, 3]), ("s", "int64", [2])], {"k": np.array([1])})
        kinds = {name: d.name for name, d in parse(made).dtypes.items()}
        assert {n: kinds[n] for n in "xhrbvis"} == {
            "x": "float", "h": "float16", "r": "float16", "b": "bool", "v": "float16", "i": "int64", "s": "int64",
        }  # fmt: skip

    def test_outputs_that_are_left_out_have_no_name(self, model):
        topk = node("TopK", ["x", "k"], ["", "i"])
        (step,) = parse(model([topk], [X], [("i", "int64", [2, 1])], {"k": np.array([1])})).steps
        assert step.outputs == ("", "i")

    def test_to_carrier_leaves_what_fits(self):
        array = np.zeros(3)
        assert to_carrier(array, dtype("float")) is array
        assert to_carrier(np.int8([1]), dtype("int8")).dtype == np.int64


class TestForeign:
    def test_an_operator_without_a_row_is_kept_as_a_node(self, model, rowless):
        rowless("Det")
        (step,) = parse(model([node("Det", ["x"], ["y"])], [("x", "float", [2, 2])], [("y", "float", [])])).steps
        assert step.row is None
        assert step.output_dtypes == (dtype("float"),)

    def test_an_unknown_domain_is_kept_with_unknown_types(self, model):
        relu = node("Relu", ["x"], ["y"], domain="com.example")
        made = model([relu], [X], [("y", "float", [2, 3])], opsets={"": 21, "com.example": 3})
        (step,) = parse(made).steps
        assert (step.row, step.opset, step.output_dtypes) == (None, 3, (None,))

    def test_opsets_that_mean_something_else_have_no_rows(self, model):
        (step,) = parse(model([node("Softmax", ["x"], ["y"])], [X], [("y", "float", [2, 3])], opset=12)).steps
        assert step.row is None
        assert step.output_dtypes == (dtype("float"),)

    def test_the_default_domain_has_two_names(self, model):
        made = model([node("Relu", ["x"], ["y"])], [X], [("y", "float", [2, 3])], opsets={"ai.onnx": 21})
        onnx.checker.check_model(made, full_check=True)
        (step,) = parse(made).steps
        assert (step.row is not None, step.opset) == (True, 21)

    def test_a_function_of_the_model_is_left_to_onnx_and_runs(self, model, run):
        body = [node("Neg", ["a"], ["c"]), node("Abs", ["c"], ["b"])]
        function = helper.make_function("own", "Relu", ["a"], ["b"], body, [helper.make_opsetid("", 21)])
        call = node("Relu", ["x"], ["y"], domain="own")
        made = model([call], [X], [("y", "float", [2, 3])], functions=[function], opsets={"": 21, "own": 1})
        onnx.checker.check_model(made, full_check=True)
        (step,) = parse(made).steps
        assert step.row is None
        assert run(made, {"x": [[1, 2, 3], [-1, 0, 4]]})["y"].value.tolist() == [[1, 2, 3], [1, 0, 4]]

    def test_sequences_have_no_element_type(self, model):
        nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceLength", ["s"], ["n"])]
        program = parse(model(nodes, [X], [("n", "int64", [])]))
        assert "s" not in program.dtypes
        assert program.dtypes["n"] is dtype("int64")
