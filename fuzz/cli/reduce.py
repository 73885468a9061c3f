"""`fuzz reduce`: a failing model made small."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, Number, jobs_option, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fuzz.case import Case
    from fuzz.execute.attempt import Limits
    from fuzz.performance.comparison import Threshold
    from fuzz.performance.timer import Subject
    from fuzz.triage.reduction import Reduction
    from fuzz.triage.search import Search
    from fuzz.triage.slowness import SlowPredicate

__all__ = ["command"]


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("test", nargs=-1, metavar="[-- COMMAND [ARG]...]")
@click.option("--backend", metavar="TARGET", help="Where the model fails, such as tvm or onnxruntime:opt=0.")
@click.option(
    "--inputs",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Folder with input_0.pb, input_1.pb, ...  [default: test_data_set_* beside the model, else made up]",
)
@click.option(
    "--out", type=FilePath(path_type=Path), metavar="DIR", required=True, help="Where the reduced case goes."
)
@click.option("--unstable", is_flag=True, help="It fails by answering otherwise from run to run, on a TARGET.")
@click.option("--slow", is_flag=True, help="It fails by taking longer than it should, on a TARGET (see `fuzz perf`).")
@click.option("--baseline", metavar="TARGET", help="What --slow compares with.  [default: TARGET, unoptimised]")
@click.option("--min-ratio", type=Number(min=1), default=1.5, show_default=True, metavar="R",
              help="Ratio of the medians from which on slower counts.")  # fmt: skip
@click.option("--min-ms", type=Number(min=0, min_open=True), default=1.0, show_default=True, metavar="MS",
              help="Difference of the medians from which on it counts.")  # fmt: skip
@click.option("--anonymise", is_flag=True, help="Replace the numbers of weights and inputs too, keep nothing else.")
@timeout_option("Seconds for one run, or one call of the command.")
@memory_option
@jobs_option
@json_option
def command(
    model: Path,
    test: tuple[str, ...],
    backend: str | None,
    inputs: Path | None,
    out: Path,
    unstable: bool,
    slow: bool,
    baseline: str | None,
    min_ratio: float,
    min_ms: float,
    anonymise: bool,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Make a failing model small: fewer nodes, smaller sizes, plainer numbers.

    It must fail on a TARGET (wrong, rejected, crash, timeout, oom; with --unstable: nondeterministic; with --slow:
    slower than its unoptimised form, or than --baseline, by the rule of `fuzz perf`), or a
    COMMAND of your own must exit with 0 for it: that is called with the paths of the model and of its
    test_data_set_0, behind its arguments or in place of {model} and {inputs}. Whatever is kept fails in the
    same way; what fails in another way is put aside, in DIR/others. Each model that is tried is valid, and
    the reference defined on it.

    DIR gets model.onnx, test_data_set_0 and reduction.json, on a TARGET its papers too (see `fuzz repro`);
    names and texts of the model are gone. The best so far is there at any time, and the same command goes
    on after Ctrl-C.

    \b
    fuzz reduce model.onnx --backend tvm --out small
    fuzz reduce fuzz-root/cases/s7/model.onnx --backend onnxruntime --out small
    fuzz reduce model.onnx --backend onnxruntime --slow --out small
    fuzz reduce model.onnx --out small -- python check.py {model} {inputs}

    --json prints {target, signature: {word, stage, symptom, message, frames}, identity, pattern,
    extent, nodes_before, nodes, executions, surveyed, repeats, slower, others: [{signature, nodes}], kept}. Exit code
    1 means that the model fails and was reduced.
    """
    from fuzz.cli.targets import read_target
    from fuzz.errors import UsageError
    from fuzz.execute.attempt import Limits
    from fuzz.performance.comparison import Threshold
    from fuzz.triage.predicate import CommandPredicate, Predicate, VerdictPredicate
    from fuzz.triage.run import Wish, reduce_model, report

    if (backend is None) == (not test):
        raise UsageError("say what the model fails with: either --backend TARGET, or a command behind --")
    if unstable and backend is None:
        raise UsageError("--unstable is asked of a target: give --backend TARGET")
    if slow and (backend is None or unstable):
        raise UsageError("--slow is asked of a target, by itself: give --backend TARGET, and no --unstable")
    if baseline is not None and not slow:
        raise UsageError("--baseline goes with --slow")
    workers = 1 if slow else jobs or len(os.sched_getaffinity(0))  # what is timed has no neighbour
    predicate: Predicate
    sized: Callable[[Case], Subject | None] | None = None
    if slow and backend is not None:
        predicate = _slow(backend, baseline, Threshold(min_ratio, min_ms / 1e3), Limits(timeout, memory << 20))
        sized = predicate.subject
    elif backend is not None:
        predicate = VerdictPredicate(read_target(backend), Limits(timeout, memory << 20), workers, unstable=unstable)
    else:
        predicate = CommandPredicate(test, timeout)
    with _progress() as progress:
        done = reduce_model(Wish(model, inputs, out, workers, anonymise, sized), predicate, progress)
    if as_json:
        print_json(report(done, predicate.target))
    else:
        _print(done, out)
    return 1


def _slow(backend: str, baseline: str | None, threshold: Threshold, limits: Limits) -> SlowPredicate:
    from fuzz.cli.targets import read_target
    from fuzz.errors import UsageError
    from fuzz.performance.baseline import unoptimised
    from fuzz.performance.measurement import Plan
    from fuzz.triage.slowness import SlowPredicate

    target = read_target(backend)
    other = read_target(baseline or unoptimised(target, "give --baseline TARGET"))
    if other.canonical == target.canonical:
        raise UsageError(f"--backend and --baseline are the same: {target.canonical}")
    return SlowPredicate(Plan(target, other, ("run",), threshold, limits=limits))


def _print(done: Reduction, out: Path) -> None:
    click.echo(f"{done.signature}" + (f": {done.last.said}" if done.last.signature.word == "slow" else ""))
    click.echo(f"{done.nodes_before} nodes -> {done.nodes} after {done.executions} runs: {done.pattern}")
    if not done.repeats:
        click.echo(f"in a new process it does not fail so ({done.last.signature}): what ran before may matter")
    for name in done.kept:
        click.echo(f"the numbers of {name} are needed as they are")
    for signature in sorted(done.others, key=str):
        click.echo(f"put aside: {signature}")
    click.echo(f"{out / 'model.onnx'}")


@contextmanager
def _progress() -> Iterator[Callable[[Search], None]]:
    """A line about the best so far, for a person at a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    from fuzz.triage.candidate import size

    with Console(stderr=True).status("reducing") as status:
        yield lambda search: status.update(
            f"reducing: {size(search.best)} nodes after {search.laboratory.executions} runs"
        )
