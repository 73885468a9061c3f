"""What the folder of a finding holds, read whole: the verdict, the graph, the numbers, what was written beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import TYPE_CHECKING, Any

from backends.tensor import Tensor, TensorError, to_numpy
from fuzz.case import data_sets_of, read_values
from fuzz.errors import CaseError
from fuzz.judge.verdict import Verdict
from fuzz.report.drawings import Drawing, draw_model
from fuzz.report.graph import tensor_label
from fuzz.report.isolated import in_processes
from fuzz.report.papers import Papers, read_papers
from fuzz.signature import read_signature
from fuzz.triage.blamed import NOBODY, Blamed, read_blame
from fuzz.values import decode_value
from fuzz.wire import WireError, as_bytes, as_text
from fuzz.wire import fields as wire_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from backends.tensor import Value
    from fuzz.reach import Pair

__all__ = ["CaseTask", "Exhibit", "Listed", "read_cases", "read_exhibits"]

_ELEMENTS = 24  # of a tensor, that are written out
_ROWS = 40  # values of a data set
_LARGEST_CONSTANT = 4096  # bytes
_NAME, _ELSEWHERE = 8, 13  # fields of TensorProto: name, external_data
_NOTHING = Drawing("", 0, (), "")
_VERDICT = frozenset(entry.name for entry in fields(Verdict))


@dataclass(frozen=True, slots=True)
class Listed:
    """A value of the case in writing: what it is (input, constant, expected), its name, type and first elements."""

    role: str
    name: str
    label: str
    elements: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A folder, read. ``said`` is all of ``verdict.json``; ``problems`` is what cannot be read, in words."""

    folder: str
    said: dict[str, Any]
    verdict: Verdict | None
    drawing: Drawing
    pairs: tuple[Pair, ...] = ()
    values: tuple[Listed, ...] = ()
    papers: Papers = field(default_factory=Papers)
    blamed: Blamed = NOBODY
    problems: tuple[str, ...] = ()


def read_exhibits(
    folders: Sequence[Path], jobs: int, advance: Callable[[int], None] = lambda _done: None
) -> list[Exhibit]:
    """Read folders of findings; none of them stops the others."""
    return in_processes(_read_all, list(folders), jobs, _lost, advance)


def _lost(folder: Path) -> Exhibit:
    return Exhibit(str(folder), {}, None, _NOTHING, problems=("reading it ended the process that did it",))


def _read_all(folders: Sequence[Path]) -> list[Exhibit]:
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> Exhibit:
    if not folder.is_dir():
        return Exhibit(str(folder), {}, None, _NOTHING, problems=("the folder is not there",))
    problems: list[str] = []
    said = _said(folder / "verdict.json", problems)
    verdict = _verdict(said.get("verdict"), problems) if said else None
    places = [place for place in (verdict.node, verdict.output) if place] if verdict else []
    drawing = draw_model(folder / "model.onnx", places[:1])
    if not drawing.operators:
        problems.append(drawing.problem or "the model has no node")
    return Exhibit(
        folder=str(folder), said=said, verdict=verdict, drawing=drawing, pairs=_pairs(folder / "model.onnx"),
        values=_values(folder, verdict.data_set if verdict else 0, problems),
        papers=read_papers(folder, said), blamed=read_blame(folder), problems=tuple(problems),
    )  # fmt: skip


def _said(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
        if isinstance(said, dict):
            return said
        problems.append("verdict.json holds no object")
    except OSError as error:
        problems.append(f"verdict.json cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        problems.append(f"verdict.json is no JSON: {error}")
    return {}


def _verdict(told: object, problems: list[str]) -> Verdict | None:
    """The verdict as the file has it; one that other hands wrote may lack anything."""
    try:
        if not isinstance(told, dict):
            raise TypeError("it is no object")  # noqa: TRY301 - one place says what is wrong
        known = {key: value for key, value in told.items() if key in _VERDICT}
        index = known.get("index")
        known["index"] = None if index is None else tuple(map(int, index))
        for key in ("bound", "bound_ratio"):
            known[key] = None if known.get(key) is None else float(known[key])
        return Verdict(**{"message": "", **known})
    except (TypeError, ValueError) as error:
        problems.append(f"verdict.json tells no verdict: {error}")
        return None


def _pairs(path: Path) -> tuple[Pair, ...]:
    import onnx

    from fuzz.reach import pairs

    try:
        return tuple(sorted(set(pairs(onnx.load(path, load_external_data=False)))))
    except Exception:  # noqa: BLE001 - whatever onnx says of the model: the drawing says it already
        return ()


# --- cases of a root that was judged ----------------------------------------------------------------------------------

CaseTask = tuple["Path", "Path", "int | None", "tuple[str, ...]"]
"""A case's folder and model, the data set that counts, what is to stand out in its picture; None: no picture of it."""


def read_cases(
    tasks: Sequence[CaseTask], jobs: int, advance: Callable[[int], None] = lambda _done: None
) -> list[Exhibit]:
    """Read cases: of all the pairs that they hold, of those with a picture the numbers too."""
    return in_processes(_read_cases, tasks, jobs, lambda task: _lost(task[0]), advance)


def _read_cases(tasks: Sequence[CaseTask]) -> list[Exhibit]:
    return [_read_case(*task) for task in tasks]


def _read_case(folder: Path, model: Path, data_set: int | None, marked: tuple[str, ...]) -> Exhibit:
    if data_set is None:
        return Exhibit(str(folder), {}, None, _NOTHING, pairs=_pairs(model))
    problems: list[str] = []
    drawing = draw_model(model, marked)
    if not drawing.operators:
        problems.append(drawing.problem or "the model has no node")
    values = _values(folder, data_set, problems)
    return Exhibit(str(folder), {}, None, drawing, _pairs(model), values, problems=tuple(problems))


# --- numbers ----------------------------------------------------------------------------------------------------------


def _values(folder: Path, data_set: int, problems: list[str]) -> tuple[Listed, ...]:
    listed: list[Listed] = []
    try:
        ports = read_signature(folder / "model.onnx")
        sets = data_sets_of(folder)
        chosen = sets[data_set if data_set < len(sets) else 0] if sets else None
        if chosen is not None:
            inputs = (*ports.inputs, *ports.defaults)
            values = read_values(chosen, "input", [port.type for port in inputs])
            listed += [_listed("input", port.name, value) for port, value in zip(inputs, values, strict=False)]
        listed += islice(_constants(folder / "model.onnx"), _ROWS)
        if chosen is not None:
            due = read_values(chosen, "output", [port.type for port in ports.outputs])
            listed += [_listed("expected", port.name, v) for port, v in zip(ports.outputs, due, strict=False)]
    except (CaseError, WireError, OSError, ValueError) as error:
        problems.append(f"its numbers cannot be read: {error}")
    return tuple(listed)


def _constants(path: Path) -> Iterator[Listed]:
    """The small initializers of a model; those that keep their numbers in another file are not small."""
    for number, graph in wire_fields(path.read_bytes()):
        for entry, tensor in wire_fields(as_bytes(graph)) if number == 7 else ():
            if entry == 5 and len(data := as_bytes(tensor)) <= _LARGEST_CONSTANT:
                known = dict(wire_fields(data))
                if _ELSEWHERE not in known:
                    yield _listed("constant", as_text(known.get(_NAME, memoryview(b""))), decode_value(data))


def _listed(role: str, name: str, value: Value) -> Listed:
    if isinstance(value, list):
        return Listed(role, name, f"sequence of {len(value)}", "; ".join(_elements(part) for part in value[:4]))
    label = "absent" if value is None else tensor_label(value.element_type, value.shape)
    return Listed(role, name, label, _elements(value))


def _elements(value: Value) -> str:
    if not isinstance(value, Tensor):
        return "absent" if value is None else "…"
    try:
        flat = to_numpy(value).reshape(-1)
    except TensorError as error:
        return str(error)
    first = [_element(item) for item in flat[:_ELEMENTS].tolist()]
    rest = f" … {flat.size - _ELEMENTS:,} more" if flat.size > _ELEMENTS else ""
    return (" ".join(first) if first else "empty") + rest


def _element(item: object) -> str:
    if isinstance(item, float):
        return f"{item:.9g}"
    text = repr(item) if isinstance(item, str | bytes) else str(item)
    return text if len(text) <= 40 else f"{text[:39]}…"
