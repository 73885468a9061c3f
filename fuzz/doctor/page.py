"""docs/backends.md: the repository's tables for a reader."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backends.registry import BACKENDS
from fuzz.doctor.examination import FAILING, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.entry import Entry
    from fuzz.doctor.table import Table

__all__ = ["page"]

_HEAD = """\
# Backends

Made by `make campaign-doctor`; do not edit. Each backend ran ONNX's own tests (all that the installed onnx brings:
every operator of the standard, training, strings, ai.onnx.ml) and six small graphs of our generator, in worker
processes, on the CPU, on one thread, with its default options unless its section says otherwise. The answers were
judged by our own reference and its error bound; the outputs that ONNX's tests expect are the second opinion. Where ONNX
itself is at fault stands in [disputes](disputes.md).

- pass: within the bound; *suspect*: within four times the bound; *undecidable*: random, or left open by the
  specification; *dispute*: differs from the reference and is what ONNX's test expects
- unsupported: the backend says so in its own words
- wrong, rejected (a valid model is refused, or an assertion of its own fails), crash, timeout, oom: the backend's own
  failures, listed below
- error: fuzz itself failed
"""
_NO_COUNT = "·"


def page(tables: Sequence[Table]) -> str:
    """The whole page."""
    return "\n".join((*_overview(tables), *(line for table in tables for line in _section(table)))) + "\n"


def _overview(tables: Sequence[Table]) -> Iterator[str]:
    yield _HEAD
    shown = [result for result in Result if any(table.counts[result] for table in tables) or result in _ALWAYS]
    yield "| backend | version | " + " | ".join(result.value for result in shown) + " | all | CPU seconds |"
    yield "|---|---|" + "--:|" * (len(shown) + 2)
    for table in tables:
        counts = " | ".join(f"{table.counts[result]:,}" if table.counts[result] else _NO_COUNT for result in shown)
        name = f"[{table.backend}](#{table.backend.lower()})"
        yield f"| {name} | {table.version} | {counts} | {table.tests:,} | {table.seconds:,.0f} |"
    yield ""
    releases = sorted({table.onnx for table in tables})
    yield (
        f"Tests of onnx {', '.join(releases)}. CPU seconds: compiling and running all tests, without the judge and the "
        "start of workers."
    )


_ALWAYS = frozenset({Result.PASSED, Result.UNSUPPORTED, Result.WRONG, Result.REJECTED, Result.CRASH, Result.TIMEOUT})


def _section(table: Table) -> Iterator[str]:
    yield ""
    yield f"## {table.backend}"
    yield ""
    if table.target != table.backend:
        yield f"Measured as `{table.target}`."
        yield ""
    if table.suite == "quick":
        yield f"The quick tests alone, {table.tests}: about one an operator."
        yield ""
    entry = BACKENDS.get(table.backend)
    if entry is not None:
        yield from _row(entry)
    yield from _failures(table)


def _row(entry: Entry) -> Iterator[str]:
    """What of it can be set, as the registry says."""
    if len(entry.devices) > 1:
        yield f"- devices: {', '.join(entry.devices)}"
    for option in entry.options:
        yield f"- `{option.name}` = {_escaped(option.allowed)}: {_escaped(option.purpose)}"
    for knob in entry.knobs:
        values = f" = {' or '.join(knob.values)}" if knob.values else ""
        values += ", and .NUMBER" if knob.counted else ""
        yield f"- switches off {_escaped(knob.switches_off)}: `{knob.option}`{values}"
    if entry.options or entry.knobs or len(entry.devices) > 1:
        yield ""


def _failures(table: Table) -> Iterator[str]:
    failed = sum(table.counts[result] for result in FAILING)
    if not failed:
        yield "No failure of its own."
        return
    lines = table.lines()
    yield f"Its own failures, {failed:,}:"
    yield ""
    grouped: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, failure in sorted(table.failures.items()):
        line = lines.get(name)
        key = (failure.result.value, line) if line is not None else (failure.result.value, f"> {failure.message}")
        grouped[key].append(name)
    for (result, line), names in sorted(grouped.items(), key=lambda item: (item[0][1].startswith("> "), item[0])):
        told = line.removeprefix("> ")
        text = _escaped(line) if told == line else f"`{told.replace('`', chr(39))}`"
        yield f"- {result}: {text} ({', '.join(names)})"


def _escaped(text: str) -> str:
    """Text in which Markdown sees no markup."""
    for character in "\\*<>|[]":
        text = text.replace(character, f"\\{character}")
    return text
