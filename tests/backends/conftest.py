"""A worker of a real backend for each target that a test asks for, and models written as text."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from backends.frame import Frame, encode
from backends.protocol import Outcome
from backends.registry import BACKENDS, installed_version
from backends.tensor import from_numpy
from fuzz.execute.nursery import Nursery
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Limits, Worker

HERE = Path(__file__).parent
# Workers that a process of the tests keeps, and processes that they are forks of: a gigabyte each of some backends.
SIDE_BY_SIDE = 3
# Some tests make environments: pip and uv keep caches, and pip asks for the version of Rust. Tests that draw share the
# process and its home directory: matplotlib keeps a list of fonts.
OF_OTHERS = (".cache/pip/", ".cache/uv/", ".local/share/uv/", ".rustup/", ".cache/matplotlib/")
TARGETS = (
    "onnxruntime",
    "onnxruntime:opt=0",
    "onnxruntime:disable=ConstantFolding+MatMulAddFusion",
    "onnxruntime:reload=yes",
    "tvm",
    "tvm:opt=0",
    "tvm:disable=FuseOps,exec_mode=compiled,pipeline=zero",
    "tvm:pipeline=cpu,cpu=native",
    "tvm:pipeline=unfused,memory=naive,call=stateful,with=EliminateCommonSubexpr+DeadCodeElimination",
    "tvm:reload=yes",
    "openvino",
    "openvino:mode=performance",
    "openvino:reload=yes",
    "reference",
    "tract",
    "tract:reload=yes",
    "iree",
    "iree:opt=0,target=vmvx",
    "jax",
    "jax:mode=eager",
    "torch",
    "torch:mode=eager",
    "torch:mode=aot_eager,dynamic=yes",
    "tinygrad",
    "tinygrad:opt=0",
    "jax:disable=algsimp",
    "emx-onnx-cgen",
    "emx-onnx-cgen:opt=0,restrict=no,sanitize=undefined",
    "xla",
    "xla:mode=eager",
    "xla:disable=fusion+algsimp,opt=0,threads=2",
    "xla:grappler=off,mode=graph",
    "mnn",
    "mnn:opt=2,threads=2",
    # Graph-to-graph tools.
    "onnxsim",
    "onnxoptimizer:fixed_point=yes",
    "onnxslim",
    "onnxscript",
    "onnx-version-converter",
    "onnx-inliner:schema=yes",
    "onnx-shape-inference",
    "ort-symbolic-shapes",
    "ort-offline",
    "ort-transformers",
    "ncnn",
    "ncnn:opt=1,disable=packing_layout",
)
# Their workers are not measured: what they import costs two to three times as much under coverage, and what their
# options do is measured in tests of that backend alone or in another of its workers.
UNMEASURED = (
    "onnxruntime:opt=0",
    "tvm:opt=0",
    "tvm:pipeline=cpu,cpu=native",
    "openvino:mode=performance",
    "iree:opt=0,target=vmvx",
    "torch:mode=aot_eager,dynamic=yes",
    "torch:simd_bits=1",
    "torch-export:optimize=no,opset=20",
    "tinygrad:opt=0",
    "jax:disable=algsimp",
    "xla:mode=eager",
    "xla:disable=fusion+algsimp,opt=0,threads=2",
    "mnn:opt=2,threads=2",
    "ncnn:opt=1,disable=packing_layout",
)


def model(body: str, opset: int = 17) -> bytes:
    """A serialized model of a graph in ONNX's own text form."""
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{body}').SerializeToString()


def ask(worker: Worker, serialized: bytes, *data_sets, folder: str | None = None):
    """Execute a model on data sets of arrays (or of values made already)."""
    values = [[from_numpy(x) if isinstance(x, np.ndarray) else x for x in inputs] for inputs in data_sets]
    return worker.execute(encode(Frame("execute", {"folder": folder}, values, serialized)))


def pytest_collection_modifyitems(items):
    """The tests of this folder come first, those of one target together: then few workers are alive at a time.

    A file that is about one backend stands with that one's own tests, for a worker of some costs ten seconds.
    """

    def target_of(item) -> str:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        named = parameters.get("target") or parameters.get("name")
        own = item.path.stem.removeprefix("test_").replace("_", "-")
        return named if isinstance(named, str) else own if own in BACKENDS else ""

    ours = [item for item in items if item.path.parent == HERE]
    rest = [item for item in items if item.path.parent != HERE]
    items[:] = [*sorted(ours, key=target_of), *rest]


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """The home directory of all workers: empty, and no backend leaves anything there."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("XDG_CACHE_HOME", raising=False)
        yield folder
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    left = [path for path in paths if not path.startswith(OF_OTHERS)]
    assert not left, f"a backend has left files in the home directory: {left}"


def needs(name: str) -> None:
    """Skip the test where a backend is not installed."""
    entry = BACKENDS[name.partition(":")[0]]
    if installed_version(entry) is None:
        pytest.skip(f"{entry.name} is not installed: {entry.install_command()}")


class Workers:
    """The worker of each target that is asked for, made when it first is, or anew where it has died or made room.

    A backend is imported once for all its targets: their workers are forks, as those of `fuzz run` are. Those that are
    measured come from another process than those that are not.
    """

    def __init__(self, measures: dict[str, str]) -> None:
        self._measures = measures
        self._made: dict[str, Worker] = {}
        self._nurseries: dict[tuple[str, bool], Nursery] = {}

    def __call__(self, text: str) -> Worker:
        kept = self._made.pop(text, None)
        if kept is None or not kept.alive:
            needs(text)
            target, measured = parse_target(text), text not in UNMEASURED
            with pytest.MonkeyPatch.context() as patch:
                for name, value in self._measures.items() if measured else ():
                    patch.setenv(name, value)
                nursery = self._nursery(target.backend, measured)
                kept = nursery.worker(target, Limits(60.0, 4 << 30), threading.Event())
            if len(self._made) >= SIDE_BY_SIDE:
                self._made.pop(next(iter(self._made))).close()
        self._made[text] = kept
        return kept

    def _nursery(self, backend: str, measured: bool) -> Nursery:
        if (backend, measured) not in self._nurseries:
            while len(self._nurseries) >= SIDE_BY_SIDE:
                oldest = next(iter(self._nurseries))
                for text in [text for text in self._made if text.partition(":")[0] == oldest[0]]:
                    self._made.pop(text).close()
                self._nurseries.pop(oldest).__exit__(None, None, None)
            self._nurseries[backend, measured] = Nursery()
        return self._nurseries[backend, measured]

    def close(self) -> None:
        for each in self._made.values():
            each.close()
        for each in self._nurseries.values():
            each.__exit__(None, None, None)


@pytest.fixture(scope="session")
def workers(home, measures):
    """Makes the worker of a target."""
    made = Workers(measures)
    yield made
    made.close()


@pytest.fixture
def execute(workers):
    return lambda target, serialized, *data_sets, **options: ask(workers(target), serialized, *data_sets, **options)


@pytest.fixture
def artefacts(workers):
    """What a target shows of a model, once it has run: files by name. Backends are never imported by the tests."""

    def shown(target: str, body: str, *inputs: np.ndarray) -> dict[str, bytes]:
        values = [[from_numpy(array) for array in inputs]]
        attempt = workers(target).execute(encode(Frame("show", {"folder": None}, values, model(body))))
        assert (attempt.outcome, attempt.message) == (Outcome.OK, "")
        return {report.fields["file"]: bytes(report.values[0].data) for report in attempt.reports}

    return shown


@pytest.fixture(name="ask")
def ask_fixture():
    return ask


@pytest.fixture(name="model")
def model_fixture():
    return model


@pytest.fixture(params=TARGETS)
def target(request):
    return request.param
