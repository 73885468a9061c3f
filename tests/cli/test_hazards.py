"""`fuzz hazards`, and the hazards of one model in `fuzz check`."""

from __future__ import annotations

import json

import numpy as np
import pytest

BODY = "g (int32[2] a, int32[2] b) => (int32[2] y) { y = Div (a, b) }"


def test_all_of_them_or_those_of_some_operators(fuzz):
    done = fuzz("hazards")
    assert (done.returncode, done.stderr) == (0, "")
    *rows, total = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert total == f"{len(rows)} hazards"
    few = fuzz("hazards", "--operator", "BitShift", "--operator", "NonZero").stdout
    assert [line.split(":")[0] for line in few.splitlines() if not line.startswith(" ")] == [
        "shift-beyond-width", "shift-beyond-width-defined", "nonzero-of-scalar", "3 hazards",
    ]  # fmt: skip
    assert "BitShift, version 11-27: a shift by as many bits as the type has, or more" in few


def test_as_json(fuzz):
    (row,) = json.loads(fuzz("hazards", "--operator", "GatherND", "--json").stdout)["hazards"]
    assert row["id"] == "gather-nd-out-of-range"
    assert (row["since"], row["until"], row["says"], row["treatment"]) == (11, None, "error", "avoid")
    assert row["stops"] is row["detected"] is True


def test_the_page(fuzz):
    assert fuzz("hazards", "--markdown").stdout.startswith("# What the specification leaves open\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--operator", "Gahter"), ("Gahter", "`fuzz hazards` lists")),
        (("--markdown", "--json"), ("--markdown", "alone")),
    ],
)
def test_misuse(fuzz, refused, arguments, words):
    refused(fuzz("hazards", *arguments), *words)


class TestOfAModel:
    @pytest.fixture
    def model(self, fuzz, add_case):
        add_case(fuzz.home, "case", BODY, np.array([6, 6], np.int32), np.array([2, 0], np.int32))
        return "case/model.onnx"

    def test_they_are_shown_without_a_target(self, fuzz, model):
        done = fuzz("check", model)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "hazard: integer-division-by-zero at Div 'y' (1 element), data set 0\n"

    def test_they_excuse_a_backend_that_refuses(self, fuzz, model):
        done = fuzz("check", model, "--backend", "onnxruntime", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert told["verdicts"][0]["verdict"] == "undecidable"
        assert "integer-division-by-zero" in told["verdicts"][0]["message"]
        assert told["hazards"] == [
            {"data_set": 0, "hazard": "integer-division-by-zero", "node": "", "operator": "Div", "output": "y",
             "elements": 1}
        ]  # fmt: skip
        assert told["problem"] == ""

    def test_a_model_without_any(self, fuzz, add_case):
        add_case(fuzz.home, "fine", BODY, np.array([6, 6], np.int32), np.array([2, 3], np.int32))
        assert fuzz("check", "fine/model.onnx").stdout == "no hazards\n"
