"""`fuzz run`: the loop, what it keeps, and what a kill leaves of it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time

import onnx
import pytest

from fuzz.generate.choices import Replayed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

SMALL = ("--ops", "Relu,Add,Sigmoid,Neg", "--dtypes", "float", "--nodes", "1-4", "--opset", "21")
FAULTY = "onnxruntime:fault=dropped-activation"


def rows(root, query):
    with sqlite3.connect(root / "campaign.sqlite") as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def stable(done):
    result = json.loads(done.stdout)
    for finding in result["findings"]:
        del finding["first_seen"]
    return result


def test_cases_that_pass_cost_rows_and_no_files(unmeasured, fuzz):
    command = ("run", "--backend", "onnxruntime", "--count", "12", "--jobs", "2", *SMALL)
    done = fuzz(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "12 cases, 0 findings in fuzz-root"
    root = fuzz.home / "fuzz-root"
    assert sorted(path.name for path in root.iterdir()) == ["campaign.sqlite", "findings"]
    assert list((root / "findings").iterdir()) == []
    assert rows(root, 'SELECT seed FROM "case" ORDER BY seed') == [(seed,) for seed in range(12)]
    assert rows(root, "SELECT verdict, count(*) FROM answer GROUP BY 1") == [("ok", 12)]
    # More of the same goes on behind it; another target is a campaign of its own.
    more = fuzz(*command, "--count", "14", "--json")
    assert json.loads(more.stdout)["cases"] == 14
    other = fuzz("run", "--backend", "onnxruntime:opt=0", "--count", "2", *SMALL, "--json")
    assert json.loads(other.stdout)["cases"] == 2
    assert rows(root, 'SELECT count(*) FROM "case"') == [(16,)]


def test_what_fails_is_reduced_and_kept_with_its_like_for_any_number_of_processes(fuzz):
    command = ("run", "--backend", FAULTY, "--count", "4", *SMALL, "--ops", "Sigmoid", "--json")
    done, alone = fuzz(*command, "--root", "two", "--jobs", "2"), fuzz(*command, "--root", "one", "--jobs", "1")
    assert (done.returncode, done.stderr) == (1, "")
    result = {**stable(done), "root": "one"}
    assert result == stable(alone)
    (finding,) = result["findings"]
    assert (finding["pattern"], finding["nodes"], finding["target"]) == ("Sigmoid(float)", 1, FAULTY)
    assert finding["count"] == result["targets"][FAULTY]["wrong"] > 1
    two, one = (fuzz.home / root / "findings" / finding["id"] for root in ("two", "one"))
    assert {path.name for path in one.iterdir()} == {"model.onnx", "test_data_set_0", "case.json", "verdict.json"}
    assert (two / "model.onnx").read_bytes() == (one / "model.onnx").read_bytes()
    assert [node.op_type for node in onnx.load(one / "model.onnx").graph.node] == ["Sigmoid"]
    verdict = json.loads((one / "verdict.json").read_text())
    assert (verdict["seed"], verdict["unreduced"], verdict["verdict"]["verdict"]) == (finding["seed"], "", "wrong")
    judged = fuzz("check", one / "model.onnx", "--backend", FAULTY, "--backend", "onnxruntime")
    assert judged.returncode == 1
    assert "onnxruntime: ok" in judged.stdout


def test_without_reduction_the_generated_case_is_kept(fuzz):
    done = fuzz("run", "--backend", FAULTY, "--count", "2", *SMALL, "--ops", "Sigmoid", "--no-reduce")
    assert done.returncode == 1, done.stderr
    folder = next((fuzz.home / "fuzz-root/findings").iterdir())
    verdict = json.loads((folder / "verdict.json").read_text())
    fuzz("gen", "--root", "again", "--seed", verdict["seed"], "--count", "1", *SMALL, "--ops", "Sigmoid")
    made = fuzz.home / f"again/cases/{verdict['seed']:08d}/model.onnx"
    assert (folder / "model.onnx").read_bytes() == made.read_bytes()
    assert f"findings/{folder.name}: " in done.stdout


def start(fuzz, *more):
    command = [fuzz.program, "run", "--root", "r", "--backend", "onnxruntime", "--jobs", "2", *SMALL, *more]
    return subprocess.Popen(command, cwd=fuzz.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def began(root):
    """Wait until a run has written its first case."""
    for _ in range(600):
        if (root / "campaign.sqlite").exists():
            try:
                if rows(root, 'SELECT count(*) FROM "case"')[0][0]:
                    return
            except sqlite3.OperationalError:
                pass
        time.sleep(0.1)
    pytest.fail("no case in a minute")


def test_cases_are_made_of_those_that_showed_something_new_for_any_number_of_processes(unmeasured, fuzz):
    command = ("run", "--backend", FAULTY, "--count", "32", *SMALL, "--no-reduce", "--novelty", "--json")
    done, alone = fuzz(*command, "--root", "two", "--jobs", "2"), fuzz(*command, "--root", "one", "--jobs", "1")
    assert (done.returncode, done.stderr) == (1, "")
    result = {**stable(done), "root": "one"}
    assert result == stable(alone)
    assert result["novelty"]["features"][FAULTY] > 4
    assert result["novelty"]["cases"] > 0
    shown = "SELECT * FROM shown ORDER BY seed"
    assert rows(fuzz.home / "one", shown) == rows(fuzz.home / "two", shown) != []
    bred = 0
    for finding in result["findings"]:
        folder = fuzz.home / "one" / "findings" / finding["id"]
        record = json.loads((folder / "case.json").read_text())
        if "bred_from" in record:
            bred += 1
            again = generate_case(Replayed(record["choices"]), Settings.from_json(record["settings"]))
            assert again.model == (folder / "model.onnx").read_bytes()
    assert bred


def test_a_kill_at_any_moment_leaves_a_store_that_is_whole(unmeasured, fuzz):
    chance, root = random.Random(6), fuzz.home / "r"  # noqa: S311 - moments to kill at
    before: set[int] = set()
    for number in range(10):
        running = start(fuzz)
        if not number:
            began(root)
        time.sleep(chance.uniform(0.1, 2.5))
        os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        assert rows(root, "PRAGMA integrity_check") == [("ok",)]
        assert rows(root, "PRAGMA foreign_key_check") == []
        seeds = [seed for (seed,) in rows(root, 'SELECT seed FROM "case"')]
        assert len(seeds) == len(set(seeds))
        assert before <= set(seeds)
        before = set(seeds)
    count = max(before) + 3
    done = fuzz("run", "--root", "r", "--backend", "onnxruntime", *SMALL, "--count", count, "--json")
    assert (done.returncode, json.loads(done.stdout)["cases"]) == (0, count), done.stderr
    assert rows(root, "SELECT count(*) FROM answer WHERE verdict = 'ok'") == [(count,)]


def test_ctrl_c_keeps_what_was_finished(fuzz):
    running, root = start(fuzz), fuzz.home / "r"
    began(root)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said.strip().startswith("interrupted")
    assert said.strip().count("\n") == 0
    assert rows(root, 'SELECT count(*) FROM "case"')[0][0] > 0


def test_it_ends_when_its_time_is_up(fuzz):
    done = fuzz("run", "--backend", "onnxruntime", "--time", "0.001", *SMALL, "--json")
    assert (done.returncode, json.loads(done.stdout)["cases"]) == (0, 0)


def test_a_target_that_fails_on_everything_is_left_alone_and_the_other_is_not(fuzz):
    hopeless = "onnxruntime:fault=refused-concat"
    command = ("run", "--backend", hopeless, "--backend", "onnxruntime", "--count", "36", "--jobs", "2", "--no-reduce")
    large = (*SMALL, "--ops", "Concat", "--nodes", "8-9")  # each has a Concat of three operands
    done = fuzz(*command, *large, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout)
    assert result["quarantined"] == [hopeless]
    assert result["problems"] == []
    # It counts from the second epoch after the one that says so: 8, 8 and 16 seeds.
    assert sum(result["targets"][hopeless].values()) == 32
    assert result["targets"][hopeless]["rejected"] >= 29
    assert result["targets"]["onnxruntime"] == {"ok": 36}
    told = fuzz(*command, *large).stdout
    assert f"{hopeless} fails on nearly everything and is asked seldom" in told.splitlines()


def test_a_target_whose_budget_is_used_up_is_asked_no_more(fuzz):
    command = ("run", "--backend", "onnxruntime", "--backend", "onnxruntime:opt=0", "--count", "20", "--jobs", "2")
    done = fuzz(*command, *SMALL, "--budget", "onnxruntime=0.000001", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["spent"], result["quarantined"]) == (["onnxruntime"], [])
    # What a target has used is looked at between epochs, of 8 and 8 seeds.
    assert result["targets"] == {"onnxruntime": {"ok": 16}, "onnxruntime:opt=0": {"ok": 20}}
    told = fuzz(*command, *SMALL, "--budget", "onnxruntime=0.000001").stdout
    assert "onnxruntime has used up its --budget and is not asked any more" in told.splitlines()


def test_it_ends_when_there_are_so_many_findings(fuzz):
    command = ("run", "--backend", FAULTY, *SMALL, "--ops", "Sigmoid", "--no-reduce", "--jobs", "2", "--json")
    done = fuzz(*command, "--target-findings", "1")  # nothing else ends it
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout)
    assert len(result["findings"]) >= 1
    assert result["cases"] < 64  # what was in hand by then: two messages of eight seeds a process, and what came beside
    again = json.loads(fuzz(*command, "--target-findings", "1").stdout)
    assert again["cases"] == result["cases"]  # it has them already


def test_misuse(fuzz, refused):
    refused(fuzz("run"), "--backend")
    refused(fuzz("run", "--backend", "onnxrutime", "--count", "1"), "unknown backend")
    refused(fuzz("run", "--backend", "onnxruntime", "--ops", "Rleu"), "Rleu")
    refused(fuzz("run", "--backend", "onnxruntime", "--time", "0"), "--time")
    refused(fuzz("run", "--baseline", "onnxruntime"), "--candidate")
    refused(fuzz("run", "--baseline", "onnxruntime", "--candidate", "onnxruntime"), "the same target")
    refused(fuzz("run", "--backend", "onnxruntime", "--budget", "tvm=3"), "TARGET one of onnxruntime")


def test_of_a_gate_only_what_the_candidate_does_worse_is_a_finding(fuzz):
    before, after = "onnxruntime:fault=dropped-negation", "onnxruntime:fault=dropped-negation+dropped-activation"
    small = (*SMALL, "--ops", "Sigmoid,Neg", "--nodes", "1-2")
    done = fuzz("run", "--baseline", before, "--candidate", after, "--count", "10", *small, "--json")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    assert {found["pattern"] for found in result["findings"]} == {"Sigmoid(float)"}
    assert {found["target"] for found in result["findings"]} == {after}
    assert result["targets"][before]["wrong"] > 0
    gate = result["gate"]
    assert (gate["baseline"], gate["candidate"]) == (before, after)
    changed = {(change["before"], change["after"]): change["count"] for change in gate["changes"]}
    assert changed["ok", "wrong"] == sum(found["count"] for found in result["findings"])
    # The other way about nothing is worse, though much is wrong.
    done = fuzz("run", "--root", "back", "--baseline", after, "--candidate", before, "--count", "10", *small)
    assert done.returncode == 0, done.stdout
    assert "wrong -> ok: " in done.stdout


def test_a_second_run_in_the_same_root_is_refused(fuzz, refused):
    running = start(fuzz)
    began(fuzz.home / "r")
    refused(fuzz("run", "--root", "r", "--backend", "onnxruntime", "--count", "1"), "another fuzz run works in r")
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 130


def test_each_finding_is_asked_which_switches_it_needs(fuzz):
    """A planted fault lies outside of what ONNX Runtime's switches turn off."""
    done = fuzz("run", "--backend", FAULTY, "--count", "8", "--jobs", "1", "--target-findings", "1", "--blame", *SMALL)
    assert done.returncode == 1, done.stderr
    folder = next((fuzz.home / "fuzz-root" / "findings").glob("*"))
    said = json.loads((folder / "blame.json").read_text("utf-8"))
    assert (said["finding"], said["fails"], said["switches"]) == (folder.name, True, [])
    assert {tuple(row["off"]) for row in said["asked"]} >= {("opt=0",), ("opt=1",), ("opt=2",)}
    reported = json.loads(fuzz("report", "--json").stdout)
    assert reported["findings"][0]["blame"].startswith("no switch makes it go away")
