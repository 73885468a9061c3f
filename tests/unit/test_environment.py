"""Environments: built once, by one process, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backends.entry import Entry
from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.registry import BACKENDS
from fuzz.case import find_cases
from fuzz.errors import StorageError, TargetError
from fuzz.execute.environment import (
    CONSTRAINTS,
    cache_folder,
    claimed,
    clear_abandoned,
    environments,
    find,
    is_release,
    normal,
    recipe,
    remove,
)
from fuzz.execute.install import install
from fuzz.execute.run import execute
from fuzz.execute.target import MissingEnvironment, canonical_text, parse_recipe, parse_target
from fuzz.execute.worker import Limits, Worker, WorkerError
from fuzz.store import Store

HERE = Path(__file__).parent
ENTRY = Entry(
    name="versioned", module=str(HERE / "versioned_backend.py"), distributions=("toy-compiler",),
    requirements=("toy-compiler==2.0",), adapter=(),
)  # fmt: skip
TABLE = {"versioned": ENTRY}
INSTALLER = """
import sys
sys.path.insert(0, sys.argv[1])
from backends.entry import Entry
from fuzz.execute.environment import recipe
from fuzz.execute.install import install
entry = Entry("versioned", sys.argv[2], ("toy-compiler",), ("toy-compiler==2.0",), adapter=())
made, built = install(entry, recipe(entry, "1.0"), hear=lambda line: print("heard", line, flush=True))
print(built, made.folder, flush=True)
"""


@pytest.fixture
def wheels(offline, make_wheel):
    """Two versions of a compiler, and one that cannot be imported."""
    for version in ("1.0", "2.0"):
        make_wheel(offline, "toy_compiler", version, {"toy_compiler.py": f"VERSION = {version!r}\n"})
    make_wheel(offline, "toy_compiler", "3.0", {"toy_compiler.py": "import a_module_that_is_not_there\n"})
    return offline


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Where the first test that needs version 1.0 leaves it for the others: pip takes its second once."""
    return tmp_path_factory.mktemp("template") / "made"


@pytest.fixture
def made(wheels, template):
    """The environment of version 1.0."""
    wanted = recipe(ENTRY, "1.0")
    if template.exists():
        shutil.copytree(template, wanted.folder, symlinks=True)
    else:
        install(ENTRY, wanted)
        shutil.copytree(wanted.folder, template, symlinks=True)
    return find(wanted)


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """An installer called uv, first on the path, that begins an environment and never ends; gives its process ids."""
    ids = tmp_path / "ids"
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nif [ $1 = venv ]; then mkdir -p "$5/lib"; else echo $$ >>{ids}; sleep 1000; fi\n',
        encoding="ascii",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return ids


def begin() -> subprocess.Popen[str]:
    """A process that installs version 1.0."""
    command = [sys.executable, "-c", INSTALLER, str(HERE.parents[1]), ENTRY.module]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def folders() -> list[str]:
    place = cache_folder() / "environments"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


# --- where, and what -------------------------------------------------------------------------------------------------


def test_the_cache_lies_where_the_user_says(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("FUZZ_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/somebody/.cache/dnnfuzz")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/somebody/.cache/dnnfuzz")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/dnnfuzz")
    monkeypatch.setenv("FUZZ_CACHE", "~/own")
    assert cache_folder() == Path("/home/somebody/own")
    monkeypatch.setenv("FUZZ_CACHE", "own")
    assert cache_folder() == Path.cwd() / "own"


def test_what_is_pinned_to_the_same_version_moves_with_it():
    entry = Entry("pair", "pair.py", ("pair",), ("pair==3.1", "pair-runtime==3.1", "helper==1.0"), adapter=("numpy",))
    assert recipe(entry, "3.0").requirements == ("pair==3.0", "pair-runtime==3.0", "helper==1.0", "numpy")


def test_an_older_version_gets_what_it_needs_and_nothing_twice():
    entry = replace(ENTRY, older=(("1.10", ("numpy<2",)),), adapter=("numpy", "onnx"))
    assert recipe(entry, "1.9.1").requirements == ("toy-compiler==1.9.1", "numpy<2", "onnx")
    assert recipe(entry, "1.10").requirements == ("toy-compiler==1.10", "numpy", "onnx")
    assert recipe(BACKENDS["reference"], "1.20.1").requirements == ("onnx==1.20.1", "numpy", "ml-dtypes")


def test_a_device_may_need_another_distribution_or_one_more():
    cuda = recipe(BACKENDS["onnxruntime"], "1.20.1", "cuda")
    assert cuda.requirements[0] == "onnxruntime-gpu==1.20.1"
    assert cuda.text == "onnxruntime==1.20.1@cuda"
    assert recipe(BACKENDS["onnxruntime"], "1.20.1", "cpu").text == "onnxruntime==1.20.1"
    entry = replace(ENTRY, devices=("cpu", "cuda"), device_distributions=(("cuda", "toy-plugin"),))
    assert recipe(entry, "1.0", "cuda").requirements == ("toy-compiler==1.0", "toy-plugin")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1.20", "1.20"), ("1.20.0", "1.20"), ("1.20.0.0", "1.20"), ("1", "1.0"), ("1.0", "1.0"), ("1.20.1", "1.20.1"),
        ("1.20.0rc1", "1.20.0rc1"), ("1.20-rc.1", "1.20.0rc1"), ("1.20.post2", "1.20.0.post2"), ("0!1.2.0", "1.2"),
        ("2!1.2.0", "2!1.2"), ("1.2.0+cpu", "1.2+cpu"), ("1.0.dev3", "1.0.0.dev3"), ("10.0.10", "10.0.10"),
        ("a branch", "a branch"),
    ],
)  # fmt: skip
def test_versions_that_are_equal_are_written_in_one_way(text, written):
    assert normal(text) == written
    assert normal(written) == written


def test_versions_that_are_equal_share_an_environment_and_a_target():
    one, other = recipe(BACKENDS["onnxruntime"], "1.20"), recipe(BACKENDS["onnxruntime"], "1.20.0")
    assert (one, one.folder, one.text) == (other, other.folder, "onnxruntime==1.20")
    assert canonical_text("onnxruntime==1.20.0:threads=2,opt=1@cpu") == "onnxruntime==1.20:opt=1,threads=2"
    assert canonical_text("other==1.20.0") == "other==1.20.0"


@pytest.mark.parametrize(
    ("asked", "there", "same"),
    [
        ("1.20", "1.20.0", True), ("2.13", "2.13.0+cpu", True), ("2.13.0+cpu", "2.13.0+cpu", True),
        ("2.13.0+gpu", "2.13.0+cpu", False), ("1.2", "1.20", False), ("a branch", "a branch", True), ("1.0", "", False),
    ],
)  # fmt: skip
def test_what_is_there_may_be_the_release_that_is_asked_for(asked, there, same):
    assert is_release(asked, there) is same


def test_other_requirements_are_another_environment():
    one, other = recipe(ENTRY, "1.0"), recipe(replace(ENTRY, adapter=("numpy",)), "1.0")
    assert one.text == other.text
    assert one.folder != other.folder


@pytest.mark.parametrize("version", ["", "../1", "x", "1/2", "-1", "1 2", "1;x"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(TargetError, match=r"is no version: write versioned==2\.0"):
        recipe(ENTRY, version)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("versioned:opt=1", "is nothing to install: write NAME"),
        ("other", "unknown backend 'other'"),
        ("versioned==1.0@cuda", "runs on cpu, not on 'cuda'"),
        ("free", "names no release of its own: write free==VERSION"),
    ],
)
def test_what_cannot_be_installed_is_said(text, words):
    table = {**TABLE, "free": replace(ENTRY, name="free", requirements=("toy-compiler",))}
    with pytest.raises(TargetError, match=words):
        parse_recipe(text, table)


# --- one build -------------------------------------------------------------------------------------------------------


def test_the_version_asked_for_runs_and_sees_nothing_of_ours(wheels, make_root):
    with pytest.raises(MissingEnvironment, match=r"fuzz backends install versioned==1\.0"):
        parse_target("versioned==1.0", TABLE)
    made, built = install(*parse_recipe("versioned==1.0", TABLE))
    assert built
    assert install(*parse_recipe("versioned==1.0", TABLE)) == (made, False)
    assert made.installed == {"toy_compiler": "1.0"}
    target = parse_target("versioned==1.0", TABLE)
    assert (target.version, target.python, target.home) == ("1.0", made.python, made.folder)
    root = make_root("fine")
    with Store.open(root, create=True) as store:
        assert execute(find_cases(root), [target], store=store).outcomes[target.canonical][Outcome.OK] == 1
        (execution,) = store.executions("00-fine")
    assert execution.version == "1.0"
    assert json.loads(execution.outputs[0][0].data) == ["1.0", "toy_compiler"]


def test_a_name_alone_means_the_pinned_release_where_there_is_no_other(wheels):
    with pytest.raises(TargetError, match=r"not installed: fuzz backends install versioned, or pip install toy-comp"):
        parse_target("versioned", TABLE)
    install(*parse_recipe("versioned", TABLE))
    assert parse_target("versioned", TABLE).version == "2.0"
    assert [made.version for made in environments("versioned")] == ["2.0"]


def test_a_version_that_is_not_there_leaves_nothing_and_says_which_are(wheels):
    with pytest.raises(TargetError, match=r"versioned==9\.0 cannot be installed: ERROR: ") as caught:
        install(*parse_recipe("versioned==9.0", TABLE))
    assert "\n" not in str(caught.value)
    assert "1.0, 2.0, 3.0" in str(caught.value)
    assert "choose a release that is there for this Python" in str(caught.value)
    assert folders() == []


def test_an_unknown_distribution_is_told_from_an_unknown_version(wheels):
    entry = replace(ENTRY, requirements=("no-such-compiler==1.0",))
    with pytest.raises(TargetError, match="or the package index not be reached"):
        install(entry, recipe(entry, "1.0"))


def test_what_cannot_be_imported_is_no_environment(wheels):
    with pytest.raises(TargetError, match=r"was installed and does not work: .*a_module_that_is_not_there"):
        install(*parse_recipe("versioned==3.0", TABLE))
    assert folders() == []


def test_a_distribution_that_does_not_come_is_said(wheels):
    entry = replace(ENTRY, distributions=("another",))
    with pytest.raises(TargetError, match="none of another came to be installed"):
        install(entry, recipe(entry, "1.0"))


def test_what_is_bare_comes_without_its_own_requirements(wheels, make_wheel):
    make_wheel(wheels, "toy_bridge", "0.1", {"toy_bridge.py": ""}, requires="a-distribution-that-is-nowhere")
    entry = replace(ENTRY, bare=("toy-bridge==0.1",))
    made, _ = install(entry, recipe(entry, "1.0"))
    assert made.installed == {"toy_bridge": "0.1", "toy_compiler": "1.0"}


def pinned(name: str) -> str:
    """The version to which the constraints pin a distribution."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{name}=="))


@pytest.mark.parametrize(
    ("asks", "versions"),
    [
        ("sympy", ("sympy", "numpy")),  # all companions are pinned
        ("sympy>900", ("999.0", "numpy")),  # one does not fit: that of the adapter is
        ("numpy>900", ("999.0", "999.0")),  # that one does not fit either
    ],
)
def test_companions_are_those_that_the_project_is_tested_with_where_a_release_gets_along_with_them(
    wheels, make_wheel, asks, versions
):
    for name in ("sympy", "numpy"):
        for version in (pinned(name), "999.0"):
            make_wheel(wheels, name, version, {f"{name}.py": ""})
    make_wheel(wheels, "toy_compiler", "4.0", {"toy_compiler.py": "VERSION = '4.0'"}, requires=asks)
    entry = replace(ENTRY, requirements=("toy-compiler==2.0", "sympy"), adapter=("numpy",))
    heard = []
    made, _ = install(entry, recipe(entry, "4.0"), hear=heard.append)
    expected = [pinned(name) if name in {"sympy", "numpy"} else name for name in versions]
    assert [made.installed["sympy"], made.installed["numpy"]] == expected
    assert sum("does not get along" in line for line in heard) == versions.count("999.0")


def test_an_interpreter_that_is_none_is_said(wheels):
    with pytest.raises(TargetError, match=r"cannot be installed: .*nowhere"):
        install(*parse_recipe("versioned==1.0", TABLE), python="/nowhere/python")
    assert folders() == []


def test_a_cache_that_cannot_be_written_is_said(wheels, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FUZZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="set FUZZ_CACHE to a folder"):
        install(*parse_recipe("versioned==1.0", TABLE))


def test_without_uv_and_pip_it_says_so(wheels, monkeypatch):
    monkeypatch.setattr("fuzz.execute.install.shutil.which", lambda _: None)
    monkeypatch.setattr("fuzz.execute.install.importlib.util.find_spec", lambda _: None)
    with pytest.raises(TargetError, match="neither uv nor pip is here"):
        install(*parse_recipe("versioned==1.0", TABLE))


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        ("Because there is no version of toy-compiler==9.0", "choose a release that is there"),
        ("Because toy-compiler was not found in the package registry", "or the package index not be reached"),
    ],
)
def test_what_uv_says_is_told(wheels, tmp_path, monkeypatch, cause, hint):
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    said = f"echo 'error: No solution found'\necho '  cause: {cause}'\n"
    program.write_text(f"#!/bin/sh\n{said}exit 1\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(TargetError, match=hint) as caught:
        install(*parse_recipe("versioned==1.0", TABLE))
    assert cause in str(caught.value)


# --- several processes, and those that are killed --------------------------------------------------------------------


def test_of_several_processes_one_builds(wheels):
    processes = [begin() for _ in range(3)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert sorted(lines[-1].split()[0] for lines in said) == ["False", "False", "True"]
    assert {lines[-1].split()[1] for lines in said} == {str(recipe(ENTRY, "1.0").folder)}
    assert folders() == [recipe(ENTRY, "1.0").folder.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_stopped_leaves_no_environment_and_no_process(wheels, slow, monkeypatch, number):
    process = begin()
    until(lambda: slow.exists() and slow.read_text(encoding="ascii").endswith("\n"))
    (installer,) = map(int, slow.read_text(encoding="ascii").split())
    children = [psutil.Process(installer), *psutil.Process(installer).children()]
    assert environments() == []
    process.send_signal(number)
    process.communicate(timeout=60)
    until(lambda: all(map(is_gone, children)))
    assert find(recipe(ENTRY, "1.0")) is None

    def cleared() -> bool:
        # The process that kills the installers is the last to go, and the lock with it.
        clear_abandoned()
        return folders() == []

    until(cleared)
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[2])
    assert install(*parse_recipe("versioned==1.0", TABLE))[1]


def test_who_waits_for_a_build_that_is_killed_builds_it(wheels, slow, monkeypatch):
    first = begin()
    until(slow.exists)
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[2])
    second = begin()
    assert second.stdout.readline() == "heard another process is installing it: waiting\n"
    clear_abandoned()
    assert folders() == [recipe(ENTRY, "1.0").folder.name]
    first.kill()
    first.communicate()
    assert second.communicate(timeout=60)[0].splitlines()[-1].startswith("True")


# --- what is there ---------------------------------------------------------------------------------------------------


def test_an_environment_in_use_is_not_removed(made):
    with Worker(parse_target("versioned==1.0", TABLE), Limits(10.0, 1 << 30), threading.Event()) as worker:
        assert worker.version == "1.0"
        with pytest.raises(TargetError, match=r"versioned==1\.0 is in use: wait"):
            remove(made)
        assert worker.execute(encode(Frame("execute", {"folder": None}, [[]], b""))).outcome is Outcome.OK
    remove(made)
    assert folders() == []
    remove(made)


def test_a_worker_does_not_start_where_an_environment_is_being_removed(made):
    target = parse_target("versioned==1.0", TABLE)
    with claimed(made.folder, lambda: None), pytest.raises(WorkerError, match="is being removed"):
        Worker(target, Limits(10.0, 1 << 30), threading.Event())


def test_an_environment_whose_python_has_gone_is_built_again(made):
    Path(made.python).unlink()
    assert find(made.recipe) is None
    assert not made.usable
    assert install(*parse_recipe("versioned==1.0", TABLE))[1]
    assert find(made.recipe) is not None


def test_another_version_inside_is_not_passed_off_as_the_one_asked_for(made):
    (information,) = made.folder.glob("venv/lib/*/site-packages/toy_compiler-1.0.dist-info")
    text = (information / "METADATA").read_text(encoding="ascii").replace("Version: 1.0", "Version: 1.1")
    (information / "METADATA").write_text(text, encoding="ascii")
    with pytest.raises(WorkerError, match=r"has 1\.1 in place of 1\.0: fuzz backends remove versioned==1\.0"):
        Worker(parse_target("versioned==1.0", TABLE), Limits(10.0, 1 << 30), threading.Event())


def test_a_damaged_manifest_is_no_environment(made):
    (made.folder / "environment.json").write_text("{", encoding="ascii")
    assert environments() == []
    assert install(*parse_recipe("versioned==1.0", TABLE))[1]


def test_a_folder_that_cannot_be_removed_is_said(made, monkeypatch):

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fuzz.execute.environment.shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="cannot be removed: Permission denied"):
        remove(made)
