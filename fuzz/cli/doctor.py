"""`fuzz doctor`: is the harness sound, and what does each target do with ONNX's own tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import (
    FilePath,
    backends_option,
    default_root,
    echo,
    jobs_option,
    json_option,
    memory_option,
    print_json,
    timeout_option,
)
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from fuzz.doctor.comparison import Change, Comparison
    from fuzz.doctor.examination import Examined
    from fuzz.doctor.harness import Check
    from fuzz.doctor.suite import Suite
    from fuzz.execute.target import Target

__all__ = ["command"]

_SHOWN = 40
_STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


@click.command()
@backends_option(
    "What to examine, such as tvm or onnxruntime:opt=0; repeat it for several."
    "  [default: every backend that is installed, as its table was measured]",
    required=False,
)
@click.option("--all", "every", is_flag=True, help="All tests, not only about one an operator. Goes on where it was.")
@click.option("--filter", "pattern", default="*", metavar="GLOB", help="Tests by name, e.g. 'test_conv*'.")
@click.option("--root", type=FilePath(path_type=Path, file_okay=True), metavar="DIR",
              help="Where tests and results are kept."
              "  [default: doctor in $FUZZ_ROOT, else ./fuzz-root/doctor]")  # fmt: skip
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="Write NAME.json for each backend, the explanations in it kept.")  # fmt: skip
@click.option("--page", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="With --out: write the tables that lie there as a page in Markdown. Alone: write the"
              " repository's tables, and end.")  # fmt: skip
@click.option("--force", is_flag=True, help="Execute again what has been executed already.")
@click.option("--rejudge", is_flag=True, help="Judge again what has been judged already.")
@timeout_option("Seconds that one test may take on one target, compiling included.")
@memory_option
@jobs_option
@json_option
def command(
    backends: tuple[str, ...],
    every: bool,
    pattern: str,
    root: Path | None,
    out: Path | None,
    page: Path | None,
    force: bool,
    rejudge: bool,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Examine the harness, and run ONNX's own tests and a few small graphs of the generator through each target.

    The answers are judged by the reference and its bound; what ONNX's tests expect is the second opinion. The
    result is compared with the repository's table of that backend: what fails by the backend's own fault is listed,
    and what is not as the table says.

    Exit codes: 0 all is as the table says; 1 something fails that does not in the table, or fuzz itself failed;
    2 misuse.

    --json prints {root, onnx, harness: [{name, state, detail}], targets: [{target, version, tests, seconds,
    counts, note, newly_failing, newly_passing, changed, failures, errors}], tables}.
    """
    from fuzz.cli.tables import console
    from fuzz.cli.targets import read_targets
    from fuzz.doctor.comparison import compare
    from fuzz.doctor.examination import Result, Settings
    from fuzz.doctor.table import load_table, table_of, write_table

    if out is not None and pattern != "*":
        raise UsageError("--out goes without --filter: a table is of all tests, or of all quick ones")
    if page is not None and out is None:
        return _only_page(page, alone=not (every or backends or pattern != "*"))
    targets = read_targets(backends or _installed())
    if out is not None and len({target.backend for target in targets}) < len(targets):
        raise UsageError("--out holds one table a backend: name each --backend once")
    output = None if as_json else console()
    checks, sound = _harness(targets, output)
    place = root or default_root() / "doctor"
    suite, found = _examine(
        place, sound, every, pattern, Settings(timeout, memory, jobs, force=force, rejudge=rejudge)
    )
    compared = [(one, compare(one, load_table(one.target.backend), suite.onnx, suite.quick)) for one in found]
    tables = [table_of(one, suite.onnx, "all" if every else "quick") for one in found]
    written = [str(write_table(table, out)) for table in tables] if out is not None else []
    if page is not None and out is not None:
        _write_page(page, out)
    if output is None:
        print_json({
            "root": str(place), "onnx": suite.onnx, "harness": [check.to_json() for check in checks],
            "targets": [_plain(one, comparison) for one, comparison in compared], "tables": written,
        })  # fmt: skip
    else:
        _print(output, compared)
    broken = [check.name for check in checks if check.state == "broken"]
    errors = sum(one.counts[Result.ERROR] for one in found)
    if broken or errors:
        what = [f"broken: {', '.join(broken)}"] if broken else []
        what += [f"{errors} tests ended in an error of fuzz itself, which is a bug of ours"] if errors else []
        echo(f"fuzz: the harness is not sound: {'; '.join(what)}")
    failing = any(comparison.failing for _, comparison in compared)
    return 1 if broken or errors or failing else 0


def _installed() -> tuple[str, ...]:
    """Every backend that can run here by its name alone, each as the repository's table has it."""
    from backends.registry import BACKENDS
    from fuzz.doctor.table import load_table
    from fuzz.errors import TargetError
    from fuzz.execute.target import parse_target

    texts = []
    for name in BACKENDS:
        table = load_table(name)
        text = name if table is None else table.target
        try:
            parse_target(text)
        except TargetError:
            continue
        texts.append(text)
    return tuple(texts)


def _harness(targets: Sequence[Target], output: Console | None) -> tuple[list[Check], list[Target]]:
    """The checks, printed as they come, and the targets whose workers start."""
    from fuzz.cli.tables import printable
    from fuzz.doctor.harness import check_harness, check_target

    checks, sound = [], []

    def take(check: Check) -> None:
        checks.append(check)
        if output is not None:
            output.print(f"[{_STYLES[check.state]}]{check.state:<6}[/] ", end="")
            output.print(printable(f"{check.name}: {check.detail}"), markup=False, highlight=False, soft_wrap=True)

    for check in check_harness():
        take(check)
    for target in targets:
        take(check_target(target))
        if checks[-1].state == "ok":
            sound.append(target)
    return checks, sound


def _examine(
    root: Path, targets: Sequence[Target], every: bool, pattern: str, settings: Any
) -> tuple[Suite, list[Examined]]:
    from fuzz.cli.progress import progress_bar
    from fuzz.doctor.examination import examine
    from fuzz.doctor.suite import open_suite

    with progress_bar("writing the tests", None) as advance:
        suite = open_suite(root, progress=advance)
    cases = suite.chosen(every=every, pattern=pattern)
    if not targets:
        return suite, []
    with progress_bar("executing and judging", len(cases) * (len(targets) + 1)) as advance:
        return suite, examine(root, cases, targets, settings, executed=advance, judged=advance)


def _only_page(page: Path, *, alone: bool) -> int:
    from fuzz.doctor.table import FOLDER

    if not alone:
        raise UsageError("--page goes with --out, or alone: it shows tables, and a run writes none without --out")
    _write_page(page, FOLDER)
    return 0


def _write_page(page: Path, folder: Path) -> None:
    from fuzz.doctor.page import page as text
    from fuzz.doctor.table import load_tables
    from fuzz.errors import StorageError

    try:
        page.write_text(text(load_tables(folder)), encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"cannot write {page}: {problem.strerror}") from None


def _plain(one: Examined, comparison: Comparison) -> dict[str, Any]:
    from fuzz.doctor.examination import Result

    return {
        "target": one.target.canonical, "version": one.target.version, "tests": len(one.tests),
        "seconds": round(one.seconds, 3), "counts": {result.value: n for result, n in one.counts.items()},
        **comparison.to_json(),
        "errors": [{"test": test.name, "message": test.message} for test in one.of(Result.ERROR)],
    }  # fmt: skip


# -- for a person ----------------------------------------------------------------------------------------------------


def _print(output: Console, compared: Sequence[tuple[Examined, Comparison]]) -> None:
    from fuzz.doctor.examination import Result

    if not compared:
        return
    output.print()
    output.print(_table([one for one, _ in compared]))
    for one, comparison in compared:
        errors = [f"{test.name}: {test.message}" for test in one.of(Result.ERROR)]
        parts = (
            ("errors of fuzz itself", errors),
            ("its own failures", _failures(comparison)),
            ("newly failing", _changes(comparison.failing)),
            ("newly passing", _changes(comparison.passing)),
            ("changed", _changes(comparison.changed)),
        )
        if comparison.note or any(lines for _, lines in parts):
            output.print(f"\n{one.target.canonical} {one.target.version}", style="bold", markup=False, highlight=False)
        if comparison.note:
            output.print(comparison.note, style="yellow", markup=False, highlight=False)
        for title, lines in parts:
            _print_lines(output, title, lines)


def _table(found: Sequence[Examined]) -> Any:
    from rich.table import Table

    from fuzz.cli.tables import printable
    from fuzz.doctor.examination import Result

    always = {Result.PASSED, Result.UNSUPPORTED, Result.WRONG, Result.REJECTED, Result.CRASH, Result.TIMEOUT}
    shown = [result for result in Result if result in always or any(one.counts[result] for one in found)]
    table = Table("target", "version", box=None, pad_edge=False, header_style="bold")
    for column in (*(result.value for result in shown), "all", "CPU s"):
        table.add_column(column, justify="right")
    for one in found:
        counts = (f"{one.counts[result]:,}" if one.counts[result] else "·" for result in shown)
        name, version = printable(one.target.canonical), printable(one.target.version)
        table.add_row(name, version, *counts, f"{len(one.tests):,}", f"{one.seconds:.1f}")
    return table


def _failures(comparison: Comparison) -> list[str]:
    """A line a failure; those that one explanation covers share theirs."""
    grouped: dict[str, list[str]] = {}
    for test, line in comparison.lines:
        grouped.setdefault(f"{test.result.value}: {line}", []).append(test.name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {line}"
        for line, names in sorted(grouped.items(), key=lambda item: item[1])
    ]


def _changes(changes: Sequence[Change]) -> list[str]:
    return [
        f"{c.test.name}: {c.before.value} in the table, {c.test.result.value} here"
        + (f": {c.test.message}" if c.test.message else "")
        for c in changes
    ]


def _print_lines(output: Console, title: str, lines: Sequence[str]) -> None:
    from fuzz.cli.tables import printable

    if not lines:
        return
    output.print(f"{title}:", markup=False)
    for line in lines[:_SHOWN]:
        output.print(f"    {printable(line)}"[:300], markup=False, highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        output.print(f"    ... and {len(lines) - _SHOWN:,} more: see --json", markup=False)
