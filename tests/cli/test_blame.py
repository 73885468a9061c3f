"""`fuzz blame`, as somebody types it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

FINDINGS = Path(__file__).parents[2] / "findings"


def test_the_pass_of_a_finding_and_one_that_has_none(fuzz, tmp_path):
    for name in ("onnxruntime-pad-max-pool", "onnxruntime-max-int64"):
        shutil.copytree(FINDINGS / name, tmp_path / name)
    done = fuzz("blame", tmp_path / "onnxruntime-pad-max-pool", tmp_path / "onnxruntime-max-int64")
    assert (done.returncode, done.stderr) == (1, "")
    first, second = done.stdout.splitlines()
    assert "disable=Pad_Fusion makes it go away; so does opt=0; it stays with all other passes off" in first
    assert "no switch makes it go away" in second
    said = json.loads((tmp_path / "onnxruntime-pad-max-pool" / "blame.json").read_text("utf-8"))
    assert (said["switches"], said["alone"]) == (["disable=Pad_Fusion"], True)
    assert sorted(path.name for path in (tmp_path / "onnxruntime-max-int64").glob("blame*")) == ["blame.json"]


def test_what_does_not_fail_any_more(fuzz, tmp_path):
    shutil.copytree(FINDINGS / "onnxruntime-pad-max-pool", tmp_path / "one")
    done = fuzz("blame", tmp_path / "one", "--backend", "onnxruntime:opt=0", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["fails"], found["target"], found["executions"]) == (False, "onnxruntime:opt=0", 1)


def test_misuse(fuzz, refused, tmp_path):
    refused(fuzz("blame"), "FOLDER")
    refused(fuzz("blame", tmp_path / "nowhere"), "holds no model.onnx")
    shutil.copytree(FINDINGS / "onnxruntime-pad-max-pool", tmp_path / "one")
    refused(fuzz("blame", tmp_path / "one", "--backend", "onnxruntimes"), "unknown backend")
    (tmp_path / "one" / "verdict.json").unlink()
    refused(fuzz("blame", tmp_path / "one"), "give --backend TARGET")


def test_interrupted_it_keeps_what_was_answered(fuzz, tmp_path):
    folder = tmp_path / "one"
    shutil.copytree(FINDINGS / "onnxruntime-pad-max-pool", folder)
    notes = folder / "blame.jsonl"
    environment = {key: value for key, value in os.environ.items() if key != "COVERAGE_PROCESS_CONFIG"}
    with subprocess.Popen([fuzz.program, "blame", folder, "--jobs", "1"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=environment) as running:  # fmt: skip
        while running.poll() is None and not (notes.exists() and notes.read_text("utf-8").count("\n") > 2):
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert "Traceback" not in said
    if running.returncode == 130:  # else it was done before the signal came
        assert notes.read_text("utf-8").count("\n") > 2
        assert fuzz("blame", folder).returncode == 1
    assert json.loads((folder / "blame.json").read_text("utf-8"))["switches"] == ["disable=Pad_Fusion"]
    assert not notes.exists()
