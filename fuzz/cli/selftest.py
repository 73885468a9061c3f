"""`fuzz selftest`: is the judge itself sound?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, Number, jobs_option, json_option, print_json
from fuzz.errors import StorageError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.selftest.hunt import Hunt, Trail
    from fuzz.selftest.run import Tally

__all__ = ["command"]

_DEFAULT_BACKEND = "onnxruntime"


@click.command()
@click.option("--null", "null", is_flag=True, help="Judge legal recomputations: nothing may be called wrong.")
@click.option("--faults", is_flag=True, help="Plant faults in a backend: each must be found.")
@click.option("--reference", is_flag=True, help="Run the reference on ONNX's own tests: it must give what they expect.")
@click.option("--filter", "pattern", metavar="GLOB", help="Of --reference: tests by name, e.g. 'test_conv*'.")
@click.option("--list", "listed", is_flag=True, help="List the faults and the verdict that is right for each.")
@click.option("--fault", "chosen", multiple=True, metavar="NAME", help="Plant this fault alone. Repeatable.")
@click.option(
    "--backend", metavar="TARGET", help=f"Plant the faults in this target.  [default: {_DEFAULT_BACKEND}]"
)
@click.option(
    "--time", "seconds", type=Number(min=0, min_open=True), default=60.0, show_default=True, metavar="SECONDS",
    help="CPU time for each fault.",
)
@click.option(
    "--timeout", type=Number(min=0, min_open=True), default=10.0, show_default=True, metavar="SECONDS",
    help="Time limit of a case on the target.",
)
@click.option(
    "--state", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
    help="Keep the progress of --faults here, and go on from it.",
)
@click.option(
    "--count", type=click.IntRange(min=1), default=200, show_default=True, metavar="N",
    help="Generated cases of --null.",
)
@click.option(
    "--per-pair", type=click.IntRange(min=1), metavar="N",
    help="With --null: models of one operator instead, until each operator of every domain has N outputs judged on "
    "each element type of its operands.",
)
@click.option(
    "--root", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
    help="With --null: the cases of this root instead, such as `fuzz gen`, `mutate` and `diversify` make.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S", help="The first case's seed."
)
@click.option("--verbose", is_flag=True, help="List verdicts by operator and type, tests in dispute.")
@jobs_option
@json_option
def command(
    null: bool,
    faults: bool,
    reference: bool,
    pattern: str | None,
    listed: bool,
    chosen: tuple[str, ...],
    backend: str | None,
    seconds: float,
    timeout: float,
    state: Path | None,
    count: int,
    per_pair: int | None,
    root: Path | None,
    seed: int,
    verbose: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Test the judge, with null runs (--null), planted faults (--faults) or ONNX's own tests (--reference).

    A null run computes generated models anew by legal means: sums in other orders and accumulators, rounding after
    each step, after each operator or (16-bit floats) not at all, last bits moved as far as the maths libraries' grants
    allow. Every value that a node computes is judged as if it were an output. Exit code 1 if any is called wrong.

    An operator's types are those of its type variables, each by the first operand that is of it.

    --null --json prints {cases, judged, ok, suspect, wrong, undecidable}, and with --per-pair {pairs: [{operator,
    operand, type, cases, ok, suspect, wrong, undecidable, reason}]}; the reason says why fewer than N were judged.

    A planted fault is one thing that a backend does wrongly, such as TARGET:fault=lost-bias. Cases of the default
    distribution go through generator, worker and judge until the right kind of verdict comes or the time is up. Time
    is CPU time of the cases seen, as if the fault were searched for alone on one core. Beside it stands when
    allclose(rtol 1e-2, atol 1e-3) against the same target without the fault first differs. Exit code 1 if a fault is
    not found.

    --faults --json prints {target, seconds, faults: [{fault, right, seconds, cases, shown, found, close, other}]}.

    ONNX's own tests (1,884 of operators, 140 small models) say what the reference has to give, within the bound that it
    claims. What it gives instead is random by the specification, or in dispute (docs/disputes.md), or a failure: exit
    code 1.

    --reference --json prints {tests, pass, random, dispute, fail, unbounded, listed: [{name, result, unbounded,
    message}]}; unbounded counts the tests of which some output has no finite bound.
    """
    if listed:
        return _list(as_json)
    if reference:
        if null or faults or chosen or backend or state:
            raise UsageError("--reference goes without --null, --faults, --fault, --backend and --state")
        return _reference(pattern or "*", jobs or len(os.sched_getaffinity(0)), verbose, as_json)
    if pattern is not None:
        raise UsageError("--filter goes with --reference: generated cases have no names to filter by")
    if null and (faults or chosen or backend or state):
        raise UsageError("--null goes without --faults, --fault, --backend and --state: run it by itself")
    if not (null or faults or chosen or backend):
        raise UsageError("say what to test: --null, --faults or --reference")
    if (per_pair is not None or root is not None) and not null:
        raise UsageError("--per-pair and --root go with --null")
    if null:
        return _null(_sought(per_pair, root, range(seed, seed + count)), jobs, verbose, as_json)
    hunt = _hunt(_known(chosen), backend or _DEFAULT_BACKEND, seconds, timeout, seed)
    return _search(hunt, state, as_json)


def _known(chosen: tuple[str, ...]) -> tuple[str, ...]:
    from backends.faults.table import FAULTS

    for name in chosen:
        if name not in FAULTS:
            hint = did_you_mean(name, FAULTS)
            raise UsageError(f"unknown fault {name!r}{hint}: `fuzz selftest --list` shows all {len(FAULTS)}")
    return tuple(dict.fromkeys(chosen))


def _list(as_json: bool) -> int:
    from dataclasses import asdict

    from rich.table import Table

    from backends.faults.table import FAULTS
    from fuzz.cli.tables import console

    if as_json:
        print_json({"faults": [asdict(fault) for fault in FAULTS.values()]})
        return 0
    table = Table("fault", "verdict", "what goes wrong", box=None, pad_edge=False, header_style="bold")
    for fault in FAULTS.values():
        table.add_row(fault.name, fault.verdict, fault.summary)
    console().print(table, highlight=False)
    return 0


# -- null runs -------------------------------------------------------------------------------------------------------


def _sought(per_pair: int | None, root: Path | None, seeds: Sequence[int]) -> int | Path | Sequence[int]:
    """What null runs are over: pairs until each has so many outputs, the cases of a root, or one case a seed."""
    if per_pair is not None and root is not None:
        raise UsageError("--per-pair makes models of its own: leave --root out")
    return per_pair or root or seeds


def _null(sought: int | Path | Sequence[int], jobs: int | None, verbose: bool, as_json: bool) -> int:
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.selftest.run import null_root, null_run

    jobs = jobs or len(os.sched_getaffinity(0))
    if isinstance(sought, int):
        return _strata(sought, jobs, verbose, as_json)
    cases = find_cases(sought) if isinstance(sought, Path) else []
    with progress_bar("recomputing", len(cases) if isinstance(sought, Path) else len(sought)) as progress:
        if isinstance(sought, Path):
            tally = null_root(cases, jobs=jobs, progress=progress)
        else:
            tally = null_run(sought, jobs=jobs, progress=progress)
    counts = tally.to_json()
    if as_json:
        print_json(counts)
    else:
        _print_tally(tally, verbose)
    return 1 if counts["wrong"] else 0


def _strata(count: int, jobs: int, verbose: bool, as_json: bool) -> int:
    from fuzz.cli.progress import progress_bar
    from fuzz.selftest.strata import pairs, stratified_run

    wanted = pairs()
    with progress_bar("pairs", len(wanted)) as progress:
        tally, found = stratified_run(wanted, count, jobs=jobs, progress=progress)
    counts = tally.to_json()
    if as_json:
        print_json({**counts, "pairs": [stratum.to_json(count) for stratum in found]})
        return 1 if counts["wrong"] else 0
    _print_tally(tally, verbose)
    short = [stratum for stratum in found if stratum.judged < count]
    click.echo(f"{len(found)} pairs of operator and type, {len(found) - len(short)} with at least {count} judged")
    for stratum in short:
        pair = stratum.pair
        click.echo(f"    {pair.operator} {pair.operand} {pair.dtype}: {stratum.judged} judged: {stratum.reason(count)}")
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
            f"{culprit.case} {culprit.method}: {culprit.operator} {culprit.node} {culprit.dtype} is "
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


def _hunt(chosen: tuple[str, ...], backend: str, seconds: float, timeout: float, seed: int) -> Hunt:
    from backends.faults.table import FAULTS
    from fuzz.cli.targets import read_target
    from fuzz.execute.worker import Limits
    from fuzz.generate.settings import Settings
    from fuzz.generate.support import joint_support
    from fuzz.selftest.hunt import MEMORY, Hunt

    target = read_target(backend)
    if any(name == "fault" for name, _ in target.options):
        raise UsageError("--backend names the target without a fault: choose faults with --fault")
    names = chosen or tuple(f.name for f in FAULTS.values() if target.backend not in f.granted)
    settings = Settings(dynamic=None, targets=(target.canonical,))
    try:
        joint_support(settings.targets)
    except ValueError:
        settings = Settings(dynamic=None)
    return Hunt(target, names, settings, seconds=seconds, limits=Limits(timeout, MEMORY), first_seed=seed)


def _search(hunt: Hunt, state: Path | None, as_json: bool) -> int:
    from fuzz.cli.progress import progress_bar

    if state is not None and state.exists():
        _resume(hunt, state)

    with progress_bar("cases", None) as advance:

        def progress(cases: int) -> None:
            advance(cases)
            if state is not None:
                _keep(hunt, state)

        for trail in hunt.run(progress):
            del trail
    trails = list(hunt.trails.values())
    if as_json:
        print_json({
            "target": hunt.target.canonical, "version": hunt.target.version, "seconds": hunt.seconds,
            "faults": [trail.to_json() for trail in trails],
        })  # fmt: skip
    else:
        _print_trails(trails)
    return 0 if all(trail.found for trail in trails) else 1


def _resume(hunt: Hunt, state: Path) -> None:
    try:
        kept = json.loads(state.read_text(encoding="utf-8"))
        if kept["target"] != hunt.target.canonical or kept["version"] != hunt.target.version:
            raise UsageError(f"{state} is of {kept['target']} {kept['version']}: give another --state")
        hunt.resume(kept)
    except (KeyError, TypeError, ValueError) as problem:
        raise UsageError(f"{state} is no state of `fuzz selftest --faults`: {problem!r}") from None
    except OSError as problem:
        raise StorageError(f"cannot read {state}: {problem.strerror}") from None


def _keep(hunt: Hunt, state: Path) -> None:
    """Written beside and renamed: a stop in between leaves the old one."""
    from fuzz.file import write_json

    said = {"target": hunt.target.canonical, "version": hunt.target.version, **hunt.state}
    write_json(state, said, "give another --state")


def _print_trails(trails: Sequence[Trail]) -> None:
    from rich.table import Table

    from fuzz.cli.tables import console

    output = console()
    table = Table("fault", "verdict", box=None, pad_edge=False, header_style="bold")
    for column in ("CPU s", "cases", "shown in"):
        table.add_column(column, justify="right")
    table.add_column("found by")
    for column in ("allclose s", "cases"):
        table.add_column(column, justify="right")
    for trail in trails:
        by = _others(trail) if trail.found is None else f"{trail.found['oracle']}, seed {trail.found['seed']}"
        table.add_row(trail.fault, trail.right, *_mark(trail.found), f"{trail.shown:,}", by, *_mark(trail.close))
    output.print(table, highlight=False)
    output.print(_summary(trails), highlight=False)


def _others(trail: Trail) -> str:
    seen = ", ".join(f"{n} {word}" for word, n in sorted((trail.other or {}).items()))
    return f"not found in {trail.cases:,} cases" + (f" ({seen})" if seen else "")


def _mark(found: dict[str, Any] | None) -> tuple[str, str]:
    return ("·", "·") if found is None else (f"{found['seconds']:.1f}", f"{found['cases']:,}")


def _summary(trails: Sequence[Trail]) -> str:
    found = [trail.found["seconds"] for trail in trails if trail.found is not None]
    close = [trail.close["seconds"] for trail in trails if trail.close is not None]
    return (
        f"{len(found)} of {len(trails)} found, {sum(s <= 60 for s in found)} within a minute; "
        f"allclose: {len(close)}, {sum(s <= 60 for s in close)} within a minute"
    )
