"""`fuzz perf`: is a target slower than it should be?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, Number, echo, json_option, memory_option, print_json, root_option, timeout_option
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from fuzz.case import Case
    from fuzz.performance.comparison import Comparison
    from fuzz.performance.expectation import Expectation
    from fuzz.performance.measurement import Measurement, Plan

__all__ = ["command"]

_SUMMARISED = 10  # findings of a root whose distributions are shown


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False), required=False)
@root_option
@click.option("--backend", metavar="TARGET", help="Compare this target with its own unoptimised form.")
@click.option("--candidate", metavar="TARGET", help="What may be slow, such as tvm or tvm:python=NEW/bin/python.")
@click.option("--baseline", metavar="TARGET", help="What it is compared with, such as tvm:python=OLD/bin/python.")
@click.option("--only", type=click.Choice(["run", "compile", "growth"]), help="Measure this alone, not all three.")
@click.option("--pairs", type=click.IntRange(min=8), default=20, show_default=True, metavar="N",
              help="Samples of each side, taken in turns, of what is worth a long look.")  # fmt: skip
@click.option("--min-ratio", type=Number(min=1), default=1.5, show_default=True, metavar="R",
              help="Ratio of the medians from which on slower counts.")  # fmt: skip
@click.option("--min-ms", type=Number(min=0, min_open=True), default=1.0, show_default=True, metavar="MS",
              help="Difference of the medians from which on it counts.")  # fmt: skip
@click.option("--inputs", type=FilePath(path_type=Path), metavar="DIR",
              help="Of MODEL: folder with input_0.pb, ...  [default: those beside it, else made up]")  # fmt: skip
@click.option("--html", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a page with the distributions of both sides.")  # fmt: skip
@click.option("--predictor", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="Say which models take far from what this predictor of `fuzz corpus predict` expects.")  # fmt: skip
@timeout_option("Seconds for one compilation or run, and for all samples of one comparison.")
@memory_option
@json_option
def command(
    model: Path | None,
    root: Path,
    backend: str | None,
    candidate: str | None,
    baseline: str | None,
    only: str | None,
    pairs: int,
    min_ratio: float,
    min_ms: float,
    inputs: Path | None,
    html: Path | None,
    predictor: Path | None,
    timeout: float,
    memory: int,
    as_json: bool,
) -> int:
    """Measure the cases of a root, or one MODEL: is a target slower than it should be?

    run: slower than the baseline. compile: the compile time blows up against that of the model's parts, or, where
    both sides have the same options (two versions, two builds), against the baseline's. growth: the time grows over
    size faster than the count of operations and bytes. Cases are made larger until a run takes a millisecond.

    \b
    fuzz perf --backend onnxruntime
    fuzz perf --candidate tvm:python=NEW/bin/python --baseline tvm:python=OLD/bin/python
    fuzz perf model.onnx --backend tvm --html perf.html

    Both sides run in turns, each in its own process, one thread. Slow is what a rank test (p < 0.001), --min-ratio and
    --min-ms say, and say again in fresh processes. Verdicts go into the root's store, where `fuzz diff` shows them.
    Exit code 1 means findings.

    With --predictor the candidate's latency at the model's own size is compared with the predicted one. A model that
    is far off by the predictor's own error, in two processes, is told, with the node at which it leaves the
    prediction: its first nodes are timed by themselves. That is a hint and no finding.

    --json prints {candidate, baseline, cases, verdicts: {ORACLE: {ok, slow, ...}}, measurements: [{case, oracle,
    verdict, message, scale, comparisons: [{candidate, baseline, ratio, difference, p}], points: [{scale, operations,
    bytes, seconds}]}]}, times in seconds; with --predictor also expectations: [{case, why, measured, predicted,
    deviation, far, node, share, place: {node, operator, share}}], times in ms.
    """
    from fuzz.execute.worker import Limits
    from fuzz.judge.verdict import FINDINGS
    from fuzz.performance.comparison import Threshold
    from fuzz.performance.measurement import KINDS, Plan

    if html is not None:
        from fuzz.performance.figure import require_matplotlib

        require_matplotlib()
    if inputs is not None and model is None:
        raise UsageError("--inputs goes with a MODEL: the cases of a root have their own")
    first, second = _targets(backend, candidate, baseline)
    plan = Plan(
        first, second, (only,) if only else KINDS, Threshold(min_ratio, min_ms / 1e3), pairs,
        Limits(timeout, memory << 20),
    )  # fmt: skip
    expecting = None if predictor is None else _Expecting(predictor, plan)
    found = _of_model(model, inputs, plan, expecting) if model is not None else _of_root(root, plan, expecting)
    expected = expecting.found if expecting is not None else []
    if html is not None:
        from fuzz.performance.page import write_page

        write_page(html, found, plan.candidate.canonical, plan.baseline.canonical)
        echo(f"page: {html}")
    if as_json:
        told = {} if expecting is None else {"expectations": [one.to_json() for one in expected]}
        print_json(_plain(plan, found) | told)
    else:
        _print(plan, found)
        for one in expected:
            click.echo(one.text())
    return 1 if any(measurement.word in FINDINGS for measurement in found) else 0


def _targets(backend: str | None, candidate: str | None, baseline: str | None) -> tuple[Any, Any]:
    from fuzz.cli.targets import read_target, read_targets
    from fuzz.performance.baseline import unoptimised

    if backend is not None:
        if candidate is not None or baseline is not None:
            raise UsageError("--backend is compared with itself: give it alone, or --candidate and --baseline")
        first = read_target(backend)
        return first, read_target(unoptimised(first, "give --candidate TARGET --baseline TARGET"))
    if candidate is None or baseline is None:
        raise UsageError("say what to compare: --backend TARGET, or --candidate TARGET --baseline TARGET")
    both = read_targets((candidate, baseline))
    first, second = both[0], both[-1]
    if first.canonical == second.canonical:
        raise UsageError(f"--candidate and --baseline are the same: {first.canonical}")
    return first, second


class _Expecting:
    """What a predictor says of each case that it is shown."""

    def __init__(self, path: Path, plan: Plan) -> None:
        from fuzz.performance.expectation import predictor

        self.found: list[Expectation] = []
        self._fitted, self._plan = predictor(path), plan

    def look(self, case: Case) -> None:
        """Time a case and compare."""
        from threading import Event

        from fuzz.performance.expectation import expect

        self.found.append(expect(case, self._fitted, self._plan, Event()))


def _of_root(root: Path, plan: Plan, expecting: _Expecting | None) -> list[Measurement]:
    from fuzz.case import find_cases
    from fuzz.store import Store

    cases = find_cases(root)
    found = []
    with Store.open(root, create=True) as store:
        for measurements in _measured(cases, plan, expecting):
            store.record_verdicts([m.verdict(plan.candidate.canonical) for m in measurements])
            found.extend(measurements)
    return found


def _of_model(model: Path, inputs: Path | None, plan: Plan, expecting: _Expecting | None) -> list[Measurement]:
    from tempfile import TemporaryDirectory

    from fuzz.check import case_of

    with TemporaryDirectory(prefix="fuzz-perf-") as scratch:
        case = case_of(model, inputs, Path(scratch))
        return [m for measurements in _measured([case], plan, expecting) for m in measurements]


def _measured(cases: Sequence[Case], plan: Plan, expecting: _Expecting | None) -> Iterator[list[Measurement]]:
    from contextlib import closing

    from fuzz.cli.progress import progress_bar
    from fuzz.performance.run import measure

    with progress_bar("measuring", len(cases)) as progress, closing(measure(cases, plan)) as all_measured:
        for case, measurements in zip(cases, all_measured, strict=True):
            if expecting is not None:
                expecting.look(case)
            yield measurements
            progress(1)


# --- what is shown -----------------------------------------------------------------------------------------------


def _counts(found: Sequence[Measurement]) -> dict[str, dict[str, int]]:
    from fuzz.performance.measurement import ORACLES

    counts: dict[str, dict[str, int]] = {}
    for measurement in found:
        row = counts.setdefault(ORACLES[measurement.kind], {})
        row[measurement.word.value] = row.get(measurement.word.value, 0) + 1
    return counts


def _plain(plan: Plan, found: Sequence[Measurement]) -> dict[str, Any]:
    from fuzz.performance.measurement import ORACLES

    return {
        "candidate": plan.candidate.canonical,
        "baseline": plan.baseline.canonical,
        "cases": len({m.case for m in found}),
        "verdicts": _counts(found),
        "measurements": [
            {
                "case": m.case, "oracle": ORACLES[m.kind], "verdict": m.word.value, "message": m.message,
                "scale": m.scale, "comparisons": [_comparison(c) for c in m.comparisons],
                "points": [
                    {"scale": p.scale, "operations": p.operations, "bytes": p.bytes, "seconds": p.seconds}
                    for p in m.points
                ],
            }
            for m in found
        ],
    }  # fmt: skip


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "candidate": comparison.candidate, "baseline": comparison.baseline, "ratio": comparison.ratio,
        "difference": comparison.difference, "p": comparison.p,
    }  # fmt: skip


def _print(plan: Plan, found: Sequence[Measurement]) -> None:
    from rich.table import Table

    from fuzz.cli.tables import console, print_findings
    from fuzz.judge.verdict import FINDINGS, Word

    output = console()
    output.print(f"{plan.candidate.canonical} against {plan.baseline.canonical}", markup=False, highlight=False)
    counts = _counts(found)
    words = [w.value for w in Word if w in {Word.OK, Word.SLOW} or any(w.value in row for row in counts.values())]
    table = Table("oracle", box=None, pad_edge=False, header_style="bold")
    for word in words:
        table.add_column(word, justify="right")
    for oracle, row in counts.items():
        table.add_row(oracle, *(f"{row[word]:,}" if row.get(word) else "·" for word in words))
    output.print(table)
    shown = [m for m in found if m.word in FINDINGS or m.word is Word.FLAKY]
    one = len({m.case for m in found}) == 1
    print_findings(output, [m.verdict(plan.candidate.canonical) for m in shown], remedy="see --json or --html FILE")
    for measurement in found if one else shown[:_SUMMARISED]:
        _print_distribution(output, measurement, told=measurement in shown)


def _print_distribution(output: Console, measurement: Measurement, *, told: bool) -> None:
    """The two sides as boxes on one scale; of what was not told as a finding also why."""
    from fuzz.cli.tables import printable
    from fuzz.performance.summary import summary

    lines = summary(measurement)
    heading = f"{measurement.case} {measurement.kind}: {measurement.word.value}"
    if measurement.message and not told:
        heading += f", {measurement.message}"
    if lines or (measurement.message and not told):
        output.print(printable(heading), markup=False, highlight=False, soft_wrap=True)
    for line in lines:
        output.print(f"    {line}", markup=False, highlight=False, soft_wrap=True)
