from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from abstract.program import parse
from fuzz.execute.target import parse_target
from fuzz.judge.compare import Comparison
from fuzz.judge.verdict import Word
from fuzz.selftest import plant as module
from fuzz.selftest.faults import FAULTS
from fuzz.selftest.plant import EFFECTIVE, Score, groups, original, plant, plant_run
from fuzz.selftest.real import plant_on
from fuzz.selftest.run import NULL_SETTINGS


@pytest.mark.parametrize("name", FAULTS)
def test_the_judge_finds_it_and_calls_no_clean_run_wrong(name):
    score = Score()
    for seed in range(0, 200, 10):
        for clean, tested in plant_run(range(seed, seed + 10), [name]):
            assert clean.word is not Word.WRONG
            for one in tested:
                score.add(one)
        if score.found >= 5:  # few enough to be quick, enough that one that is rightly undecidable does not tip it
            break
    assert score.found, score
    assert score.found >= score.effective * 0.8, score


def test_planting_is_deterministic():
    first, again = (
        [(t.fault, t.node, t.moved, t.verdict) for _, tested in plant_run(range(6), list(FAULTS)) for t in tested]
        for _ in range(2)
    )
    assert first == again
    assert len(first) > 10


def test_a_broken_model_is_still_a_model():
    import onnx

    for seed, names, settings in groups(range(12), list(FAULTS), NULL_SETTINGS):
        case = original(seed, settings)
        for name in names:
            planted = plant(case, FAULTS[name])
            if planted is not None:
                onnx.checker.check_model(planted.model, full_check=True)
                assert parse(planted.model).outputs == case.program.outputs
                assert name == "stale-output" or planted.model != case.program.model


def test_a_judge_that_sleeps_is_noticed(monkeypatch):
    monkeypatch.setattr(module, "compare", lambda _actual, _reference: Comparison(Word.OK))
    runs = plant_run(range(5), ["stale-output"])
    missed = Counter(t.why for _, tested in runs for t in tested if t.moved > EFFECTIVE)
    assert missed["within the bound"]
    assert set(missed) == {"within the bound"}


def test_faults_are_found_on_a_real_backend(tmp_path):
    pytest.importorskip("onnxruntime")
    names = ["dropped-activation", "shifted-padding", "swapped-operands", "stale-output", "bfloat16-contraction",
             "lost-tail", "wrong-broadcast", "rounding-cast"]  # fmt: skip
    scores = {name: Score() for name in names}
    # A clean run that is wrong would be a bug of the backend, and none of ours.
    for _, tested in plant_on(tmp_path, parse_target("onnxruntime"), range(25), names):
        for one in tested:
            scores[one.fault].add(one)
    assert all(score.found for score in scores.values()), scores


def test_the_command_says_what_was_found():
    done = subprocess.run(
        [sys.executable, "-c", "from fuzz.cli.main import main; main()", "selftest", "--fault", "stale-output",
         "--fault", "lost-bias", "--count", "12", "--json"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"cases", "clean", "faults"}
    assert set(result["faults"]) == {"stale-output", "lost-bias"}
    score = result["faults"]["stale-output"]
    assert set(score) == {"planted", "effective", "found", "refused", "missed"}
    assert 0 < score["found"] <= score["effective"] <= score["planted"]
