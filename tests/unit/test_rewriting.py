"""A graph-to-graph tool is blamed for what it breaks, and for nothing that its plain runtime gets wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.entry import Entry, Option
from backends.protocol import COMPARED, ELSEWHERE, UNTRANSFORMED, Outcome, Showing, Stage
from backends.tensor import Tensor, from_numpy, same, to_numpy
from fuzz.case import find_cases
from fuzz.execute.run import execute
from fuzz.execute.target import parse_target
from fuzz.judge.judge import Oracle
from fuzz.judge.run import _judge_chunk
from fuzz.store import Store

TABLE = {
    "planted": Entry(
        name="planted",
        module=str(Path(__file__).with_name("planted_tool.py")),
        distributions=("onnx",),
        requirements=("onnx",),
        options=(
            Option("breaks", r"\w+", "a name", "what it breaks"),
            Option("runtime", "onnxruntime|reference", "", "")
        ),
        tool=True,
    )
}
A, B = np.float32([1, 2, 3]), np.float32([10, 20, 30])


def write(root: Path, *data_sets, nodes=(("Add", "a", "b", "y"), ("Mul", "a", "b", "t"))) -> None:
    folder = root / "case"
    folder.mkdir(parents=True)
    port = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "abyt"}
    made = [helper.make_node(kind, [x, y], [z]) for kind, x, y, z in nodes]
    outputs = [port[row[3]] for row in nodes if row[3] in port]  # what has another name is not returned
    graph = helper.make_graph(made, "g", [port["a"], port["b"]], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    for number, arrays in enumerate(data_sets or [(A, B)]):
        place = folder / f"test_data_set_{number}"
        place.mkdir()
        for index, array in enumerate(arrays):
            (place / f"input_{index}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())


@pytest.fixture
def run(tmp_path):
    """Execute the case on the planted tool and judge it: the execution, the verdict."""

    def run(breaks="nothing", fault="", *, timeout=20.0, runtime="onnxruntime"):
        variable = f",env.PLAIN_RUNTIME={fault}" if fault else ""
        target = parse_target(f"planted:breaks={breaks},runtime={runtime}{variable}", TABLE)
        with Store.open(tmp_path, create=True) as store:
            execute(find_cases(tmp_path), [target], store=store, timeout=timeout, memory=600, jobs=1, force=True)
            (execution,) = store.executions("case")
        (verdict,) = _judge_chunk(str(tmp_path), find_cases(tmp_path), Oracle())
        return execution, verdict

    return run


def test_what_changes_nothing_is_right_and_compared(tmp_path, run):
    write(tmp_path, (A, B), (B, A))
    execution, verdict = run()
    assert (execution.outcome, execution.stage, execution.message) == (Outcome.OK, Stage.RUN, COMPARED)
    assert [[to_numpy(v).tolist() for v in outputs] for outputs in execution.outputs] == [
        [[11, 22, 33], [10, 40, 90]], [[11, 22, 33], [10, 40, 90]]
    ]  # fmt: skip
    assert execution.beside == {}
    assert verdict.verdict == "ok"


def test_a_wrong_rewrite_is_wrong(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("subtract")
    # Only the output that differs is kept: what the runtime computed before, and what another one computes now.
    assert {(kind, n, at): to_numpy(v).tolist() for (kind, n, at), v in execution.beside.items()} == {
        (UNTRANSFORMED, 0, 0): [11, 22, 33],
        (ELSEWHERE, 0, 0): [-9, -18, -27],
    }
    assert (verdict.verdict, verdict.output, verdict.actual) == ("wrong", "y", -9.0)
    assert "plain runtime" not in verdict.message


@pytest.mark.parametrize("breaks", ["subtract", "nothing"])
def test_a_runtime_that_is_wrong_from_the_start_is_not_the_tools_fault(tmp_path, run, breaks):
    write(tmp_path)
    _, verdict = run(breaks, "wrong")
    assert verdict.verdict == "undecidable"
    assert verdict.message.startswith("the plain runtime computes the same from the untransformed model") or (
        breaks == "subtract" and verdict.message.startswith("the plain runtime is wrong on the untransformed model too")
    )


def test_one_output_that_the_runtime_gets_wrong_hides_no_other(tmp_path, run):
    """The outputs are judged one by one: that which is the same excuses no other."""
    write(tmp_path, nodes=(("Mul", "a", "b", "t"), ("Add", "a", "b", "y")))
    _, verdict = run("subtract")
    assert (verdict.verdict, verdict.output) == ("wrong", "y")


def test_a_runtime_that_is_wrong_on_the_new_model_alone_is_not_the_tools_fault_either(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("nothing", "wrong-rewritten")
    assert (ELSEWHERE, 0, 0) in execution.beside
    assert verdict.verdict == "undecidable"
    assert "from which reference computes what is due" in verdict.message


@pytest.mark.parametrize("fault", ["lack", "refuse", "refuse_early", "memory", "crash", "refuse-untransformed"])
def test_what_the_runtime_cannot_run_untransformed_is_unsupported(tmp_path, run, fault):
    write(tmp_path)
    execution, verdict = run("subtract", fault)
    assert (execution.outcome, execution.stage, execution.attempts) == (Outcome.UNSUPPORTED, Stage.PLAIN, 1)
    assert verdict.verdict == "unsupported"
    assert "runtime fails where the tool has no part" in verdict.message or (
        "cannot run the untransformed model either" in verdict.message
    )


def test_a_runtime_that_hangs_on_the_untransformed_model_is_unsupported(tmp_path, run):
    write(tmp_path)
    execution, _ = run("subtract", "hang", timeout=1.0)
    assert execution.outcome is Outcome.UNSUPPORTED
    assert "stopped after" in execution.message


def test_a_runtime_that_dies_of_the_new_model_alone_is_a_crash(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("nothing", "crash-rewritten")
    assert (execution.outcome, execution.stage, execution.attempts) == (Outcome.CRASH, Stage.RUN, 2)
    assert verdict.verdict == "crash"


@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("drop_input", "input 'b' is gone (inputs are a)"),
        ("add_input", "input 'c' is new"),
        ("swap_inputs", "inputs a, b are b, a"),
        ("rename_output", "output 'y' is gone (outputs are z, t)"),
        ("swap_outputs", "outputs y, t are t, y"),
        ("resize", "output 'y' has the shape [6], and had [3]"),
        ("widen", "output 'y' is tensor of double, and was tensor of float"),
    ],
)
def test_another_signature_is_a_finding_of_its_own(tmp_path, run, breaks, words):
    write(tmp_path)
    execution, verdict = run(breaks)
    assert (execution.outcome, execution.stage) == (Outcome.REJECTED, Stage.IMPORT)
    assert execution.message == f"planted changes the model's signature: {words}"
    assert verdict.verdict == "rejected"


def test_a_change_that_the_tool_says_it_makes_is_none(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("rename_all")
    assert (execution.outcome, verdict.verdict) == (Outcome.OK, "ok")


def test_but_what_cannot_be_compared_then_is_unsupported(tmp_path, run):
    write(tmp_path)
    execution, _ = run("rename_and_widen")
    assert execution.outcome is Outcome.UNSUPPORTED
    assert "as it says that it does: input 'a' is gone (inputs are new_a, new_b)" in execution.message


def test_an_input_that_nothing_reads_may_be_removed_by_a_tool_that_means_to(tmp_path, run):
    write(tmp_path, nodes=(("Mul", "b", "b", "y"),))
    execution, verdict = run("prune")
    assert (execution.outcome, verdict.verdict) == (Outcome.OK, "ok")
    assert to_numpy(execution.outputs[0][0]).tolist() == [100, 400, 900]


def test_so_may_one_that_only_dead_nodes_read(tmp_path, run):
    write(tmp_path, nodes=(("Mul", "b", "b", "y"), ("Add", "a", "b", "unread")))
    execution, verdict = run("prune_dead")
    assert (execution.outcome, verdict.verdict) == (Outcome.OK, "ok")
    assert to_numpy(execution.outputs[0][0]).tolist() == [100, 400, 900]


def test_but_not_one_that_is_read(tmp_path, run):
    write(tmp_path, nodes=(("Mul", "a", "b", "y"),))
    execution, _ = run("prune_read")
    assert execution.outcome is Outcome.REJECTED
    assert "input 'b' is gone (inputs are a)" in execution.message


def test_an_invalid_model_is_the_tools_fault(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("unknown_attribute", "refuse_early-rewritten")
    assert execution.outcome is Outcome.REJECTED
    assert "runs the model as it was, and refuses what planted made of it" in execution.message
    assert "onnx.checker objects too" in execution.message
    assert "nonsense" in execution.message
    assert verdict.verdict == "rejected"


def test_so_is_one_that_no_runtime_can_run(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("impossible")
    assert (execution.outcome, execution.stage) == (Outcome.REJECTED, Stage.RUN)
    assert "[onnx.checker accepts it]" in execution.message
    assert verdict.verdict == "rejected"


@pytest.mark.parametrize("fault", ["refuse-rewritten", "refuse_early-rewritten"])
def test_a_valid_model_that_another_runtime_runs_is_the_runtimes_fault(tmp_path, run, fault):
    write(tmp_path)
    execution, _ = run("nothing", fault)
    assert execution.outcome is Outcome.UNSUPPORTED
    assert "onnx.checker accepts it and ONNX's evaluator runs it" in execution.message


def test_what_the_runtime_lacks_of_the_new_model_is_unsupported(tmp_path, run):
    write(tmp_path)
    execution, _ = run("nothing", "lack-rewritten")
    assert execution.outcome is Outcome.UNSUPPORTED
    assert "lacks what the transformed model needs" in execution.message


def test_memory_is_told_as_such(tmp_path, run):
    write(tmp_path)
    assert run("nothing", "memory-rewritten")[0].outcome is Outcome.OOM


@pytest.mark.parametrize(("breaks", "outcome"), [("lack", Outcome.UNSUPPORTED), ("fail", Outcome.REJECTED)])
def test_the_tools_own_words_count_for_it(tmp_path, run, breaks, outcome):
    write(tmp_path)
    execution, _ = run(breaks)
    assert (execution.outcome, execution.stage) == (outcome, Stage.IMPORT)


def test_one_nan_is_as_good_as_another(tmp_path, run):
    quiet = np.uint32([0x7FC00001, 0x7FC00000, 0]).view(np.float32)
    write(tmp_path, (quiet, np.uint32([0x7FC00002, 0, 0x7FC00000]).view(np.float32)))
    execution, _ = run("other_nan")
    assert (execution.message, execution.beside) == (COMPARED, {})


def test_the_evaluator_serves_as_plain_runtime(tmp_path, run):
    write(tmp_path)
    execution, verdict = run("subtract", runtime="reference")
    assert execution.outcome is Outcome.OK
    assert verdict.verdict == "wrong"


def test_a_file_of_another_format_is_run_as_it_is(tmp_path, run):
    write(tmp_path)
    assert run("file")[1].verdict == "ok"


def test_the_new_model_is_shown(tmp_path):
    """Both runtimes are the evaluator; it is shown without a run."""
    from backends.protocol import Words
    from backends.reference import BACKEND as REFERENCE
    from backends.rewriting import Made, Rewriter

    write(tmp_path)
    model = (tmp_path / "case" / "model.onnx").read_bytes()
    for made, name in (("onnx", "transformed.onnx"), ("file", "made.bin")):
        tool = Rewriter(
            "t", lambda m, _, kind=made: m if kind == "onnx" else Made(model, "made.bin"), Words(), lambda _: REFERENCE
        )
        compiled = tool.compile(model, None, {}, lambda _: None)
        assert isinstance(compiled, Showing)
        assert [*compiled.artefacts()] == [name]
        assert onnx.ModelProto.FromString(compiled.artefacts()[name]).graph.name == "g"


def test_a_plain_runtime_that_is_not_there_is_told_with_the_way_to_mend_it(tmp_path, monkeypatch):
    import sys

    from backends.protocol import Words
    from backends.rewriting import Rewriter

    write(tmp_path)
    monkeypatch.setitem(sys.modules, "backends.onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime, or set runtime=reference"):
        Rewriter("t", lambda m, _: m, Words()).compile(
            (tmp_path / "case" / "model.onnx").read_bytes(), None, {}, lambda _: None
        )


class TestSame:
    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (np.float32([1, np.nan]), np.float32([1, -np.nan]), True),
            (np.float32([0.0]), np.float32([-0.0]), False),
            (np.float32([1]), np.float64([1]), False),
            (np.float32([1]), np.float32([[1]]), False),
            (np.int64([1]), np.int64([2]), False),
            (np.array(["a"], object), np.array(["b"], object), False),
        ],
    )
    def test_tensors(self, one, other, expected):
        assert same(from_numpy(one), from_numpy(other)) is expected
        assert same([from_numpy(one), None], [from_numpy(other), None]) is expected

    def test_other_kinds(self):
        tensor = Tensor("float", (), b"\x00\x00\x80\x3f")
        assert same(None, None)
        assert not same(tensor, None)
        assert not same([tensor], [tensor, tensor])
        assert not same([tensor], tensor)
