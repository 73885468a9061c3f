"""`fuzz corpus families`: search spaces of networks, what they are, and networks of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.families.sampling import Sampled

__all__ = ["command"]


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the families: search spaces of networks, with how many architectures each has and where it is published.

    Parameters, multiply-adds and layers are those of the first twenty networks that seed 0 draws, as published. The
    first hundred are models of the corpora as well (`fuzz corpus list nas_families`), and each family is windows
    for `fuzz gen --seeds FAMILY`.

    \b
    fuzz corpus families
    fuzz corpus families sample nb201 --count 50 --out graphs
    fuzz corpus run 'nas_families.py::nb201_*'

    --json prints {families: [{name, title, source, size, input, statistics: {networks, parameters, multiply_adds,
    layers, classes}}]}: sizes of the input are height and width, small and as published; size is null where nobody
    has counted.
    """
    if context.invoked_subcommand is not None:
        return
    rows = _rows()
    if as_json:
        print_json({"families": rows})
        return
    heads = ("family", "architectures", "parameters, million", "multiply-adds, million")
    click.echo("{:11} {:>13} {:>19} {:>22}  source".format(*heads))
    for row in rows:
        told = row["statistics"]
        spans = (f"{told[key][0] / 1e6:,.2f} to {told[key][1] / 1e6:,.2f}" for key in ("parameters", "multiply_adds"))
        parameters, operations = spans
        click.echo(f"{row['name']:11} {row['size_text']:>13} {parameters:>19} {operations:>22}  {row['source']}")


def _rows() -> list[dict[str, Any]]:
    from corpus.families.statistics import MEASURED, size_text
    from corpus.families.table import FAMILIES

    measured: Mapping[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return [
        {
            "name": one.name, "title": one.title, "source": one.source, "size": one.size,
            "size_text": size_text(one.size), "input": [one.small, one.full], "statistics": measured[one.name],
        }
        for one in FAMILIES.values()
    ]  # fmt: skip


@command.command("sample")
@click.argument("family")
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
              help="How many networks.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="S",
              help="Which ones. A larger sample of a seed holds the smaller.")  # fmt: skip
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), required=True, metavar="CACHE",
              help="The cache of computation graphs that they go into.")  # fmt: skip
@click.option("--onnx", "folder", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="Keep the models too, as standard ONNX test cases.")  # fmt: skip
@click.option("--full", is_flag=True, help="As published, in place of few channels, few cells and a small image.")
@json_option
def sample(
    family: str, count: int, seed: int, out: Path, folder: Path | None, full: bool, as_json: bool
) -> int:  # fmt: skip
    """Build networks of a FAMILY, export them to ONNX, and keep them as computation graphs.

    None comes twice. What is in the cache is not made again, so that an interrupted run goes on where it was.

    \b
    fuzz corpus families sample nb201 --count 50 --out graphs
    fuzz corpus show nb201 --graphs graphs --count 3
    fuzz corpus families sample hiaml --count 10 --out graphs --onnx models
    fuzz exec --root models --backend onnxruntime

    Exit codes: 0 all are there, 1 some could not be made, 2 misuse.

    --json prints {cache, family, seed, added: [NAME], kept: [NAME], failed: {NAME: WHY}}.
    """
    from corpus.families.family import FamilyError
    from corpus.families.sampling import Sampled
    from corpus.families.sampling import sample as make
    from corpus.families.table import family as named
    from corpus.graphs.cache import Cache
    from corpus.graphs.computation import GraphError
    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError
    from fuzz.file import unwritten

    result = Sampled()
    try:
        space = named(family)
        if space.size is not None and count > space.size:
            raise UsageError(f"{family} has {space.size:,} architectures: ask for as many at most")
        with progress_bar("networks", count) as progress:
            make(space, Cache(out), result, count=count, seed=seed, full=full, folder=folder, progress=progress)
    except (FamilyError, GraphError) as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise unwritten(problem, out) from None
    except KeyboardInterrupt:
        click.echo(f"interrupted: {_told(result, out)}; the same command goes on", err=True)
        raise
    if as_json:
        print_json({
            "cache": str(out), "family": family, "seed": seed, "added": result.added, "kept": result.kept,
            "failed": result.failed,
        })  # fmt: skip
    else:
        for name, why in result.failed.items():
            click.echo(f"{name}: {why}")
        click.echo(_told(result, out))
    return 1 if result.failed else 0


def _told(result: Sampled, out: Path) -> str:
    failed = f", {len(result.failed):,} failed" if result.failed else ""
    return f"networks in {out}: {len(result.added):,} added, {len(result.kept):,} were there{failed}"
