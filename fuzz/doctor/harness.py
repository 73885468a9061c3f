"""What the harness itself needs, each tried rather than looked up where that is possible."""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from backends.entry import Entry
from backends.frame import Frame, encode
from backends.protocol import Outcome
from fuzz.doctor import hungry
from fuzz.errors import TargetError
from fuzz.execute.environment import cache_folder, environments
from fuzz.execute.start import start_worker
from fuzz.execute.target import Target
from fuzz.execute.worker import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Check", "check_harness", "check_target"]

_ROOM = 1 << 30  # bytes that a run may well need
_LIMIT = 256 << 20  # bytes of the worker that is to be stopped
_PACKAGES = ("dnnfuzz", "onnx", "numpy", "ml-dtypes")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing tried. ``note``: something that can be done without is lacking; ``broken``: the harness is unsound."""

    name: str
    state: Literal["ok", "note", "broken"]
    detail: str

    def to_json(self) -> dict[str, str]:
        """The keys of ``fuzz doctor --json``."""
        return asdict(self)


def check_harness() -> Iterator[Check]:
    """Everything but the targets; takes a second or two."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    yield Check("versions", "ok", f"Python {platform.python_version()}, {versions}")
    for check in (_temporary, _isolation, _memory, _environments, _gdb, _gpu):
        yield check()


def check_target(target: Target) -> Check:
    """Whether the worker of a target starts and brings the version that is asked for."""
    start = time.perf_counter()
    try:
        with start_worker(target, Limits(60.0, 4 << 30), Event()) as worker:
            seconds, version = time.perf_counter() - start, worker.version
    except TargetError as problem:
        return Check(target.canonical, "broken", " ".join(str(problem).split()))
    if target.version not in {"", version}:
        wrong = f"the worker has version {version or 'none'}, and {target.version} was found: install it again"
        return Check(target.canonical, "broken", wrong)
    return Check(target.canonical, "ok", f"version {version or 'unknown'}, its worker starts in {seconds:.1f} s")


def _temporary() -> Check:
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory(prefix="fuzz-doctor-") as made:
            Path(made, "written").write_bytes(b"1" * 4096)
    except OSError as problem:
        return Check("temporary folder", "broken", f"{folder}: {problem.strerror}; set TMPDIR to one with room")
    free = shutil.disk_usage(folder).free
    if free < _ROOM:
        return Check("temporary folder", "note", f"{folder} has {free >> 20} MiB left: free some, or set TMPDIR")
    return Check("temporary folder", "ok", f"{folder}, {free >> 30} GiB free")


_ENTRY = Entry(name="hungry", module=str(Path(hungry.__file__).resolve()), distributions=(), requirements=())
_TARGET = Target("hungry", "hungry", "", (), "cpu", _ENTRY)


def _isolation() -> Check:
    """A folder on PYTHONPATH with a numpy that ends whoever imports it: an isolated worker does not see it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-doctor-") as folder:
        Path(folder, "numpy.py").write_text("raise SystemExit('this is not numpy')\n", encoding="utf-8")
        target = replace(_TARGET, environment=(("PYTHONPATH", folder),))
        start = time.perf_counter()
        try:
            with start_worker(target, Limits(60.0, _LIMIT), Event()):
                seconds = time.perf_counter() - start
        except TargetError as problem:
            return Check("isolated worker", "broken", f"{problem}; is Python's own `-I` honoured here?")
    return Check("isolated worker", "ok", f"starts in {seconds:.1f} s, sees no PYTHONPATH")


def _memory() -> Check:
    request = encode(Frame("execute", {"folder": None}, [], _model()))
    try:
        with start_worker(_TARGET, Limits(20.0, _LIMIT), Event()) as worker:
            attempt = worker.execute(request)
    except TargetError as problem:
        return Check("memory limit", "broken", str(problem))
    if attempt.outcome is Outcome.OOM:
        return Check("memory limit", "ok", f"{_LIMIT >> 20} MiB: {attempt.message}")
    ended = f"a worker that took more than {_LIMIT >> 20} MiB ended with {attempt.outcome.value} ({attempt.message})"
    return Check("memory limit", "broken", f"{ended}: /proc must show resident memory")


def _model() -> bytes:
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", ports[:1], ports[1:])
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _environments() -> Check:
    made = environments()
    gone = [environment.recipe.text for environment in made if not environment.usable]
    if gone:
        again = f"fuzz backends remove {' '.join(gone)}, and install them again"
        return Check("environments", "note", f"the Python of {', '.join(gone)} has gone: {again}")
    return Check("environments", "ok", f"{len(made)} in {cache_folder()}, all usable" if made else "none yet")


def _gdb() -> Check:
    found = shutil.which("gdb")
    if found is None:
        return Check("gdb", "note", "not there: install it to look into crashes below Python")
    return Check("gdb", "ok", found)


def _gpu(device: Path = Path("/dev/nvidiactl")) -> Check:
    if not device.exists():
        return Check("GPU", "note", "no NVIDIA GPU can be reached: targets @cuda do not run here")
    return Check("GPU", "ok", "an NVIDIA GPU can be reached")
