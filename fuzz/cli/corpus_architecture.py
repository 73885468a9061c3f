"""`fuzz corpus architecture`: what models are without their weights, and how far from all that is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, echo, json_option, print_json

if TYPE_CHECKING:
    from fuzz.collection.architectures import Described
    from fuzz.collection.graphs import Unread

__all__ = ["architecture"]


@click.command()
@click.argument("models", nargs=-1, type=FilePath(path_type=Path, file_okay=True), metavar="[MODEL_OR_FOLDER...]")
@click.option("-d", "--cache-dir", "corpus", type=FilePath(path_type=Path, file_okay=False, exists=True), metavar="DIR",
              help="A cache of `fuzz corpus run`: a build is named alone; without a model all are taken.")  # fmt: skip
@click.option("--out", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE.jsonl",
              help="Add the architectures to this file; a model that it has by name stays as it is.")  # fmt: skip
@click.option("--model-type", metavar="NAME", help="The label model_type of all that are added and have none.")
@click.option("--operators", is_flag=True,
              help="Take each operator for a layer, whatever module it was exported from: to compare with models that "
              "were generated.")  # fmt: skip
@click.option("--known", multiple=True, type=FilePath(path_type=Path, file_okay=True), metavar="ARCHITECTURES",
              help="Say how far each model is from the nearest of these.")  # fmt: skip
@json_option
def architecture(
    models: tuple[Path, ...], corpus: Path | None, out: Path | None, model_type: str | None, operators: bool,
    known: tuple[Path, ...], as_json: bool,
) -> int:  # fmt: skip
    """Make abstract architectures of models: layers with parameters and dimensions, and what feeds what.

    A model is anything that `fuzz corpus graph` reads: an .onnx file, a SavedModel, a build; folders are searched. The
    distance is 1 less the share of connections of layers, counted, that a model has in common with the nearest known
    one: 0 is the same, 1 nothing in common. Compare like with like: an ONNX model has other layers than the trace of
    the same network, and --operators other ones again.

    \b
    fuzz corpus architecture zoo/ --operators --out zoo.jsonl
    fuzz corpus architecture fuzz-root/cases --operators --known zoo.jsonl

    --json prints {out, added, present, models: [{name, labels, layers, connections, back_edges, distance, nearest,
    new}], unread: [{file, why}], seconds}: the last three without --known are null; new are connections that no known
    model has. Exit code 2 where no model can be read.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.collection.architectures import append, described, gather
    from fuzz.collection.graphs import find, useless
    from fuzz.errors import UsageError

    if not models and corpus is None:
        raise UsageError("give a model, a folder of models, or a cache of `fuzz corpus run` as -d DIR")
    start = time.perf_counter()
    near = gather(known)
    if known and not near:
        raise UsageError(f"no architecture is in {', '.join(map(str, known))}")
    found = find(models, corpus)
    labels = {"model_type": model_type} if model_type else {}
    unread: list[Unread] = []
    rows: list[Described] = []
    try:
        with progress_bar("models", len(found)) as progress:
            rows.extend(described(found, near, labels, unread, progress, operators=operators))
    except KeyboardInterrupt:
        if out is not None:
            append(out, rows)
            echo(f"interrupted: {out} has what was read until then; the same command goes on")
        raise
    if not rows:
        raise useless(len(found), unread)
    added = append(out, rows) if out is not None else 0
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        failed = [one.to_json() for one in unread]
        print_json({"out": out and str(out), "added": added, "present": len(rows) - added if out else 0,
                    "models": [_row(one) for one in rows], "unread": failed, "seconds": seconds})  # fmt: skip
        return 0
    for one in rows:
        click.echo(_told(one))
    for problem in unread:
        click.echo(f"not read: {problem.text()}")
    if out is not None:
        click.echo(f"{added:,} added to {out}, {len(rows) - added:,} there before")
    return 0


def _row(one: Described) -> dict[str, Any]:
    far = one.distance
    return {
        "name": one.name, "labels": dict(one.labels), "layers": len(one.architecture.layers),
        "connections": len(one.architecture.connections), "back_edges": one.architecture.removed,
        "distance": far and round(far.value, 4), "nearest": far and far.nearest, "new": far and list(far.new),
    }  # fmt: skip


def _told(one: Described) -> str:
    text = f"{one.name}: {len(one.architecture.layers):,} layers, {len(one.architecture.connections):,} connections"
    if one.distance is None:
        return text
    far = one.distance
    new = f"; new: {', '.join(far.new[:3])}{f' and {len(far.new) - 3:,} more' if len(far.new) > 3 else ''}"
    return f"{text}; {far.value:.2f} from {far.nearest}{new if far.new else ''}"
