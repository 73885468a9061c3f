"""The command line as somebody types it: a process of its own, an environment without our variables."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from onnx import numpy_helper, parser

if TYPE_CHECKING:
    from collections.abc import Mapping

FUZZ = Path(sys.executable).with_name("fuzz")
BREEDER = Path(__file__).with_name("breeder.py")
LONGEST = 300.0  # seconds of a command
# The console script in a process that is measured; those that it starts are not: workers have tests of their own.
MEASURED = """
import os, runpy, sys
os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
sys.path[0] = os.path.dirname(sys.argv[1])
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# A backend of another distribution whose compiler says what comes of a negation, release by release.
BACKEND = Path(__file__).parents[1] / "unit" / "negating_backend.py"
ROW = """
from pathlib import Path
from backends.entry import Entry
ENTRY = Entry(name="negating", module=str(Path(__file__).with_name("toy_backend_file.py")),
              distributions=("toy-compiler",), requirements=("toy-compiler==5.0",), adapter=())
"""
RELEASES = {
    "1.0": "", "2.0": "SIGN = -1", "3.0": "SIGN = 3", "4.0": "SIGN = 1", "5.0": "SIGN = 1", "5.1rc1": "SIGN = -1",
    "6.0": "SIGN = -1",
}  # fmt: skip


@pytest.fixture
def plugin(offline, make_wheel, tmp_path, monkeypatch):
    """A distribution that names a backend, where this Python finds it, and the releases of its compiler."""
    for version, text in RELEASES.items():
        make_wheel(offline, "toy_compiler", version, {"toy_compiler.py": text + "\n"})
    site = tmp_path / "site"
    points = "[dnnfuzz.backends]\nnegating = toy_row:ENTRY\n"
    wheel = make_wheel(tmp_path / "plug-in", "toy_plugin", "0.1", {}, entry_points=points)
    shutil.unpack_archive(wheel, site, "zip")
    (site / "toy_row.py").write_text(ROW, "utf-8")
    shutil.copy(BACKEND, site / "toy_backend_file.py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")])))


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter that starts is told by its environment."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LANG", "LC_"))}


TOLD = told(os.environ)


@pytest.fixture
def unmeasured():
    """What `fuzz` runs in this test is not measured: other tests measure the same lines."""


class Breeder:
    """Runs commands as `subprocess.run` does, each in a fork of one process that has imported what they import."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(BREEDER), str(theirs.fileno()), str(FUZZ)]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        self._channel.settimeout(LONGEST)

    def run(
        self, arguments: list[str], folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """A command's exit status and what it printed."""
        question = {"arguments": arguments, "folder": str(folder), "environment": environment}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._channel, [json.dumps(question).encode()], [out.fileno(), err.fileno()])
            pid = int(self._channel.recv(64))
            try:
                status = int(self._channel.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(["fuzz", *arguments], status, *texts)

    def close(self) -> None:
        self._channel.close()
        self._process.wait(60)


@pytest.fixture(scope="session")
def breeders(measures):
    """The process that commands are forks of: gives a measured or an unmeasured one, which is made when asked for."""
    made: dict[bool, Breeder] = {}

    def breeder(*, measured: bool) -> Breeder:
        if measured not in made:
            plain = {name: value for name, value in os.environ.items() if name not in measures}
            made[measured] = Breeder({**plain, **measures} if measured else plain)
        return made[measured]

    yield breeder
    for each in made.values():
        each.close()


@pytest.fixture
def fuzz(request, tmp_path, breeders, measures):
    """Run `fuzz ARGUMENTS` in an empty folder.

    The process is a fork (breeder.py), unless Python itself is told something by its environment or ``before`` is
    given, shell that runs first, such as a limit; coverage, which would write its own files under that limit, is off
    then. Of other processes only the first is measured. What a test starts by `fuzz.program` itself is not: a signal
    that arrives while coverage holds its lock, which is at any call, would leave the process waiting for it for good.
    """
    home = tmp_path / "here"
    home.mkdir()
    wanted = bool(measures) and "unmeasured" not in request.fixturenames

    def run(*arguments: object, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"} | environment
        measured = wanted and not before
        if not before and told(clean) == TOLD:
            return breeders(measured=measured).run([str(each) for each in arguments], home, clean)
        command = [str(FUZZ), *map(str, arguments)]
        if measured:
            command = [sys.executable, "-c", MEASURED, *command]
            clean |= measures
        if before:
            command = ["bash", "-c", f'{before}; exec "$@"', "bash", *command]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=home, timeout=LONGEST, check=False, env=clean
        )

    run.home = home
    run.program = FUZZ
    return run


@pytest.fixture
def ending(fuzz):
    """Run `fuzz ARGUMENTS`, which ends with the status that is expected of it."""

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = fuzz(*arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    return run


@pytest.fixture
def refused():
    """Misuse: exit 2, nothing on standard output, one line on standard error that holds the given words."""

    def check(done: subprocess.CompletedProcess[str], *words: str) -> None:
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in done.stderr

    return check


@pytest.fixture
def add_case():
    """Write a standard ONNX test case: a model in ONNX's text form, inputs as arrays."""

    def add(root: Path, name: str, body: str, *inputs) -> Path:
        folder = root / name
        data = folder / "test_data_set_0"
        data.mkdir(parents=True)
        model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {body}')
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        for index, array in enumerate(inputs):
            (data / f"input_{index}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
        return folder

    return add
