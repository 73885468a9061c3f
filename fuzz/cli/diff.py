"""`fuzz diff`: judge what was executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, Number, echo, jobs_option, json_option, print_json, root_option
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from fuzz.judge.judge import Oracle
    from fuzz.judge.run import Judgement

__all__ = ["command", "oracle_from", "oracle_options"]


def oracle_options(function: click.decorators.FC) -> click.decorators.FC:
    """`--oracle --rtol --atol`, shared with `check`."""
    for option in (
        click.option("--atol", type=Number(0), metavar="A", help="Of allclose.  [default: 1e-5]"),
        click.option("--rtol", type=Number(0), metavar="R", help="Of allclose.  [default: 1e-3]"),
        click.option(
            "--oracle",
            type=click.Choice(["bound", "allclose"]),
            default="bound",
            show_default=True,
            help="bound: an error bound computed for every element of the case. "
            "allclose: |a-b| <= A + R*|b|, one tolerance for all.",
        ),
    ):
        function = option(function)
    return function


def oracle_from(oracle: str, rtol: float | None, atol: float | None, against: str | None = None) -> Oracle:
    """The oracle that the options ask for; UsageError where they do not fit each other."""
    from fuzz.execute.target import canonical_text
    from fuzz.judge.judge import Oracle

    if oracle == "allclose":
        against = against and canonical_text(against)
        chosen = Oracle("allclose", against=against)
        return Oracle(
            "allclose",
            chosen.rtol if rtol is None else rtol,
            chosen.atol if atol is None else atol,
            against,
        )
    for name, value in (("--rtol", rtol), ("--atol", atol), ("--against", against)):
        if value is not None:
            raise UsageError(f"{name} goes with --oracle allclose: the bound is computed for each case")
    return Oracle("bound")


@click.command()
@root_option
@oracle_options
@click.option("--against", metavar="TARGET", help="Of allclose: compare with this target, not the reference.")
@click.option(
    "--html",
    type=FilePath(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page with the verdicts, the findings and a picture of each graph.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Run what is wrong again, in pieces, and name the node at which it parts from the reference.",
)
@jobs_option
@json_option
def command(
    root: Path,
    oracle: str,
    rtol: float | None,
    atol: float | None,
    against: str | None,
    html: Path | None,
    explain: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Judge the executed cases of a root.

    Each output is compared with an fp64 reference within an error bound that is computed for the case,
    element by element. Exit code 1 means findings: wrong, nondeterministic, slow, rejected, crash, timeout
    or oom.

    --json prints {cases, verdicts: {TARGET: {ok, suspect, wrong, ...}}, findings: [{case, target, verdict,
    data_set, output, index, expected, actual, bound, bound_ratio, node, message, oracle}]}.
    """
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.tables import console, print_findings, verdict_json, verdict_table
    from fuzz.judge.run import judge_root

    chosen = oracle_from(oracle, rtol, atol, against)
    with progress_bar("judging", len(find_cases(root))) as progress:
        judgement = judge_root(root, chosen, jobs=jobs or len(os.sched_getaffinity(0)), progress=progress)
    if explain:
        judgement = _explained(root, judgement)
    if html is not None:
        from fuzz.report.page import write_page

        write_page(html, root, judgement.verdicts)
    findings = judgement.findings
    if as_json:
        print_json(
            {
                "cases": judgement.cases,
                "verdicts": judgement.counts,
                "findings": [verdict_json(finding) for finding in findings],
            }
        )
    else:
        out = console()
        out.print(verdict_table(judgement.counts))
        print_findings(out, findings, remedy="see --json or --html FILE")
    if html is not None:
        echo(f"page: {html}")
    return 1 if findings else 0


def _explained(root: Path, judgement: Judgement) -> Judgement:
    """The same with the nodes of wrong answers; the store gets them too."""
    from dataclasses import replace

    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.targets import read_targets
    from fuzz.execute.worker import Limits
    from fuzz.explain import EXPLAINED, Explainer
    from fuzz.judge.verdict import REFERENCE
    from fuzz.store import Store

    wanted = [v for v in judgement.verdicts if v.verdict in EXPLAINED and v.oracle == REFERENCE]
    targets = read_targets(tuple(sorted({v.target for v in wanted})))
    cases = {case.id: case for case in find_cases(root)}
    nodes = {}
    with Explainer(targets, Limits(60.0, 4 << 30)) as explainer, progress_bar("explaining", len(wanted)) as advance:
        for verdict in explainer.with_nodes(cases, wanted):
            nodes[verdict.case, verdict.target] = verdict
            advance(1)
    with Store.open(root) as store:
        store.record_verdicts(nodes.values())
    verdicts = (nodes.get((v.case, v.target), v) if v.oracle == REFERENCE else v for v in judgement.verdicts)
    return replace(judgement, verdicts=tuple(verdicts))
