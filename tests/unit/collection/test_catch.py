"""Scripts are run as they are, and the models that they call are caught."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from corpus.catch import run_script, structural_hash

LINEAR = """
import sys, torch
class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)
    def forward(self, x, scale=1.0):
        return self.b(self.a(x)) * scale
"""


@pytest.fixture
def script(tmp_path):
    def write(body, head=LINEAR):
        path = tmp_path / "script.py"
        path.write_text(head + body, "utf-8")
        return path

    return write


def test_the_models_that_a_script_calls_are_caught_in_order(script):
    run = run_script(script("Two().eval()(torch.ones(1, 4), scale=2.0)\ntorch.nn.Linear(2, 2)(torch.ones(5, 2))\n"))
    assert run.problem is None
    assert [type(caught.module).__name__ for caught in run.caught] == ["Two", "Linear"]
    two = run.caught[0]
    assert (two.parameters, two.depth, two.training, two.kwargs) == (4 * 3 + 3 + 3 * 2 + 2, 0, False, {"scale": 2.0})
    assert two.signature == (("[0][0]", "float32", (1, 4)),)


def test_parts_of_a_model_are_caught_down_to_a_depth(script):
    run = run_script(script("Two()(torch.ones(1, 4))\n"), max_depth=1)
    assert [(type(caught.module).__name__, caught.depth) for caught in run.caught] == [
        ("Two", 0), ("Linear", 1), ("Linear", 1),
    ]  # fmt: skip


def test_calls_at_other_sizes_are_the_same_model_and_other_inputs_are_not(script):
    body = "m = Two()\nfor n in (1, 2, 3):\n    m(torch.ones(n, 4))\nm(torch.ones(4))\n"
    run = run_script(script(body))
    assert [(caught.calls, caught.signature[0][2]) for caught in run.caught] == [(3, (1, 4)), (1, (4,))]


def test_what_is_called_while_a_model_is_built_is_no_model_of_the_script_s(script):
    body = """
class Tried(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.part = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3))
        self.size = self.part(torch.ones(1, 4)).shape[1]
    def forward(self, x):
        return self.part(x)
m = Tried()
m.part.weight
m(torch.ones(1, 4))
"""
    assert [type(caught.module).__name__ for caught in run_script(script(body)).caught] == ["Tried"]


def test_classes_of_one_name_that_compute_otherwise_are_two(script):
    one = "class A(torch.nn.Module):\n    def forward(self, x):\n        return x.{}()\nA()(torch.ones(2))\n"
    assert len(run_script(script(one.format("sin") + one.format("cos"))).caught) == 2


def test_two_models_alike_are_one(script):
    assert len(run_script(script("Two()(torch.ones(1, 4))\nTwo()(torch.ones(1, 4))\n")).caught) == 1


def test_arguments_are_kept_as_they_were_at_the_call(script):
    run = run_script(script("x = torch.ones(1, 4)\nTwo()(x)\nx.zero_()\n"))
    assert bool((run.caught[0].args[0] == 1).all())


def test_what_a_script_raises_is_told_and_what_came_before_is_kept(script):
    run = run_script(script("Two()(torch.ones(1, 4))\nraise KeyError('gone')\n"))
    assert isinstance(run.problem, KeyError)
    assert len(run.caught) == 1


@pytest.mark.parametrize(("code", "fails"), [("0", False), ("", False), ("3", True)])
def test_a_script_may_end_itself(script, code, fails):
    run = run_script(script(f"sys.exit({code})\n"))
    assert (run.problem is not None) is fails


def test_a_script_gets_its_arguments_and_the_process_is_as_before(script):
    before = (list(sys.argv), list(sys.path), Path.cwd(), torch.nn.Module.__call__)
    body = """
import os, tempfile
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
os.chdir("/")
torch.nn.Linear(int(sys.argv[2]), 1)(torch.ones(1, 7))
"""
    run = run_script(script(body), ["--features", "7"])
    assert run.problem is None
    assert run.caught[0].args[0].dtype is torch.float64
    assert (list(sys.argv), list(sys.path), Path.cwd(), torch.nn.Module.__call__) == before
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)


def test_a_hash_goes_by_structure_and_inputs_and_not_by_weights():
    signature = (("[0][0]", "float32", (1, 4)),)
    one, two = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    assert structural_hash(one, signature) == structural_hash(two, signature)
    assert structural_hash(one, signature) != structural_hash(torch.nn.Linear(4, 3, bias=False), signature)
    assert structural_hash(one, signature) != structural_hash(one, (("[0][0]", "float32", (2, 4)),))
