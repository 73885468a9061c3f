"""Caches as tables: a row for each build and target, and a row for each error with how often it came.

The first columns are those that users of TurnkeyML know, in its words; ours follow. What is missing is ``-``.
"""

from __future__ import annotations

import csv
import io
import os
import platform
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from corpus import cache as store
from fuzz.collection.summary import word_of
from fuzz.errors import RootError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["COLUMNS", "Report", "read_report", "write_report"]

MISSING = "-"
_TOLD = 300
_STATUS = MappingProxyType({"analyzed": "not_started"})
_BENCHMARKED = frozenset({"ok"})

Row = dict[str, Any]
_Field = tuple[str, "Callable[[_Source], Any]"]


@dataclass(frozen=True, slots=True)
class _Source:
    """One build on one target; ``target`` is empty for a build that ran nowhere."""

    cache: Path
    build: str
    state: Mapping[str, Any]
    target: str
    row: Mapping[str, Any]

    def latency(self, key: str, factor: float = 1.0) -> Any:
        value = self.row.get("latency", {}).get(key)
        return None if value is None else round(value * factor, 6)


@dataclass(frozen=True, slots=True)
class Report:
    """Rows of builds, in the order of caches and names, and rows of errors, the most frequent first."""

    rows: tuple[Row, ...]
    errors: tuple[Row, ...]


def read_report(caches: Sequence[Path]) -> Report:
    """What is in some caches.

    Raises:
        RootError: one of them holds no build.
    """
    rows: list[Row] = []
    failures: list[tuple[str, str]] = []
    for cache in caches:
        names = store.builds(cache)
        if not names:
            raise RootError(f"there are no builds in {cache}: make some with `fuzz corpus run -d {cache}`")
        for name in names:
            for source in _sources(cache, name):
                row = {column: field(source) for column, field in _FIELDS}
                rows.append({key: MISSING if value in {None, ""} else value for key, value in _plain(row).items()})
                if row["error"]:
                    failures.append((str(row["error"]), name))
    return Report(tuple(rows), tuple(_counted(failures)))


def write_report(report: Report, folder: Path, day: str) -> tuple[Path, Path]:
    """Write ``<day>.csv`` and ``errors-<day>.csv``; their paths. Raises StorageError."""
    paths = folder / f"{day}.csv", folder / f"errors-{day}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(_table(COLUMNS, report.rows), encoding="utf-8")
        paths[1].write_text(_table(("id", "count", "models_impacted", "example"), report.errors), encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"cannot write {folder}: {problem.strerror}; give another folder with -r") from None
    return paths


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _sources(cache: Path, build: str) -> Iterator[_Source]:
    state = store.read_state(cache, build)
    targets = state.get("targets") or {"": {}}
    for target, row in targets.items():
        yield _Source(cache, build, state, target, row)


def _counted(failures: Sequence[tuple[str, str]]) -> Iterator[Row]:
    """Errors that begin alike are one; numbers and names in quotes do not make another."""
    import re

    groups: dict[str, list[tuple[str, str]]] = {}
    for message, build in failures:
        key = re.sub(r"\d+|'[^']*'|\"[^\"]*\"", "#", message)
        groups.setdefault(key, []).append((message, build))
    ordered = sorted(groups.values(), key=lambda group: (-len(group), group[0][0]))
    for number, group in enumerate(ordered):
        impacted = sorted({build for _, build in group})
        yield {
            "id": number, "count": len(group), "models_impacted": " ".join(impacted), "example": group[0][0],
        }  # fmt: skip


def _plain(row: Row) -> Row:
    return {key: str(value) if isinstance(value, dict | list) else value for key, value in row.items()}


def _onnx(source: _Source, key: str) -> Any:
    return source.state.get("onnx", {}).get(key)


def _information(source: _Source) -> Any:
    found = source.state.get("onnx")
    if not found:
        return None
    return {"ir_version": found["ir_version"], "opset": found["opset"], "size on disk (KiB)": found["bytes"] // 1024}


def _answer(source: _Source, side: str) -> Any:
    return source.state.get("answers", {}).get(side, {}).get("word")


def _benchmark_status(source: _Source) -> str:
    if not source.target:
        return "not_started"
    outcome = source.row.get("outcome")
    if outcome in _BENCHMARKED:
        return "successful"
    return "killed" if outcome in {"timeout", "oom", "crash"} else "failed"


def _error(source: _Source) -> str:
    state = source.state
    if state.get("status") in {"failed", "killed"}:
        return f"{state.get('stage')}: {state.get('error')}"[:_TOLD]
    if source.row and source.row.get("outcome") not in _BENCHMARKED:
        return f"{source.target} {source.row.get('verdict')}: {source.row.get('message')}"[:_TOLD]
    if word_of(state) in {"wrong", "dispute", "error"}:
        return f"{state.get('side') or 'judge'}: {state.get('message')}"[:_TOLD]
    return ""


def _system() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"


_FIELDS: tuple[_Field, ...] = (
    ("model_name", lambda s: s.state.get("model")),
    ("author", lambda s: s.state.get("author")),
    ("class", lambda s: s.state.get("class")),
    ("task", lambda s: s.state.get("task")),
    ("hash", lambda s: s.state.get("hash")),
    ("parameters", lambda s: s.state.get("parameters")),
    ("onnx_ops_counter", lambda s: _onnx(s, "operators")),
    ("onnx_model_information", _information),
    ("onnx_input_dimensions", lambda s: _onnx(s, "inputs")),
    ("export_pytorch_seconds", lambda s: s.state.get("seconds", {}).get("export")),
    ("translate_onnx_seconds", lambda s: s.state.get("seconds", {}).get("translate")),
    ("runtime", lambda s: s.target.partition("@")[0]),
    ("device_type", lambda s: (s.target.partition("@")[2] or "cpu") if s.target else None),
    ("mean_latency", lambda s: s.latency("mean", 1e3)),
    ("median_latency", lambda s: s.latency("median", 1e3)),
    ("throughput", lambda s: s.latency("throughput")),
    ("iterations", lambda s: s.row.get("latency", {}).get("iterations")),
    ("build_status", lambda s: _STATUS.get(s.state.get("status", ""), s.state.get("status"))),
    ("benchmark_status", _benchmark_status),
    ("system_info", lambda _: _system()),
    ("corpus", lambda s: s.state.get("corpus")),
    ("script", lambda s: s.state.get("script")),
    ("script_arguments", lambda s: " ".join(s.state.get("script_arguments", ()))),
    ("build", lambda s: s.build),
    ("cache", lambda s: str(s.cache)),
    ("lower_quartile_latency", lambda s: s.latency("lower_quartile", 1e3)),
    ("upper_quartile_latency", lambda s: s.latency("upper_quartile", 1e3)),
    ("compile_seconds", lambda s: s.latency("compile_seconds")),
    ("backend_version", lambda s: s.row.get("version")),
    ("verdict", lambda s: s.row.get("verdict")),
    ("judged_by", lambda s: s.row.get("decided")),
    ("eager_verdict", lambda s: _answer(s, "eager")),
    ("program_verdict", lambda s: _answer(s, "program")),
    ("onnx_verdict", lambda s: _answer(s, "onnx")),
    ("at_fault", lambda s: s.state.get("side")),
    ("at_fault_node", lambda s: s.state.get("node")),
    ("revived", lambda s: "; ".join(s.state.get("revived", ()))),
    ("adjusted", lambda s: "; ".join(s.state.get("adjusted", ()))),
    ("random", lambda s: s.state.get("random")),
    ("torch_version", lambda s: s.state.get("versions", {}).get("torch")),
    ("error", _error),
)

COLUMNS = tuple(name for name, _ in _FIELDS)
"""The names of the columns, in order."""
