from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from abstract.operators import TABLE
from backends.faults.backend import REWRITES, Faulty, shows
from backends.faults.behaviour import BEHAVIOURS
from backends.faults.draft import Draft, rewritten
from backends.faults.table import FAULTS
from backends.protocol import Outcome, Rejected
from backends.reference import BACKEND as REFERENCE
from backends.registry import BACKENDS
from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.errors import TargetError
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Attempt, Limits
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.judge.verdict import FINDINGS, Word
from fuzz.selftest.hunt import MEMORY, Hunt
from fuzz.selftest.station import varied
from fuzz.selftest.subject import Subject, agrees

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def model(nodes, inputs, outputs, constants=(), opset=21):
    """Inputs and outputs are (name, type, shape); constants are (name, array)."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in constants],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(proto, *inputs, fault=None, options=None, times=1):
    backend = REFERENCE if fault is None else Faulty(REFERENCE, fault)
    compiled = backend.compile(proto.SerializeToString(), None, options or {}, lambda _stage: None)
    for _ in range(times):
        outputs = compiled.run([from_numpy(np.asarray(i)) for i in inputs])
    return [to_numpy(o) for o in outputs]


def test_the_table_is_what_can_be_planted():
    assert set(FAULTS) == set(REWRITES) | set(BEHAVIOURS)
    assert len(FAULTS) >= 60
    assert {fault.verdict for fault in FAULTS.values()} <= {word.value for word in FINDINGS}
    assert all(name in BACKENDS for fault in FAULTS.values() for name in fault.granted)
    assert {fault.verdict for name, fault in FAULTS.items() if name in REWRITES} == {"wrong"}


X, Y = ("x", FLOAT, [2, 3]), ("y", FLOAT, [2, 3])
NUMBERS = np.array([[-3.5, -1.0, 0.5], [1.5, 2.0, 4.0]], np.float32)

# One node, what goes in, what a sound backend gives is ONNX's evaluator's; what comes out with the fault.
SMALL = [
    ("dropped-activation", "Relu", {}, NUMBERS),
    ("dropped-negation", "Neg", {}, NUMBERS),
    ("half-away-from-zero", "Round", {}, np.sign(NUMBERS) * np.floor(np.abs(NUMBERS) + 0.5)),
    ("floor-as-truncation", "Floor", {}, np.trunc(NUMBERS)),
    ("ignored-alpha", "LeakyRelu", {"alpha": 0.5}, np.where(NUMBERS < 0, 0.01 * NUMBERS, NUMBERS)),
    ("softmax-axis", "Softmax", {"axis": 1}, np.exp(NUMBERS) / np.exp(NUMBERS).sum(0)),
    ("hard-sigmoid-constants", "HardSigmoid", {"alpha": 0.1}, np.clip(NUMBERS / 6 + 0.5, 0, 1)),
]


@pytest.mark.parametrize(("fault", "operator", "attributes", "due"), SMALL, ids=[row[0] for row in SMALL])
def test_one_node_is_broken_as_the_name_says(fault, operator, attributes, due):
    proto = model([helper.make_node(operator, ["x"], ["y"], **attributes)], [X], [Y])
    np.testing.assert_allclose(run(proto, NUMBERS, fault=fault)[0], due, rtol=1e-5)
    assert not np.allclose(run(proto, NUMBERS)[0], due)


def test_a_fusion_of_two_nodes():
    nodes = [helper.make_node("Mul", ["x", "b"], ["m"]), helper.make_node("Add", ["m", "c"], ["y"])]
    proto = model(nodes, [X], [Y], [("b", np.float32(2)), ("c", np.float32(3))])
    np.testing.assert_allclose(run(proto, NUMBERS, fault="fused-multiply-add")[0], NUMBERS * 5)
    np.testing.assert_allclose(run(proto, NUMBERS)[0], NUMBERS * 2 + 3)


def test_division_of_integers_rounds_down():
    proto = model([helper.make_node("Div", ["x", "b"], ["y"])], [("x", INT64, [3])], [("y", INT64, [3])],
                  [("b", np.int64(2))])  # fmt: skip
    assert run(proto, np.array([-3, 3, -4]), fault="floor-division")[0].tolist() == [-2, 1, -2]
    assert run(proto, np.array([-3, 3, -4]))[0].tolist() == [-1, 1, -2]


def test_a_true_is_255():
    proto = model([helper.make_node("Cast", ["x"], ["y"], to=FLOAT)], [("x", BOOL, [2])], [("y", FLOAT, [2])])
    assert run(proto, np.array([True, False]), fault="full-byte-true")[0].tolist() == [255, 0]


def test_a_lost_bias_and_a_lost_tail():
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    proto = model([node], [("x", FLOAT, [1, 2])], [("y", FLOAT, [1, 1])],
                  [("w", np.float32([[3], [5]])), ("b", np.float32([7]))])  # fmt: skip
    x = np.float32([[1, 1]])
    assert run(proto, x)[0].item() == 15
    assert run(proto, x, fault="lost-bias")[0].item() == 8
    assert run(proto, x, fault="lost-tail")[0].item() == 10


def test_a_shape_is_kept_where_windows_are_wrong():
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2], strides=[2], ceil_mode=1)
    proto = model([node], [("x", FLOAT, [1, 1, 5])], [("y", FLOAT, [1, 1, 3])])
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    assert run(proto, x)[0].ravel().tolist() == [2, 4, 5]
    assert run(proto, x, fault="ignored-ceiling")[0].ravel().tolist() == [2, 4, 0]
    assert run(proto, x, fault="ignored-stride")[0].ravel().tolist() == [2, 3, 4]


def test_a_change_that_leaves_no_valid_model_is_taken_back():
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0])
    proto = model([node], [X], [("y", FLOAT, [3, 2])])
    assert rewritten(proto, lambda site: site.set("perm", [0, 1])) is None
    assert rewritten(proto, lambda _site: (_ for _ in ()).throw(ValueError)) is None
    assert not shows("dropped-activation", proto.SerializeToString())


def test_a_value_joined_with_itself_has_no_order_to_lose():
    for inputs, shown in ((["x", "x"], False), (["x", "z", "x"], False), (["x", "z"], True)):
        node = helper.make_node("Concat", inputs, ["y"], axis=0)
        proto = model([node], [X, ("z", FLOAT, [2, 3])], [("y", FLOAT, [2 * len(inputs), 3])])
        assert shows("concat-order", proto.SerializeToString()) == shown


def test_a_value_of_unknown_type_is_left_alone():
    """Of what an operator of another domain gives nothing is known, and this fault needs a constant of its type."""
    nodes = [helper.make_node("Foreign", ["x"], ["v"], domain="elsewhere"), helper.make_node("Round", ["v"], ["y"])]
    proto = model(nodes, [X], [Y])
    proto.opset_import.append(helper.make_opsetid("elsewhere", 1))
    assert not shows("half-away-from-zero", proto.SerializeToString())


@pytest.mark.parametrize("seed", range(12))
def test_a_broken_model_is_still_a_model(seed):
    proto = onnx.ModelProto.FromString(generate_case(Seeded(seed), Settings(dynamic=None)).model)
    before = Draft.read(proto).types
    changed = 0
    for rewrite in REWRITES.values():
        broken = rewritten(proto, rewrite)
        if broken is not None:
            changed += 1
            onnx.checker.check_model(broken, full_check=True)
            assert broken != proto
            assert [o.name for o in broken.graph.output] == [o.name for o in proto.graph.output]
    assert changed
    assert before == Draft.read(proto).types


def twice_two():
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["s"]), helper.make_node("Abs", ["s"], ["y"]),
             helper.make_node("ArgMax", ["x"], ["i"], axis=1)]  # fmt: skip
    outputs = [("y", FLOAT, [2, 1]), ("s", FLOAT, [2, 1]), ("i", INT64, [2, 1])]
    return model(nodes, [X], outputs, [("axes", np.int64([1]))])


def test_what_the_caller_gets_is_broken():
    proto = twice_two()
    assert [o.shape for o in run(proto, NUMBERS, fault="ignored-keepdims")] == [(2, 1), (2,), (2,)]
    assert run(proto, NUMBERS, fault="narrowed-output")[2].dtype == np.int32
    sums = run(proto, NUMBERS)
    exchanged = run(proto, NUMBERS, fault="exchanged-outputs")
    np.testing.assert_array_equal(exchanged[0], sums[1])
    scalar = model([helper.make_node("Size", ["x"], ["y"])], [X], [("y", INT64, [])])
    assert run(scalar, NUMBERS, fault="scalar-as-vector")[0].tolist() == [6]


def test_a_dynamic_model_keeps_its_first_shape():
    proto = model([helper.make_node("Abs", ["x"], ["y"])], [("x", FLOAT, ["n"])], [("y", FLOAT, ["n"])])
    compiled = Faulty(REFERENCE, "first-shape-kept").compile(proto.SerializeToString(), None, {}, lambda _s: None)
    shapes = [compiled.run([from_numpy(np.ones(n, np.float32))])[0].shape for n in (3, 5, 2)]
    assert shapes == [(3,), (3,), (3,)]


def test_outputs_that_differ_from_run_to_run():
    proto = model([helper.make_node("Abs", ["x"], ["y"])], [X], [Y])

    def answers(fault, count=40, **options):
        compiled = Faulty(REFERENCE, fault).compile(proto.SerializeToString(), None, options, lambda _s: None)
        return [compiled.run([from_numpy(NUMBERS + i * (fault == "stale-output"))])[0].data for i in range(count)]

    sound = run(proto, NUMBERS)[0].tobytes()
    stale = answers("stale-output", 3)
    assert stale[0] == stale[1] == sound
    assert stale[2] != sound
    for fault in ("race", "uninitialised-tail", "unordered-sum"):
        assert len(set(answers(fault))) > 1, fault
    assert answers("lost-threads", 1) == [sound]
    assert answers("lost-threads", 1, threads="2") != [sound]


def test_weights_are_kept_from_model_to_model():
    backend = Faulty(REFERENCE, "kept-weights")

    def ask(weight):
        proto = model([helper.make_node("Mul", ["x", "w"], ["y"])], [X], [Y], [("w", np.float32([weight]))])
        compiled = backend.compile(proto.SerializeToString(), None, {}, lambda _s: None)
        return to_numpy(compiled.run([from_numpy(NUMBERS)])[0])

    np.testing.assert_array_equal(ask(2), 2 * NUMBERS)
    np.testing.assert_array_equal(ask(3), 2 * NUMBERS)


def test_refusals():
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Transpose", ["r"], ["t"]),
             helper.make_node("Concat", ["t", "t", "t"], ["y"], axis=0)]  # fmt: skip
    proto = model(nodes, [X], [("y", FLOAT, [9, 2])])
    for fault in ("failed-assertion", "refused-concat"):
        with pytest.raises(Rejected):
            run(proto, NUMBERS, fault=fault)


def test_a_slow_path_is_slow_when_optimised_alone():
    import time

    nodes = [helper.make_node("Add", ["x", "x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    proto = model(nodes, [X], [Y])

    def seconds(options):
        start = time.thread_time()
        run(proto, NUMBERS, fault="slow-path", options=options, times=20)
        return time.thread_time() - start

    assert seconds({}) > 0.06 > seconds({"opt": "0"})


def test_every_backend_takes_a_fault():
    assert parse_target("reference:fault=lost-bias").options == (("fault", "lost-bias"),)
    assert varied(parse_target("onnxruntime:opt=0"), "fault", "race").canonical == "onnxruntime:fault=race,opt=0"
    assert varied(parse_target("onnxruntime"), "fault", "race").canonical == "onnxruntime:fault=race"
    with pytest.raises(TargetError, match="did you mean lost-bias"):
        parse_target("onnxruntime:fault=lost-bia")


def hunt(*faults, seconds=60.0, **settings):
    target = parse_target("onnxruntime")
    asked = Settings(targets=("onnxruntime",), **{"dynamic": None, **settings})
    return Hunt(target, faults, asked, seconds=seconds, limits=Limits(5.0, MEMORY))


def test_faults_are_found_by_the_whole_pipeline():
    pytest.importorskip("onnxruntime")
    names = ("dropped-activation", "race", "kept-weights", "scalar-as-vector", "failed-assertion")
    search = hunt(*names)
    assert {trail.fault for trail in search.run()} == set(names)
    for trail in search.trails.values():
        assert trail.found is not None, trail
        assert trail.found["verdict"] == trail.right == FAULTS[trail.fault].verdict
        assert trail.found["seconds"] <= trail.seconds + 1e-3
        assert 0 < trail.shown <= trail.cases


def test_a_leak_ends_at_the_limit_of_memory():
    pytest.importorskip("onnxruntime")
    search = hunt("leak")
    list(search.run())
    assert search.trails["leak"].found["oracle"] == "soak"


def test_what_is_not_found_is_said_and_can_be_gone_on_with():
    pytest.importorskip("onnxruntime")
    search = hunt("inverted-where", seconds=0.05, operators=("Relu",), dtypes=("float", "bool"))
    (trail,) = search.run()
    assert trail.found is None
    state = json.loads(json.dumps(search.state))
    further = hunt("inverted-where", seconds=60, operators=("Relu", "Where"), dtypes=("float", "bool"))
    further.resume(state)
    assert further.seed == search.seed > 0
    (ended,) = further.run()
    assert ended.found is not None
    assert ended.cases > trail.cases


def test_a_judge_that_sleeps_is_noticed(monkeypatch):
    pytest.importorskip("onnxruntime")
    from dataclasses import replace

    sound = Subject.verdict
    monkeypatch.setattr(Subject, "verdict", lambda *about: replace(sound(*about), verdict=Word.OK.value))
    search = hunt("dropped-activation", seconds=0.5, operators=("Relu",), dtypes=("float",))
    list(search.run())
    trail = search.trails["dropped-activation"]
    assert trail.found is None
    assert trail.close is not None


def attempt(outcome, *numbers):
    outputs = tuple((from_numpy(np.asarray(x)),) for x in numbers)
    return Attempt(outcome, None, "", "", 0.1, 0.1, outputs)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (attempt(Outcome.OK, np.float32([1.0, np.nan])), True),
        (attempt(Outcome.OK, np.float32([1.009, np.nan])), True),
        (attempt(Outcome.OK, np.float32([1.02, np.nan])), False),
        (attempt(Outcome.OK, np.float64([1.0, np.nan])), False),
        (attempt(Outcome.OK, np.float32([[1.0, np.nan]])), False),
        (attempt(Outcome.OK), False),
        (attempt(Outcome.CRASH), False),
        (attempt(Outcome.UNSUPPORTED), True),
    ],
)
def test_what_allclose_sees(other, same):
    assert agrees(other, attempt(Outcome.OK, np.float32([1.0, np.nan]))) is same


@pytest.mark.usefixtures("measured")
def test_the_command_says_what_was_found(tmp_path):
    pytest.importorskip("onnxruntime")
    state = tmp_path / "state.json"
    asked = ("selftest", "--faults", "--fault", "dropped-activation", "--fault", "lost-bias", "--state", str(state))
    done = fuzz(*asked, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"target", "version", "seconds", "faults"}
    assert [row["fault"] for row in result["faults"]] == ["dropped-activation", "lost-bias"]
    assert set(result["faults"][0]) == {"fault", "right", "seconds", "cases", "shown", "found", "close", "other"}
    again = fuzz(*asked)
    assert again.returncode == 0
    assert "2 of 2 found" in again.stdout
    other = fuzz(*asked, "--backend", "onnxruntime:opt=0")
    assert other.returncode == 2
    assert "another --state" in other.stderr


@pytest.mark.usefixtures("measured")
def test_the_command_lists_faults():
    done = fuzz("selftest", "--list")
    assert done.returncode == 0
    assert all(name in done.stdout for name in FAULTS)
    assert len(json.loads(fuzz("selftest", "--list", "--json").stdout)["faults"]) == len(FAULTS)


def test_operators_that_faults_name_are_generated():
    """A fault in an operator that is never drawn could not be found by anybody."""
    assert {"Gemm", "Resize", "Trilu", "LayerNormalization", "ScatterElements", "PRelu"} <= set(TABLE)


def test_a_tensor_is_never_handed_over_half():
    shorter = BEHAVIOURS["race"].wrap
    assert shorter is not None

    class Fixed:
        def run(self, _inputs):
            return [Tensor("float", (0,), b""), None]

    compiled = shorter(Fixed(), None)
    assert all(compiled.run([]) == [Tensor("float", (0,), b""), None] for _ in range(20))


def test_a_change_that_leaves_a_value_without_a_type_is_taken_back_where_inference_would_die_of_it():
    """EyeLike reads the type of its operand without a look whether there is one: the worker would have crashed."""
    text = '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> g (float[2,3] x, float[3,2] w) => (float[2,2] z) {{ {} }}'
    proto = onnx.parser.parse_model(text.format("y = MatMul (x, w) z = EyeLike <dtype = 1> (y)"))

    def unfit(site):
        return site.operator == "MatMul" and site.become("MatMul", ["x", "x"])

    def fit(site):
        return site.operator == "MatMul" and site.become("MatMul", ["x", "w"], marked=1)

    assert rewritten(proto, unfit) is None
    assert rewritten(proto, fit) is not None
    foreign = onnx.parser.parse_model(text.format("u = f.Op (x) v = Relu (x) z = EyeLike <dtype = 1> (u)"))
    assert {"x", "v", "z"} <= set(Draft.read(foreign).types)
