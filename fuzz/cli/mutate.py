"""`fuzz mutate`: new cases made of those of a root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, Names, jobs_option, json_option, print_json, root_option
from fuzz.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.case import Case
    from fuzz.mutate.run import Mutated

__all__ = ["command"]


def _list(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print every kind and end."""
    if value and not ctx.resilient_parsing:
        from fuzz.mutate.kinds import KINDS

        for name, kind in KINDS.items():
            click.echo(f"{name:<12} {kind.summary}")
        ctx.exit()


@click.command()
@root_option
@click.argument("names", metavar="[CASE]...", nargs=-1)
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), required=True, metavar="DIR",
              help="The root that the mutants are written to; another than the parents'.")  # fmt: skip
@click.option("--kind", "kinds", type=Names(), metavar="KIND,...", help="Only these kinds of mutation.  [default: all]")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the kinds and end.")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="How many mutants.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S",
              help="The first seed; one mutant a seed, S to S+N-1. The same seed makes the same bytes of the same "
              "parents.")  # fmt: skip
@jobs_option
@json_option
def command(
    root: Path,
    names: tuple[str, ...],
    out: Path,
    kinds: tuple[str, ...] | None,
    count: int,
    seed: int,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Change cases of a root, all or those named, into new ones that are valid again.

    Parents may be ours or anybody's ONNX models; each seed takes the next one in turn. Every mutant passes ONNX's
    strict checker and is defined on its inputs; its case.json names parent, kind and change. A seed of which nothing
    comes within a few tries is counted and left out.

    \b
    fuzz mutate --root fuzz-root --out mutants --count 1000
    fuzz mutate --root onnx-tests --out mutants --kind types,attributes test_conv_with_strides_padding

    --json prints {root, cases, kinds: {KIND: {made, tries, refused: {REASON: N}}}, unmade: [SEED], seconds}.
    """
    from fuzz.case import find_cases
    from fuzz.cli.progress import progress_bar
    from fuzz.mutate.run import mutate

    chosen = _kinds(kinds)
    if out.resolve() == root.resolve():
        raise UsageError(f"--out {out} is the parents' own root: give another folder")
    parents = _named(find_cases(root), names, root)
    with progress_bar("mutating", count) as progress:
        done = mutate(
            parents, chosen, out, range(seed, seed + count), jobs=jobs or len(os.sched_getaffinity(0)),
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(_json(done))
    else:
        _print(done)


def _kinds(asked: tuple[str, ...] | None) -> tuple[str, ...]:
    from fuzz.mutate.kinds import KINDS

    for name in asked or ():
        if name not in KINDS:
            raise UsageError(f"unknown kind {name!r}{did_you_mean(name, KINDS)}: there is {', '.join(KINDS)}")
    return tuple(dict.fromkeys(asked)) if asked else tuple(KINDS)


def _named(cases: Sequence[Case], names: tuple[str, ...], root: Path) -> list[Case]:
    """The cases that were asked for; all where none was. Raises UsageError for one that there is not."""
    known = {case.id: case for case in cases}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no case {name!r} in {root}{did_you_mean(name, known)}: name none for all")
    return [known[name] for name in dict.fromkeys(names)] if names else list(cases)


def _json(done: Mutated) -> dict[str, object]:
    kinds = {
        name: {"made": tally.made, "tries": tally.tries, "refused": dict(sorted(tally.refused.items()))}
        for name, tally in sorted(done.kinds.items())
    }
    return {"root": done.root, "cases": done.cases, "kinds": kinds, "unmade": done.unmade, "seconds": done.seconds}


def _print(done: Mutated) -> None:
    click.echo(f"{done.cases:,} mutants in {done.root} ({done.seconds:.1f} s)")
    for name, tally in sorted(done.kinds.items()):
        why = ", ".join(f"{reason} {n:,}" for reason, n in tally.refused.most_common(3))
        click.echo(f"{name:<12} {tally.made:,} of {tally.tries:,} tries" + (f"; refused: {why}" if why else ""))
