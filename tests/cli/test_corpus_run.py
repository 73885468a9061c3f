"""`fuzz corpus run`, `report`, `stats`, `clean` as somebody types them, on scripts of their own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import time

import pytest

from corpus.labels import load_from_cache

pytest.importorskip("torch", reason="scripts are PyTorch's")

TWO = """# labels: name::pair author::me task::Computer_Vision
import sys, torch
class Net(torch.nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = torch.nn.Linear(n, 3)
    def forward(self, x):
        return torch.tanh(self.fc(x))
class Guarded(torch.nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x
Net(4)(torch.rand(int(sys.argv[2]) if len(sys.argv) > 2 else 1, 4))
Guarded()(torch.ones(2))
"""
DIES = """
import os, signal, tempfile, torch
os.close(tempfile.mkstemp()[0])
class Dies(torch.nn.Module):
    def forward(self, x):
        if torch.compiler.is_compiling():
            os.kill(os.getpid(), signal.SIGSEGV)
        return x + 1
Dies()(torch.ones(2))
torch.nn.ReLU()(torch.ones(3))
"""
ODD = """
import torch
class Counts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(3))
    def forward(self, x):
        self.calls += 1
        return x + self.calls
class Passes(torch.nn.Module):
    def forward(self, x):
        return x, x * 2
class Draws(torch.nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)
class Squeezes(torch.nn.Module):
    def forward(self, x):
        return x.squeeze(1) + 1
class Divides(torch.nn.Module):
    def forward(self, x):
        return x / (x + 1e-15)

class Last(torch.nn.Module):
    def forward(self, x):
        return torch.topk(x, 1).indices * x

for model in (Counts(), Passes(), Draws(), Squeezes()):
    model(torch.rand(2, 3))
torch.nn.Sequential(torch.nn.ReLU(), Divides())(torch.tensor([[-1.0, 2.0]]))
Last()(torch.tensor([[3.0, 1.0, 3.0, 3.0]]))
"""
GREEDY = "import time, torch\nheld = torch.ones(2**28)\ntime.sleep(60)\ntorch.nn.ReLU()(torch.ones(1))\n"
HANGS = "import time\nprint('waiting for good')\ntime.sleep(1000)\n"


@pytest.fixture
def scripts(fuzz):
    for name, text in (("pair", TWO), ("dies", DIES), ("odd", ODD), ("hangs", HANGS), ("greedy", GREEDY)):
        path = fuzz.home / "mine" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return fuzz.home / "mine"


def table(path):
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def states(result):
    return {model["state"].get("class", "-"): model["state"] for model in json.loads(result.stdout)["models"]}


def test_scripts_are_run_built_judged_told_and_run_once(fuzz, scripts):
    first = fuzz("corpus", "run", "mine/pair.py", "-d", "c", "--iterations", 5)
    assert (first.returncode, first.stderr) == (0, "")
    told = first.stdout.splitlines()
    assert told[0].startswith("[1/1] ok")
    assert "onnxruntime ok (bound)" in told[0]
    assert told[1].startswith("[1/1] failed")
    assert "export: " in told[1]
    assert "2 models of 1 entry, 1 exported" in first.stdout

    again = fuzz("corpus", "run", "mine/pair.py", "-d", "c", "--iterations", 5, "--json")
    found = json.loads(again.stdout)
    assert found["summary"]["kept"] == 1
    net = states(again)["Net"]
    assert {side: answer["word"] for side, answer in net["answers"].items()} == dict.fromkeys(
        ("eager", "program", "onnx", "onnxruntime"), "ok"
    )
    assert net["targets"]["onnxruntime"]["latency"]["iterations"] == 5
    build = next(model["build"] for model in found["models"] if model["state"].get("class") == "Net")
    assert load_from_cache(fuzz.home / "c", build)["task"] == ["Computer_Vision"]
    files = {path.name for path in (fuzz.home / "c" / build).iterdir()}
    assert {"model.onnx", "case.json", "test_data_set_0", "graph.json", "state.json"} <= files
    looked = states(fuzz("corpus", "run", "mine/pair.py", "-d", "c", "--analyze-only", "--json"))["Net"]
    assert looked == net
    assert {path.name for path in (fuzz.home / "c" / build).iterdir()} == files

    # All other commands take the cache for a root.
    assert fuzz("exec", "--root", "c", "--backend", "reference").returncode == 0
    diff = json.loads(fuzz("diff", "--root", "c", "--json").stdout)
    assert {target: row["ok"] for target, row in diff["verdicts"].items()} == {"onnxruntime": 1, "reference": 1}

    # One of the models that a script calls, by its hash; with other arguments it is another build.
    found_only = fuzz("corpus", "run", f"mine/pair.py::{net['hash']}", "-d", "p", "--analyze-only", "--json")
    assert states(found_only)["Net"]["status"] == "analyzed"
    picked = fuzz("corpus", "run", f"mine/pair.py::{net['hash']}", "-d", "p", "--build-only", "--json")
    assert [(state["hash"], state["status"]) for state in states(picked).values()] == [(net["hash"], "successful")]
    batch = fuzz("corpus", "run", "mine/pair.py", "-d", "c", "--script-args", "--batch 5", "--analyze-only", "--json")
    assert states(batch)["Net"]["inputs"] == [["[0][0]", "float32", [5, 4]]]

    report = fuzz("corpus", "report", "-d", "c", "p", "-r", "out", "--date", "2026-01-31")
    assert report.returncode == 0, report.stderr
    rows = table(fuzz.home / "out" / "2026-01-31.csv")
    ran = next(row for row in rows if row["runtime"] == "onnxruntime")
    assert (ran["model_name"], ran["author"], ran["class"], ran["parameters"]) == ("pair", "me", "Net", "15")
    assert (ran["build_status"], ran["benchmark_status"], ran["device_type"]) == ("successful", "successful", "cpu")
    assert float(ran["median_latency"]) > 0
    assert {row["cache"] for row in rows} == {"c", "p"}
    assert all(value for row in rows for value in row.values())
    errors = table(fuzz.home / "out" / "errors-2026-01-31.csv")
    assert [error["count"] for error in errors] == ["1"]
    assert errors[0]["example"].startswith("export: ")

    stats = json.loads(fuzz("corpus", "stats", "-d", "c", "--json").stdout)
    assert stats["status"] == {"analyzed": 2, "failed": 1, "successful": 1}
    cleaned = json.loads(fuzz("corpus", "clean", "-d", "c", build, "--json").stdout)
    assert cleaned["bytes"] > 0
    assert not (fuzz.home / "c" / build / "model.onnx").exists()
    assert json.loads(fuzz("corpus", "stats", "-d", "c", build, "--json").stdout)["parameters"] == 15


def test_models_that_keep_count_hand_through_draw_and_are_exported_wrongly(fuzz, scripts):
    # The node at which the exporter goes wrong is asked for between the scripts: the next one is not to hear of it.
    result = fuzz(
        "corpus", "run", "mine/odd.py", "mine/pair.py", "-d", "c", "--iterations", 0, "--jobs", 1, "--json",
        COVERAGE_PROCESS_CONFIG="",
    )  # fmt: skip
    found = states(result)
    assert found.pop("Net")["targets"]["onnxruntime"]["verdict"] == "ok"
    assert found.pop("Guarded")["stage"] == "export"
    verdicts = {name: state["targets"]["onnxruntime"]["verdict"] for name, state in found.items()}
    sequential = found.pop("Sequential")
    assert verdicts == {
        "Counts": "ok", "Passes": "ok", "Draws": "undecidable", "Squeezes": "unsupported", "Sequential": "ok",
        "Last": "ok",
    }  # fmt: skip
    assert "draws random numbers" in found["Draws"]["targets"]["onnxruntime"]["message"]
    # squeeze of a dim that is not 1 does nothing in PyTorch; in ONNX it is no model.
    assert found["Squeezes"]["side"] == "exporter"
    assert "onnx.checker refuses" in found["Squeezes"]["message"]
    assert found["Squeezes"]["node"] == "squeeze (Squeeze, aten.squeeze.dim) in the model (Squeezes)"
    # The exporter takes 1e-15 for 0, and what divides by it is named. ONNX Runtime follows the model.
    assert (sequential["side"], sequential["node"]) == ("exporter", "div (Div, aten.div.Tensor) in 1 (Divides)")
    # PyTorch may take any of equal elements for the largest, ONNX takes the first: nobody is wrong.
    assert (found["Last"]["side"], found["Last"]["answers"]["eager"]["word"]) == ("", "undecidable")
    assert result.returncode == 1


def test_a_model_that_ends_the_process_fails_alone(fuzz, scripts):
    (place := fuzz.home / "temporary").mkdir()
    result = fuzz("corpus", "run", "mine/dies.py", "-d", "c", "--iterations", 0, "--json", COVERAGE_PROCESS_CONFIG="",
                  TMPDIR=str(place))  # fmt: skip
    found = states(result)
    assert (found["Dies"]["status"], found["Dies"]["stage"]) == ("killed", "export")
    assert "signal 11" in found["Dies"]["error"]
    assert found["ReLU"]["targets"]["onnxruntime"]["verdict"] == "ok"
    assert list(place.iterdir()) == []  # what scripts and libraries leave in the temporary folder goes with the process


def test_a_script_that_hangs_is_ended_and_the_run_goes_on(fuzz, scripts):
    result = fuzz("corpus", "run", "mine/hangs.py", "-d", "c", "--timeout", 4, "--json")
    (state,) = states(result).values()
    assert (result.returncode, state["status"], state["stage"]) == (0, "killed", "script")
    assert state["error"] == "timeout: not done within 4 s"


def test_a_script_that_lacked_a_package_runs_again_once_it_is_there(fuzz):
    (fuzz.home / "lacks.py").write_text("import brought, torch\ntorch.nn.ReLU()(torch.ones(2))\n", "utf-8")
    (packages := fuzz.home / "packages").mkdir()

    def run():
        return states(fuzz("corpus", "run", "lacks.py", "-d", "c", "--build-only", "--json", PYTHONPATH=str(packages)))

    (state,) = run().values()
    assert (state["status"], state["error"]) == ("failed", "ModuleNotFoundError: No module named 'brought'")
    (packages / "brought.py").write_text("", "utf-8")
    assert run()["ReLU"]["status"] == "successful"


def test_a_script_that_takes_more_memory_than_it_may_is_ended(fuzz, scripts):
    result = fuzz("corpus", "run", "mine/greedy.py", "-d", "c", "--memory", 1000, "--json")
    (state,) = states(result).values()
    assert (result.returncode, state["status"], state["stage"]) == (0, "killed", "script")
    assert re.fullmatch(r"oom: \d+ MiB of memory, 1000 MiB are allowed", state["error"])


def test_ctrl_c_keeps_what_was_finished(fuzz, scripts):
    process = subprocess.Popen(
        [fuzz.program, "corpus", "run", "mine/pair.py", "mine/hangs.py", "-d", "c", "--iterations", "0", "--jobs", "1"],
        cwd=fuzz.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((fuzz.home / "c" / ".scripts").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in stderr
    again = fuzz("corpus", "run", "mine/pair.py", "-d", "c", "--iterations", 0, "--json")
    assert json.loads(again.stdout)["summary"]["jobs"] == 1


@pytest.mark.parametrize(("arguments", "told"), [
    (("run", "nowhere.py"), "no script and no model is named like 'nowhere.py'"),
    (("run", "selftest", "--script-args", "'"), "--script-args"),
    (("run", "selftest", "--labels", "what"), "no label"),
    (("report", "-d", "empty"), "there are no builds in empty"),
    (("report", "--date", "today"), "--date"),
    (("clean", "-d", "empty"), "say what to clean"),
    (("clean", "-d", "empty", "x"), "there is no build 'x' in empty"),
])  # fmt: skip
def test_misuse_is_told_in_a_line(fuzz, arguments, told):
    result = fuzz("corpus", *arguments)
    assert result.returncode == 2
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
