"""`fuzz corpus graph`, `show`, `sequence`: networks as computation graphs, pictures and XML."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, echo, json_option, print_json

if TYPE_CHECKING:
    from fuzz.collection.graphs import Gathered

__all__ = ["graph", "sequence", "show"]

_corpus = click.option(
    "-d", "--cache-dir", "corpus", type=FilePath(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="A cache of `fuzz corpus run`: a build in it is named alone.",
)  # fmt: skip


@click.command()
@click.argument("models", nargs=-1, type=FilePath(path_type=Path, file_okay=True), metavar="[MODEL_OR_FOLDER...]")
@_corpus
@click.option("--out", required=True, type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="The cache of graphs that they are put into.")  # fmt: skip
@click.option("--family", default="models", show_default=True, metavar="NAME", help="The family that they belong to.")
@json_option
def graph(models: tuple[Path, ...], corpus: Path | None, out: Path, family: str, as_json: bool) -> None:
    """Make computation graphs of models: typed nodes with kernels, resolutions, channels and weights.

    A model is an .onnx file, a frozen TensorFlow GraphDef (.pb), a SavedModel's folder, or a build of `fuzz corpus
    run`; a folder is searched for them at any depth, and -d without a model takes all builds. A graph that the family
    has by its name is not made again, so that an interrupted command goes on where it was. Each graph gets its
    parameters and operations as labels, that of a build its labels too.

    \b
    fuzz corpus graph model.onnx --out graphs
    fuzz corpus graph frozen.pb saved_model/ --out graphs --family tensorflow
    fuzz corpus graph -d my-cache --out graphs --family timm

    --json prints {out, family, models, added, present, nodes, seconds, unread: [{file, why}]}: models found, graphs
    made and there before, nodes made, and what could not be read. Exit code 2 where nothing could.
    """
    from corpus.graphs.cache import Cache
    from fuzz.cli.progress import progress_bar
    from fuzz.collection.graphs import find, gather, useless
    from fuzz.errors import UsageError

    if not models and corpus is None:
        raise UsageError("give a model, a folder of models, or a cache of `fuzz corpus run` as -d DIR")
    start = time.perf_counter()
    found = find(models, corpus)
    cache = Cache(out)
    try:
        with progress_bar("graphs", len(found)) as progress:
            result = gather(found, cache, family, progress)
    except KeyboardInterrupt:
        echo(f"interrupted: {family} in {out} has {_many(len(cache.names(family)), 'graph')}; the same command goes on")
        raise
    if result.unread and not result.added and not result.present:
        raise useless(len(found), result.unread)
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        print_json({"out": str(out), "seconds": seconds, **result.to_json()})
    else:
        click.echo("\n".join(_told(result, out, seconds)))


def _told(result: Gathered, out: Path, seconds: float) -> list[str]:
    were = "was" if result.present == 1 else "were"
    before = f", {result.present:,} {were} there" if result.present else ""
    made = f"{_many(result.added, 'graph')} of {_many(result.nodes, 'node')}"
    head = f"{made} added to {result.family} in {out}{before} ({seconds:.1f} s)"
    return [head, *(f"  not read: {one.text()}" for one in result.unread)]


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL|FAMILY|FAMILY/GRAPH...")
@click.option("--graphs", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="The cache of `fuzz corpus graph` that holds the families.")  # fmt: skip
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Draw so many random graphs of a family.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Which ones these are.")
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), default=Path("pictures"), show_default=True,
              metavar="DIR", help="Where the pictures go, named like the graphs.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["svg", "png", "html"]), default="svg", show_default=True,
              help="html is moved with the pointer, scaled with the wheel, and searched.")  # fmt: skip
@json_option
def show(
    names: tuple[str, ...], graphs: Path | None, count: int, seed: int, out: Path, form: str, as_json: bool
) -> None:
    """Draw computation graphs: each node with its kernel, its resolution and channels, and the tensor that it gives.

    A model is anything that `fuzz corpus graph` reads; a family, or one of its graphs, is looked for in --graphs. A
    deep network is drawn in columns, from top to bottom and then on to the right.

    \b
    fuzz corpus show model.onnx --out pictures --format html
    fuzz corpus show timm --graphs graphs --count 5 --seed 1 --format png
    fuzz corpus show timm/resnet18 --graphs graphs

    --json prints {pictures: [{name, family, nodes, edges, parameters, flops, file}], seconds}.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.collection.drawing.files import draw
    from fuzz.collection.graphs import chosen, the_cache

    start = time.perf_counter()
    cache = None if graphs is None else the_cache(graphs)
    found = [one for name in names for one in chosen(name, cache, count, seed)]
    rows = []
    with progress_bar("pictures", len(found)) as progress:
        for one in found:
            file = draw(one, out, form)
            rows.append({"name": one.name, "family": one.family, "nodes": len(one.nodes), "edges": len(one.edges),
                         "parameters": one.parameters(), "flops": one.flops(), "file": str(file)})  # fmt: skip
            if not as_json:
                click.echo(f"{file}  {_many(len(one.nodes), 'node')}")
            progress(1)
    if as_json:
        print_json({"pictures": rows, "seconds": round(time.perf_counter() - start, 3)})


@click.command()
@click.argument("model", type=FilePath(path_type=Path, file_okay=True), metavar="MODEL")
@_corpus
@click.option("--version", "version", type=click.IntRange(1, 4), default=2, show_default=True, metavar="1..4",
              help="1: with arguments; 2: with types and shapes, dead code removed; 3: the same, folded to the first "
              "level of modules; 4: plain.")  # fmt: skip
@click.option("--out", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it here.  [default: standard output]")  # fmt: skip
@json_option
def sequence(model: Path, corpus: Path | None, version: int, out: Path | None, as_json: bool) -> None:
    """Write a network as XML: graphs nested by module, nodes with their types, edges.

    The modules are those that the exported program keeps (a build of `fuzz corpus run`, or its graph.json), that
    PyTorch's exporter noted in an ONNX model, or the name scopes of TensorFlow; without any the sequence is flat.

    \b
    fuzz corpus sequence model.onnx
    fuzz corpus sequence timm_resnet18_170728a5 -d my-cache --version 3 --out resnet18.xml

    --json prints {name, version, nodes, edges, graphs, xml}; nodes, edges and graphs (modules with more than one
    node) are those of the sequence.
    """
    from corpus.graphs.computation import GraphError
    from corpus.graphs.sequence import VERSIONS, counted
    from corpus.graphs.sequence import sequence as written
    from corpus.graphs.sources import read_graph
    from fuzz.errors import UsageError
    from fuzz.file import write_text

    path = model if model.exists() or corpus is None else corpus / model.name
    try:
        made = read_graph(path, whole=VERSIONS[version].whole, traced=True)
    except GraphError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror or problem}") from None
    text = written(made, version)
    if out is not None:
        write_text(out, text, folder=True)
    if as_json:
        print_json({"name": made.name, "version": version, **counted(text), "xml": text})
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{made.name}, version {version}, in {out}: {_numbers(counted(text))}")


def _numbers(counts: dict[str, int]) -> str:
    return ", ".join(_many(number, name.removesuffix("s")) for name, number in counts.items())


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
