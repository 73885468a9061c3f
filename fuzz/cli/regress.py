"""`fuzz regress`: the gate of CI."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import (
    FilePath,
    SeveralValues,
    backends_option,
    echo,
    jobs_option,
    json_option,
    memory_option,
    print_json,
    timeout_option,
)

if TYPE_CHECKING:
    from rich.console import Console

    from fuzz.execute.target import Target
    from fuzz.regress.expectations import Expectations
    from fuzz.regress.gate import Account
    from fuzz.regress.ruling import Result
    from fuzz.regress.update import Change

__all__ = ["command"]

_SHOWN = 20
_INTERRUPTED = 130


class _Regress(SeveralValues):
    several = ("--add",)


@click.command(cls=_Regress)
@click.argument("cases", type=FilePath(path_type=Path, file_okay=True))
@backends_option(
    "Where to run: NAME[==VERSION][:OPTION=VALUE,...][@DEVICE]. Repeat it for several.  [default: `targets` of the"
    " expectations]",
    required=False,
)
@click.option("--expectations", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="What is known to fail.  [default: CASES/expectations.toml, if it is there]")  # fmt: skip
@click.option("--junit", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write JUnit XML: a suite a target, a test a case.")  # fmt: skip
@click.option("--update", is_flag=True,
              help="Write what would make this run green into the expectations, and show it.")  # fmt: skip
@click.option("--add", "findings", type=FilePath(path_type=Path), multiple=True, metavar="FINDING",
              help="Copy a finding's case into CASES and expect it to fail. Without --backend nothing is run.",
              )  # fmt: skip
@timeout_option("Seconds that one case may take on one target, compiling included.")
@memory_option
@jobs_option
@json_option
def command(
    cases: Path,
    backends: tuple[str, ...],
    expectations: Path | None,
    junit: Path | None,
    update: bool,
    findings: tuple[Path, ...],
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Hold a folder of cases against what is expected of them: the gate of CI.

    CASES is a folder of standard ONNX test cases, a root of `fuzz gen` among them. Each is run on each target and
    judged against the fp64 reference, as `fuzz diff` does. expectations.toml in it says what is known to fail:

    \b
    [[xfail]]
    case = "max-int64*"             # a glob
    target = "onnxruntime"          # options and a device narrow it
    versions = "<1.33"              # PEP 440; left out: all
    verdict = "wrong"               # left out: however it fails
    reason = "Max of int64 compares the low 32 bits"
    link = "https://..."

    A failure that no entry expects is asked again in a fresh worker. What then does otherwise is flaky, and no
    failure. With `require = true` at its top what is unsupported fails too.

    \b
    fuzz regress cases --backend onnxruntime --junit regress.xml
    fuzz regress cases --backend onnxruntime --update
    fuzz regress cases --add fuzz-root/findings/ID

    Exit codes: 0 all as expected. 1 a new failure, an unexpected pass, or an entry that covers no case. 2 a target,
    a case or the harness failed to run, whatever the rest did.

    --json prints {cases, targets: {TARGET: {version, passed, expected, silent, failed, unexpected, error}},
    results: [{case, target, state, entry, seconds, verdict: {...}}], missing: {TARGET: WHY}, stale: [PLACE],
    passed_by: [PLACE], added: [FOLDER], written: FILE or null, interrupted}.
    """
    from fuzz.execute.attempt import Limits
    from fuzz.regress.expectations import FILE

    path = expectations or cases / FILE
    added = _add(cases, path, findings, backends) if findings else []
    if added and not backends:
        if as_json:
            print_json({"added": [str(folder) for folder, _ in added]})
        for folder, place in () if as_json else added:
            click.echo(f"{folder}, expected in {place}")
        return 0
    known = _read(path, missing_is_fine=expectations is None or update)
    account, targets = _run(cases, known, backends, Limits(timeout, memory << 20), jobs)
    if junit is not None:
        from fuzz.file import write_text
        from fuzz.regress.junit import junit as document

        write_text(junit, document(account, str(cases)), folder=True)
    change = _change(account, known, targets) if update and not account.interrupted else None
    if as_json:
        print_json({**_plain(account), "added": [str(folder) for folder, _ in added], "written": change and str(path)})
    else:
        _print(account, path, update=change is not None)
    left = account if change is None else _write(path, account, change, quiet=as_json)
    return _INTERRUPTED if account.interrupted else left.exit_code


def _add(cases: Path, path: Path, findings: tuple[Path, ...], backends: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Put findings among the cases; where each lies, and where the entry stands."""
    from fuzz.file import write_text
    from fuzz.regress.adding import add_finding
    from fuzz.regress.editing import edited
    from fuzz.regress.expectations import read_expectations, read_text

    before = read_text(path) if path.exists() else ""
    read_expectations(path, before)
    backend = backends[0] if len(backends) == 1 else None
    added = [add_finding(cases, finding, backend) for finding in findings]
    text = edited(path, before, (), [each.entry for each in added])
    write_text(path, text, folder=True)
    places = [entry.place for entry in read_expectations(path, text).entries[-len(added) :]]
    return [(each.folder, place) for each, place in zip(added, places, strict=True)]


def _read(path: Path, *, missing_is_fine: bool) -> Expectations:
    from fuzz.regress.expectations import Expectations, read_expectations

    return Expectations(path) if missing_is_fine and not path.exists() else read_expectations(path)


def _run(
    cases: Path, known: Expectations, backends: tuple[str, ...], limits: Any, jobs: int | None
) -> tuple[Account, list[Target]]:
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.targets import read_target
    from fuzz.errors import TargetError, UsageError
    from fuzz.execute.target import canonical_text
    from fuzz.regress.gate import run_gate

    texts = backends or known.targets
    if not texts:
        raise UsageError(f"nothing says where to run: give --backend TARGET, or targets = [...] in {known.path}")
    found = find_cases(cases)
    targets: dict[str, Target] = {}
    missing: dict[str, str] = {}
    for text in texts:
        try:
            target = read_target(text)
            targets[target.canonical] = target
        except TargetError as problem:
            missing[_canonical(canonical_text, text)] = str(problem)
    with progress_bar("asking", len(found) * len(targets)) as advance:
        account = run_gate(
            found, list(targets.values()), known, limits, missing=missing,
            jobs=jobs or len(os.sched_getaffinity(0)), progress=advance,
        )  # fmt: skip
    return account, list(targets.values())


def _canonical(read: Any, text: str) -> str:
    from fuzz.errors import TargetError

    try:
        return str(read(text))
    except TargetError:
        return text


# --- what is written -------------------------------------------------------------------------------------------------


def _change(account: Account, known: Expectations, targets: list[Target]) -> Change:
    from fuzz.regress.update import change_for

    return change_for(account, known, targets)


def _write(path: Path, account: Account, change: Change, *, quiet: bool) -> Account:
    """Show the change, and write it unless somebody at the terminal says no; what is left of the account then."""
    from difflib import unified_diff

    from fuzz.file import write_text
    from fuzz.regress.editing import edited
    from fuzz.regress.expectations import read_text
    from fuzz.regress.ruling import State

    before = read_text(path) if path.exists() else ""
    after = edited(path, before, change.removed, change.added)
    for entry in change.left:
        echo(f"{entry.place}: some of what it covers passes, some does not: narrow it by hand")
    if after == before:
        return account
    if not quiet:
        lines = unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="")
        click.echo("\n".join(lines))
        if sys.stdin.isatty() and not click.confirm(f"write {path}?", default=True, err=True):
            return account
    write_text(path, after, folder=True)
    echo(f"{path}: {len(change.added)} added, {len(change.removed)} deleted")
    gone = set(change.removed)
    kept = tuple(
        result for result in account.results
        if result.state is not State.FAILED and not (result.state is State.UNEXPECTED and result.entry in gone)
    )  # fmt: skip
    return replace(account, results=kept, stale=())


# --- what is shown ---------------------------------------------------------------------------------------------------


def _plain(account: Account) -> dict[str, Any]:
    from fuzz.regress.ruling import State

    targets: dict[str, dict[str, Any]] = {}
    for result in account.results:
        row = targets.setdefault(result.target, {"version": result.version, **{s.value: 0 for s in State}})
        row[result.state.value] += 1
    return {
        "cases": account.cases,
        "targets": targets,
        "results": [_plain_result(result) for result in account.results],
        "missing": dict(account.missing),
        "stale": [entry.place for entry in account.stale],
        "passed_by": [entry.place for entry in account.passed_by],
        "interrupted": account.interrupted,
    }


def _plain_result(result: Result) -> dict[str, Any]:
    from fuzz.cli.tables import verdict_json

    return {
        "case": result.case,
        "target": result.target,
        "state": result.state.value,
        "entry": result.entry and asdict(result.entry),
        "seconds": round(result.seconds, 3),
        "verdict": verdict_json(result.verdict),
    }


def _print(account: Account, path: Path, *, update: bool) -> None:
    from fuzz.cli.tables import console, verdict_table
    from fuzz.regress.ruling import State
    from fuzz.regress.words import result_lines

    out = console()
    if account.results:
        out.print(verdict_table(account.counts))
    told = [*account.errors, *account.red]
    for result in told[:_SHOWN]:
        _print_result(out, result, path, update=update)
    if len(told) > _SHOWN:
        out.print(f"... and {len(told) - _SHOWN:,} more: see --json or --junit FILE", markup=False)
    for entry in account.stale:
        _line(out, f"{entry.place}: no case is called {entry.case}: delete this entry", "bold red")
    for target, problem in account.missing.items():
        _line(out, f"{target} cannot run: {problem}", "bold red")
    for result in account.results:
        if result.state is State.SILENT and result.entry is not None:
            _line(out, f"{result.entry.place}: {'; '.join(result_lines(result))}", "dim")
    for entry in account.passed_by:
        _line(out, f"{entry.place}: no target is of the versions {entry.versions}: {entry.said}", "dim")
    out.print(_summary(account), markup=False, highlight=False)


def _print_result(out: Console, result: Result, path: Path, *, update: bool) -> None:
    from fuzz.regress.editing import block
    from fuzz.regress.ruling import State
    from fuzz.regress.update import entry_for
    from fuzz.regress.words import result_lines

    head, *rest = result_lines(result)
    _line(out, head, "bold red")
    for line in rest:
        _line(out, f"    {line}")
    if result.state is State.FAILED and not update:
        _line(out, f"    to expect it, --update writes into {path}:")
        for line in block(entry_for(result)).splitlines():
            _line(out, f"        {line}")


def _line(out: Console, line: str, style: str = "") -> None:
    from fuzz.cli.tables import printable

    out.print(printable(line), style=style, markup=False, highlight=False, soft_wrap=True)


def _summary(account: Account) -> str:
    from collections import Counter

    from fuzz.regress.ruling import State

    words = {
        State.PASSED: ("passed", "passed"),
        State.EXPECTED: ("failed as expected", "failed as expected"),
        State.SILENT: ("says nothing", "say nothing"),
        State.FAILED: ("new failure", "new failures"),
        State.UNEXPECTED: ("unexpected pass", "unexpected passes"),
        State.ERROR: ("could not be judged", "could not be judged"),
    }
    counts = Counter(result.state for result in account.results)
    always = {State.PASSED, State.FAILED, State.UNEXPECTED}
    shown = [state for state in words if counts[state] or state in always]
    parts = [f"{counts[state]:,} {words[state][counts[state] != 1]}" for state in shown]
    head = "interrupted: of " if account.interrupted else ""
    cases = f"{account.cases:,} case{'s' * (account.cases != 1)}"
    return f"{head}{cases}: {', '.join(parts)}"
