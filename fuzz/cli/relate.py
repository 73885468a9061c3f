"""`fuzz relate`: pairs of models or runs that must agree."""

from __future__ import annotations

import os
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

    from fuzz.relations.run import Related

__all__ = ["command"]


def _list(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print every relation and end."""
    if value and not ctx.resilient_parsing:
        from fuzz.relations.prepare import relation_names

        for name, summary in relation_names().items():
            click.echo(f"{name:<40} {summary}")
        ctx.exit()


@click.command()
@root_option
@backends_option("Where to run, such as tvm or onnxruntime:opt=1. Repeat it for several.")
@click.option(
    "--only",
    type=Names(),
    metavar="RELATION,...",
    help="Only these relations, by family or in full, such as batch or metamorphic:transpose-twice.  [default: all]",
)
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the relations and end."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Decides which rewrites a case gets, and where.")  # fmt: skip
@click.option("--rewrites", type=click.IntRange(min=1), default=4, show_default=True, metavar="N",
              help="Metamorphic variants of each case.")  # fmt: skip
@timeout_option("Seconds for one case on one target.")
@memory_option
@jobs_option
@json_option
def command(
    root: Path,
    backends: tuple[str, ...],
    only: tuple[str, ...] | None,
    seed: int,
    rewrites: int,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Compare each case of a root with others that must give the same on the same target.

    The two results may differ by the error bounds of both. Each pair gets a verdict with the relation for its oracle,
    which `fuzz diff` shows as well; variants that disagree are kept as cases in DIR/relations. Exit code 1 means
    findings: a broken relation, or a variant that is refused or crashes where the original runs.

    --json prints {cases, verdicts: {TARGET: {FAMILY: {ok, suspect, wrong, ...}}}, unused: {RELATION: {WHY: N}},
    findings: [as of diff]}.
    """
    from fuzz.case import find_cases
    from fuzz.check import Limits
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.targets import read_targets
    from fuzz.relations.prepare import Plan
    from fuzz.relations.run import relate

    plan = Plan(_known(only), seed, rewrites)
    targets = read_targets(backends)
    with progress_bar("relating", len(find_cases(root))) as progress:
        related = relate(
            root, targets, plan, limits=Limits(timeout, memory), jobs=jobs or len(os.sched_getaffinity(0)),
            progress=progress,
        )  # fmt: skip
    if related.interrupted:
        raise click.Abort
    if as_json:
        from fuzz.cli.tables import verdict_json

        print_json(
            {
                "cases": related.cases,
                "verdicts": related.counts,
                "unused": related.unused,
                "findings": [verdict_json(finding) for finding in related.findings],
            }
        )
    else:
        _print(related)
    return 1 if related.findings else 0


def _known(only: tuple[str, ...] | None) -> tuple[str, ...]:
    """The relations asked for; UsageError for one that does not exist."""
    from fuzz.relations.prepare import FAMILIES, relation_names

    for name in only or ():
        if name not in relation_names():
            raise UsageError(f"unknown relation {name!r}: see `fuzz relate --list`")
    return tuple(dict.fromkeys(only)) if only else tuple(FAMILIES)


def _print(related: Related) -> None:
    from fuzz.cli.tables import console, print_findings, verdict_table

    out = console()
    rows = {f"{target} {family}": words for target, found in related.counts.items() for family, words in found.items()}
    out.print(verdict_table(rows))
    for relation, reasons in related.unused.items():
        for reason, count in reasons.items():
            out.print(f"{relation} not used {count:,} times: {reason}", style="dim", highlight=False, markup=False)
    print_findings(out, related.findings, remedy="see --json; the variants are in the root's relations")
