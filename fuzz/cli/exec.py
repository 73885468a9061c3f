"""`fuzz exec`: run the cases of a root on real compilers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fuzz.cli.options import (
    backends_option,
    jobs_option,
    json_option,
    memory_option,
    print_json,
    root_option,
    timeout_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backends.protocol import Outcome
    from fuzz.execute.run import Summary

__all__ = ["command"]


@click.command()
@root_option
@backends_option(
    "Where to run: NAME[==VERSION][:OPTION=VALUE,...][@DEVICE], such as tvm, onnxruntime:opt=0 or"
    " onnxruntime==1.20.1, which is installed where it is missing. Repeat it for several; they run side by side."
    " `fuzz backends` lists the names and what they take.",
)
@timeout_option("Seconds that one case may take on one target, compiling included.")
@memory_option
@click.option("--total-memory", type=click.IntRange(min=1), metavar="MB",
              help="Resident memory that all workers together may use: fewer run side by side.  [default: no limit]",
              )  # fmt: skip
@jobs_option
@click.option("--force", is_flag=True, help="Execute again what has been executed already.")
@click.option("--stacks/--no-stacks", default=True, show_default=True,
              help="Keep native stacks of crashes and time-outs that repeat, where gdb is installed.")  # fmt: skip
@json_option
def command(
    root: Path,
    backends: tuple[str, ...],
    timeout: float,
    memory: int,
    total_memory: int | None,
    jobs: int | None,
    force: bool,
    stacks: bool,
    as_json: bool,
) -> None:
    """Run the cases of a root on compilers, each in worker processes of its own.

    A crash, a time-out or an excess of memory ends the worker and not the run; it counts when it has happened
    twice. What has been executed is not executed again, so an interrupted run goes on where it was.

    Exit codes: 0 everything was executed, whatever came of it (`fuzz diff` judges); 2 misuse.

    --json prints {"targets": {TARGET: {ok, unsupported, rejected, crash, timeout, oom, error}}}: how many
    of the root's cases have each outcome.
    """
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.targets import read_targets
    from fuzz.execute.run import execute
    from fuzz.store import Store

    if total_memory is not None and total_memory < memory:
        raise click.UsageError(f"--total-memory {total_memory} has no room for one worker: --memory is {memory}")
    targets = read_targets(backends)
    cases = find_cases(root)
    with Store.open(root, create=True) as store, progress_bar("executing", len(cases) * len(targets)) as advance:
        summary = execute(
            cases, targets, store=store, timeout=timeout, memory=memory, total_memory=total_memory, jobs=jobs,
            force=force, stacks=stacks, progress=lambda _target, _outcome: advance(1),
        )  # fmt: skip
    if summary.interrupted:
        raise click.Abort
    if as_json:
        print_json({"targets": _plain(summary.outcomes)})
    else:
        _print_table(summary)


def _plain(outcomes: Mapping[str, Mapping[Outcome, int]]) -> dict[str, dict[str, int]]:
    return {target: {outcome.value: n for outcome, n in row.items()} for target, row in outcomes.items()}


def _print_table(summary: Summary) -> None:
    from rich.table import Table

    from backends.protocol import Outcome
    from fuzz.cli.tables import console, printable

    shown = [o for o in Outcome if o is Outcome.OK or any(row[o] for row in summary.outcomes.values())]
    table = Table("target", box=None, pad_edge=False, header_style="bold")
    for outcome in shown:
        table.add_column(outcome.value, justify="right")
    for target, row in summary.outcomes.items():
        table.add_row(printable(target), *(f"{row[outcome]:,}" if row[outcome] else "·" for outcome in shown))
    output = console()
    output.print(table)
    output.print(f"{summary.executed:,} executed now, {summary.skipped:,} before", style="dim", highlight=False)
