"""Workers of real backends that were forked answer as those that were started."""

from __future__ import annotations

import threading

import numpy as np
import psutil
import pytest

from backends.frame import Frame, encode
from backends.graph import small_model
from backends.protocol import Outcome
from backends.registry import BACKENDS, installed_version
from backends.tensor import from_numpy
from fuzz.execute.nursery import Nursery
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits, Worker

LIMITS = Limits(120.0, 8 << 30)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "tvm", "onnxsim", "mnn"])
def test_a_forked_worker_answers_as_one_that_was_started(name):
    if installed_version(BACKENDS[name]) is None:
        pytest.skip(f"{name} is not installed")
    model = small_model()
    value = from_numpy(np.array([-1.5, 2], np.float32))
    request = encode(Frame("execute", {"folder": None}, [[value]], model.SerializeToString()))
    target = parse_target(name)
    with Worker(target, LIMITS, threading.Event()) as worker:
        due = worker.execute(request)
    assert due.outcome is Outcome.OK
    with Nursery() as nursery:
        for _ in range(2):
            with nursery.worker(target, LIMITS, threading.Event()) as worker:
                found = worker.execute_several([request, request])
                assert [(one.outcome, one.outputs) for one in found] == [(Outcome.OK, due.outputs)] * 2
                assert psutil.Process(worker._process.pid).parent() != psutil.Process()
