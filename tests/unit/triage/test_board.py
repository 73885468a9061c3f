import pytest

from backends.passes import load_passes
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.board import Switch, board_of

LIMITS = Limits(60.0, 4 << 30)


def board(text):
    return board_of(parse_target(text), LIMITS)


def test_levels_and_the_passes_of_the_version():
    found = board("onnxruntime")
    assert found.coarse == tuple(Switch("opt", level) for level in "012")
    assert [dial.levels for dial in found.dials] == [True]
    assert tuple(switch.value for switch in found.passes) == load_passes("onnxruntime").names


def test_what_the_target_has_turned_off_is_no_switch_and_stays_off():
    found = board("onnxruntime:disable=GemmSumFusion+EliminateSlice,opt=1")
    assert found.coarse == (Switch("opt", "0"),)
    assert not {"GemmSumFusion", "EliminateSlice"}.intersection(switch.value for switch in found.passes)
    pad = next(switch for switch in found.passes if switch.value == "Pad_Fusion")
    assert found.options({pad}) == {"disable": "GemmSumFusion+EliminateSlice+Pad_Fusion"}


def test_parts_can_be_turned_off_together_and_levels_by_the_one_that_turns_off_most():
    found = board("onnxscript:off=inlining")
    parts = [switch for switch in found.coarse if switch.option == "off"]
    assert [switch.value for switch in parts] == ["folding", "inference"]
    assert found.options(parts) == {"off": "inlining+folding+inference"}
    assert [dial.levels for dial in found.dials] == [False, False]
    offline = board("ort-offline")
    assert offline.options(offline.coarse) == {"level": "off"}


@pytest.mark.parametrize("text", ["onnx-version-converter", "reference"])
def test_a_target_without_switches(text):
    found = board(text)
    assert (found.coarse, found.passes) == ((), ())
