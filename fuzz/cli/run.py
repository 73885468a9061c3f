"""`fuzz run`: generate, execute, judge, reduce, in a loop."""

from __future__ import annotations

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
    from collections.abc import Sequence
    from pathlib import Path

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
@click.option("--forever", is_flag=True, help="Work as a service: targets take turns, each by itself, and new releases "
              "of those without a version join in; DIR/days has a summary of each day.")  # fmt: skip
@click.option("--turn", type=Number(min=0, min_open=True), default=3600.0, show_default=True, metavar="S",
              help="With --forever: how long a turn is.")  # fmt: skip
@click.option("--metrics", metavar="[HOST:]PORT", help="Serve metrics for Prometheus there.")
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
    forever: bool,
    turn: float,
    metrics: str | None,
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
    fuzz run --backend onnxruntime --backend tvm --forever --metrics 9464

    With --forever it is a service: each target has a turn by itself (baseline and candidate have theirs together),
    goes on where it was when its turn comes again, and what DIR/service.json says survives a restart. SIGTERM ends it
    as Ctrl-C does.

    Exit codes: 0 nothing was found, 1 findings, 2 misuse, 130 interrupted.

    --json prints {root, campaign, cases, targets: {TARGET: {VERDICT: n}}, findings: [{id, target, seed, signature,
    pattern, nodes, first_seen, count, assumed}], problems: [{seed, problem}], operators, links, waiting, quarantined,
    spent}: all that the campaign has come to; with --baseline also gate: {baseline, candidate, changes: [{before,
    after, count}]}, how many cases have another verdict on the one than on the other. With --novelty also
    novelty: {features: {TARGET: n}, cases}, those that showed a new one.
    """
    from fuzz.campaign.budget import read_budgets
    from fuzz.campaign.campaign import Campaign
    from fuzz.cli.campaign import display
    from fuzz.cli.targets import read_targets
    from fuzz.errors import UsageError
    from fuzz.execute.attempt import Limits
    from fuzz.watch.metrics import exported
    from fuzz.watch.service import serve
    from fuzz.watch.turn import Observers, Wish, take_turn

    pair = _pair(backends, baseline, candidate)
    if forever and (count or seconds or wanted):
        raise UsageError("--forever has no end: leave out --count, --time and --target-findings")
    settings, limits = read_settings(wishes), Limits(timeout, memory << 20)
    held = read_targets(pair or backends)
    if baseline and len(held) < 2:
        raise UsageError(f"--baseline and --candidate are the same target, {held[0].canonical}")
    amounts = read_budgets(budgets, [target.canonical for target in held])

    def campaign_of(held: Sequence[Target]) -> Campaign:
        before = held[0] if baseline else None
        targets = tuple(sorted(held, key=lambda target: target.canonical))
        return Campaign(settings, targets, limits, reduces, seed, steers, before, novelty, blames)

    wish = Wish(root, jobs, cluster, count, turn if forever else seconds, wanted, amounts)
    with exported(metrics) as measured:
        observers = Observers(display, echo, measured)
        if forever:
            groups = [pair] if pair else [(target.canonical,) for target in held]
            serve(wish, groups, lambda texts: campaign_of(read_targets(texts)), observers, watches=not pair)
        result = take_turn(wish, campaign_of(held), observers)
    if as_json:
        print_json(result)
    else:
        _print(root, result)
    return 1 if result["findings"] else 0


def _pair(backends: tuple[str, ...], baseline: str | None, candidate: str | None) -> tuple[str, ...]:
    """Baseline and candidate, or nothing where targets were named. Raises UsageError where neither makes sense."""
    from fuzz.errors import UsageError

    if (baseline is None) != (candidate is None):
        raise UsageError("--baseline and --candidate go together: the one is held against the other")
    if (baseline is None) == (not backends):
        raise UsageError("name what is tested: either --backend TARGET, once or more, or --baseline with --candidate")
    return () if baseline is None or candidate is None else (baseline, candidate)


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
