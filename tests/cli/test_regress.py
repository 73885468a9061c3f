"""`fuzz regress`: the gate as CI uses it. Exit code and JUnit file are right in each situation that CI can be in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

FINDINGS = Path(__file__).parents[2] / "findings"
BUG = "onnxruntime-max-int64"
RELU = "g (float[3] x) => (float[3] y) { y = Relu (x) }"
TWICE = "g (float[2,3] x) => (float[2,3] y) { t = Transpose (x)  y = Transpose (t) }"
# A planted fault: two Transposes are compiled for ever.
ENDLESS = "onnxruntime:fault=endless-rewriting"
EXPECTED = '[[xfail]]\ncase = "{}"\ntarget = "onnxruntime"\nverdict = "{}"\nreason = "known"\n'


@pytest.fixture
def cases(unmeasured, fuzz, add_case):
    """A folder with one case on which ONNX Runtime is right."""
    folder = fuzz.home / "cases"
    add_case(folder, "relu", RELU, np.array([-1, 0, 2], np.float32))
    return folder


@pytest.fixture
def gate(fuzz, cases):
    """Run the gate: its exit code, the JUnit file by (suite, test) with tag and type, what was printed."""

    def run(*arguments: object, backends: tuple[str, ...] = ("onnxruntime",)):
        chosen = [part for backend in backends for part in ("--backend", backend)]
        done = fuzz("regress", "cases", *chosen, "--junit", "out/gate.xml", *arguments)
        assert "Traceback" not in done.stderr
        root = ET.parse(fuzz.home / "out/gate.xml").getroot()  # noqa: S314 - we have written it
        found = {}
        for suite in root:
            for test in suite.iter("testcase"):
                told = [child for child in test if child.tag in {"failure", "error", "skipped"}]
                assert len(told) <= 1
                found[suite.get("name"), test.get("name")] = (told[0].tag, told[0].get("type")) if told else None
        tags = [value[0] for value in found.values() if value]
        counted = [len(found), tags.count("failure"), tags.count("error")]
        assert [int(root.get(key)) for key in ("tests", "failures", "errors")] == counted
        assert sum(int(suite.get("skipped", 0)) for suite in root) == tags.count("skipped")
        return done.returncode, found, done.stdout

    return run


def expect(cases: Path, case: str, verdict: str) -> None:
    with (cases / "expectations.toml").open("a", encoding="utf-8") as file:
        file.write(EXPECTED.format(case, verdict))


def add_bug(cases: Path) -> None:
    shutil.copytree(FINDINGS / BUG, cases / BUG)


# --- the situations of CI -----------------------------------------------------------------------------------------


def test_all_as_expected(gate, cases):
    add_bug(cases)
    expect(cases, BUG, "wrong")
    code, tests, printed = gate()
    assert code == 0
    assert tests == {("onnxruntime", "relu"): None, ("onnxruntime", BUG): ("skipped", "wrong")}
    assert "2 cases: 1 passed, 1 failed as expected, 0 new failures, 0 unexpected passes\n" in printed


def test_a_new_failure(gate, cases):
    add_bug(cases)
    code, tests, printed = gate()
    assert code == 1
    assert tests == {("onnxruntime", "relu"): None, ("onnxruntime", BUG): ("failure", "wrong")}
    # What would expect it can be pasted as it is printed.
    pasted = "\n".join(line.strip() for line in printed.splitlines() if line.startswith(" " * 8))
    assert "output y[2] of data set 0: 7, expected" in printed
    (cases / "expectations.toml").write_text(pasted, "utf-8")
    assert gate()[0] == 0


def test_another_failure_than_is_expected(gate, cases):
    add_bug(cases)
    expect(cases, BUG, "crash")
    code, tests, printed = gate()
    assert (code, tests["onnxruntime", BUG]) == (1, ("failure", "wrong"))
    assert "cases/expectations.toml:1 expects another failure: crash, known" in printed


def test_an_unexpected_pass(gate, cases):
    expect(cases, "re*", "wrong")
    code, tests, printed = gate()
    assert code == 1
    assert tests == {("onnxruntime", "relu"): ("failure", "unexpected pass")}
    assert "cases/expectations.toml:1: delete this entry" in printed


def test_a_backend_that_is_missing(gate, cases):
    code, tests, printed = gate(backends=("onnxruntime", "tensorrt", "onnxruntime@tpu"))
    assert code == 2
    assert tests == {
        ("onnxruntime", "relu"): None,
        ("tensorrt", "the target itself"): ("error", "missing"),
        ("onnxruntime@tpu", "the target itself"): ("error", "missing"),
    }
    assert "tensorrt cannot run: tensorrt is not installed" in printed


def test_a_backend_whose_worker_does_not_start(gate, cases):
    code, tests, printed = gate(backends=("onnxruntime:python=/bin/true",))
    assert code == 2
    assert [value for value in tests.values() if value] == [("error", "missing")]
    assert "cannot run" in printed


CORRUPT = {
    "model": ("model.onnx", b"no model", "cases/model/model.onnx is no ONNX model"),
    "pointer": ("model.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "cases/pointer/model"),
    "input": ("test_data_set_0/input_0.pb", b"\xff", "input_0.pb is corrupt"),
    "output": ("test_data_set_0/output_0.pb", b"\xff", "output_0.pb is corrupt"),
    "no-input": ("test_data_set_0/input_0.pb", None, "gives 0 of 1 inputs"),
    "no-data": ("test_data_set_0", None, "no test_data_set_0"),
}


def test_cases_that_are_corrupt(gate, cases, add_case):
    for name, (file, content, _) in CORRUPT.items():
        path = add_case(cases, name, RELU, np.ones(3, np.float32)) / file
        if content is not None:
            path.write_bytes(content)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        expect(cases, name, "wrong")
    code, tests, printed = gate()
    assert code == 2
    bad = {("onnxruntime", name): ("error", "error") for name in CORRUPT}
    assert tests == {("onnxruntime", "relu"): None, **bad}
    assert {name: said in printed for name, (_, _, said) in CORRUPT.items()} == dict.fromkeys(CORRUPT, True)


def test_a_time_out(gate, cases, add_case):
    add_case(cases, "twice", TWICE, np.ones((2, 3), np.float32))
    code, tests, _ = gate("--timeout", 3, backends=(ENDLESS,))
    assert code == 1
    assert tests == {(ENDLESS, "relu"): None, (ENDLESS, "twice"): ("failure", "timeout")}
    expect(cases, "twice", "timeout")
    code, tests, _ = gate("--timeout", 3, backends=(ENDLESS,))
    assert (code, tests[ENDLESS, "twice"]) == (0, ("skipped", "timeout"))


# --- what else it can be ------------------------------------------------------------------------------------------


def test_an_entry_that_covers_no_case(gate, cases):
    expect(cases, "relo", "wrong")
    code, tests, printed = gate()
    assert code == 1
    assert tests["expectations", "cases/expectations.toml:1"] == ("failure", "stale")
    assert "cases/expectations.toml:1: no case is called relo" in printed


def test_an_entry_of_other_versions_is_told_and_no_more(gate, cases):
    expect(cases, "relu", "wrong")
    with (cases / "expectations.toml").open("a", encoding="utf-8") as file:
        file.write('versions = "<1.2"\n')
    code, _, printed = gate()
    assert code == 0
    assert "cases/expectations.toml:1: no target is of the versions <1.2: known" in printed


def test_what_is_unsupported_is_silent_unless_it_is_required(gate, cases, add_case):
    body = 'g (string[2] x) => (string[2] y) { y = StringNormalizer <case_change_action = "LOWER"> (x) }'
    add_case(cases, "text", body, np.array(["A", "B"], object))
    code, tests, _ = gate(backends=("tract",))
    assert (code, tests) == (0, {("tract", "relu"): None, ("tract", "text"): ("skipped", "unsupported")})
    (cases / "expectations.toml").write_text("require = true\n", "utf-8")
    code, tests, _ = gate(backends=("tract",))
    assert (code, tests["tract", "text"]) == (1, ("failure", "unsupported"))
    assert gate("--update", backends=("tract",))[0] == 0
    assert gate(backends=("tract",))[0] == 0


def test_an_update_is_shown_and_leaves_what_people_wrote(gate, cases):
    add_bug(cases)
    (cases / "expectations.toml").write_text('# ours\ntargets = ["onnxruntime"]\n', "utf-8")
    expect(cases, "relu", "wrong")
    code, _, printed = gate("--update", backends=())
    assert code == 0
    assert f'+case = "{BUG}"' in printed
    assert '-case = "relu"' in printed
    text = (cases / "expectations.toml").read_text("utf-8")
    assert text.startswith('# ours\ntargets = ["onnxruntime"]\n')
    assert gate(backends=())[0] == 0
    assert gate("--update", backends=())[0] == 0
    assert (cases / "expectations.toml").read_text("utf-8") == text


def test_what_a_machine_reads(fuzz, cases):
    add_bug(cases)
    expect(cases, BUG, "wrong")
    done = fuzz("regress", "cases", "--backend", "onnxruntime", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (said["cases"], said["missing"], said["stale"], said["written"]) == (2, {}, [], None)
    row = said["targets"]["onnxruntime"]
    assert {key: row[key] for key in ("passed", "expected", "failed")} == {"passed": 1, "expected": 1, "failed": 0}
    first, second = said["results"]
    assert (first["case"], first["state"], first["entry"]["line"]) == (BUG, "expected", 1)
    assert (second["case"], second["state"], second["verdict"]["verdict"]) == ("relu", "passed", "ok")


def test_a_finding_joins_the_gate(fuzz, cases):
    shrink = "onnxruntime-shrink-double"
    done = fuzz("regress", "cases", "--add", FINDINGS / BUG, FINDINGS / shrink)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"cases/{BUG}, expected in cases/expectations.toml:1", f"cases/{shrink}, expected in cases/expectations.toml:7"
    ]  # fmt: skip
    assert sorted(path.name for path in (cases / BUG).iterdir()) == ["case.json", "model.onnx", "test_data_set_0"]
    # Also where the wrong answer is near to what is due: outputs that we wrote are no second opinion.
    assert fuzz("regress", "cases", "--backend", "onnxruntime").returncode == 0
    told = json.loads(fuzz("regress", "cases", "--backend", "onnxruntime", "--json").stdout)
    assert [row["state"] for row in told["results"]] == ["expected", "expected", "passed"]


def test_the_folder_is_made_for_the_first_finding(fuzz):
    assert fuzz("regress", "new", "--add", FINDINGS / BUG).returncode == 0
    assert (fuzz.home / "new" / BUG / "model.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--backend", "onnxruntime"), ("no root at nowhere",)),
        (("cases",), ("--backend", "targets")),
        (("cases", "--backend", "onnxruntime", "--expectations", "none.toml"), ("none.toml", "--update")),
        (("cases", "--add", "cases"), ("no model.onnx",)),
        (("cases", "--add", "cases/relu"), ("nothing in cases/relu says on which target",)),
        (("cases", "--add", FINDINGS / BUG, FINDINGS / BUG), ("exists",)),
    ],
)
def test_misuse(fuzz, cases, refused, arguments, words):
    refused(fuzz("regress", *arguments), *words)


def test_expectations_that_make_no_sense(fuzz, cases, refused):
    (cases / "expectations.toml").write_text('[[xfail]]\ncase = "relu"\ntarget = "tvm"\n', "utf-8")
    refused(fuzz("regress", "cases", "--backend", "onnxruntime"), "cases/expectations.toml:1: reason is missing")


def test_ctrl_c_shows_what_was_finished(fuzz, cases, add_case):
    add_case(cases, "twice", TWICE, np.ones((2, 3), np.float32))
    command = [fuzz.program, "regress", "cases", "--backend", ENDLESS, "--jobs", "1", "--junit", "gate.xml"]
    environment = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}
    done = subprocess.Popen(command, cwd=fuzz.home, stdout=-1, stderr=-1, text=True, env=environment)
    # The second case has a worker that is busy for more than a moment.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not busy(done.pid):
        time.sleep(0.05)
    done.send_signal(signal.SIGINT)
    printed, told = done.communicate(timeout=60)
    assert (done.returncode, told) == (130, "")
    assert "interrupted: of 2 cases: 1 passed" in printed
    root = ET.parse(fuzz.home / "gate.xml").getroot()  # noqa: S314 - we have written it
    assert root.get("errors") == "1"


def busy(pid: int) -> bool:
    """Whether a worker of a process has been at work for two seconds of CPU time."""
    import psutil

    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "backends/__main__.py" in " ".join(child.cmdline()) and sum(child.cpu_times()[:2]) > 2:
                return True
        except psutil.Error:
            continue
    return False
