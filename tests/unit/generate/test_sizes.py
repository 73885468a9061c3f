"""Dynamic models: their other data sets satisfy the model, in the checker's eyes and in a runtime's."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from abstract.constraints import Constraint, Relation, at_least
from abstract.dims import floor_div
from abstract.dtypes import dtype
from abstract.graph import Graph, Node, Origin, Recipe, Value
from abstract.program import parse
from abstract.reference import interpret
from abstract.types import TensorType
from backends.tensor import Tensor, to_numpy
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import generate_graph
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.generate.sizes import other_sizes

DYNAMIC = Settings(nodes=(2, 10), dynamic=True, dtypes=("float", "int64", "bool"))
SEEDS = range(24)


@pytest.fixture(scope="module")
def cases():
    return {seed: generate_case(Seeded(seed), DYNAMIC) for seed in SEEDS}


def fixed(model, data_set):
    """The model with the sizes of a data set written into its inputs, its outputs' sizes left to inference."""
    proto = onnx.ModelProto.FromString(model)
    for info, tensor in zip(proto.graph.input, data_set.inputs.values(), strict=True):
        for dim, size in zip(info.type.tensor_type.shape.dim, tensor.shape, strict=True):
            dim.dim_value = size
    for info, tensor in zip(proto.graph.output, data_set.outputs.values(), strict=True):
        if not isinstance(tensor, Tensor) or not info.type.HasField("tensor_type"):
            continue
        del info.type.tensor_type.shape.dim[:]
        for size in tensor.shape:
            info.type.tensor_type.shape.dim.add(dim_value=size)
    return proto


def test_most_dynamic_models_have_several_sizes(cases):
    several = [case for case in cases.values() if len(case.data_sets) > 1]
    assert len(several) > len(cases) / 2
    assert all(case.record["open"] for case in several)


LIMITS = ("NumDimensions() == 4", "Unexpected mode of 3")  # docs/disputes.md


@pytest.mark.parametrize("seed", SEEDS)
def test_every_data_set_satisfies_the_model(cases, seed):
    case = cases[seed]
    shapes = set()
    for data_set in case.data_sets:
        shapes.add(tuple(t.shape for t in data_set.inputs.values()))
        proto = fixed(case.model, data_set)
        onnx.checker.check_model(proto, full_check=True)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    assert len(shapes) == len(case.data_sets)


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_names_have_equal_sizes(cases, seed):
    case = cases[seed]
    inputs = onnx.ModelProto.FromString(case.model).graph.input
    for data_set in case.data_sets:
        sizes = {}
        for info, tensor in zip(inputs, data_set.inputs.values(), strict=True):
            for dim, size in zip(info.type.tensor_type.shape.dim, tensor.shape, strict=True):
                if dim.dim_param:
                    assert sizes.setdefault(dim.dim_param, size) == size
                else:
                    assert dim.dim_value == size


@pytest.mark.parametrize("seed", SEEDS)
def test_a_runtime_takes_every_size_after_compiling_once(cases, seed):
    case = cases[seed]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(case.model, options)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        pytest.skip("the runtime lacks a kernel")
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as refusal:
        if "not supported" not in str(refusal) and "hidden_size" not in str(refusal):  # docs/disputes.md
            raise
        pytest.skip("the runtime lacks a layout")
    for data_set in case.data_sets:
        if any(0 in t.shape for t in data_set.inputs.values()):
            continue  # some kernels of the runtime end the process there: docs/disputes.md
        try:
            outputs = session.run(None, {n: to_numpy(t) for n, t in data_set.inputs.items()})
        except onnxruntime.capi.onnxruntime_pybind11_state.Fail as refusal:
            if not any(limit in str(refusal) for limit in LIMITS):
                raise
            pytest.skip("the runtime lacks a rank, or a size of 0")
        for output, value in zip(outputs, data_set.outputs.values(), strict=True):
            parts = value if isinstance(value, list) else [value]
            held = output if isinstance(value, list) else [output]
            assert [np.shape(o) for o in held] == [() if t is None else t.shape for t in parts]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_value_is_finite_and_known_at_every_size(cases, seed):
    case = cases[seed]
    program = parse(onnx.ModelProto.FromString(case.model))
    for data_set in case.data_sets:
        feeds = {n: to_numpy(t).astype(program.dtypes[n].carrier) for n, t in data_set.inputs.items()}
        values = interpret(program, feeds, strict=True)
        for value in values.values():
            for array in value.value if isinstance(value.value, list) else [value.value]:
                assert array is None or array.dtype.kind != "f" or np.isfinite(array).all()


def test_one_size_at_a_time_is_0_and_1_first():
    """What is 1 or 0 in one data set is as it was made in the others, where the constraints allow it."""
    graph = Graph(21)
    a, b = graph.store.fresh(4), graph.store.fresh(3)
    x = Value("x", TensorType(dtype("float"), (a, b)), np.zeros((4, 3)), Origin.INPUT, exact=True,
              recipe=Recipe("spread", 1, -1.0, 1.0))  # fmt: skip
    graph.inputs.append(x)
    y = Value("y", x.type, np.zeros((4, 3)), Origin.NODE, exact=True)
    graph.nodes.append(Node("Relu", (x,), (y,), {}))
    graph.outputs = [y]
    graph.store.freeze()
    for first in (0, 1):
        found, _ = other_sizes(graph, emit(graph, dynamic=True), Replayed([first, 1 - first]), 3)
        shapes = [inputs["x"].shape for inputs, _ in found]
        assert shapes[:2] == ([(0, 3), (4, 1)] if first == 0 else [(4, 0), (1, 3)])
        assert len(set(shapes)) == 3


class TestByHand:
    def graph(self, recipe, size=4):
        graph = Graph(21)
        d = graph.store.fresh(size, low=1)
        array = np.zeros(size) if recipe.palette != "whole" else np.zeros(size, np.int64)
        kind = "float" if array.dtype == np.float64 else "int64"
        x = Value("x", TensorType(dtype(kind), (d,)), array, Origin.INPUT, exact=True, recipe=recipe)
        graph.inputs.append(x)
        return graph, d, x

    def node(self, graph, operator, inputs, shape, array, **params):
        y = Value(f"y{len(graph.nodes)}", TensorType(inputs[0].type.dtype, shape), array, Origin.NODE, exact=True)
        graph.nodes.append(Node(operator, tuple(inputs), (y,), params))
        graph.outputs = [y]
        return y

    def others(self, graph, numbers, count=2):
        graph.store.freeze()
        return other_sizes(graph, emit(graph, dynamic=True), Replayed(numbers), count)

    def test_sizes_are_drawn(self):
        graph, d, x = self.graph(Recipe("spread", 1, -1.0, 1.0))
        self.node(graph, "Relu", [x], (d,), np.zeros(4))
        found, dropped = self.others(graph, [0, 0, 7])
        assert [(i["x"].shape, o["y0"].shape) for i, o in found] == [((1,), (1,)), ((9,), (9,))]
        assert dropped == 0
        assert np.array_equal(found[1][1]["y0"], np.maximum(found[1][0]["x"], 0))

    def test_the_same_size_is_not_taken_twice(self):
        graph, d, x = self.graph(Recipe("spread", 1, -1.0, 1.0))
        self.node(graph, "Relu", [x], (d,), np.zeros(4))
        found, _ = self.others(graph, [0, 3, 3, 1, 1, 2])
        assert [i["x"].shape for i, _ in found] == [(2,), (3,)]

    def test_the_solver_finds_a_size_where_wishes_break_a_constraint(self):
        graph, d, x = self.graph(Recipe("spread", 1, -1.0, 1.0), 25)
        graph.store.require(Constraint(Relation.ZERO, floor_div(d, 7) * 7 - d + 4))
        self.node(graph, "Relu", [x], (d,), np.zeros(25))
        found, _ = self.others(graph, [0] * 12)
        assert [i["x"].shape[0] % 7 for i, _ in found] == [4]

    def test_constraints_that_leave_one_size_leave_one(self):
        graph, d, x = self.graph(Recipe("spread", 1, -1.0, 1.0))
        graph.store.require(at_least(4, d))
        graph.store.require(at_least(d, 4))
        self.node(graph, "Relu", [x], (d,), np.zeros(4))
        assert self.others(graph, list(range(12))) == ([], 0)

    def test_what_is_undefined_elsewhere_is_dropped(self):
        graph, d, x = self.graph(Recipe("whole", 1, 0.0, 3.0))
        x.array = np.ones(4, np.int64)
        self.node(graph, "Div", [x, x], (d,), x.array)
        found, dropped = self.others(graph, [0] + [11, 10, 9, 8] * 3)
        assert found == []
        assert dropped == 4

    def test_an_integer_that_overflows_elsewhere_is_dropped(self):
        graph, d, x = self.graph(Recipe("whole", 1, 90.0, 100.0))
        x.array, x.type = np.full(4, 10), TensorType(dtype("int8"), (d,))
        self.node(graph, "Add", [x, x], (d,), np.full(4, 20))
        assert self.others(graph, [0, 1, 2] * 4) == ([], 3)

    def test_an_input_without_a_recipe_has_one_size(self):
        graph, d, x = self.graph(Recipe("spread", 1, -1.0, 1.0))
        x.recipe = None
        self.node(graph, "Relu", [x], (d,), np.zeros(4))
        assert self.others(graph, list(range(12))) == ([], 0)


def test_a_static_model_has_one_data_set():
    for seed in range(5):
        case = generate_case(Seeded(seed), Settings(nodes=(2, 10)))
        assert len(case.data_sets) == 1
        assert case.record["open"] == []


def test_open_symbols_are_those_of_the_inputs():
    for seed in range(8):
        graph, _ = generate_graph(Seeded(seed), DYNAMIC)
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True).model)
        names = " ".join(d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim)
        assert all(s.name in names for s in emit(graph, dynamic=True).open)
