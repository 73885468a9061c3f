"""Accuracies that somebody has measured, from a file: a table in JSON, or NAS-Bench-101's own file.

A table is ``{"nb201_9328": 0.9376}``: by the name of a graph, or by its architecture, as its label ``canonical`` says
it. NAS-Bench-101 (arXiv 1902.09635; github.com/google-research/nasbench, ``nasbench/api.py`` and
``lib/model_metrics.proto``) is a TFRecord file, a record a training: in JSON the hash of the cell, the epochs, its
matrix and operations, and in base64 a message with an evaluation at the begin, in the middle and at the end.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import defaultdict
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fuzz.errors import UsageError
from fuzz.wire import as_bytes, fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from corpus.graphs.computation import ComputationGraph

__all__ = ["accuracies", "keys"]

_LARGEST = 1e9  # of an accuracy
_RECORD = 1 << 20  # bytes; those of NAS-Bench-101 have less than a thousand
_EVALUATION, _TEST_ACCURACY = 1, 5  # fields of ModelMetrics and of EvaluationData


def keys(graph: ComputationGraph) -> tuple[str, ...]:
    """By what an accuracy of a graph may be found: its name, its architecture."""
    architecture = graph.labels.get("canonical")
    return (graph.name, architecture) if isinstance(architecture, str) else (graph.name,)


def accuracies(path: Path, wanted: Collection[str]) -> dict[str, float]:
    """By key, the accuracies of a file that are wanted. Raises UsageError.

    Of a cell of NAS-Bench-101 it is that on the test set after the longest training, the mean over its repetitions.
    """
    try:
        found = _benchmark(path, wanted) if path.suffix == ".tfrecord" else _table(path)
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}") from None
    return {key: found[key] for key in wanted if key in found}


def _table(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    rows: dict[str, Any] = content if isinstance(content, dict) else {"": None}
    if any(type(one) not in {int, float} or not -_LARGEST < one < _LARGEST for one in rows.values()):
        raise UsageError(f'{path} is no table of accuracies: write {{"name of a graph": 0.93, …}}')
    return {name: float(one) for name, one in rows.items()}


def _benchmark(path: Path, wanted: Collection[str]) -> dict[str, float]:
    runs: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    try:
        for record in _records(path):
            cell, epochs, _, _, metrics = json.loads(record)
            if cell in wanted:
                runs[cell][int(epochs)].append(_test_accuracy(base64.b64decode(metrics)))
    except (ValueError, TypeError, LookupError, struct.error, RecursionError):
        raise UsageError(f"{path} is no file of NAS-Bench-101, or a broken one") from None
    return {cell: fmean(taken[max(taken)]) for cell, taken in runs.items()}


def _records(path: Path) -> Iterator[bytes]:
    """Of a TFRecord file: eight bytes that say how many follow, four of a checksum, those, four more."""
    with path.open("rb") as file:
        while head := file.read(12):
            (size,) = struct.unpack("<Q", head[:8])
            record = file.read(size + 4) if size < _RECORD else b""
            if len(head) < 12 or len(record) < size + 4:
                raise ValueError("cut off")
            yield record[:-4]


def _test_accuracy(metrics: bytes) -> float:
    """That of the last evaluation."""
    last = [value for number, value in fields(metrics) if number == _EVALUATION][-1]
    (told,) = (as_bytes(value) for number, value in fields(as_bytes(last)) if number == _TEST_ACCURACY)
    (accuracy,) = struct.unpack("<d", told)
    if not isfinite(accuracy):
        raise ValueError("no accuracy")
    return float(accuracy)
