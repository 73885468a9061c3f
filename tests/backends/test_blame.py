"""Blame on real findings of real tools: the pass that docs/findings.md names."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.frame import Frame, encode
from backends.registry import BACKENDS, installed_version
from backends.tensor import from_numpy, to_numpy
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.application import application
from fuzz.triage.blame import blame
from fuzz.triage.board import PASSES, Switch, board_of
from fuzz.triage.candidate import Candidate
from fuzz.triage.finding import Finding, read_finding
from fuzz.triage.sandbox import Sandbox
from fuzz.triage.trials import Trials

FINDINGS = Path(__file__).parents[2] / "findings"
LIMITS = Limits(60.0, 4 << 30)


@pytest.mark.parametrize(
    ("name", "switches"),
    [
        ("onnxruntime-layer-normalization-double-epsilon",
         ["disable=LayerNormFusionL1", "disable=SimplifiedLayerNormFusion"]),
        ("onnxoptimizer-reshape-reshape", ["disable=eliminate_consecutive_idempotent_ops"]),
        ("onnxslim-conv-mul-last-axis", ["disable=FusionConvMul"]),
    ],
)  # fmt: skip
def test_the_pass_that_is_known(name, switches, tmp_path):
    finding = read_finding(FINDINGS / name)
    target = parse_target(finding.target)
    pinned = BACKENDS[target.backend].pinned
    if installed_version(BACKENDS[target.backend]) != pinned:
        pytest.skip(f"the finding is of {pinned}")
    found = blame(replace(finding, folder=tmp_path), target, LIMITS, jobs=2)
    assert [str(switch) for switch in found.switches] == switches
    assert found.repeats
    assert found.alone
    assert json.loads((tmp_path / "blame.json").read_text("utf-8"))["switches"] == switches


@pytest.mark.parametrize("name", ["openvino", "tinygrad", "torch"])
def test_the_row_names_the_switches_that_the_backend_knows(name, workers):
    """They are few and stand in the row, so that no worker has to be asked."""
    (knob,) = (knob for knob in BACKENDS[name].knobs if knob.option == PASSES)
    attempt = workers(name).execute(encode(Frame("passes")))
    assert [row.fields["passes"] for row in attempt.reports] == [list(knob.values)]


CHAIN = "g (float[2,8,16] x, float[2,8,16] z) => (float[2,8,16] y) { a = Mul (x, z) b = Exp (a) y = Sub (b, x) }"
QUANTISED = """g (float[1,4,8,8] x) => (float[1,4,8,8] y)
<float s = {0.1}, uint8 z = {128}, float sw = {0.05}, int8 zw = {0},
int8[4,4,1,1] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}>
{ q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) dw = DequantizeLinear (w, sw, zw) c = Conv (d, dw)
p = QuantizeLinear (c, s, z) y = DequantizeLinear (p, s, z) }"""


@pytest.mark.parametrize(
    ("switch", "body", "shapes", "kind"),
    [("snippets", CHAIN, [(2, 8, 16)] * 2, "Subgraph"), ("low_precision", QUANTISED, [(1, 4, 8, 8)], "_I8")],
)
def test_what_openvino_leaves_out(switch, body, shapes, kind, artefacts):
    inputs = [np.linspace(-1, 1, math.prod(shape), dtype=np.float32).reshape(shape) for shape in shapes]
    plain = artefacts("openvino", body, *inputs)["runtime.txt"].decode()
    without = artefacts(f"openvino:disable={switch}", body, *inputs)["runtime.txt"].decode()
    assert plain.count(kind) > without.count(kind)


def test_torch_compiled_down_to_the_partitioner(execute, model):
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    body = "g (float[2,3] x) => (float[2,3] y) { y = Softmax <axis = 1> (x) }"
    plain, partitioned = (
        execute(f"torch:mode={mode}", model(body), [x]) for mode in ("aot_eager", "aot_eager_decomp_partition")
    )
    assert (partitioned.outcome, partitioned.message) == (plain.outcome, "")
    np.testing.assert_allclose(to_numpy(partitioned.outputs[0][0]), to_numpy(plain.outputs[0][0]), rtol=1e-6)


def test_passes_that_tvm_cannot_do_without_are_no_switches(model):
    """With one of them off not even a Relu runs; all others at once can be left out."""
    relu = model("g (float[2,3] x) => (float[2,3] y) { y = Relu (x) }")
    case = Candidate(relu, ({"x": from_numpy(np.ones((2, 3), np.float32))},))
    finding, target = Finding("relu", Path(), case, "tvm", None), parse_target("tvm")
    board = board_of(target, LIMITS)
    needed = [Switch(PASSES, name, listed=True) for name in target.entry.needed]
    assert not set(needed).intersection(board.passes)
    with Sandbox() as sandbox, Trials(finding, target, board, LIMITS, sandbox) as trials:
        assert not trials.first().finding
        assert trials.ask([frozenset([switch]) for switch in needed]) == [None] * len(needed)
        assert trials.ask([frozenset(board.passes)]) == [True]


def test_the_application_that_torch_counts(model, monkeypatch):
    """A faulty decomposition, behind those of Softmax: what torch's own bisector would say."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import planted_torch

    body = "g (float[2,3] x) => (float[2,3] y) { a = Softmax <axis = 1> (x) b = HardSwish (a) y = Mul (b, x) }"
    case = Candidate(model(body), ({"x": from_numpy(np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3))},))
    text = "planted-torch:bug=decomposition,mode=aot_eager_decomp_partition"
    target = parse_target(text, {"planted-torch": planted_torch.ROW})
    finding, board = Finding("one", Path(), case, text, None), board_of(target, LIMITS)
    with Sandbox() as sandbox, Trials(finding, target, board, LIMITS, sandbox) as trials:
        assert trials.first().finding
        found = application(board, trials)
    assert (found.part, found.number, found.of) == ("aot_eager_decomp_partition.decomposition", 3, 3)
    assert "aten.hardswish" in found.name
    assert found.own == (
        "TORCH_BISECT_BACKEND=aot_eager_decomp_partition TORCH_BISECT_SUBSYSTEM=decomposition TORCH_BISECT_MAX=1"
    )


def test_what_inductor_lowers_is_counted(artefacts):
    """With no lowering left PyTorch's kernels do the work, and each is named all the same."""
    body = "g (float[2,3] x) => (float[2,3] y) { a = Exp (x) b = Cos (a) y = Add (b, x) }"
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    shown = artefacts("torch:limit=inductor.lowerings.0", body, x)
    assert shown["applications.txt"].decode().split() == ["exp", "cos", "add"]
    assert all(f"aten.{name}" in shown["code-0.py"].decode() for name in ("exp", "cos", "add"))
