"""A real older release of a real backend, installed over the network, beside the one of this environment."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from backends.protocol import Outcome
from backends.registry import installed_version
from backends.tensor import to_numpy
from fuzz.errors import TargetError
from fuzz.execute.install import install
from fuzz.execute.target import parse_recipe, parse_target
from fuzz.execute.worker import Limits, Worker

VERSION = "1.20.1"


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
    assert attempt.outcome is Outcome.OK
    assert to_numpy(attempt.outputs[0][0]).tolist() == [-1, 2]
    assert execute("onnxruntime", serialized, [x]).outputs == attempt.outputs
