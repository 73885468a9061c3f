"""`fuzz selftest`: does the judge invent, does it sleep?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from fuzz.selftest.run import Tally

__all__ = ["command"]

_SHOWN = 10


@click.command()
@click.option("--null", is_flag=True, help="Judge legal recomputations of the reference: nothing may be wrong.")
@click.option(
    "--count", type=click.IntRange(1), default=200, show_default=True, metavar="N", help="Cases of the null runs."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="S", help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes. Default: one a core.")
@json_option
def command(null: bool, count: int, seed: int, jobs: int | None, as_json: bool) -> int:
    """Test the judge itself.

    Null runs recompute generated cases by other legal means (sums in other orders, other accumulators, last bits
    moved within what maths libraries promise) and judge them like a backend: a value that is called wrong is a
    fault of the judge, and makes exit code 1.

    --json prints {cases, judged, ok, suspect, wrong, undecidable}.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.selftest.run import null_run

    del null  # the only test there is so far; the flag says what is meant
    with progress_bar("null runs", count) as progress:
        workers = jobs or len(os.sched_getaffinity(0))
        tally = null_run(range(seed, seed + count), jobs=workers, progress=progress)
    result = tally.to_json()
    if as_json:
        print_json(result)
    else:
        click.echo("  ".join(f"{name} {number:,}" for name, number in result.items()))
        _print_culprits(tally)
    return 1 if result["wrong"] else 0


def _print_culprits(tally: Tally) -> None:
    for culprit in tally.culprits[:_SHOWN]:
        found = culprit.comparison
        click.echo(
            f"seed {culprit.seed}, {culprit.method}: {culprit.operator} on {culprit.dtype} ({culprit.node}): "
            f"{found.word.value}, {found.actual} for {found.expected} ± {found.bound}"
        )
