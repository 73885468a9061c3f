"""`fuzz corpus measure`: labels of computation graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, echo, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.graphs.cache import Cache
    from corpus.graphs.computation import ComputationGraph
    from fuzz.collection.measuring import Order
    from fuzz.execute.worker import Limits

__all__ = ["command"]


@click.command()
@click.argument("families", nargs=-1, metavar="[FAMILY...]")
@click.option("--graphs", type=FilePath(path_type=Path, file_okay=False), required=True, metavar="CACHE",
              help="The cache of computation graphs whose labels these become.")  # fmt: skip
@click.option("--models", type=FilePath(path_type=Path, file_okay=False), metavar="DIR",
              help="Their models as test cases, as `fuzz corpus families sample --onnx` writes them.")  # fmt: skip
@click.option("--backend", metavar="TARGET", help="Measure how long this target takes, in turns, twice.")
@click.option("--label", default="latency_ms", show_default=True, metavar="NAME",
              help="The name of that label: one a target.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="How often each of the two passes goes over all networks.")  # fmt: skip
@click.option("--samples", type=click.IntRange(min=3), default=16, show_default=True, metavar="N",
              help="Samples of a network in a round.")  # fmt: skip
@click.option("--accuracy", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help='Take accuracies from a JSON file, {"name of a graph, or its architecture": 0.93, ...}, or from '
              "NAS-Bench-101's .tfrecord.")  # fmt: skip
@timeout_option("Seconds for one compilation or sample.")
@memory_option
@json_option
def command(
    families: tuple[str, ...], graphs: Path, models: Path | None, backend: str | None, label: str, rounds: int,
    samples: int, accuracy: Path | None, timeout: float, memory: int, as_json: bool,
) -> None:  # fmt: skip
    """Give the graphs of families (all of the cache, where none is named) labels that a predictor can learn.

    parameters, flops and memory (bytes: weights, and the values that are alive at a time) follow from the graph.
    With --backend a latency in milliseconds is measured: one thread, the machine's other load left out, in two
    independent passes, LABEL_1 and LABEL_2, whose mean is LABEL. Figures are kept as they are taken: the same command
    goes on where it was.

    \b
    fuzz corpus families sample nb201 --count 100 --out graphs --onnx models
    fuzz corpus measure nb201 --graphs graphs --models models --backend onnxruntime
    fuzz corpus measure nb201 --graphs graphs --accuracy accuracies.json

    Exit codes: 0 all are measured, 1 the target refuses some, 2 misuse.

    --json prints {cache, families: [{family, graphs, changed, measured, refused: [NAME], test_retest, accuracies}]}:
    changed got other labels than they had; test_retest is Spearman's correlation of the two passes.
    """
    from corpus.graphs.computation import GraphError
    from fuzz.collection.graphs import the_cache
    from fuzz.errors import UsageError
    from fuzz.execute.worker import Limits
    from fuzz.file import unwritten

    if (backend is None) != (models is None):
        raise UsageError("a latency needs both: --backend TARGET and --models DIR")
    # By its name a predictor knows that less is better, and that ratios count.
    if not (label.isidentifier() and label.startswith("latency")):
        raise UsageError(f"{label!r} is no name of a latency: write latency_ and letters, digits or '_'")
    order = None if backend is None else _order(backend, label, rounds, samples)
    cache = the_cache(graphs)
    try:
        rows = _rows(cache, families or cache.families(), models, order, accuracy, Limits(timeout, memory << 20))
    except GraphError as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise unwritten(problem, graphs) from None
    except KeyboardInterrupt:
        echo("interrupted: what was measured is kept; the same command goes on")
        raise
    if as_json:
        print_json({"cache": str(graphs), "families": rows})
    else:
        click.echo("\n".join(map(_told, rows)))
    if any(row["refused"] for row in rows):
        raise SystemExit(1)


def _order(backend: str, label: str, rounds: int, samples: int) -> Order:
    from fuzz.cli.targets import read_target
    from fuzz.collection.measuring import Order

    return Order(read_target(backend), label, rounds, samples)


def _rows(
    cache: Cache, families: Sequence[str], models: Path | None, order: Order | None, accuracy: Path | None,
    limits: Limits,
) -> list[dict[str, Any]]:  # fmt: skip
    import threading

    from corpus.predictor.metrics import spearman
    from fuzz.cli.progress import progress_bar
    from fuzz.collection import measuring

    loaded = {family: cache.load(family) for family in families}  # a slip in the last name is told first
    known = {} if accuracy is None else _accuracies(accuracy, [one for graphs in loaded.values() for one in graphs])
    rows = []
    for family, graphs in loaded.items():
        labels = {one.name: {**measuring.computed(one), **known.get(one.name, {})} for one in graphs}
        row: dict[str, Any] = {
            "family": family, "graphs": len(graphs), "measured": 0, "refused": [], "test_retest": None,
            "accuracies": sum(name in known for name in labels),
        }  # fmt: skip
        if order is not None and models is not None:
            total = measuring.PASSES * order.rounds * len(graphs)
            with progress_bar(family, total) as progress:
                journal = measuring.measure(
                    cache, family, models, order, limits=limits, stop=threading.Event(), step=progress
                )
            taken = measuring.measured(journal, order, labels)
            sides = [[float(one[f"{order.label}_{side}"]) for one in taken.values()] for side in (1, 2)]
            row |= {
                "measured": len(taken), "refused": sorted(set(labels) - set(taken)), "test_retest": spearman(*sides),
            }  # fmt: skip
            labels = {name: {**own, **taken.get(name, {})} for name, own in labels.items()}
        rows.append({**row, "changed": measuring.label(cache, family, labels)})
    return rows


def _accuracies(path: Path, graphs: Sequence[ComputationGraph]) -> dict[str, dict[str, float | str]]:
    """The label, by the name of a graph that the file knows; where it knows both, by name goes before architecture."""
    from fuzz.collection.accuracies import accuracies, keys

    found = accuracies(path, {key for one in graphs for key in keys(one)})
    return {one.name: {"accuracy": found[key]} for one in graphs for key in reversed(keys(one)) if key in found}


def _told(row: dict[str, Any]) -> str:
    said = f"{row['family']}: {row['graphs']:,} graphs, {row['changed']:,} with new labels"
    if row["measured"] or row["refused"]:
        agreed = "" if row["test_retest"] is None else f", the two passes agree to {row['test_retest']:.3f} (Spearman)"
        refused = f", {len(row['refused']):,} refused" if row["refused"] else ""
        said += f", {row['measured']:,} measured{refused}{agreed}"
    return said + (f", {row['accuracies']:,} accuracies" if row["accuracies"] else "")
