"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
import tomllib
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from backends.registry import NO_TELEMETRY
from fuzz.execute.environment import cache_folder

OWN_CACHE = cache_folder()
# Some tests use ONNX Runtime in their own process.
os.environ.update(NO_TELEMETRY)

# A shell that starts a run in the background has it ignore SIGINT, and whatever the tests start would inherit that:
# those who interrupt a command would wait for it in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What makes coverage measure a process: each that the tests start would be, if this stayed in their environment.
CONFIGURATION = "COVERAGE_PROCESS_CONFIG"
MEASURES = pytest.StashKey[str | None]()
OURS = ("abstract", "backends", "corpus", "fuzz")


class Forks:
    """Processes that share the tests' own code are measured as what they are forked from.

    coverage starts in each (`patch = ["fork"]`), a test that is marked ``untraced`` or not, and with it puts back what
    makes it measure the processes that those start in their turn.
    """

    resting = False
    asked = True

    def before(self) -> None:
        """In the process that forks."""
        self.asked = CONFIGURATION in os.environ

    def after(self) -> None:
        """In the new one, when coverage has started."""
        if not self.asked:
            os.environ.pop(CONFIGURATION, None)
        if self.resting:
            threading.settrace(None)
            trace(None)


FORKS = pytest.StashKey[Forks]()


def coverage_tracer():
    """The tracer, where it is coverage's."""
    tracer = sys.gettrace()
    return tracer if type(tracer).__module__.startswith("coverage") else None


def trace(tracer):
    """Go on with coverage's tracer, or rest.

    `sys.settrace` would not do to go on: the returns from frames that it was not set in would be missed, and lines
    after them booked on another file.
    """
    if tracer is None:
        sys.settrace(None)
    else:
        tracer.start()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Processes that tests start are measured where they ask for it; only our modules are while tests are collected.

    To trace the rewriting of assertions and the imports of what others have written takes half as long again.

    This is the first moment at which no other coverage will start: each puts what it is found by into the environment,
    and registers a handler of forks that has to run before ours. In a process of xdist the last one is pytest-cov's.
    """
    if session.config.getoption("numprocesses", None):  # the processes that run tests do this
        return (yield)
    session.config.stash[MEASURES] = os.environ.pop(CONFIGURATION, None)
    forks = session.config.stash[FORKS] = Forks()
    os.register_at_fork(before=forks.before, after_in_child=forks.after)
    tracer = coverage_tracer()
    if tracer is None:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for loader in (SourceFileLoader, type(__loader__)):  # pytest's own rewrites assertions, of `fuzz` too
            patch.setattr(loader, "exec_module", traced(loader.exec_module, tracer))
        trace(None)
        try:
            return (yield)
        finally:
            trace(tracer)


def traced(execute, tracer):
    """What executes a module, with the tracer where the module is ours."""

    def exec_module(loader, module):
        before = sys.gettrace()
        trace(tracer if module.__name__.partition(".")[0] in OURS else None)
        try:
            execute(loader, module)
        finally:
            trace(before)

    return exec_module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A test that is marked ``untraced`` runs without coverage's tracer, which makes generated models cost 2.8 times.

    pytest-cov's own ``no_cover`` stops one tracer and leaves that of the process, with xdist the one that goes on. Both
    ends are in one frame, so the tracer sees as many calls as returns.
    """
    tracer = coverage_tracer()
    if item.get_closest_marker("untraced") is None or tracer is None:
        return (yield)
    forks = item.config.stash[FORKS]
    forks.resting = True
    trace(None)
    try:
        return (yield)
    finally:
        trace(tracer)
        forks.resting = False


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """No test sees the environments of whoever runs it, or leaves one there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUZZ_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def own_cache():
    """Tests of a backend that shares no environment with others see those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUZZ_CACHE", str(OWN_CACHE))
        yield


@pytest.fixture
def make_wheel():
    """Write a wheel: its files by name, the entry points, what it requires."""

    def make(
        folder: Path, name: str, version: str, files: dict[str, str], *, entry_points: str = "", requires: str = ""
    ) -> Path:
        information = f"{name}-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        content = {
            **files,
            f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if entry_points:
            content[f"{information}/entry_points.txt"] = entry_points
        record = f"{information}/RECORD"
        content[record] = "".join(f"{path},,\n" for path in (*content, record))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            for place, text in content.items():
                wheel.writestr(place, text)
        return path

    return make


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Environments go into a folder of the test, and installers find the wheels in the folder given back only."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "cache"))
    for variable in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    for prefix in ("PIP", "UV"):
        monkeypatch.setenv(f"{prefix}_NO_INDEX", "1")
        monkeypatch.setenv(f"{prefix}_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return wheels


@pytest.fixture(scope="session")
def measures(pytestconfig):
    """The environment of a process that coverage measures, if it measures at all.

    That costs 0.3 s a process, and half of what a heavy package takes to be imported.
    """
    value = pytestconfig.stash[MEASURES]
    return {} if value is None else {CONFIGURATION: value}


@pytest.fixture
def measured(measures, monkeypatch):
    """Processes that start in this test are measured."""
    for name, value in measures.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def with_plugin(tmp_path):
    """The environment of a pytest that finds our plugin by what pyproject.toml declares, installed so or not."""
    declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    information = tmp_path / "plugin" / "declared-1.dist-info"
    information.mkdir(parents=True)
    rows = (f"{name} = {module}\n" for name, module in declared["entry-points"]["pytest11"].items())
    (information / "entry_points.txt").write_text("".join(("[pytest11]\n", *rows)), "utf-8")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: declared\nVersion: 1\n", "utf-8")
    # Nothing of the run that this test is of: its options, its workers.
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "FUZZ_ROOT", "COV_"))}
    paths = [str(information.parent), *filter(None, [kept.get("PYTHONPATH")])]
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}
