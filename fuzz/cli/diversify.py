"""`fuzz diversify`: the graphs of a root at other sizes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import Names, jobs_option, json_option, print_json, root_option
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fuzz.diversify.run import Summary

__all__ = ["command"]


@click.command()
@root_option
@click.option("--count", type=click.IntRange(min=0), default=8, show_default=True, metavar="N",
              help="Models at other sizes for each case; there are fewer where its sizes are not free.")  # fmt: skip
@click.option("--specialise", is_flag=True,
              help="Also the static model of each data set of a dynamic case, as ID-static0, ...")  # fmt: skip
@click.option("--case", "only", type=Names(), metavar="ID,...", help="Of these cases alone.  [default: all]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S",
              help="Decides which sizes are tried. The same seed makes the same bytes.")  # fmt: skip
@click.option("--elements", type=click.IntRange(min=1), default=8192, show_default=True, metavar="N",
              help="The most elements that a tensor may have.")  # fmt: skip
@jobs_option
@json_option
def command(
    root: Path, count: int, specialise: bool, only: tuple[str, ...] | None, seed: int, elements: int,
    jobs: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Make static models of the graphs that `fuzz gen` made, at other sizes.

    A case's graph is made again from its case.json. z3 chooses sizes under its constraints that compilers trip over:
    the least and the greatest, 0 and 1, powers of two and multiples of vector widths with their neighbours, sizes that
    are equal or are not, strides that do not divide. Data is drawn anew, the reference evaluates all of it, and what is
    not valid there is dropped and counted. The models are cases of the same root, ID-1, ID-2, ..., for `fuzz exec`.

    \b
    fuzz gen --count 100 && fuzz diversify --count 4
    fuzz diversify --case 00000017 --count 100      at which sizes does this case fail?

    --json prints {root, cases, models, aims: {CLASS: N}, skipped: {WHY: N}, dropped: {WHY: N}, unanswered, seconds}.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.diversify.run import Request, chosen, diversify

    if not count and not specialise:
        raise UsageError("nothing is asked for: give a --count of at least 1, or --specialise")
    with progress_bar("cases", len(chosen(root, only or ()))) as progress:
        summary = diversify(
            root, Request(count, seed, specialise, elements), jobs=jobs or len(os.sched_getaffinity(0)),
            only=only or (), progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(summary.to_json())
    else:
        _print(summary)


def _print(summary: Summary) -> None:
    click.echo(f"{summary.models:,} models of {summary.cases:,} cases in {summary.root} ({summary.seconds:.1f} s)")
    if summary.aims:
        click.echo("aimed at: " + _counts(summary.aims))
    for why, count in sorted(summary.skipped.items()):
        click.echo(f"{count:,} cases not used: {why}")
    for why, count in sorted(summary.dropped.items()):
        click.echo(f"sizes dropped {count:,} times: {why}")
    if summary.unanswered:
        click.echo(f"{summary.unanswered:,} questions given up by z3")


def _counts(table: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(table.items(), key=lambda item: (-item[1], item[0])))
