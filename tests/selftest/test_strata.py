"""Null runs pair by pair: each operator on each element type gets its outputs, or a reason why it has none."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from abstract.reference import Bounded, interpret
from fuzz.cli.main import main
from fuzz.selftest import run, strata
from fuzz.selftest.run import NULL_SETTINGS
from fuzz.selftest.strata import UNDRAWN, pairs, stratified_run


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


SOME = [("Exp", "float16"), ("MatMul", "bfloat16"), ("Add", "uint64"), ("Softmax", "double"), ("Not", "bool")]


def test_each_pair_gets_as_many_outputs_as_asked():
    total, found = stratified_run(SOME, 40)
    assert [(stratum.operator, stratum.dtype) for stratum in found] == SOME
    for stratum in found:
        assert stratum.judged >= 40
        assert stratum.reason(40) == ""
        assert {operator for operator, _, _ in stratum.tally.words} == {stratum.operator}
        assert {dtype for _, dtype, _ in stratum.tally.words} == {stratum.dtype}
    assert total.cases == sum(stratum.tally.cases for stratum in found)
    assert total.to_json()["wrong"] == 0, total.culprits
    assert total.to_json()["judged"] == sum(sum(stratum.tally.words.values()) for stratum in found)


def test_processes_count_the_same():
    wanted = [*SOME, ("Relu", "float")]
    (one, alone), (two, side_by_side) = stratified_run(wanted, 12), stratified_run(wanted, 12, jobs=2)
    assert one.words == two.words
    assert [s.to_json(12) for s in alone] == [s.to_json(12) for s in side_by_side]


def test_pairs_are_what_the_schema_and_the_settings_have():
    every = pairs()
    assert len(set(every)) == len(every) > 1700
    assert {dtype for _, dtype in every} == set(NULL_SETTINGS.dtypes)
    assert ("Identity", "float4e2m1") in every
    assert ("Attention", "bfloat16") in every
    assert ("Relu", "bfloat16") in every
    assert ("Relu", "bool") not in every
    assert set(UNDRAWN) <= set(every)


@pytest.mark.parametrize("operator", sorted({operator for operator, _ in UNDRAWN}))
def test_what_is_said_not_to_be_drawn_is_not(operator):
    wanted = [pair for pair in UNDRAWN if pair[0] == operator]
    _, found = stratified_run(wanted, 1)
    for stratum in found:
        assert not stratum.tally.cases, "it is drawn now: strike it out of the table"
        assert stratum.reason(1) == UNDRAWN[stratum.operator, stratum.dtype]
        assert stratum.to_json(1)["ok"] == 0


def test_a_pair_that_nobody_knows_about_says_how_long_it_was_tried(monkeypatch):
    monkeypatch.setattr(strata, "_FEWEST", 3)
    (stratum,) = stratified_run([("Relu", "bool")], 1)[1]
    assert stratum.reason(1) == "no case in 3 seeds"


def test_what_is_a_constant_says_so():
    (stratum,) = stratified_run([("Constant", "float")], 1)[1]
    assert stratum.tally.cases
    assert stratum.reason(1) == "it is a constant: no node computes it"


def test_outputs_of_which_nothing_can_be_said_do_not_count(monkeypatch):
    def unbounded(program, inputs, **more):
        values = interpret(program, inputs, **more)
        return {n: Bounded(v.value, np.full(np.shape(v.value), np.inf), v.dtype) for n, v in values.items()}

    monkeypatch.setattr(run, "interpret", unbounded)
    monkeypatch.setattr(strata, "_MOST", 6)
    (stratum,) = stratified_run([("Exp", "float")], 5)[1]
    assert stratum.judged == 0
    assert stratum.tally.cases
    assert stratum.reason(5).endswith("are undecidable")


@pytest.fixture
def command(monkeypatch):
    """The command on two pairs, in this process; gives its exit code."""
    monkeypatch.setattr(strata, "pairs", lambda: [("Relu", "float"), ("Range", "float")])

    def run_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["fuzz", "selftest", "--null", "--jobs", "1", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run_it


def test_the_command_prints_one_object_with_the_promised_keys(command, capsys):
    assert command("--per-pair", "15", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"cases", "judged", "ok", "suspect", "wrong", "undecidable", "pairs"}
    keys = {"operator", "type", "cases", "ok", "suspect", "wrong", "undecidable", "reason"}
    assert [set(row) for row in result["pairs"]] == [keys] * 2
    assert result["pairs"][0]["ok"] >= 15
    assert result["pairs"][1]["reason"] == "drawn as int64 alone"


def test_the_command_lists_pairs_that_are_short(command, capsys):
    assert command("--per-pair", "15", "--verbose") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "2 pairs of operator and type, 1 with at least 15 judged",
        "    Range float: 0 judged: drawn as int64 alone",
    ]
    assert any(line.startswith("Relu") for line in lines)


def test_a_wrong_output_ends_with_1(command, monkeypatch, capsys):
    def shifted(program, inputs, **more):
        values = interpret(program, inputs, **more)
        return {n: Bounded(v.value + 1, v.bound, v.dtype) for n, v in values.items()}

    monkeypatch.setattr(run, "interpret", shifted)
    assert command("--per-pair", "11") == 1
    assert "is wrong" in capsys.readouterr().out
    assert command("--per-pair", "11", "--json") == 1


def test_per_pair_goes_with_null():
    done = fuzz("selftest", "--faults", "--per-pair", "3")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "--null" in done.stderr
