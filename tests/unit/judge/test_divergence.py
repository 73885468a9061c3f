"""Where a wrong answer begins."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.program import parse
from abstract.reference import interpret
from backends.tensor import from_numpy, to_numpy
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case, to_value
from fuzz.generate.settings import Settings
from fuzz.judge.divergence import Divergence, alone, cuts, expose, first_divergence
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word


def node(*args, **attributes):
    return helper.make_node(*args, **attributes)


@pytest.fixture
def chain(model):
    """x -> a -> b -> c -> y, with the constant k beside."""
    nodes = [
        node("Constant", [], ["k"], value_float=2.0),
        node("Neg", ["x"], ["a"], name="first"),
        node("Mul", ["a", "k"], ["b"], name="second"),
        node("Greater", ["b", "k"], ["c"], name="third"),
        node("Where", ["c", "b", "a"], ["y"], name="fourth"),
    ]
    return model(nodes, [("x", "float", [4])], [("y", "float", [4])])


X = np.float32([1.0, -2.0, 3.0, -4.0])


def answers(exposed, inputs, altered=()):
    """What a target gives for the exposed model that computes all right but the values named, and what follows."""
    program = parse(onnx.ModelProto.FromString(exposed.model))
    feeds = {n: to_numpy(t).astype(program.dtypes[n].carrier) for n, t in inputs.items()}
    values = interpret(program, feeds)
    result = {n: to_value(values[n].value, values[n].dtype) for n in exposed.names}
    for name in altered:
        wrong = to_numpy(result[name])
        flat = wrong.reshape(-1)
        flat[0] = not flat[0] if wrong.dtype == bool else flat[0] == 0
        result[name] = from_numpy(wrong)
    return [result[n] for n in exposed.names]


class TestExpose:
    def test_every_computed_tensor_becomes_an_output_in_order(self, chain):
        exposed = expose(chain)
        assert exposed.names == ("a", "b", "c", "y")
        proto = onnx.ModelProto.FromString(exposed.model)
        assert [o.name for o in proto.graph.output] == ["a", "b", "c", "y"]
        assert [o.type.tensor_type.elem_type for o in proto.graph.output] == [1, 1, 9, 1]
        onnx.checker.check_model(proto, full_check=True)

    def test_outputs_that_were_there_keep_their_types(self, model):
        nodes = [node("Neg", ["x"], ["y"]), node("Abs", ["y"], ["z"])]
        made = model(nodes, [("x", "float", [4])], [("z", "float", [4]), ("y", "float", [4])])
        proto = onnx.ModelProto.FromString(expose(made).model)
        assert [o.name for o in proto.graph.output] == ["y", "z"]
        assert all(o.type.tensor_type.shape.dim[0].dim_value == 4 for o in proto.graph.output)

    def test_what_has_no_type_and_no_name_is_left_out(self, model):
        nodes = [
            node("TopK", ["x", "k"], ["", "i"]),
            node("SequenceConstruct", ["x"], ["s"]),
            node("ConcatFromSequence", ["s"], ["y"], axis=0),
        ]
        made = model(nodes, [("x", "float", [4])], [("y", "float", [4])], {"k": np.array([1])})
        assert expose(made).names == ("i", "y")

    def test_it_runs_where_the_model_runs(self):
        import onnxruntime

        operators = ("Add", "Concat", "Conv", "Gemm", "MatMul", "Mul", "Relu", "Reshape", "Softmax", "Transpose")
        for seed in range(6):
            case = generate_case(Seeded(seed), Settings(nodes=(4, 8), dtypes=("float",), operators=operators))
            exposed = expose(case.model)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(exposed.model, options)
            outputs = session.run(None, {n: to_numpy(t) for n, t in case.data_sets[0].inputs.items()})
            assert [o.name for o in session.get_outputs()] == list(exposed.names)
            program = parse(onnx.ModelProto.FromString(case.model))
            tensors = [s for s in program.steps if s.output_dtypes[0] is not None]
            assert len(outputs) == len(exposed.names) >= len(tensors) >= 1

    def test_bytes_that_are_no_model_raise(self):
        with pytest.raises(Exception, match=r".+"):
            expose(b"\xff\xff")


class TestFirstDivergence:
    def found(self, model, altered, inputs=None, target="toy"):
        exposed = expose(model)
        inputs = {"x": from_numpy(X)} if inputs is None else inputs
        return first_divergence(exposed, inputs, answers(exposed, inputs, altered), target)

    @pytest.mark.parametrize(
        ("altered", "operator", "name", "output"),
        [
            (("a",), "Neg", "first", "a"),
            (("b",), "Mul", "second", "b"),
            (("c",), "Greater", "third", "c"),
            (("y",), "Where", "fourth", "y"),
            (("b", "c", "y"), "Mul", "second", "b"),
            (("y", "b"), "Mul", "second", "b"),
        ],
    )
    def test_the_first_altered_value_is_found(self, chain, altered, operator, name, output):
        found = self.found(chain, altered)
        assert (found.operator, found.node, found.output, found.hidden) == (operator, name, output, False)
        assert found.comparison.word is Word.WRONG
        assert found.comparison.index == (0,)
        assert str(found) == f"{operator} '{name}', output '{output}'"

    def test_nothing_wrong_is_hidden(self, chain):
        found = self.found(chain, ())
        assert found == Divergence("", "", "", None, hidden=True)
        assert "an optimisation is at fault" in str(found)

    @pytest.mark.parametrize("seed", range(6))
    def test_in_any_model_at_any_node(self, seed):
        case = generate_case(Seeded(seed), Settings(nodes=(3, 8), dtypes=("float", "bool", "int64")))
        inputs = case.data_sets[0].inputs
        exposed = expose(case.model)
        program = parse(onnx.ModelProto.FromString(exposed.model))
        values = reference_values(program, inputs)
        decidable = {n for n, v in values.items() if np.asarray(v.value).size and np.isfinite(v.bound).all()}
        whole = {n for n in exposed.names if isinstance(values[n].value, np.ndarray)}
        steps = [step for step in program.steps if step.outputs[0] in decidable & whole]
        assert len(steps) >= len([step for step in program.steps if step.outputs[0] in whole]) - 1
        for step in steps:
            first = step.outputs[0]
            found = self.found(case.model, (first,), inputs)
            assert (found.node, found.output) == (step.node.name, first)

    def test_the_bound_is_that_of_the_target(self, model):
        made = model([node("Add", ["x", "x"], ["y"])], [("x", "double", [1])], [("y", "double", [1])])
        exposed = expose(made)
        inputs = {"x": from_numpy(np.float64([0.1]))}
        outputs = [from_numpy(np.float64([np.float32(0.1) + np.float32(0.1)]))]
        assert first_divergence(exposed, inputs, outputs, "openvino").hidden
        assert not first_divergence(exposed, inputs, outputs, "onnxruntime").hidden

    def test_nameless_nodes_are_named_by_their_output(self):
        text = str(Divergence("", "Relu", "y3", None))
        assert "Relu" in text
        assert "'y3'" in text


class TestPieces:
    def test_each_cut_computes_one_value_with_its_ancestors_alone(self, chain):
        found = list(cuts(expose(chain)))
        assert [piece.names for piece in found] == [("a",), ("b",), ("c",), ("y",)]
        graphs = [onnx.ModelProto.FromString(piece.model).graph for piece in found]
        assert [[n.op_type for n in g.node] for g in graphs] == [
            ["Neg"],
            ["Constant", "Neg", "Mul"],
            ["Constant", "Neg", "Mul", "Greater"],
            ["Constant", "Neg", "Mul", "Greater", "Where"],
        ]
        assert all([o.name for o in g.output] == list(p.names) for g, p in zip(graphs, found, strict=True))

    def test_what_a_body_captures_is_an_ancestor(self, model):
        t, e = (helper.make_tensor_value_info(name, 1, [4]) for name in "te")
        branch = helper.make_graph([node("Neg", ["a"], ["t"])], "then", [], [t])
        other = helper.make_graph([node("Abs", ["x"], ["e"])], "else", [], [e])
        nodes = [node("Exp", ["x"], ["a"]), node("If", ["q"], ["y"], then_branch=branch, else_branch=other)]
        made = model(nodes, [("x", "float", [4]), ("q", "bool", [])], [("y", "float", [4])])
        exposed = expose(made)
        last = onnx.ModelProto.FromString(list(cuts(exposed))[-1].model)
        assert [n.op_type for n in last.graph.node] == ["Exp", "If"]
        assert alone(exposed, "y", {"x": from_numpy(X), "q": from_numpy(np.ones((), bool))}) is None

    def test_a_node_alone_has_the_inputs_that_it_had(self, chain):
        exposed = expose(chain)
        inputs = {"x": from_numpy(X)}
        known = {**inputs, **dict(zip(exposed.names, answers(exposed, inputs), strict=True))}
        piece, feeds = alone(exposed, "b", known)
        proto = onnx.ModelProto.FromString(piece.model)
        onnx.checker.check_model(proto, full_check=True)
        assert [n.op_type for n in proto.graph.node] == ["Constant", "Mul"]
        assert list(feeds) == ["a"]
        assert first_divergence(piece, feeds, answers(piece, feeds), "").hidden
        assert alone(exposed, "b", inputs) is None

    def test_weights_stay_weights(self, model):
        made = model([node("Add", ["x", "w"], ["y"])], [("x", "float", [4])], [("y", "float", [4])], {"w": X})
        piece, feeds = alone(expose(made), "y", {"x": from_numpy(X)})
        assert list(feeds) == ["x"]
        assert [i.name for i in onnx.ModelProto.FromString(piece.model).graph.initializer] == ["w"]
