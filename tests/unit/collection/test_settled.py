"""Who is at fault where sides differ, and what is granted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import parser

from abstract.program import parse
from backends.tensor import from_numpy
from fuzz.collection import examination
from fuzz.collection.examination import Answer, _seen, _settled
from fuzz.collection.plan import Job, Plan, jobs_of
from fuzz.collection.summary import Summary, line_of, word_of
from fuzz.errors import UsageError
from fuzz.judge.judge import reference_values


def settled(eager="ok", program="ok", onnx="ok", **backends):
    words = {"eager": eager, "program": program, "onnx": onnx, **backends}
    return _settled({name: Answer(word, "bound") for name, word in words.items()})


@pytest.mark.parametrize(("words", "side"), [
    ({}, ""),
    ({"ort": "ok"}, ""),
    ({"ort": "wrong", "tvm": "ok"}, "ort"),
    ({"ort": "wrong", "tvm": "wrong"}, "ort, tvm"),
    ({"eager": "wrong", "ort": "ok"}, "torch.export"),
    ({"eager": "wrong", "program": "wrong", "onnx": "wrong", "ort": "ok"}, "exporter"),
    ({"eager": "wrong", "program": "wrong", "onnx": "ok", "ort": "ok"}, ""),
    ({"onnx": "wrong", "ort": "ok"}, "exporter"),
    ({"eager": "wrong", "program": "wrong", "onnx": "wrong", "ort": "wrong"}, "reference"),
    ({"eager": "undecidable", "program": "undecidable", "onnx": "undecidable", "ort": "undecidable"}, ""),
    ({"ort": "rejected"}, ""),
])  # fmt: skip
def test_the_side_that_parts_from_the_others_is_named(words, side):
    assert settled(**words).side == side


def test_what_all_disagree_with_is_a_dispute_and_nobody_s_bug():
    found = settled(eager="wrong", program="wrong", onnx="wrong", ort="wrong")
    assert {answer.word for answer in found.answers.values()} == {"dispute"}


def test_rounding_that_was_drawn_too_small_is_nobody_s_bug():
    found = settled(eager="wrong", program="wrong", onnx="ok", ort="wrong")
    assert found.side == ""
    assert found.answers["ort"].word == "undecidable"
    assert found.answers["onnx"].word == "ok"


def test_as_much_is_granted_as_the_program_s_own_rounding_moves_several_times_over():
    exact = from_numpy(np.array([1.0, np.inf, np.nan]))
    assert _seen(from_numpy(np.array([1.25, np.inf, np.nan], np.float32)), exact) == 8 * 0.25
    whole = from_numpy(np.array([1, 2]))
    assert (_seen(whole, whole), _seen(from_numpy(np.array([1, 3])), whole)) == (0.0, np.inf)


@pytest.mark.parametrize(("tolerance", "references", "granted"), [(0.3, 2, 0.1), (0.05, 1, 0.05)])
def test_a_bound_that_did_not_count_is_not_computed_again_for_who_may_do_more(
    monkeypatch, tolerance, references, granted
):
    model = parser.parse_model("""<ir_version: 10, opset_import: ["": 20]>
        it (float[2] x) => (float[2] y) { a = Exp(x) b = Exp(a) y = Sub(b, a) }""")
    inputs = {"x": from_numpy(np.array([0.5, 1.0], np.float32))}
    exact = from_numpy(np.exp(np.exp(np.array([0.5, 1.0]))) - np.exp(np.array([0.5, 1.0])))
    asked = []

    def counted(program, given, target, **options):
        asked.append(target)
        found = reference_values(program, given, target, **options)
        return {name: replace(known, bound=np.float64(0.1)) for name, known in found.items()}

    monkeypatch.setattr(examination, "reference_values", counted)
    bench = examination._Bench(parse(model), inputs, ["y"], [exact], [tolerance])
    strict, loose = bench.due("onnxruntime"), bench.due("")
    assert len(asked) == references
    assert [float(np.max(one.value.bound)) for one in (*strict, *loose)] == [granted, granted]


def test_a_line_tells_what_became_of_a_model():
    state = {
        "status": "successful", "class": "ResNet", "parameters": 11_700_000,
        "seconds": {"export": 1.0, "translate": 2.0},
        "answers": {"eager": {"word": "ok", "decided": "sampled"}},
        "targets": {"tvm": {"verdict": "wrong", "decided": "sampled", "latency": {
            "median": 0.0012, "lower_quartile": 0.001, "upper_quartile": 0.0015}}},
    }  # fmt: skip
    assert line_of("b", state).split() == [
        "wrong", "b", "ResNet", "11.7M,", "export", "1.0", "s,", "translate", "2.0", "s,", "tvm", "wrong", "(sampled)",
        "1.20", "ms", "(1.00", "ms", "to", "1.50", "ms)",
    ]  # fmt: skip
    summary = Summary()
    summary.count(state)
    summary.count({"status": "failed", "stage": "export", "error": "no"})
    summary.count({"status": "successful", "side": "exporter", "targets": {}})
    assert (summary.models, summary.exported, summary.findings, summary.failed) == (3, 2, 2, {"export": 1})
    assert word_of({"status": "analyzed"}) == "analyzed"


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        path = tmp_path / "mine" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# labels: name::{name} task::Test\n", "utf-8")
    return tmp_path / "mine"


def names(globs, **labels):
    return [(job.entry.name, job.pick) for job in jobs_of(globs, labels)]


def test_scripts_anywhere_are_named_by_file_folder_glob_and_hash(folder):
    assert names([str(folder)]) == names([f"{folder}/*.py"]) == [("a", ""), ("b", "")]
    assert names([f"{folder}/a.py", f"{folder}/a.py"]) == [("a", "")]
    assert names([f"{folder}/a.py::0123abcd"]) == [("a", "0123abcd")]
    assert names([str(folder)], name=("b",)) == [("b", "")]


@pytest.mark.parametrize("text", ["{}/c.py", "{}/a.py::nothing", "no_such_model_at_all"])
def test_what_is_named_by_nothing_is_told(folder, text):
    with pytest.raises(UsageError, match=r"no (script|model)"):
        jobs_of([text.format(folder)])


def test_labels_that_nothing_has_are_told(folder):
    with pytest.raises(UsageError, match="labels"):
        jobs_of([str(folder)], {"task": ("Nothing",)})


def test_a_job_goes_by_its_script_and_arguments(folder, tmp_path):
    (job,) = jobs_of([f"{folder}/a.py"])
    plan, other = Plan(tmp_path), Plan(tmp_path, arguments=("--batch_size", "8"))
    assert job.stem(plan) == "mine_a"
    assert job.stem(other).startswith("mine_a_")
    assert len({job.key(plan), job.key(other), Job(job.entry, "0123abcd").key(plan)}) == 3
    before = job.key(plan)
    job.entry.script.write_text("# another\n", "utf-8")
    assert job.key(plan) != before
