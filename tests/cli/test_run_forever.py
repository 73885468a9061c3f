"""`fuzz run --forever`: turns, the diary, metrics, the end by SIGTERM."""

import json
import signal
import socket
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

from backends.registry import BACKENDS, installed_version

FUZZ = (sys.executable, "-c", "from fuzz.cli.main import main; main()", "run")
_LONGEST = 180.0


def answers(port):
    """The targets that metrics tell answers of."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
    except (URLError, ConnectionError):
        return set()
    return {line.split('target="')[1].split('"')[0] for line in lines if line.startswith("fuzz_answers_total{")}


def test_targets_take_turns_until_somebody_ends_it(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    own = f"onnxruntime=={installed_version(BACKENDS['onnxruntime'])}"  # a version is not watched: no index is asked
    targets = (own, f"{own}:opt=0")
    named = [word for target in targets for word in ("--backend", target)]
    command = [*FUZZ, "--root", str(tmp_path), *named, "--ops", "Add,Relu", "--dtypes", "float", "--nodes", "1-3",
               "--forever", "--turn", "2", "--jobs", "1", "--metrics", str(port)]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + _LONGEST
    while answers(port) != set(targets):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "")
    assert json.loads((tmp_path / "service.json").read_text("utf-8"))["turns"] >= 1
    [day] = (tmp_path / "days").glob("*.json")
    told = json.loads(day.read_text("utf-8"))
    assert told["verdicts"].keys() == set(targets)
    assert told["cases"] == sum(sum(row.values()) for row in told["verdicts"].values())
    assert day.with_suffix(".md").read_text("utf-8").startswith(f"# {told['date']}\n")


def test_a_service_has_no_end(tmp_path):
    command = [*FUZZ, "--root", str(tmp_path), "--backend", "onnxruntime", "--forever", "--count", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--forever has no end" in done.stderr
