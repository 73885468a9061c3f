"""`fuzz gen`: random valid models with inputs, as cases of a root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Unpack

import click

from fuzz.cli.generator import Wishes, generator_options, read_settings
from fuzz.cli.options import SeveralValues, jobs_option, json_option, print_json, root_option

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


class _Gen(SeveralValues):
    several = ("--for",)


@click.command(cls=_Gen)
@root_option
@click.option(
    "--count", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="How many cases."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="S",
    help="The first seed; one case a seed, S to S+N-1. The same seed makes the same bytes.",
)
@generator_options
@jobs_option
@json_option
def command(
    root: Path,
    count: int,
    seed: int,
    jobs: int | None,
    as_json: bool,
    **wishes: Unpack[Wishes],
) -> None:
    """Make random valid ONNX models with inputs.

    Each is a standard ONNX test case, DIR/cases/SEED/ with model.onnx and test_data_set_0/. The models are
    valid by construction and their values are free of NaN and infinity, unless --nonfinite asks for them.
    Making a case again replaces it.

    \b
    fuzz gen --count 1000
    fuzz gen --for onnxruntime tvm openvino --nodes 5-40 --dynamic mixed

    --json prints {root, cases, nodes, seconds}.
    """
    from dataclasses import asdict

    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError
    from fuzz.generate.graph import NothingFits
    from fuzz.generate.run import generate_cases

    settings = read_settings(wishes)
    try:
        with progress_bar("cases", count) as progress:
            summary = generate_cases(
                root,
                settings,
                range(seed, seed + count),
                jobs=jobs or len(os.sched_getaffinity(0)),
                progress=progress,
            )
    except (ValueError, NothingFits) as error:
        raise UsageError(str(error)) from None
    if as_json:
        print_json(asdict(summary))
    else:
        click.echo(f"{summary.cases:,} cases, {summary.nodes:,} nodes in {root} ({summary.seconds:.1f} s)")
