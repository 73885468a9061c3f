"""`fuzz run`: generate, execute, judge, reduce, in a loop."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

import click

from fuzz.cli.generator import Wishes, generator_options, read_settings
from fuzz.cli.options import (
    Number,
    SeveralValues,
    backends_option,
    echo,
    jobs_option,
    json_option,
    memory_option,
    print_json,
    root_option,
    timeout_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.run import Hands
    from fuzz.execute.target import Target

__all__ = ["command"]


class _Run(SeveralValues):
    several = ("--for",)


@click.command(cls=_Run)
@root_option
@backends_option(
    "What is tested: NAME[==VERSION][:OPTION=VALUE,...][@DEVICE], as `fuzz exec` takes it. Repeat it for several:"
    " each case runs on all of them.",
    required=False,
)
@click.option("--baseline", metavar="TARGET", help="With --candidate, in place of --backend: the target that is held "
              "against the candidate, as it was: `onnxruntime==1.20.1`.")  # fmt: skip
@click.option("--candidate", metavar="TARGET", help="Each case runs on both, and only what this one does worse than "
              "the baseline is a finding: what the baseline gets right, or fails with otherwise.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S",
              help="The first seed; one case a seed, the one that `fuzz gen` makes until findings steer.")  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="How many seeds.  [default: no end]")
@click.option("--time", "seconds", type=Number(min=0, min_open=True), metavar="S",
              help="Begin no case after so many seconds; what has failed by then is made small.  "
              "[default: no end]")  # fmt: skip
@click.option("--target-findings", "wanted", type=click.IntRange(min=1), metavar="N",
              help="Stop when there are so many distinct findings.  [default: no end]")  # fmt: skip
@click.option("--budget", "budgets", multiple=True, metavar="TARGET=AMOUNT",
              help="CPU time that a target may take: seconds in all (tvm=600), or its share of what all of them take "
              "(tvm=25%). Repeat it for several.  [default: all are asked about each case]")  # fmt: skip
@generator_options
@click.option("--steer/--no-steer", "steers", default=True, show_default=True,
              help="Make rarer what known findings begin at, so that others show.")  # fmt: skip
@click.option("--novelty/--no-novelty", default=False, show_default=True,
              help="Ask targets for what they made of one case in four (the graph that is left, passes, kernels), and "
              "make half of the cases of those that showed something new.")  # fmt: skip
@click.option("--reduce/--no-reduce", "reduces", default=True, show_default=True,
              help="Make each failing case small, which also tells one bug from another. Without it each keeps the "
              "case as it was generated, for `fuzz reduce` to make small.")  # fmt: skip
@click.option("--blame/--no-blame", "blames", default=False, show_default=True,
              help="Ask of each finding which switches of its target it needs, as `fuzz blame` does.")  # fmt: skip
@timeout_option("Seconds that one case may take on one target, compiling included.")
@memory_option
@click.option("--ray", "cluster", metavar="auto|HOST:PORT",
              help="Work on all nodes of a Ray cluster, with --jobs processes on each: the one that runs here or that "
              "$RAY_ADDRESS names, or one by its address.")  # fmt: skip
@jobs_option
@json_option
def command(
    root: Path,
    backends: tuple[str, ...],
    baseline: str | None,
    candidate: str | None,
    seed: int,
    count: int | None,
    seconds: float | None,
    wanted: int | None,
    budgets: tuple[str, ...],
    steers: bool,
    novelty: bool,
    reduces: bool,
    blames: bool,
    timeout: float,
    memory: int,
    cluster: str | None,
    jobs: int | None,
    as_json: bool,
    **wishes: Unpack[Wishes],
) -> int:
    """Generate, execute, judge and reduce, case after case, on all cores.

    Goes on until Ctrl-C, unless --count, --time or --target-findings say when to stop. A case that passes costs a
    row in DIR/campaign.sqlite. A failing one is asked again in a fresh worker, reduced, and put with those that fail
    alike: DIR/findings/ID/ is a standard ONNX test case with its papers (`fuzz repro`). Of many that fail alike at the
    same operator and type the first three are reduced, then the 4th, 8th, 16th, ...; the others are assumed to be
    the same.

    The same command in the same DIR goes on where it was, after Ctrl-C as after a kill: what was finished is not
    run again. Other targets, versions, settings or another first seed are another campaign, beside it. A target that
    only crashes, hangs or refuses is asked about a few cases now and then, until it is better.

    \b
    fuzz run --backend onnxruntime --backend openvino --for onnxruntime openvino --time 3600
    fuzz run --backend tvm --for tvm --count 10000 --nodes 5-40
    fuzz run --baseline onnxruntime==1.20.1 --candidate onnxruntime --count 5000

    Exit codes: 0 nothing was found, 1 findings, 2 misuse, 130 interrupted.

    --json prints {root, campaign, cases, targets: {TARGET: {VERDICT: n}}, findings: [{id, target, seed, signature,
    pattern, nodes, first_seen, count, assumed}], problems: [{seed, problem}], operators, links, waiting, quarantined,
    spent}: all that the campaign has come to; with --baseline also gate: {baseline, candidate, changes: [{before,
    after, count}]}, how many cases have another verdict on the one than on the other. With --novelty also
    novelty: {features: {TARGET: n}, cases}, those that showed a new one.
    """
    from fuzz.campaign.budget import read_budgets
    from fuzz.campaign.campaign import Campaign
    from fuzz.campaign.ledger import Ledger
    from fuzz.campaign.run import run_campaign
    from fuzz.cli.campaign import display
    from fuzz.cli.targets import read_targets
    from fuzz.errors import UsageError
    from fuzz.execute.attempt import Limits

    settings = read_settings(wishes)
    held = read_targets(_pair(backends, baseline, candidate) or backends)
    if baseline and len(held) < 2:
        raise UsageError(f"--baseline and --candidate are the same target, {held[0].canonical}")
    targets = tuple(sorted(held, key=lambda target: target.canonical))
    names = [target.canonical for target in targets]
    amounts = read_budgets(budgets, names)
    limits = Limits(timeout, memory << 20)
    campaign = Campaign(settings, targets, limits, reduces, seed, steers, held[0] if baseline else None, novelty,
                        blames)  # fmt: skip
    workers = jobs or len(os.sched_getaffinity(0))
    with Ledger.open(root, campaign) as ledger:
        with _hands(cluster, campaign, root, jobs) as hands, display(ledger, names, count) as progress:
            schedule = run_campaign(
                campaign, root, ledger, count=count, seconds=seconds, findings=wanted, budgets=amounts, jobs=workers,
                hands=hands, progress=progress,
            )  # fmt: skip
        result = {"root": str(root), "campaign": campaign.digest, **ledger.to_json(), **schedule.to_json()}
        if baseline:
            result["gate"] = _gate(ledger, held)
    if as_json:
        print_json(result)
    else:
        _print(root, result)
    return 1 if result["findings"] else 0


@contextmanager
def _hands(cluster: str | None, campaign: Campaign, root: Path, jobs: int | None) -> Iterator[Hands | None]:
    """The nodes of a cluster; None where the processes of this machine do it all."""
    if cluster is None:
        yield None
        return
    from fuzz.cluster.connection import connected

    with connected(cluster):
        from fuzz.campaign.shelf import FINDINGS_FOLDER
        from fuzz.cluster.fleet import Fleet

        yield Fleet(campaign, root / FINDINGS_FOLDER, jobs, echo)


def _pair(backends: tuple[str, ...], baseline: str | None, candidate: str | None) -> tuple[str, ...]:
    """Baseline and candidate, or nothing where targets were named. Raises UsageError where neither makes sense."""
    from fuzz.errors import UsageError

    if (baseline is None) != (candidate is None):
        raise UsageError("--baseline and --candidate go together: the one is held against the other")
    if (baseline is None) == (not backends):
        raise UsageError("name what is tested: either --backend TARGET, once or more, or --baseline with --candidate")
    return () if baseline is None or candidate is None else (baseline, candidate)


def _gate(ledger: Ledger, held: tuple[Target, ...]) -> dict[str, Any]:
    before, after = (target.canonical for target in held)
    changes = [dict(zip(("before", "after", "count"), row, strict=True)) for row in ledger.changes(before, after)]
    return {"baseline": before, "candidate": after, "changes": changes}


def _print(root: Path, result: dict[str, Any]) -> None:
    from fuzz.cli.tables import console, printable, verdict_table
    from fuzz.judge.verdict import Word

    counts = {t: {word.value: row.get(word, 0) for word in Word} for t, row in result["targets"].items()}
    output = console()
    output.print(verdict_table(counts))
    for problem in result["problems"]:
        output.print(f"seed {problem['seed']}: {printable(problem['problem'])}", markup=False, highlight=False)
    for found in result["findings"]:
        output.print(
            f"{root}/findings/{found['id']}: {found['count']:,} x {printable(found['signature'])} on "
            f"{printable(found['target'])}, {found['nodes']} nodes: {printable(found['pattern'])}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    for target in result["quarantined"]:
        output.print(f"{printable(target)} fails on nearly everything and is asked seldom", highlight=False)
    for target in result["spent"]:
        output.print(f"{printable(target)} has used up its --budget and is not asked any more", highlight=False)
    for change in result.get("gate", {}).get("changes", ()):
        output.print(f"{change['before']} -> {change['after']}: {change['count']:,} cases", highlight=False)
    for target, count in result.get("novelty", {}).get("features", {}).items():
        output.print(f"{printable(target)} has shown {count:,} features of what it makes of models", highlight=False)
    output.print(f"{result['cases']:,} cases, {len(result['findings']):,} findings in {root}", highlight=False)
