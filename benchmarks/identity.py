"""The same seed, the same bytes: in a new process, with other hashes, under load, other CPU code paths and Pythons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from figure import Figure, Scale, clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["identity"]

_ROOT = Path(__file__).resolve().parents[1]

# Run in a process of its own: digests of models and inputs by seed, and which code paths numpy and OpenBLAS take.
_CHILD = """
import ctypes, glob, hashlib, json, os, platform, sys
from importlib.metadata import version
import numpy
from abstract.schema import newest_opset
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
count, step = int(sys.argv[1]), int(sys.argv[2])
given = {"nodes": (1, 40), "bait": ("all",), "structure": ("all",), "opset": newest_opset(), "mixed_opsets": True}
ways = [
    given, {**given, "dynamic": True}, {**given, "domains": ("com.microsoft",)}, {**given, "nonfinite": True},
    {**given, "dynamic": None, "structure": (
        "topology", "functions", "passing", "unread", "defaults", "shared", "constants", "containers", "external")},
]
result = {}
for seed in range(count)[::step]:
    made = generate_case(Seeded(seed), Settings(**ways[seed % len(ways)]))
    total = hashlib.sha256(made.stored)
    for name, content in (made.apart.files if made.apart else {}).items():
        total.update(name.encode() + content)
    for data_set in made.data_sets:
        total.update(repr(data_set.inputs).encode())
    result[seed] = total.hexdigest()
core = ""
folder = os.path.join(os.path.dirname(numpy.__file__), "..", "numpy.libs")
for path in glob.glob(os.path.join(folder, "*openblas*")):
    get = getattr(ctypes.CDLL(path), "scipy_openblas_get_corename64_", None)
    if get is not None:
        get.restype = ctypes.c_char_p
        core = get().decode()
features = numpy._core._multiarray_umath.__cpu_features__
about = " ".join(f"{name} {version(name)}" for name in ("numpy", "onnx", "ml_dtypes", "protobuf", "z3-solver"))
print(json.dumps({
    "digests": result, "core": core, "features": sorted(k for k, on in features.items() if on),
    "about": f"Python {platform.python_version()} {about}",
}))
"""


def _child(
    count: int, environment: Mapping[str, str], step: int = 1, python: str = sys.executable
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, "-c", _CHILD, str(count), str(step)], env={**os.environ, **environment},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _result(child: subprocess.Popen[str]) -> dict[str, object]:
    out, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"the process that generates ended with {child.returncode}")
    found: dict[str, object] = json.loads(out)
    return found


def _environments() -> Iterator[tuple[str, dict[str, str]]]:
    yield "new process, PYTHONHASHSEED=0", {"PYTHONHASHSEED": "0"}
    yield "PYTHONHASHSEED=4242", {"PYTHONHASHSEED": "4242"}
    module = np._core._multiarray_umath  # noqa: SLF001 - numpy shows its code paths nowhere else
    # A name that the CPU lacks would only warn: take the code paths that this CPU really has.
    paths = [name for name in module.__cpu_dispatch__ if module.__cpu_features__[name]]
    for n in range(1, len(paths) + 1):
        yield f"NPY_DISABLE_CPU_FEATURES={' '.join(paths[-n:])}", {"NPY_DISABLE_CPU_FEATURES": " ".join(paths[-n:])}
    for core in ("Haswell", "SandyBridge", "Nehalem", "Prescott", "Zen"):
        yield f"OPENBLAS_CORETYPE={core}", {"OPENBLAS_CORETYPE": core}


def identity(scale: Scale) -> Iterator[Figure]:
    """How many of the seeds give other bytes somewhere."""
    count = 60 if scale.quick else 1500
    with clock() as spent:
        usual = _result(_child(count, {}))
        due = usual["digests"]
        changed: dict[str, int] = {}
        effects = set()
        runs = [(name, _result(_child(count, variables))) for name, variables in _environments()]
        runs.append(("seeds in reverse order", _result(_child(count, {}, step=-1))))
        loaded = [_child(count, {}) for _ in range(4)]
        runs.extend((f"under load, process {n}", _result(child)) for n, child in enumerate(loaded))
        for python in scale.pythons:
            found = _result(_child(count, {"PYTHONPATH": str(_ROOT)}, python=python))
            runs.append((str(found["about"]), found))
        for name, found in runs:
            digests = found["digests"]
            changed[name] = sum(digests[seed] != digest for seed, digest in due.items())  # type: ignore[index]
            if found["core"] != usual["core"] or found["features"] != usual["features"]:
                effects.add(name)
    broken = {name: n for name, n in changed.items() if n}
    detail = f"{count:,} seeds in {len(runs)} other ways, {len(effects)} of them on other CPU code paths"
    if scale.pythons:
        detail += "; " + ", ".join(str(found["about"]) for _, found in (("", usual), *runs[-len(scale.pythons) :]))
    yield Figure(
        "seeds with other bytes in another process or environment", sum(broken.values()), "", 0, cpu=spent.cpu,
        detail="; ".join([detail, *(f"{n} with {name}" for name, n in broken.items())]),
    )  # fmt: skip
