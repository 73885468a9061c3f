"""`fuzz corpus run`: real models built, exported, executed, judged and timed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fuzz.cli.options import FilePath, Number, backends_option, jobs_option, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.collection.lane import Result
    from fuzz.collection.plan import Job
    from fuzz.execute.target import Target

__all__ = ["cache_option", "run"]

Command = TypeVar("Command", bound="Callable[..., Any]")


def cache_option(*, several: bool = False) -> Callable[[Command], Command]:
    """`-d`: the folder, or folders, of builds."""
    return click.option(
        "-d", "--cache-dir", "caches" if several else "cache", type=FilePath(path_type=Path, file_okay=False),
        metavar="DIR", multiple=several,
        help="Where builds lie. Default: $FUZZ_CORPUS_CACHE, else dnnfuzz/corpus in your cache folder."
        + (" Repeat it for several." if several else ""),
    )  # fmt: skip


@click.command("run")
@click.argument("globs", nargs=-1, metavar="[GLOB]...")
@click.option("--script-args", default="", metavar="ARGS", help="What each script is given, such as '--batch_size 8'.")
@click.option("--full", is_flag=True, help="The sizes that people run, in place of small variants.")
@click.option("--labels", "labels", multiple=True, metavar="KEY::VALUE,...",
              help="Only models with one of these values. Repeat it for several keys.")  # fmt: skip
@cache_option()
@backends_option("Where to run what is exported, such as tvm or onnxruntime:opt=0. Repeat it for several."
                 "  [default: onnxruntime]", required=False)  # fmt: skip
@click.option("--device", metavar="NAME", help="The device of the targets that do not name one, such as cuda.")
@click.option("--iterations", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
              help="Samples of the latency on each target, in 1 s for a model at most; 0 measures none.",
              )  # fmt: skip
@click.option("--timeout", type=Number(min=0, min_open=True), default=300.0, show_default=True, metavar="S",
              help="Seconds for a script to call its models, for each to be built, and to run on a target.",
              )  # fmt: skip
@click.option("--memory", type=click.IntRange(min=1), default=8192, show_default=True, metavar="MB",
              help="Resident memory that one process may use.")  # fmt: skip
@click.option("--process-isolation", "isolation", is_flag=True, help="A process for each script, not one for many.")
@click.option("--analyze-only", is_flag=True, help="Only find the models that the scripts call.")
@click.option("--build-only", is_flag=True, help="Only build and export; run nothing on backends.")
@click.option("--rebuild", type=click.Choice(["if_needed", "always", "never"]), default="if_needed", show_default=True,
              help="Build again: what a kill or a limit ended, all, or nothing.")  # fmt: skip
@click.option("--max-depth", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="How deep inside of a model its parts are models of their own.")  # fmt: skip
@click.option("--onnx-opset", "opset", type=click.IntRange(min=18), default=20, show_default=True, metavar="N",
              help="ONNX's opset.")  # fmt: skip
@jobs_option
@json_option
def run(
    globs: tuple[str, ...],
    script_args: str,
    full: bool,
    labels: tuple[str, ...],
    cache: Path | None,
    backends: tuple[str, ...],
    device: str | None,
    iterations: int,
    timeout: float,
    memory: int,
    isolation: bool,
    analyze_only: bool,
    build_only: bool,
    rebuild: str,
    max_depth: int,
    opset: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Run models: those that scripts call, built, exported to ONNX, executed and judged.

    A GLOB names scripts on disk, your own as well, or models of the corpora (`fuzz corpus list`); without one the
    small ones run. A model that a script calls is caught without a change to the script. script.py::NAME picks a
    model of a family, script.py::HASH one of those that a script calls.

    Eager PyTorch, the exported program, the ONNX model in float64 and each backend are compared. What was done is
    not done again, so that an interrupted run goes on where it was. Builds are standard ONNX test cases: `fuzz exec
    --root DIR`, `fuzz diff`, `fuzz perf` take the folder of the cache.

    \b
    fuzz corpus run selftest
    fuzz corpus run timm.py::resnet18 --backend onnxruntime --backend tvm
    fuzz corpus run my_model.py --script-args "--batch_size 8" -d my-cache

    Exit codes: 0 all agree, or nothing can be said; 1 a backend or an export differs, or a backend fails; 2 misuse.
    Models that cannot be exported are told and are no finding.

    --json prints {cache, summary: {jobs, kept, models, exported, failed, words, targets, decided, revived, random,
    seconds, findings}, models: [{build, script, problem, state}]}.
    """
    import os
    import time

    from corpus.cache import default_cache
    from corpus.labels import LabelsError, wanted
    from fuzz.collection.plan import Plan, jobs_of
    from fuzz.collection.run import run_models
    from fuzz.collection.summary import Summary, line_of
    from fuzz.errors import UsageError

    start = time.monotonic()
    arguments = (*_split(script_args), *(("--full",) if full else ()))
    try:
        asked = wanted(labels)
    except LabelsError as problem:
        raise UsageError(str(problem)) from None
    todo = jobs_of(globs, asked)
    _require(todo, translates=not analyze_only)
    targets = () if build_only or analyze_only else _targets(backends or ("onnxruntime",), device)
    plan = Plan(
        cache or default_cache(), targets, arguments, iterations, timeout, memory, isolation, analyze_only, build_only,
        opset, max_depth, rebuild, jobs or len(os.sched_getaffinity(0)),  # type: ignore[arg-type]
    )  # fmt: skip
    summary, results = Summary(), []

    def hear(result: Result) -> None:
        summary.add(result)
        if as_json:
            results.append(result)
            return
        if result.problem and not any(state.get("stage") == "script" for state in result.states.values()):
            click.echo(f"{result.job.entry.path}: {result.problem}")

    places = {id(job): f"[{number:>{len(str(len(todo)))}}/{len(todo)}]" for number, job in enumerate(todo, 1)}

    def tell(job: Job, name: str, state: dict[str, Any]) -> None:
        if not as_json:
            click.echo(f"{places[id(job)]} {line_of(name, state)}")

    done = run_models(todo, plan, hear, tell)
    summary.seconds = time.monotonic() - start
    if not done:
        raise click.Abort
    if as_json:
        print_json({"cache": str(plan.cache), "summary": summary.to_json(), "models": _models(results)})
    else:
        for line in summary.lines():
            click.echo(line)
        click.echo(f"builds are in {plan.cache}; `fuzz corpus report -d {plan.cache}` makes a table of them")
    return 1 if summary.findings else 0


def _require(jobs: Sequence[Job], *, translates: bool) -> None:
    """Raise UsageError where a corpus needs what is not installed: each of its models would fail alike."""
    from corpus.requirements import NEEDS, lacking
    from fuzz.errors import UsageError

    lacks = lacking((job.entry.corpus for job in jobs), translates=translates)
    names = list(dict.fromkeys(name for needs in lacks.values() for name in needs))
    if names:
        known = " ".join(corpus for corpus in lacks if corpus in NEEDS) or "selftest"
        verb = "is" if len(names) == 1 else "are"
        raise UsageError(f"{', '.join(names)} {verb} not installed: fuzz corpus install {known}")


def _split(text: str) -> list[str]:
    """Words as a shell reads them. Raises UsageError."""
    try:
        return shlex.split(text)
    except ValueError as problem:
        raise click.UsageError(f"--script-args {text!r} cannot be read: {problem}") from None


def _targets(texts: tuple[str, ...], device: str | None) -> tuple[Target, ...]:
    from fuzz.cli.targets import read_targets

    return read_targets(tuple(text if not device or "@" in text else f"{text}@{device}" for text in texts))


def _models(results: list[Result]) -> list[dict[str, object]]:
    return [
        {"build": name, "script": result.job.entry.path, "problem": result.problem, "state": state}
        for result in results
        for name, state in sorted(result.states.items())
    ]
