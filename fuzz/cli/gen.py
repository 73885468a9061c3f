"""`fuzz gen`: random valid models with inputs, as cases of a root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import click

from fuzz.cli.generator import Wishes, generator_options, read_settings
from fuzz.cli.options import FilePath, SeveralValues, jobs_option, json_option, print_json, root_option
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz.generate.settings import Settings

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
@click.option("--from", "models", multiple=True, type=FilePath(path_type=Path, file_okay=True), metavar="MODEL",
              help="Make cases near to this ONNX model (or to those of a folder): of its windows, mixed with random "
              "nodes, and every fourth a mutant of the whole. Repeat it for several.")  # fmt: skip
@click.option("--unlike", "known", multiple=True, type=FilePath(path_type=Path, file_okay=True),
              metavar="ARCHITECTURES", help="Of every few seeds keep the case with the most connections of "
              "operators that no architecture of this file has (`fuzz corpus architecture --operators --out`). Repeat "
              "it for several.")  # fmt: skip
@click.option("--group", type=click.IntRange(2, 1000), default=4, show_default=True, metavar="K",
              help="With --unlike: how many seeds one case is chosen of; S to S+N*K-1 in all.")  # fmt: skip
@generator_options
@jobs_option
@json_option
def command(
    root: Path,
    count: int,
    seed: int,
    models: tuple[Path, ...],
    known: tuple[Path, ...],
    group: int,
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
    fuzz gen --seeds corpus --for onnxruntime
    fuzz gen --from model.onnx --for onnxruntime
    fuzz gen --unlike zoo.jsonl --for onnxruntime

    --json prints {root, cases, nodes, seconds}; with --from also from: {windows, mutants, refused: {REASON: n},
    large: [MODEL]}: windows of the models, mutants of whole ones, why others came to nothing, and which models are
    too large to be mutated as a whole; with --unlike also unlike: {distance, new, unchosen: {distance, new}}: the
    median distance of the cases to the nearest of the architectures, 0 to 1, how many connections of operators they
    have that none of the architectures has, and both of as many cases that nobody chose.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.generate.graph import NothingFits

    settings = read_settings(wishes)
    if models and known:
        raise UsageError("--from and --unlike do not go together: choose one of them")
    try:
        with progress_bar("cases", count) as progress:
            jobs = jobs or len(os.sched_getaffinity(0))
            if known:
                said = _chosen(root, known, settings, range(seed, seed + count * group), group, jobs, progress)
            else:
                said = _made(root, models, settings, range(seed, seed + count), jobs, progress)
    except (ValueError, NothingFits) as error:
        raise UsageError(str(error)) from None
    if as_json:
        print_json(said)
        return
    click.echo(f"{said['cases']:,} cases, {said['nodes']:,} nodes in {root} ({said['seconds']:.1f} s)")
    if models:
        near = said["from"]
        click.echo(f"{near['windows']:,} windows, {near['mutants']:,} mutants of whole models")
        for path in near["large"]:
            click.echo(f"{path} is too large to be mutated as a whole: its windows alone were used")
    if known:
        far = said["unlike"]
        click.echo(f"{far['distance']:.3f} from what is known, {far['new']:,} connections that nothing known has; "
                   f"unchosen {far['unchosen']['distance']:.3f} and {far['unchosen']['new']:,}")  # fmt: skip


def _chosen(
    root: Path, known: Sequence[Path], settings: Settings, seeds: range, group: int, jobs: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:  # fmt: skip
    """What was chosen, as `--json` prints it."""
    from corpus.architecture.layers import LIBRARY
    from fuzz.collection.architectures import gather
    from fuzz.seeds.unlike import unlike

    samples = gather(known, None)
    if not samples:
        raise UsageError(f"no architecture is in {', '.join(map(str, known))}")
    if any(text in LIBRARY for one in samples for text in one.features.parameters):
        raise UsageError(
            f"the layers in {', '.join(map(str, known))} are modules of torch.nn, and a generated model has operators: "
            "make the file with `fuzz corpus architecture --operators`"
        )
    return unlike(root, samples, settings, seeds, group, jobs=jobs, progress=progress).to_json()


def _made(
    root: Path, models: Sequence[Path], settings: Settings, seeds: Sequence[int], jobs: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:  # fmt: skip
    """What was made, as `--json` prints it."""
    if models:
        from fuzz.seeds.neighbours import neighbours

        return neighbours(root, models, settings, seeds, jobs=jobs, progress=progress).to_json()
    from dataclasses import asdict

    from fuzz.generate.run import generate_cases

    return asdict(generate_cases(root, settings, seeds, jobs=jobs, progress=progress))
