"""Graph-to-graph tools: each does its work, under its options, and the result is run on a plain runtime."""

from __future__ import annotations

import importlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.protocol import COMPARED, Outcome, Stage
from backends.registry import BACKENDS, installed_version
from backends.rows import tools
from backends.tensor import to_numpy
from fuzz.errors import TargetError
from fuzz.execute.target import parse_target

X = np.float32([[1, -2], [3, -4]])


def rewritten(name, serialized, **options):
    """The model that a tool makes, in this process."""
    entry = BACKENDS[name]
    if installed_version(entry) is None:
        pytest.skip(entry.install_command())
    backend = importlib.import_module(entry.module).BACKEND
    compiled = backend.compile(serialized, None, {"runtime": "reference", **options}, lambda _: None)
    return onnx.ModelProto.FromString(compiled.artefacts()["transformed.onnx"])


def operators(proto):
    return [node.op_type for node in proto.graph.node]


@pytest.fixture
def redundant(model):
    """Two transpositions that cancel out, an identity, and a sum of constants."""
    return model("""
        g (float[2, 2] x) => (float[2, 2] y) {
            a = Transpose <perm = [1, 0]> (x)
            b = Transpose <perm = [1, 0]> (a)
            c = Constant <value_float = 1.0> ()
            d = Add (c, c)
            e = Identity (b)
            y = Mul (e, d)
        }""")


CASES = (
    ("onnxsim", {}, ["Constant", "Mul"]),
    ("onnxsim", {"off": "optimization"}, ["Constant", "Constant", "Transpose", "Transpose", "Identity", "Mul"]),
    ("onnxsim", {"off": "folding"}, ["Constant", "Add", "Mul"]),
    ("onnxsim", {"disable": "eliminate_identity"}, ["Constant", "Identity", "Mul"]),
    ("onnxoptimizer", {}, ["Transpose", "Constant", "Add", "Mul"]),
    ("onnxoptimizer", {"passes": "eliminate_identity"}, ["Transpose", "Transpose", "Constant", "Add", "Mul"]),
    ("onnxoptimizer", {"disable": "eliminate_identity"}, ["Transpose", "Constant", "Add", "Identity", "Mul"]),
    ("onnxslim", {}, ["Mul"]),
    ("onnxslim", {"off": "constant_folding"}, ["Constant", "Add", "Mul"]),
    ("onnxslim", {"disable": "EliminationTranspose", "inference": "no"}, ["Transpose", "Transpose", "Mul"]),
    ("onnxscript", {}, ["Mul"]),
    ("onnxscript", {"off": "folding+inference+inlining"}, ["Add", "Mul"]),
    ("onnxscript", {"disable": "transpose_transpose_rule"}, ["Transpose", "Transpose", "Mul"]),
    ("onnxscript", {"mode": "fold"}, ["Transpose", "Transpose", "Constant", "Identity", "Mul"]),
    ("onnxscript", {"mode": "rewrite"}, ["Identity", "Constant", "Add", "Identity", "Mul"]),
    (
        "onnxscript",
        {"mode": "rewrite", "disable": "transpose_transpose_rule"},
        ["Transpose", "Transpose", "Constant", "Add", "Identity", "Mul"],
    ),
    (
        "onnxscript",
        {"mode": "rewrite", "rules": "cast_cast_rule+expand_before_binary_op_rules+fuse_hardswish_rules"},
        ["Transpose", "Transpose", "Constant", "Add", "Identity", "Mul"],
    ),
    ("onnxscript", {"mode": "inline"}, ["Transpose", "Transpose", "Constant", "Add", "Identity", "Mul"]),
    ("onnx-version-converter", {}, ["Transpose", "Transpose", "Constant", "Add", "Identity", "Mul"]),
    ("onnx-inliner", {}, ["Transpose", "Transpose", "Constant", "Add", "Identity", "Mul"]),
    ("ort-offline", {"level": "off"}, ["Transpose", "Transpose", "Add", "Identity", "Mul"]),
    ("ort-offline", {"level": "basic"}, ["Mul"]),
    ("ort-offline", {"level": "basic", "disable": "ConstantFolding"}, ["Add", "Mul"]),
    ("ort-transformers", {}, ["Constant", "Add", "Mul"]),
)


@pytest.mark.parametrize(("name", "options", "expected"), CASES)
def test_what_a_tool_leaves_of_a_redundant_model(redundant, name, options, expected):
    assert operators(rewritten(name, redundant, **options)) == expected


def test_the_names_of_rules_and_patterns_are_those_of_the_tools():
    pytest.importorskip("onnxslim")
    pytest.importorskip("onnxscript")
    from onnxscript.rewriter.rules import common

    from backends.onnxscript import BACKEND as SCRIPT
    from backends.onnxslim import BACKEND as SLIM

    assert sorted(tools.SLIM_PATTERNS) == SLIM.passes()
    assert sorted(tools.RULES) == SCRIPT.passes()
    assert {*tools.RULES, *tools.RULES_BY_NAME} == {*common.__all__, "add_0_and_mul_by_1"}


def test_the_passes_that_can_be_named_are_those_of_onnx_optimizer():
    theirs = pytest.importorskip("onnxoptimizer")
    assert set(tools.FUSE_AND_ELIMINATE) == set(theirs.get_fuse_and_elimination_passes())
    assert {*tools.FUSE_AND_ELIMINATE, *tools.OTHERS} == set(theirs.get_available_passes())
    with pytest.raises(TargetError, match=r"no pass 'eliminate_deadends' \(did you mean eliminate_deadend\?\)"):
        parse_target("onnxoptimizer:disable=eliminate_deadends")


@pytest.mark.parametrize("name", [entry.name for entry in tools.ROWS])
def test_the_options_of_every_row_allow_its_knobs(name):
    entry = BACKENDS[name]
    assert entry.tool
    for knob in entry.knobs:
        option = entry.option(knob.option)
        assert option is not None
        assert all(map(option.allows, knob.values))


TOOLS = [entry.name for entry in tools.ROWS]


@pytest.mark.parametrize("name", TOOLS)
def test_what_the_plain_runtime_lacks_is_unsupported(execute, model, name):
    attempt = execute(name, model("g (uint16[2] x) => (uint16[2] y) { y = Max (x, x) }"), [])
    # The offline optimiser is the runtime itself.
    assert (attempt.outcome, attempt.stage) == (
        Outcome.UNSUPPORTED, Stage.IMPORT if name == "ort-offline" else Stage.PLAIN
    )  # fmt: skip
    if name != "ort-offline":
        assert "ONNX Runtime at level 0 cannot run the untransformed model either" in attempt.message


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_takes_constants_from_the_folder_of_the_case(execute, tmp_path, name):
    weights = numpy_helper.from_array(np.arange(4, dtype=np.float32).reshape(2, 2), "w")
    (tmp_path / "w.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, [2, 2]) for port in "xy"]
    nodes = [helper.make_node("Identity", ["w"], ["v"]), helper.make_node("Add", ["x", "v"], ["y"])]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    attempt = execute(name, made.SerializeToString(), [X], folder=str(tmp_path))
    assert (attempt.outcome, attempt.message) == (Outcome.OK, COMPARED)
    assert to_numpy(attempt.outputs[0][0]).tolist() == [[1, -1], [5, -1]]


FUNCTION = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
g (float[2, 2] x) => (float[2, 2] y) { y = own.twice (x) }
<domain: "own", opset_import: ["" : 17]> twice (a) => (b) { b = Add (a, a) }"""


@pytest.mark.parametrize("name", TOOLS)
def test_local_functions_keep_their_meaning(execute, name):
    attempt = execute(name, onnx.parser.parse_model(FUNCTION).SerializeToString(), [X])
    if name == "onnx-version-converter":
        assert attempt.outcome is Outcome.REJECTED
        assert attempt.message == "onnx-version-converter drops the function own.twice, and leaves calls of it"
        return
    assert (attempt.outcome, attempt.message) == (Outcome.OK, COMPARED)
    assert to_numpy(attempt.outputs[0][0]).tolist() == (2 * X).tolist()


@pytest.mark.parametrize("name", TOOLS)
def test_sequences_and_control_flow_keep_their_meaning(execute, model, name):
    serialized = model("""
        g (bool c, float[2, 2] x) => (float[m, n] y, seq(float[2, 2]) s) {
            s = SequenceConstruct (x, x)
            y = If (c) <then_branch = t () => (float[m, n] u) { u = Add (x, x) },
                        else_branch = e () => (float[m, n] v) { v = Identity (x) }>
        }""")
    for flag in (True, False):
        attempt = execute(name, serialized, [np.array(flag), X])
        assert (attempt.outcome, attempt.message) == (Outcome.OK, COMPARED)
        y, s = attempt.outputs[0]
        assert to_numpy(y).tolist() == (X * (1 + flag)).tolist()
        assert [to_numpy(item).tolist() for item in s] == [X.tolist()] * 2


@pytest.mark.parametrize("name", TOOLS)
def test_a_value_for_an_input_with_a_default_replaces_it(execute, model, name):
    serialized = model("g (float[1] x, float[1] d = {5}) => (float[1] y) { y = Add (x, d) }")
    one = np.ones(1, np.float32)
    attempt = execute(name, serialized, [one], [one, one])
    if name == "onnxslim":
        assert attempt.message == (
            "onnxslim changes the model's signature: of what it made, the model has 1 inputs, the data set 2"
        )
        return
    assert attempt.outcome is Outcome.OK, attempt.message
    assert [to_numpy(outputs[0]).tolist() for outputs in attempt.outputs] == [[6], [2]]


CONVERTER = (
    ("No Previous Version", 21, "15", "g (int8[2] x) => (int8[2] y) { y = BitwiseNot (x) }"),
    ("No Adapter", 17, "5", "g (float[2] x) => (float[2] y) { y = Abs (x) }"),
    (
        "for this version conversion", 16, "15",
        'g (float[2] x, int64[1, 1] i, float[1] u) => (float[2] y) { y = ScatterND <reduction = "add"> (x, i, u) }',
    ),
    (
        "are not supported", 18, "15",
        'g (float[2] x, int64[1, 1] i, float[1] u) => (float[2] y) { y = ScatterND <reduction = "max"> (x, i, u) }',
    ),
    (
        "is unallowed for Opset Version", 28, "27",
        'g (int32[2] x) => (int32[2] y) { y = BitShift <direction = "LEFT"> (x, x) }',
    ),
    (
        "cannot be downgraded to opset", 28, "27",
        "g (float[2] x) => (float[2] y) { y = Mod <fmod = 0> (x, x) }",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("words", "opset", "to", "body"), CONVERTER)
def test_what_the_version_converter_cannot_convert_is_unsupported(execute, model, words, opset, to, body):
    attempt = execute(f"onnx-version-converter:to={to}", model(body, opset=opset), [])
    assert (attempt.outcome, attempt.stage) == (Outcome.UNSUPPORTED, Stage.IMPORT)
    assert words in attempt.message


def test_a_version_that_the_runtime_does_not_know_is_unsupported(execute, redundant):
    attempt = execute("onnx-version-converter:to=28", redundant, [X])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "lacks what the transformed model needs" in attempt.message


def test_the_version_asked_for_is_what_comes_out(redundant):
    assert rewritten("onnx-version-converter", redundant, to="19").opset_import[0].version == 19
    assert rewritten("onnx-version-converter", redundant).opset_import[0].version == 26


def test_functions_of_the_standard_are_inlined_where_that_is_asked_for(model):
    serialized = model("g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { z = Add (x, w) y = HardSwish (z) }")
    assert operators(rewritten("onnx-inliner", serialized)) == ["Add", "HardSwish"]
    assert "HardSigmoid" in operators(rewritten("onnx-inliner", serialized, schema="yes"))


@pytest.mark.parametrize("kind", ["ort", "onnx"])
def test_what_the_runtime_saves_in_its_own_format_is_run(execute, redundant, kind):
    attempt = execute(f"ort-offline:format={kind}", redundant, [X])
    assert (attempt.outcome, attempt.message) == (Outcome.OK, COMPARED)
    assert to_numpy(attempt.outputs[0][0]).tolist() == (2 * X).tolist()


def test_what_the_runtime_refuses_anyway_is_not_the_fault_of_its_optimiser(execute, model):
    """Its LRN knows no even sizes."""
    serialized = model("g (float[1, 4, 1, 1] x) => (float[1, 4, 1, 1] y) { y = LRN <size = 2> (x) }")
    attempt = execute("ort-offline", serialized, [np.ones((1, 4, 1, 1), np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED
    assert "refuses the model without optimisations as well" in attempt.message


@pytest.mark.parametrize("name", ["onnx-shape-inference", "ort-symbolic-shapes"])
def test_shapes_are_inferred(model, name):
    serialized = model("g (float[n, 3] x) => (float[p, q] y) { a = Add (x, x) s = Shape (a) y = ConstantOfShape (s) }")
    infos = {info.name: info.type.tensor_type for info in rewritten(name, serialized).graph.value_info}
    assert [dim.dim_param or dim.dim_value for dim in infos["a"].shape.dim] == ["n", 3]


@pytest.mark.parametrize("name", ["onnxslim", "ort-symbolic-shapes"])
def test_an_operator_set_that_is_too_old_is_unsupported(execute, model, name):
    serialized = model("g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }", opset=6)
    attempt = execute(name, serialized, [np.zeros((2, 3), np.float32)])
    assert attempt.outcome is Outcome.UNSUPPORTED, attempt.message


def test_a_shape_that_is_not_so_is_the_tools_fault(execute, model):
    """Of a slice with a negative step ONNX Runtime's script counts what is not there."""
    serialized = model("""
        g (float[8] x) => (float[n] y)
        <int64[1] start = {2147483647}, int64[1] end = {-8}, int64[1] axis = {0}, int64[1] step = {-1}> {
            a = Slice (x, start, end, axis, step)
            y = Abs (a)
        }""")
    attempt = execute("ort-symbolic-shapes", serialized, [np.arange(8, dtype=np.float32)])
    assert (attempt.outcome, attempt.stage) == (Outcome.REJECTED, Stage.RUN)
    assert attempt.message == "ort-symbolic-shapes claims that 'a' is float[8], and it is float[7]"
