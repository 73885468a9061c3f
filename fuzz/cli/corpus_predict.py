"""`fuzz corpus predict`: a predictor of labels trained on families of graphs, and tested on others."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from corpus.predictor.recipe import FEATURES, LAYERS, READOUTS, RECIPES, SCHEDULES
from fuzz.cli.options import FilePath, Number, echo, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from corpus.graphs.cache import Cache
    from corpus.predictor.experiment import Plan

__all__ = ["command"]


@click.command()
@click.option("--graphs", type=FilePath(path_type=Path, file_okay=False), required=True, metavar="CACHE",
              help="The cache of computation graphs, with labels of `fuzz corpus measure`.")  # fmt: skip
@click.option("--name", default="demo", show_default=True, help="The predictor's name, in the names of its files.")
@click.option("--train", metavar="FAMILY[+FAMILY...]", default="", help="Train on 80% of these families.")
@click.option("--test", metavar="FAMILY[#N][+...]", default="",
              help="Test on these; #50 fine-tunes on 50 of the family's graphs and tests on the others.")  # fmt: skip
@click.option("--label", default="latency_ms", show_default=True, help="What is predicted.")
@click.option("--checkpoint", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
              help="Start from this predictor and its network; without --train it is tested as it is.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0, max=2**31), default=0, show_default=True, metavar="N",
              help="Of splits, weights and batches.")  # fmt: skip
@click.option("--recipe", type=click.Choice(list(RECIPES)), default="published", show_default=True,
              help="What the options below are unless they are given: GENNAPE's, or made for costs.")  # fmt: skip
@click.option("--gnn-type", type=click.Choice(LAYERS), help="GraphConv is the k-GNN.")
@click.option("--features", type=click.Choice(FEATURES),
              help="costs: what a node computes, gives, takes and keeps beside the published ones.")  # fmt: skip
@click.option("--readout", type=click.Choice(READOUTS),
              help="shares: a cost is a sum over nodes. roofline: of each node's operations, elements and call, times "
              "what the network says.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(min=1), metavar="N", help="Times that it sees all that it trains on.")
@click.option("--batch", type=click.IntRange(min=1), metavar="N", help="Graphs of a step.")
@click.option("--learning-rate", type=Number(min=0, min_open=True, max=1), metavar="X", help="At the first step.")
@click.option("--schedule", type=click.Choice(SCHEDULES), help="How the learning rate goes on: as it is, or to 0.")
@click.option("--fine-tune-epochs", type=click.IntRange(min=1), metavar="N", help="Of fine-tuning.")
@click.option("--fine-tune-batch", type=click.IntRange(min=1), metavar="N", help="Graphs of a step of fine-tuning.")
@click.option("--baselines/--no-baselines", default=True, show_default=True,
              help="Beside it a line through the operations, and a plain GCN.")  # fmt: skip
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), default=Path("predictors"), show_default=True,
              metavar="DIR", help="Where its log and its checkpoints go.")  # fmt: skip
@json_option
def command(
    graphs: Path, name: str, train: str, test: str, label: str, checkpoint: Path | None, seed: int, recipe: str,
    baselines: bool, out: Path, as_json: bool, **wishes: Any,
) -> None:  # fmt: skip
    """Train a graph neural network to predict a label, and test it on families that it has not seen.

    Without --recipe it is GENNAPE's published predictor; the recipe roofline is made for costs such as a latency. A
    family to train on is split 80/10/10: to train, to choose the best epoch, to test. Where a label was measured twice
    the ceiling stands beside: how well one measurement ranks as the other does (Spearman).

    \b
    fuzz corpus predict --graphs graphs --train nb101+nb201 --test hiaml#50+inception#50 --recipe roofline
    fuzz corpus predict --graphs graphs --checkpoint predictors/demo_seed0_best.safetensors --test two_path

    In --out lie NAME_seedS_best, _last and _FAMILY_tuned.safetensors, and logs/NAME_seedS.txt. After Ctrl-C the last
    whole epoch is there: go on with --checkpoint.

    --json prints {name, seed, label, settings, train: {families, graphs}, test, ceiling, families: [{family, fine_tune,
    tested, ceiling, zero_shot, fine_tuned}], log, checkpoints}; test, zero_shot and fine_tuned are {predictor, flops,
    gcn: {count, mse, mae, mape, spearman, kendall, ndcg_10, ndcg_50}}.
    """
    from corpus.graphs.computation import GraphError
    from fuzz.collection.graphs import the_cache
    from fuzz.errors import StorageError, UsageError

    if not train and checkpoint is None:
        raise UsageError("give families to train on, --train nb101+nb201, or a predictor, --checkpoint FILE")
    if not all(part.isalnum() for part in name.replace("-", "_").split("_") if part) or not name.strip("-_"):
        raise UsageError(f"{name!r} is no name of a predictor: letters, digits, '-' and '_'")
    cache = the_cache(graphs)
    _require()
    from corpus.predictor.experiment import Plan, foreign
    from corpus.predictor.network import NetworkError, Settings
    from corpus.predictor.training import Course

    taken = replace(RECIPES[recipe], **{key: value for key, value in wishes.items() if value is not None})
    try:
        plan = Plan(
            name, out, tuple(dict.fromkeys(filter(None, train.split("+")))),
            tuple(foreign(one) for one in dict.fromkeys(filter(None, test.split("+")))), label,
            Settings(taken.gnn_type, taken.features, taken.readout),
            Course(taken.epochs, taken.batch, taken.learning_rate, taken.schedule),
            Course(taken.fine_tune_epochs, taken.fine_tune_batch, taken.learning_rate, taken.schedule), seed,
            checkpoint, baselines,
        )  # fmt: skip
        result = _run(plan, cache, quiet=as_json)
    except (GraphError, NetworkError) as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        if checkpoint is not None and problem.filename == str(checkpoint):
            raise UsageError(f"cannot read {checkpoint}: {problem.strerror}") from None
        raise StorageError(f"{problem.filename or out} cannot be written: {problem.strerror}") from None
    if as_json:
        print_json(result)
    else:
        click.echo("\n".join(_told(result)))


def _require() -> None:
    from fuzz.errors import UsageError

    try:
        import safetensors
        import torch_geometric  # noqa: F401 - whether it is there
    except ImportError as problem:
        raise UsageError(f"{problem.name} is not installed: pip install 'dnnfuzz[corpus,perf]'") from None
    del safetensors


def _run(plan: Plan, cache: Cache, *, quiet: bool) -> dict[str, Any]:
    from corpus.predictor.experiment import run
    from fuzz.cli.progress import progress_bar

    tuned = sum(1 for one in plan.test if one.tune)
    entrants = 2 if plan.baselines and plan.train else 1
    epochs = entrants * (plan.course.epochs * bool(plan.train) + plan.tuning.epochs * tuned)
    with _log(plan.log, quiet=quiet) as hear, progress_bar("epochs", epochs) as progress:
        try:
            return run(plan, cache, hear, progress)
        except KeyboardInterrupt:
            if plan.checkpoint("last").is_file():
                echo(f"the last epoch is kept: add --checkpoint {plan.checkpoint('last')} to go on from it")
            raise


@contextmanager
def _log(path: Path, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a line to the log, a new one from the first, and unless ``quiet`` says it."""
    with ExitStack() as stack:
        files: list[TextIO] = []

        def hear(text: str) -> None:
            if not files:
                path.parent.mkdir(parents=True, exist_ok=True)
                files.append(stack.enter_context(path.open("w", encoding="utf-8")))
            files[0].write(text + "\n")
            files[0].flush()
            if not quiet:
                echo(text)

        yield hear


_HEAD = "{:24} {:>9} {:>6}  {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}"


def _told(result: dict[str, Any]) -> list[str]:
    heads = ("Spearman", "Kendall", "NDCG@10", "NDCG@50", "MAPE", "MAE", "ceiling")
    lines = [_HEAD.format("tested on", "predictor", "graphs", *heads)]
    if "test" in result:
        lines += _rows("+".join(result["train"]["families"])[:24], result["test"], result["ceiling"])
    for one in result["families"]:
        lines += _rows(one["family"], one["zero_shot"], one["ceiling"])
        if one["fine_tuned"]:
            lines += _rows(f"{one['family']}#{one['fine_tune']}", one["fine_tuned"], one["ceiling"])
    return [*lines, *(f"checkpoint: {file}" for file in result["checkpoints"])]


def _rows(name: str, rows: dict[str, dict[str, Any]], ceiling: float | None) -> list[str]:
    keys = ("spearman", "kendall", "ndcg_10", "ndcg_50", "mape", "mae")
    return [
        _HEAD.format(name if first == 0 else "", each, f"{row['count']:,}", *(_figure(row[key]) for key in keys),
                     _figure(ceiling) if first == 0 else "")
        for first, (each, row) in enumerate(rows.items())
    ]  # fmt: skip


def _figure(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}" if abs(number) < 1e4 else f"{number:.3g}"
