"""A case as source: its model, its inputs and what is due, in the script itself or in files beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backends.tensor import Tensor, from_numpy, to_numpy
from fuzz.repro.literal import array_text, model_text, number_text
from fuzz.repro.script import Content
from fuzz.values import encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.tensor import Value
    from fuzz.repro.due import Due
    from fuzz.triage.candidate import Candidate

__all__ = ["content_of"]


def content_of(case: Candidate, due: Sequence[Sequence[Due]], *, embed: bool = True) -> Content:
    """The source of a case: small things written out if ``embed``, all others read from files."""
    files: dict[str, bytes] = {}
    sets, rows = [], []
    for number, feed in enumerate(case.feeds):
        place = f"test_data_set_{number}"
        sets.append(_inputs(place, list(feed.items()), files, embed=embed))
        rows.append(tuple(_row(place, at, each, files) for at, each in enumerate(due[number])))
    listed = any(each.name.endswith("]") for each in due[0])
    return Content(_model(case, files, embed=embed), tuple(sets), tuple(rows), listed, files)


def _model(case: Candidate, files: dict[str, bytes], *, embed: bool) -> str:
    found = model_text(case.proto()) if embed else None
    if found is None:
        files["model.onnx"] = case.model
        return 'MODEL = read("model.onnx")'
    text, apart = found
    lines = [f'MODEL = onnx.parser.parse_model("""\n{text}\n""")']
    for name, array in apart:
        lines.append(f'MODEL.graph.initializer.append(onnx.numpy_helper.from_array({array}, "{name}"))')
    return "\n".join(lines)


def _inputs(place: str, feed: list[tuple[str, Value]], files: dict[str, bytes], *, embed: bool) -> str:
    """A dictionary of inputs by name."""
    written = []
    for at, (name, value) in enumerate(feed):
        text = _text(value) if embed else None
        if text is None:
            # A file does not say that it holds a list: its name does.
            path = f"{place}/{'list' if isinstance(value, list) else 'input'}_{at}.pb"
            files[path] = encode_value(name, value)
            text = f'read("{path}")'
        written.append(f'    "{name}": {text},\n')
    return "{\n" + "".join(written) + "}" if written else "{}"


def _text(value: Value) -> str | None:
    if value is None:
        return "None"
    if isinstance(value, list):
        parts = [_text(part) for part in value]
        return None if None in parts else f"[{', '.join(map(str, parts))}]"
    return array_text(to_numpy(value), 4)


def _row(place: str, at: int, due: Due, files: dict[str, bytes]) -> str:
    """What is due of one tensor."""
    if due.value is None:
        return f'("{due.name}", "", None, None)'
    value = array_text(due.value, 4) or _file(f"{place}/due_{at}.pb", due.value, files)
    limits = _readable(due.tolerance)
    uniform = bool(limits.size) and bool(np.all(limits == limits.flat[0]))
    tolerance = number_text(float(limits.flat[0])) if uniform else array_text(limits, 4)
    if tolerance is None:
        tolerance = _file(f"{place}/tolerance_{at}.pb", limits, files)
    return f'("{due.name}", "{due.kind}", {value}, {tolerance})'


def _readable(limits: Any) -> Any:
    """Tolerances with three digits, not below what they were."""
    rounded = [float(f"{1.005 * limit:.2e}") if 0 < limit < np.inf else float(limit) for limit in limits.flat]
    return np.array(rounded).reshape(limits.shape)


def _file(path: str, array: Any, files: dict[str, bytes]) -> str:
    held: Tensor = from_numpy(array)
    files[path] = encode_value("", held)
    return f'read("{path}")'
