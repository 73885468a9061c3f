"""Blame on real findings of real tools: the pass that docs/findings.md names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backends.registry import BACKENDS, installed_version
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.blame import blame
from fuzz.triage.board import PASSES, board_of
from fuzz.triage.finding import read_finding
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
def test_the_pass_that_is_known(name, switches, tmp_path, unmeasured):
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


def test_a_pass_that_tvm_cannot_do_without_is_neither_gone_nor_there(unmeasured):
    finding = read_finding(FINDINGS / "tvm-dropout-mask")
    target = parse_target(finding.target)
    board = board_of(target, LIMITS)
    by_name = {switch.value: frozenset([switch]) for switch in board.passes if switch.option == PASSES}
    with Trials(finding, target, board, LIMITS) as trials:
        assert trials.first().finding
        assert trials.ask([by_name["FoldConstant"], by_name["LegalizeOps"]]) == [False, None]
