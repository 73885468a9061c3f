"""The report of a large campaign: what it costs to make, and how large the page is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np
from figure import Figure, Scale, clock
from onnx import numpy_helper, parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["large"]

_MODEL = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2, 3, 8, 8] x, float[4, 3, 3, 3] w) => (float[2, 4, 6, 6] y) {
    a = Conv (x, w)  b = Relu (a)  y = Add (b, a)
}"""
_TARGETS = ("iree", "onnxruntime", "openvino", "tvm")


def large(scale: Scale) -> Iterator[Figure]:
    """1,000 findings of three nodes, 2,500 pairs of operator and type on four targets."""
    from fuzz.report.account import Cell, TargetRow
    from fuzz.report.overview import overview
    from fuzz.report.sources import read_account

    count = 50 if scale.quick else 1000
    root = scale.folder()
    for at in range(count):
        _write(root / "findings" / f"{at:012x}", at)
    with clock() as reading:
        account = read_account(root, jobs=2)
    pairs = [(f"Operator{at // 20}", f"type{at % 20}") for at in range(2500)]
    cells = {pair: {name: Cell(Counter(ok=7, wrong=1), 1, 1.0) for name in _TARGETS} for pair in pairs[::2]}
    account = replace(
        account, cells=cells, wanted=frozenset(pairs), cases=300_000, seconds=36_000.0,
        targets=tuple(TargetRow(name, "1.0", {"ok": 299_000, "wrong": 1000}) for name in _TARGETS),
        done=tuple((90.0 * at, 750 * at) for at in range(400)), seen=dict.fromkeys(cells, 1.0),
    )  # fmt: skip
    with clock() as writing:
        page = overview(account)
    yield Figure(f"report of {count:,} findings: reading them", round(reading.cpu, 2), "s CPU", 20.0, cpu=reading.cpu)
    yield Figure("the same: making the page", round(writing.cpu, 2), "s CPU", 2.0, cpu=writing.cpu)
    yield Figure("the same: its size", round(len(page.encode()) / 1e6, 2), "MB", 20.0)


def _write(folder: Path, at: int) -> None:
    from fuzz.judge.verdict import Verdict

    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(parser.parse_model(_MODEL).SerializeToString())
    for name, shape in (("input_0", (2, 3, 8, 8)), ("input_1", (4, 3, 3, 3)), ("output_0", (2, 4, 6, 6))):
        (data / f"{name}.pb").write_bytes(numpy_helper.from_array(np.ones(shape, np.float32)).SerializeToString())
    verdict = Verdict("c", _TARGETS[at % 4], 0, "wrong", "y", 3.0 + at, (0, 1, 2, 3), 1.0, 2.0, 1e-6)
    said = {
        "target": verdict.target, "version": "1.0", "verdict": asdict(verdict),
        "pattern": f"Add(Relu{at}(Conv(float)))", "nodes_before": 20, "seed": at,
        "signature": {"word": "wrong", "symptom": "value", "frames": []},
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "repro.py").write_text("print('what a maintainer runs')\n" * 60, encoding="utf-8")
    (folder / "NOTES.md").write_text("What a maintainer reads.\n" * 60, encoding="utf-8")
