"""The process that runs scripts, as its driver keeps it: the same each time, and renewed before it holds too much."""

from __future__ import annotations

from threading import Event

import onnx
import pytest

from corpus.worker import Request
from fuzz.collection.studio import Studio
from fuzz.execute.process import resident_bytes

GIB = 1 << 30

SCRIPT = """
import torch
class Kinds(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for kind in set("abcdefgh"):
            self.register_buffer(kind, torch.full((3,), float(ord(kind))))
    def forward(self, x):
        for buffer in self.buffers():
            x = x * buffer
        return x
Kinds()(torch.ones(3))
"""


@pytest.fixture
def request_of(tmp_path):
    script = tmp_path / "kinds.py"
    script.write_text(SCRIPT)
    return lambda stem="kinds": Request(str(script), [], str(tmp_path / "cache"), stem, 21)


def pid_after(studio, request):
    *_, last = studio.run(request)
    assert last["event"] == "done"
    return studio._process and studio._process.pid


def test_the_process_is_renewed_once_it_holds_half_of_what_it_may(request_of):
    with Studio(120, 64 * GIB, Event()) as studio:
        pid = pid_after(studio, request_of())
        assert pid is not None
        assert pid_after(studio, request_of("other")) == pid
        used = resident_bytes((pid,))
    with Studio(120, used * 3 // 2, Event()) as studio:
        assert pid_after(studio, request_of("third")) is None
        assert pid_after(studio, request_of("fourth")) is None


def test_a_model_that_goes_through_a_set_is_built_alike_by_each_process(request_of, tmp_path):
    stems = ["one", "two", "three"]
    for stem in stems:
        with Studio(120, 64 * GIB, Event()) as studio:
            pid_after(studio, request_of(stem))
    (one, two, three) = (onnx.load(next((tmp_path / "cache").glob(f"{stem}_*")) / "model.onnx") for stem in stems)
    assert len(one.graph.initializer) == len("abcdefgh")
    assert one.graph == two.graph == three.graph
