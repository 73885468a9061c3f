"""Null runs pair by pair: each operator on each element type gets its outputs, or a reason why it has none."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

from abstract.reference import Bounded, interpret
from fuzz.cli.main import main
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.single import operand_types
from fuzz.selftest import run, strata
from fuzz.selftest.run import NULL_SETTINGS, null_model
from fuzz.selftest.strata import Pair, pairs, stratified_run
from fuzz.selftest.undrawn import UNDRAWN


def fuzz(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", *arguments],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


SOME = [
    Pair("Exp", "input", "float16"), Pair("MatMul", "A", "bfloat16"), Pair("Add", "A", "uint64"),
    Pair("Not", "X", "bool"), Pair("com.microsoft.Gelu", "X", "double"), Pair("Cast", "output", "int4"),
]  # fmt: skip


def test_each_pair_gets_as_many_outputs_as_asked():
    total, found = stratified_run(SOME, 40)
    assert [stratum.pair for stratum in found] == SOME
    for stratum in found:
        assert stratum.judged >= 40
        assert stratum.reason(40) == ""
    assert total.cases == sum(stratum.cases for stratum in found)
    assert total.to_json()["wrong"] == 0, total.culprits
    assert total.to_json()["judged"] == sum(sum(stratum.words.values()) for stratum in found)


def test_a_case_counts_for_each_pair_that_its_operands_have():
    wanted = [Pair("Gather", "data", "double"), Pair("Gather", "indices", "int32")]
    total, (first, second) = stratified_run(wanted, 11)
    assert total.cases <= first.cases + second.cases
    both, _ = stratified_run(wanted[1:], 11)
    assert both.cases
    assert second.judged >= 11


def test_processes_count_the_same():
    wanted = [*SOME, Pair("Relu", "X", "float")]
    (one, alone), (two, side_by_side) = stratified_run(wanted, 12), stratified_run(wanted, 12, jobs=2)
    assert one.words == two.words
    assert [s.to_json(12) for s in alone] == [s.to_json(12) for s in side_by_side]


def test_pairs_are_what_the_schema_and_the_settings_have():
    every = pairs()
    assert len(set(every)) == len(every) > 2500
    assert {pair.dtype for pair in every} == set(NULL_SETTINGS.dtypes)
    assert {
        Pair("Identity", "input", "float4e2m1"), Pair("Attention", "Q", "bfloat16"), Pair("Relu", "X", "bfloat16"),
        Pair("Where", "condition", "bool"), Pair("Where", "X", "string"), Pair("Cast", "output", "float8e8m0"),
        Pair("com.microsoft.Attention", "mask_index", "int32"), Pair("SimplifiedLayerNormalization", "X", "double"),
    } <= set(every)  # fmt: skip
    assert Pair("Relu", "X", "bool") not in every
    assert {Pair(*key) for key in UNDRAWN} <= set(every)


@pytest.mark.untraced
@pytest.mark.parametrize("operator", sorted({operator for operator, _, _ in UNDRAWN}))
def test_what_is_said_not_to_be_drawn_is_not(operator, monkeypatch):
    monkeypatch.setattr(strata, "_FEWEST", 30)
    for key, reason in UNDRAWN.items():
        if key[0] == operator:
            _, (stratum,) = stratified_run([Pair(*key)], 1)
            assert not stratum.cases, "it is drawn now: strike it out of the table"
            assert stratum.reason(1) == reason
            assert stratum.to_json(1)["ok"] == 0


WRITTEN = [
    ("Slice", "starts", "int32"), ("CenterCropPad", "input_data", "string"), ("CumSum", "axis", "int32"),
    ("OneHot", "depth", "float16"), ("OneHot", "depth", "uint8"), ("OneHot", "indices", "float"),
    ("OneHot", "indices", "uint64"), ("Range", "start", "bfloat16"), ("Range", "start", "int16"),
    ("Range", "start", "double"), ("Dropout", "ratio", "float8e5m2"), ("Dropout", "training_mode", "bool"),
    ("Pow", "Y", "uint8"), ("PRelu", "X", "uint32"), ("Resize", "X", "string"), ("Resize", "X", "complex64"),
    ("Resize", "roi", "double"), ("GridSample", "X", "string"), ("Unique", "X", "complex128"),
    ("LayerNormalization", "Mean", "bfloat16"), ("SequenceEmpty", "output", "string"),
    ("SequenceAt", "position", "int32"), ("SplitToSequence", "split", "int32"), ("If", "outputs", "int2"),
    ("If", "outputs", "float8e8m0"),
]  # fmt: skip


@pytest.mark.untraced
@pytest.mark.parametrize("key", WRITTEN, ids=".".join)
def test_rare_types_are_drawn_and_valid(key):
    """Among them parameters that are inputs, which exporters write as int64 and float alone."""
    pair = Pair(*key)
    for seed in range(60):
        made = generate_case(Seeded(seed), strata._settings(pair)[seed % 2])
        if key[1:] in operand_types(made.model, pair.operator):
            break
    else:
        pytest.fail("not drawn")
    onnx.checker.check_model(onnx.ModelProto.FromString(made.model), full_check=True)
    tally = null_model("case", 0, made.model, [data_set.inputs for data_set in made.data_sets])
    assert tally.to_json()["ok"] > 0
    assert tally.to_json()["wrong"] == 0, tally.culprits


def test_a_pair_that_nobody_knows_about_says_how_long_it_was_tried(monkeypatch):
    monkeypatch.setattr(strata, "_FEWEST", 3)
    (stratum,) = stratified_run([Pair("Relu", "X", "bool")], 1)[1]
    assert stratum.reason(1) == "no case in 3 seeds"


def test_constants_are_judged_by_what_onnx_makes_of_them(monkeypatch):
    for dtype in ("float", "string", "int4", "complex64"):
        (stratum,) = stratified_run([Pair("Constant", "output", dtype)], 6)[1]
        assert stratum.words["ok"] >= 6
    monkeypatch.setattr(run, "interpret", shifted)
    (stratum,) = stratified_run([Pair("Constant", "output", "float")], 6)[1]
    assert stratum.words["wrong"] >= 6


def shifted(program, inputs, **more):
    values = interpret(program, inputs, **more)
    return {n: Bounded(v.value + 1, v.bound, v.dtype) for n, v in values.items()}


def test_outputs_of_which_nothing_can_be_said_do_not_count(monkeypatch):
    def unbounded(program, inputs, **more):
        values = interpret(program, inputs, **more)
        return {n: Bounded(v.value, np.full(np.shape(v.value), np.inf), v.dtype) for n, v in values.items()}

    monkeypatch.setattr(run, "interpret", unbounded)
    monkeypatch.setattr(strata, "_MOST", 6)
    (stratum,) = stratified_run([Pair("Exp", "input", "float")], 5)[1]
    assert stratum.judged == 0
    assert stratum.cases
    assert stratum.reason(5).endswith("are undecidable")


@pytest.fixture
def command(monkeypatch):
    """The command on two pairs, in this process; gives its exit code."""
    monkeypatch.setattr(strata, "pairs", lambda: [Pair("Relu", "X", "float"), Pair("NonZero", "X", "string")])

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
    keys = {"operator", "operand", "type", "cases", "ok", "suspect", "wrong", "undecidable", "reason"}
    assert [set(row) for row in result["pairs"]] == [keys] * 2
    assert result["pairs"][0]["ok"] >= 15
    assert result["pairs"][1]["reason"] == UNDRAWN["NonZero", "X", "string"]


def test_the_command_lists_pairs_that_are_short(command, capsys):
    assert command("--per-pair", "15", "--verbose") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "2 pairs of operator and type, 1 with at least 15 judged",
        f"    NonZero X string: 0 judged: {UNDRAWN['NonZero', 'X', 'string']}",
    ]
    assert any(line.startswith("Relu") for line in lines)


def test_a_wrong_output_ends_with_1(command, monkeypatch, capsys):
    monkeypatch.setattr(run, "interpret", shifted)
    assert command("--per-pair", "11") == 1
    assert "is wrong" in capsys.readouterr().out
    assert command("--per-pair", "11", "--json") == 1


@pytest.mark.usefixtures("measured")
def test_per_pair_goes_with_null():
    done = fuzz("selftest", "--faults", "--per-pair", "3")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "--null" in done.stderr
