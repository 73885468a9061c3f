from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from abstract.fallback import Unrunnable
from abstract.program import parse
from abstract.reference import Bounded, interpret
from backends.tensor import from_numpy
from fuzz.case import DataSet, write_case
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.judge.compare import compare
from fuzz.judge.verdict import Word
from fuzz.selftest import run
from fuzz.selftest.null import METHODS, recompute
from fuzz.selftest.run import NULL_SETTINGS, null_case, null_run


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_legal_recomputations_are_never_wrong():
    tally = null_run(range(40))
    counts = tally.to_json()
    assert counts["cases"] == 40
    assert counts["judged"] > 3000
    assert counts["wrong"] == 0, tally.culprits
    assert counts["suspect"] <= counts["judged"] / 1000, tally.culprits


def test_processes_count_the_same():
    assert null_run(range(16), jobs=2).words == null_run(range(16)).words


def test_a_bound_that_is_too_small_is_noticed(monkeypatch):
    """Null runs can fail: with a tenth of the bound, values at the edge of a grant are beyond it."""

    def tightened(program, inputs, **more):
        values = interpret(program, inputs, **more)
        return {n: Bounded(v.value, np.asarray(v.bound, np.float64) / 10, v.dtype) for n, v in values.items()}

    monkeypatch.setattr(run, "interpret", tightened)
    assert sum(null_case(seed).to_json()["wrong"] for seed in range(6)) > 0


def data_sets(seed):
    return len(generate_case(Seeded(seed), NULL_SETTINGS).data_sets)


def test_a_recomputation_that_breaks_down_is_wrong(monkeypatch):
    def broken(program, inputs, method, seed):
        yield from list(recompute(program, inputs, method, seed))[:1]
        raise IndexError("index 1 is out of bounds")

    monkeypatch.setattr(run, "recompute", broken)
    tally = null_case(0)
    assert tally.to_json()["wrong"] == len(METHODS) * data_sets(0)
    assert "index 1" in tally.culprits[0].comparison.message


def model(*nodes, kind=TensorProto.FLOAT16, shape=(64,), output=TensorProto.FLOAT16):
    inputs, results = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", output, None)
    graph = helper.make_graph(nodes, "g", [inputs], [results])
    return parse(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def outputs(program, x, method):
    return {name: value for _, name, _, value in recompute(program, {"x": x}, method, seed=7)}


def method(name):
    return next(m for m in METHODS if m.name == name)


def test_excess_precision_keeps_what_rounding_between_nodes_loses():
    program = model(helper.make_node("Mul", ["x", "x"], ["v"]), helper.make_node("Sqrt", ["v"], ["y"]), shape=(1,))
    x = np.array([300.0])  # 90,000 is beyond float16
    assert outputs(program, x, method("excess"))["y"] == 300
    assert outputs(program, x, method("blocked"))["y"] == np.inf


def squares(captured, *, loop=False):
    """A body that gives the root of the square of what it reads; in a Loop it also stacks it."""
    info, half = helper.make_tensor_value_info, TensorProto.FLOAT16
    nodes = [helper.make_node("Mul", [captured, captured], ["square"]), helper.make_node("Sqrt", ["square"], ["root"])]
    if not loop:
        return helper.make_graph(nodes, "body", [info("part", half, [1])], [info("root", half, [1])])
    nodes += [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["root"], ["scanned"])]
    inputs = [info("trip", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("state", half, [1])]
    outputs = [info("on", TensorProto.BOOL, []), info("root", half, [1]), info("scanned", half, [1])]
    return helper.make_graph(nodes, "body", inputs, outputs)


def test_nodes_of_bodies_are_recomputed_by_the_same_method():
    """A sequence's parts are handed over in their type; what is read from around the body, and a state, keep theirs."""
    sequence = [helper.make_node("SequenceConstruct", ["x", "x"], ["parts"]),
                helper.make_node("SequenceMap", ["parts"], ["roots"], body=squares("x")),
                helper.make_node("SequenceMap", ["parts"], ["own"], body=squares("part")),
                helper.make_node("Loop", ["two", "", "x"], ["last", "all"], body=squares("state", loop=True)),
                helper.make_node("SequenceAt", ["roots", "zero"], ["y"]),
                helper.make_node("Neg", ["y"], ["z"])]  # fmt: skip
    program = model(*sequence, shape=(1,))
    for name, number in (("zero", 0), ("two", 2)):
        program.model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64(number), name))
    program = parse(program.model)
    reference = interpret(program, {"x": np.array([300.0])})
    for name, due in (("excess", 300), ("blocked", np.inf)):
        found = outputs(program, np.array([300.0]), method(name))
        assert [float(p[0]) for p in found["roots"]] == [due, due]
        assert (float(found["y"][0]), float(found["z"][0])) == (due, -due)
        assert {p.dtype for p in found["own"]} == {np.dtype(np.float16)}
        assert found["all"].tolist() == [[due], [due]]
        assert found["last"].dtype == found["all"].dtype == found["z"].dtype == np.float16
        for each, value in found.items():
            dtype = None if isinstance(value, list) else reference[each].dtype
            assert compare(run.tensor(value, dtype), reference[each]).word not in {Word.WRONG, Word.SUSPECT}


def test_each_trip_has_noise_of_its_own():
    info, real = helper.make_tensor_value_info, TensorProto.FLOAT
    nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node("Identity", ["go"], ["on"])]
    inputs = [info("trip", TensorProto.INT64, []), info("go", TensorProto.BOOL, [])]
    body = helper.make_graph(nodes, "body", inputs, [info("on", TensorProto.BOOL, []), info("e", real, [64])])
    node = helper.make_node("Loop", ["two", ""], ["y"], body=body)
    program = model(node, kind=real, output=real)
    program.model.graph.initializer.append(onnx.numpy_helper.from_array(np.int64(2), "two"))
    program = parse(program.model)
    first, second = outputs(program, np.linspace(-1, 1, 64), method("sequential+noise"))["y"]
    assert not np.array_equal(first, second)
    first, second = outputs(program, np.linspace(-1, 1, 64), method("sequential"))["y"]
    np.testing.assert_array_equal(first, second)


def test_a_recomputation_that_onnx_cannot_run_is_counted(monkeypatch):
    """One case of a campaign, and not the campaign."""

    def refused(program, inputs, method, seed):
        yield from list(recompute(program, inputs, method, seed))[:1]
        raise Unrunnable("SequenceMap: no such input")

    monkeypatch.setattr(run, "recompute", refused)
    assert null_case(0).to_json()["wrong"] == len(METHODS) * data_sets(0)


def test_values_are_in_the_declared_types():
    program = model(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT8), output=TensorProto.INT8, shape=(3,))
    for each in METHODS:
        np.testing.assert_array_equal(outputs(program, np.array([1.0, -2.5, 3.9]), each)["y"], [1, -2, 3])


@pytest.mark.parametrize("name", [m.name for m in METHODS if m.noise])
def test_noise_stays_inside_the_grant_and_moves_something(name):
    program = model(helper.make_node("Tanh", ["x"], ["y"]), kind=TensorProto.FLOAT, output=TensorProto.FLOAT)
    x = np.linspace(-3, 3, 64).astype(np.float32).astype(np.float64)
    difference = np.abs(outputs(program, x, method(name))["y"].astype(np.float64) - np.tanh(x))
    granted = 9 * np.spacing(np.abs(np.tanh(x)).astype(np.float32)) + 4 * 2.0**-24
    assert (difference <= granted).all()
    assert difference.max() > 3 * 2.0**-24


def test_noise_is_the_same_for_the_same_seed():
    program = model(helper.make_node("Exp", ["x"], ["y"]), kind=TensorProto.FLOAT, output=TensorProto.FLOAT)
    x = np.linspace(-1, 1, 64)
    each = method("sequential+noise")
    first = outputs(program, x, each)["y"]
    np.testing.assert_array_equal(first, outputs(program, x, each)["y"])
    other = {name: value for _, name, _, value in recompute(program, {"x": x}, each, seed=8)}["y"]
    assert not np.array_equal(first, other)


def test_a_node_without_rules_is_run_by_onnx():
    node = helper.make_node("QuantizeLinear", ["x", "s"], ["y"])
    program = model(node, kind=TensorProto.FLOAT, output=TensorProto.UINT8, shape=(2,))
    scale = onnx.numpy_helper.from_array(np.float32(0.5), "s")
    proto = program.model
    proto.graph.initializer.append(scale)
    found = outputs(parse(proto), np.array([1.0, 2.0]), METHODS[0])
    np.testing.assert_array_equal(found["y"], [2, 4])


@pytest.mark.usefixtures("measured")
def test_the_command_prints_one_object_with_the_promised_keys():
    done = fuzz("selftest", "--null", "--count", "4", "--seed", "3", "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert set(counts) == {"cases", "judged", "ok", "suspect", "wrong", "undecidable"}
    assert counts["cases"] == 4
    assert counts["judged"] == counts["ok"] + counts["suspect"] + counts["wrong"] + counts["undecidable"]


@pytest.mark.usefixtures("measured")
def test_the_cases_of_a_root_are_judged(tmp_path):
    """All data sets of each, whoever made them; what the reference cannot run is undecidable."""
    assert fuzz("gen", "--root", tmp_path, "--count", "9", "--dynamic", "--nodes", "1-4").returncode == 0
    nodes = [helper.make_node("Multinomial", ["x"], ["y"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.INT32, None)])
    random = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    given = DataSet({"x": from_numpy(np.ones((1, 2), np.float32))})
    write_case(tmp_path, "strange", random.SerializeToString(), [given], {})
    done = fuzz("selftest", "--null", "--root", tmp_path, "--json", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["cases"] == 10
    assert counts["wrong"] == 0
    assert counts["undecidable"] >= 1
    assert counts["judged"] > 9 * len(METHODS)


@pytest.mark.usefixtures("measured")
def test_verbose_lists_operators_and_types():
    done = fuzz("selftest", "--null", "--count", "3", "--verbose", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "float" in done.stdout
    assert "3 cases" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--null, --faults or --reference"),
        (("--null", "--faults"), "by itself"),
        (("--null", "--count", "-1"), "--count"),
        (("--faults", "--root", "."), "go with --null"),
        (("--null", "--root", ".", "--per-pair", "3"), "leave --root out"),
        (("--null", "--root", "/no/such/folder"), "there is no root"),
        (("--fault", "nonsense"), "--list"),
        (("--faults", "--backend", "nonsense"), "unknown backend"),
    ],
)
@pytest.mark.usefixtures("measured")
def test_misuse_gets_one_line_and_exit_code_2(arguments, words):
    done = fuzz("selftest", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


# In 16 bits these overflow on the way to a result that is well inside the range; with wider intermediates they do not.
BEYOND = [
    (helper.make_node("MatMul", ["x", "w"], ["y"]), (1, 3), [200.0, 200.0, -200.0], {"w": [[200.0], [200.0], [200.0]]}),
    (helper.make_node("GlobalAveragePool", ["x"], ["y"]), (1, 1, 4), [3e4] * 4, {}),
    (helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[4]), (1, 1, 4), [3e4] * 4, {}),
    (helper.make_node("LRN", ["x"], ["y"], size=1, alpha=0.5), (1, 1, 1, 1), [300.0], {}),
    (helper.make_node("LpNormalization", ["x"], ["y"]), (2,), [300.0, 1.0], {}),
    (helper.make_node("GlobalLpPool", ["x"], ["y"]), (1, 1, 2), [300.0, 1.0], {}),
    (helper.make_node("InstanceNormalization", ["x", "s", "s"], ["y"]), (1, 1, 2), [300.0, -300.0], {"s": [1.0]}),
    (helper.make_node("ReduceMean", ["x"], ["y"]), (4,), [3e4] * 4, {}),
    (helper.make_node("Mean", ["x", "x", "x"], ["y"]), (1,), [3e4], {}),
]


@pytest.mark.parametrize(("node", "shape", "numbers", "weights"), BEYOND, ids=[row[0].op_type for row in BEYOND])
def test_an_intermediate_beyond_the_type_leaves_the_result_open(node, shape, numbers, weights):
    program = model(node, shape=shape)
    for name, values in weights.items():
        program.model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.float16), name))
    program = parse(program.model)
    inputs = {"x": np.array(numbers).reshape(shape)}
    due = interpret(program, inputs)["y"]
    found = {m.name: outputs(program, inputs["x"], m)["y"] for m in METHODS}
    assert np.isfinite(found["excess"]).all()
    assert not np.allclose(found["sequential"].astype(np.float64), found["excess"].astype(np.float64))
    for value in found.values():
        assert compare(run.tensor(value, due.dtype), due).word not in {Word.WRONG, Word.SUSPECT}
