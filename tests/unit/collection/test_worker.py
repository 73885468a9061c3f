"""What the process that builds models does with a script, in the tests' own process; and it keeps nothing of them."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from corpus import cache, worker
from corpus.labels import load_from_cache

SCRIPT = """
import sys, torch
class Net(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = torch.nn.Linear(n, 3)
    def forward(self, x):
        return torch.tanh(self.fc(x)) + torch.rand(3)
class Guarded(torch.nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x
class Counts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(3))
    def forward(self, x):
        self.calls += 1
        return x + self.calls
net = Net(4)
net.train()
net(torch.ones(int(sys.argv[1]), 4))
Guarded()(torch.ones(2))
Counts()(torch.zeros(3))
"""


class Part:
    """Two of them that know each other are freed by the garbage collector alone."""

    other: Part


@pytest.fixture
def _thawed():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def pair():
    """What only the collector frees, and a look at whether it did."""
    one = Part()
    one.other = Part()
    one.other.other = one
    return one, weakref.ref(one)


@pytest.mark.usefixtures("_thawed")
def test_what_libraries_let_go_later_is_freed_once_the_process_has_grown(monkeypatch):
    resident = 5 << 30
    monkeypatch.setattr(worker, "_resident", lambda: resident)
    ground = worker.Ground(limit=6 << 30)
    kept, seen = pair()
    ground.clear()
    del kept
    gc.collect()
    assert seen() is not None
    resident = 7 << 30
    ground.clear()
    assert seen() is None
    assert gc.get_freeze_count() > 0
    kept, seen = pair()
    ground.clear()  # as large as it was: it is not all looked through again
    del kept
    ground.clear()
    assert seen() is not None
    resident = 9 << 30
    ground.clear()
    assert seen() is None


@pytest.fixture
def asked(tmp_path):
    """What is told of a request for the script, event by event."""
    torch = pytest.importorskip("torch", reason="scripts are PyTorch's")
    script = tmp_path / "three.py"
    script.write_text(SCRIPT, "utf-8")
    threads = torch.get_num_threads()

    def ask(**more):
        events = []
        request = worker.Request(
            str(script), ["2"], str(tmp_path / "cache"), "three", 20, facts={"corpus": "mine"},
            labels={"author": ["me"]}, **more,
        )  # fmt: skip
        worker.serve(worker.Request(**json.loads(request.to_line())), events.append)
        return events

    yield ask
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_thawed")
def test_each_model_of_a_script_is_built_and_told_stage_by_stage(asked, tmp_path):
    caught, *told, done = asked()
    builds = {model["class"]: model["build"] for model in caught["models"]}
    assert list(builds) == ["Net", "Guarded", "Counts"]
    assert (done["event"], done["problem"], done["builds"]) == ("done", "", list(builds.values()))
    whole = ["forward", "export", "translate", "write", "trace", "precise"]
    words = [(event["build"], event.get("stage") or event["status"]) for event in told]
    assert words == [
        (builds[name], word) for name, reached, end in (
            ("Net", whole, "successful"), ("Guarded", whole[:2], "failed"), ("Counts", whole, "successful"),
        ) for word in (*reached, end)
    ]  # fmt: skip

    folders = {name: tmp_path / "cache" / build for name, build in builds.items()}
    states = {name: cache.read_state(tmp_path / "cache", build) for name, build in builds.items()}
    net, guarded, counts = states["Net"], states["Guarded"], states["Counts"]
    assert net["random"]
    assert net["adjusted"] == ["eval(): it was called in training"]
    assert net["corpus"] == "mine"
    assert (net["inputs"], net["outputs"]) == ([["[0][0]", "float32", [2, 4]]], [["float32", [2, 3]]])
    assert (guarded["stage"], "error" in guarded) == ("export", True)
    assert "Traceback" in (folders["Guarded"] / "log.txt").read_text("utf-8")
    assert not counts["random"]
    onnx.checker.check_model(folders["Counts"] / "model.onnx", full_check=True)
    for place in ("test_data_set_0", "program", "precise"):
        output = onnx.load_tensor(folders["Counts"] / place / "output_0.pb")
        np.testing.assert_array_equal(numpy_helper.to_array(output), np.full(3, 2))  # it was called once before
    assert load_from_cache(tmp_path / "cache", builds["Counts"]) == {"author": ["me"]}


@pytest.mark.usefixtures("_thawed")
def test_one_model_may_be_picked_and_left_as_it_is(asked):
    caught, *_ = asked(analyze_only=True)
    chosen = caught["models"][2]
    (again, built, _) = asked(analyze_only=True, pick=chosen["hash"])
    assert (again["models"], built["status"]) == ([chosen], "analyzed")
    (*_, done) = asked(pick=chosen["hash"], skip=[chosen["build"]])
    assert done["builds"] == [chosen["build"]]
    (_, located, _) = asked(pick=chosen["hash"], locate=True)
    assert (located["event"], located["node"], located["problem"]) == ("located", "", "")


@pytest.mark.usefixtures("_thawed")
def test_a_model_that_is_not_there_is_told_with_those_that_are(asked, monkeypatch):
    monkeypatch.setattr(worker, "_printed", lambda: "what it printed")
    *_, done = asked(analyze_only=True, pick="0" * 8)
    assert done["problem"].startswith("no model of the script has the hash 00000000; it has ")
    assert done["printed"] == "what it printed"
