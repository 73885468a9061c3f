"""The gate of CI: how long 200 cases take on ONNX Runtime, from the command typed to its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from figure import Figure, Scale, clock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gate"]

_FUZZ = Path(sys.executable).with_name("fuzz")
_FINDINGS = Path(__file__).parents[1] / "findings"


def gate(scale: Scale) -> Iterator[Figure]:
    """Findings of released compilers (known failures of ONNX Runtime among them) and generated models beside them."""
    findings = sorted(_FINDINGS.iterdir())
    count = 20 if scale.quick else 200
    known = findings[:: len(findings) // (count // 2)][: count // 2]
    root = scale.folder() / "gate"
    _fuzz("gen", "--root", root, "--count", count - len(known), "--for", "onnxruntime")
    _fuzz("regress", root, "--add", *known)
    with clock() as first:
        _fuzz("regress", root, "--backend", "onnxruntime", "--update")
    with clock() as again:
        code = _fuzz("regress", root, "--backend", "onnxruntime", "--junit", root / "gate.xml")
    if code:
        raise SystemExit(f"the gate is red ({code}) after --update: fuzz regress {root} --backend onnxruntime")
    name = f"gate of {count} cases, {len(known)} of them findings, on ONNX Runtime"
    yield Figure(name, round(again.wall, 1), "s", 60.0, cpu=again.cpu)
    yield Figure("the same, where what fails is not expected yet", round(first.wall, 1), "s", 60.0, cpu=first.cpu)


def _fuzz(*arguments: object) -> int:
    environment = {key: value for key, value in os.environ.items() if key != "FUZZ_ROOT"}
    done = subprocess.run(
        [_FUZZ, *map(str, arguments)], env=environment, stdout=subprocess.DEVNULL, check=False
    )
    return done.returncode
