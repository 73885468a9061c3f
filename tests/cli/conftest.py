"""The command line as somebody types it: a process of its own, an environment without our variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import numpy_helper, parser

FUZZ = Path(sys.executable).with_name("fuzz")
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


@pytest.fixture
def fuzz(tmp_path):
    """Run `fuzz ARGUMENTS` in an empty folder.

    ``before`` is shell that runs first, such as a limit; coverage, which would write its own files under that limit,
    is off then. Of other processes only the first is measured.
    """
    home = tmp_path / "here"
    home.mkdir()

    def run(*arguments: object, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}
        if before:
            clean.pop("COVERAGE_PROCESS_CONFIG", None)
        command = [str(FUZZ), *map(str, arguments)]
        if "COVERAGE_PROCESS_CONFIG" in clean:
            command = [sys.executable, "-c", MEASURED, *command]
        if before:
            command = ["bash", "-c", f'{before}; exec "$@"', "bash", *command]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=home, timeout=300, check=False, env={**clean, **environment}
        )

    run.home = home
    run.program = FUZZ
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
