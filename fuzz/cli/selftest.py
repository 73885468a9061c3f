"""`fuzz selftest`: is the judge itself sound?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import jobs_option, json_option, print_json
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fuzz.execute.target import Target
    from fuzz.judge.compare import Comparison
    from fuzz.selftest.plant import Score, Tested
    from fuzz.selftest.run import Tally

__all__ = ["command"]


@click.command()
@click.option("--null", "null", is_flag=True, help="Judge legal recomputations: nothing may be called wrong.")
@click.option("--faults", is_flag=True, help="Plant faults: each must be found, and no clean run called wrong.")
@click.option("--reference", is_flag=True, help="Run the reference on ONNX's own tests: it must give what they expect.")
@click.option("--filter", "pattern", metavar="GLOB", help="Of --reference: tests by name, e.g. 'test_conv*'.")
@click.option("--fault", "chosen", multiple=True, metavar="NAME", help="Plant this fault alone. Repeatable.")
@click.option(
    "--backend", metavar="TARGET", help="Plant the faults in what this target gets, such as onnxruntime:opt=0."
)
@click.option(
    "--count", type=click.IntRange(min=1), default=200, show_default=True, metavar="N", help="Generated cases."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S", help="The first case's seed."
)
@click.option(
    "--verbose",
    is_flag=True,
    help="List verdicts by operator and element type; missed faults, or tests in dispute, one by one.",
)
@jobs_option
@json_option
def command(
    null: bool,
    faults: bool,
    reference: bool,
    pattern: str | None,
    chosen: tuple[str, ...],
    backend: str | None,
    count: int,
    seed: int,
    verbose: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Test the judge, with null runs (--null), planted faults (--faults) or ONNX's own tests (--reference).

    A null run computes generated models anew by legal means: sums in other orders and accumulators, rounding after
    each step, after each operator or (16-bit floats) not at all, last bits moved as far as the maths libraries' grants
    allow. Every value that a node computes is judged as if it were an output. Exit code 1 if any is called wrong.

    --null --json prints {cases, judged, ok, suspect, wrong, undecidable}.

    A planted fault changes the model that an executor gets, as a miscompilation would; the judge knows the original
    alone. It is effective if it moves some output by more than 1e-4 of the output's largest element, found if the judge
    says wrong. Exit code 1 if a fault is never found or a clean run is called wrong.

    --faults --json prints {cases, clean: {VERDICT: N}, faults: {NAME: {planted, effective, found, refused,
    missed: {WHY: N}}}}.

    ONNX's own tests (1,884 of operators, 140 small models) say what the reference has to give, within the bound that it
    claims. What it gives instead is random by the specification, or in dispute (docs/disputes.md), or a failure: exit
    code 1.

    --reference --json prints {tests, pass, random, dispute, fail, unbounded, listed: [{name, result, unbounded,
    message}]}; unbounded counts the tests of which some output has no finite bound.
    """
    if reference:
        if null or faults or chosen or backend:
            raise UsageError("--reference goes without --null, --faults, --fault and --backend: run it by itself")
        return _reference(pattern or "*", jobs or len(os.sched_getaffinity(0)), verbose, as_json)
    if pattern is not None:
        raise UsageError("--filter goes with --reference: generated cases have no names to filter by")
    if null and (faults or chosen or backend):
        raise UsageError("--null goes without --faults, --fault and --backend: run it by itself")
    if not (null or faults or chosen or backend):
        raise UsageError("say what to test: --null, --faults or --reference")
    seeds = range(seed, seed + count)
    if null:
        return _null(seeds, jobs or len(os.sched_getaffinity(0)), verbose, as_json)
    return _faults(seeds, _known(chosen), backend, jobs, verbose, as_json)


def _known(chosen: tuple[str, ...]) -> tuple[str, ...]:
    from fuzz.selftest.faults import FAULTS

    for name in chosen:
        if name not in FAULTS:
            raise UsageError(f"unknown fault {name!r}: there is {', '.join(FAULTS)}")
    return tuple(dict.fromkeys(chosen)) or tuple(FAULTS)


# -- null runs -------------------------------------------------------------------------------------------------------


def _null(seeds: Sequence[int], jobs: int, verbose: bool, as_json: bool) -> int:
    from fuzz.cli.progress import progress_bar
    from fuzz.selftest.run import null_run

    with progress_bar("recomputing", len(seeds)) as progress:
        tally = null_run(seeds, jobs=jobs, progress=progress)
    counts = tally.to_json()
    if as_json:
        print_json(counts)
    else:
        _print_tally(tally, verbose)
    return 1 if counts["wrong"] else 0


def _print_tally(tally: Tally, verbose: bool) -> None:
    from rich.table import Table

    from fuzz.cli.tables import console

    output = console()
    if verbose:
        table = Table("operator", "type", box=None, pad_edge=False, header_style="bold")
        words = ("ok", "suspect", "wrong", "undecidable")
        for word in words:
            table.add_column(word, justify="right")
        for operator, dtype in sorted({(o, d) for o, d, _ in tally.words}):
            numbers = [tally.words[operator, dtype, word] for word in words]
            table.add_row(operator, dtype, *(f"{n:,}" if n else "·" for n in numbers))
        output.print(table)
    for culprit in tally.culprits[:20]:
        found = culprit.comparison
        output.print(
            f"seed {culprit.seed} {culprit.method}: {culprit.operator} {culprit.node} {culprit.dtype} is "
            f"{found.word.value}: "
            + (found.message or f"{found.actual}, expected {found.expected} ± {found.bound} at {found.index}"),
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    output.print(", ".join(f"{n:,} {name}" for name, n in tally.to_json().items()), highlight=False)


# -- ONNX's own tests ------------------------------------------------------------------------------------------------


def _reference(pattern: str, jobs: int, verbose: bool, as_json: bool) -> int:
    from fuzz.cli.progress import progress_bar
    from fuzz.cli.tables import console, printable
    from fuzz.selftest.conformance import Result, conformance

    with progress_bar("ONNX's tests", None) as progress:
        found = conformance(pattern, jobs=jobs, progress=progress)
    if not found.tested:
        raise UsageError(f"no test of ONNX is named like {pattern!r}; names begin with test_, so write 'test_conv*'")
    counts = found.to_json()
    if as_json:
        print_json(counts)
    else:
        output = console()
        for one in found.tested:
            if one.result is Result.FAILED or (verbose and one.result is not Result.PASSED):
                line = f"{one.name}: {one.result.value}" + (f": {one.message}" if one.message else "")
                output.print(printable(line), markup=False, highlight=False, soft_wrap=True)
        del counts["listed"]
        output.print(", ".join(f"{n:,} {name}" for name, n in counts.items()), highlight=False)
    return 1 if found.of(Result.FAILED) else 0


# -- planted faults --------------------------------------------------------------------------------------------------


def _faults(
    seeds: Sequence[int], names: tuple[str, ...], backend: str | None, jobs: int | None, verbose: bool, as_json: bool
) -> int:
    from collections import Counter
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from fuzz.cli.progress import progress_bar
    from fuzz.execute.target import parse_target
    from fuzz.selftest.plant import Score

    target = None if backend is None else parse_target(backend)
    scores = {name: Score() for name in names}
    clean: Counter[str] = Counter()
    missed: list[Tested] = []
    with progress_bar("planting", None) as progress, TemporaryDirectory(prefix="fuzz-selftest-") as folder:
        for found, tested in _runs(seeds, names, target, Path(folder), jobs, progress):
            clean[found.word.value] += 1
            for one in tested:
                scores[one.fault].add(one)
                if one.missed:
                    missed.append(one)
    if as_json:
        print_json({
            "cases": clean.total(), "clean": dict(clean), "faults": {n: s.to_json() for n, s in scores.items()},
        })  # fmt: skip
    else:
        _print_scores(scores, clean, missed if verbose else [])
    return 1 if clean["wrong"] or any(not score.found for score in scores.values()) else 0


def _runs(
    seeds: Sequence[int], names: tuple[str, ...], target: Target | None, folder: Path, jobs: int | None, progress: Any
) -> Iterator[tuple[Comparison, list[Tested]]]:
    from fuzz.selftest.plant import plant_run
    from fuzz.selftest.real import plant_on

    if target is None:
        return plant_run(seeds, names, progress=progress)
    return plant_on(folder, target, seeds, names, jobs=jobs, progress=progress)


def _print_scores(scores: dict[str, Score], clean: dict[str, int], missed: Sequence[Tested]) -> None:
    from rich.table import Table

    from fuzz.cli.tables import console, printable

    output = console()
    table = Table("fault", box=None, pad_edge=False, header_style="bold")
    for column in ("planted", "effective", "found", "refused"):
        table.add_column(column, justify="right")
    table.add_column("missed")
    for name, score in scores.items():
        numbers = (f"{n:,}" if n else "·" for n in (score.planted, score.effective, score.found, score.refused))
        table.add_row(name, *numbers, ", ".join(f"{n} {why}" for why, n in sorted(score.missed.items())))
    output.print(table)
    for one in missed:
        line = f"{one.fault} in seed {one.seed}, {one.operator} {one.node}: moved {one.moved:.2g}, {one.why}"
        output.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    output.print("clean runs: " + ", ".join(f"{n:,} {word}" for word, n in sorted(clean.items())), highlight=False)
