"""A real older release of a real backend, installed over the network, beside the one of this environment."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from backends.protocol import Outcome
from backends.registry import installed_version
from backends.tensor import to_numpy
from fuzz.bisect.inquiry import Inquiry
from fuzz.bisect.record import Record
from fuzz.bisect.run import bisect
from fuzz.errors import TargetError
from fuzz.execute.install import install
from fuzz.execute.target import parse_recipe, parse_target
from fuzz.execute.worker import Limits, Worker
from fuzz.triage.finding import read_finding

VERSION = "1.20.1"
FINDING = Path(__file__).parents[2] / "findings" / "onnxruntime-max-int64"


def with_external_data(folder: Path) -> bytes:
    """A model that adds a constant kept in a file of the folder."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    constant = numpy_helper.from_array(np.array([10, 20], np.float32), "c")
    graph = helper.make_graph([helper.make_node("Add", ["x", "c"], ["y"])], "g", ports[:1], ports[1:], [constant])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return (folder / "model.onnx").read_bytes()


def test_an_older_release_computes_beside_the_newer_one(tmp_path, monkeypatch, model, execute, ask):
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path))
    try:
        made, _ = install(*parse_recipe(f"onnxruntime=={VERSION}"))
    except TargetError as problem:
        if "the package index not be reached" in str(problem) or "onnection" in str(problem):
            pytest.skip("no package index can be reached")
        raise
    assert made.installed["onnxruntime"] == VERSION
    assert "click" not in made.installed
    target = parse_target(f"onnxruntime=={VERSION}:opt=0")
    assert installed_version(target.entry) != target.version == VERSION
    serialized = model("g (float[2] x) => (float[2] y) { y = Neg (x) }")
    x = np.array([1, -2], np.float32)
    with Worker(target, Limits(60.0, 4 << 30), threading.Event()) as worker:
        assert worker.version == VERSION
        attempt = ask(worker, serialized, [x])
        # It ignores the setting that names the folder of external data: that is no fault of the model's.
        outside = ask(worker, with_external_data(tmp_path), [x], folder=str(tmp_path))
    assert (attempt.outcome, outside.outcome, outside.message) == (Outcome.OK, Outcome.OK, "")
    assert to_numpy(outside.outputs[0][0]).tolist() == [11, 18]
    assert to_numpy(attempt.outputs[0][0]).tolist() == [-1, 2]
    assert execute("onnxruntime", serialized, [x]).outputs == attempt.outputs
    record = a_finding_bisected(tmp_path / "finding")
    assert record.states == {VERSION: "good", "1.31.1": "bad"}
    assert record.said == f"since 1.31.1 at the latest ({VERSION} is right)"


def a_finding_bisected(folder: Path) -> Record:
    """Max of int64, which broke after that release."""
    shutil.copytree(FINDING, folder, ignore=shutil.ignore_patterns("bisect.json"))
    record = Record(read_finding(folder))
    with Inquiry(Limits(60.0, 4 << 30)) as inquiry:
        bisect(record, [VERSION, "1.31.1"], "1.31.1", inquiry, parse_target, lambda *_: None)
    return record
