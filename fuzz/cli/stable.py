"""`fuzz stable`: does a target answer the same each time?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fuzz.cli.options import (
    Names,
    backends_option,
    jobs_option,
    json_option,
    memory_option,
    print_json,
    root_option,
    timeout_option,
)
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


@click.command()
@root_option
@backends_option("Where to run: NAME[==VERSION][:OPTION=VALUE,...][@DEVICE]. Repeat it for several.")
@click.option(
    "--only",
    type=Names(),
    metavar="WAY,...",
    help="Which ways to try: repeat, session, threads, heap, layout, buffers, once, neighbour. Default: all.",
)
@timeout_option("Seconds that one case may take in one way.")
@memory_option
@jobs_option
@json_option
def command(
    root: Path,
    backends: tuple[str, ...],
    only: tuple[str, ...] | None,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Run each case again in ways that must not matter, and compare.

    \b
    repeat     the same compiled model run again in the same session
    session    compiled anew in the same process, and in another one
    threads    other thread counts (1 against 2 and 4)
    heap       memory from the allocator filled with one byte or another
    layout     inputs that are misaligned, strided or transposed in memory
    buffers    output buffers that are bound once and filled before each run
    once       compiled once and run on several inputs, against compiled for each
    neighbour  after another model ran in the same process

    Results must be the same bit by bit; for threads and layout, where another order of summation is legal, within
    twice the case's error bound. A difference counts (nondeterministic) once it has come again in fresh workers;
    one that does not come again in five rounds is flaky. A crash, refusal or time-out that one way alone shows is
    told under its name. Verdicts go into the store: `fuzz diff` shows them too. Exit code 1 means findings.

    --json prints {cases, verdicts: {"TARGET WAY": {ok, nondeterministic, flaky, ...}}, findings: [as of diff]}.
    """
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.tables import console, print_findings, verdict_json, verdict_table
    from fuzz.cli.targets import read_targets
    from fuzz.stability.run import examine
    from fuzz.stability.way import WAYS
    from fuzz.store import Store

    for name in only or ():
        if name not in WAYS:
            raise UsageError(f"--only {name}: no such way; there are {', '.join(WAYS)}")
    ways = [way for way in WAYS.values() if only is None or way.name in only]
    targets = read_targets(backends)
    cases = find_cases(root)
    with Store.open(root, create=True) as store, progress_bar("varying", len(cases) * len(targets)) as advance:
        result = examine(
            cases, targets, ways, store=store, timeout=timeout, memory=memory, jobs=jobs, progress=advance
        )
    if result.interrupted:
        raise click.Abort
    findings = result.findings
    if as_json:
        found = [verdict_json(finding) for finding in findings]
        print_json({"cases": len(cases), "verdicts": result.counts, "findings": found})
    else:
        out = console()
        out.print(verdict_table(result.counts))
        print_findings(out, findings, remedy="see --json or `fuzz diff`")
    return 1 if findings else 0
