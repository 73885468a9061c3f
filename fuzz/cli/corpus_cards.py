"""`fuzz corpus match`, `tuples` and `samples`: cards of models, and what follows from them."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, Number, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.cards.catalogue import Catalogue
    from corpus.cards.run import Summary

__all__ = ["match", "samples", "told", "tuples"]

_DATASETS = click.option(
    "--datasets", "datasets", multiple=True, type=FilePath(path_type=Path), metavar="FILE_OR_FOLDER",
    help="Which datasets and tasks there are: dumps of papers-with-code (datasets.json, evaluation-tables.json, also "
    "gzip'd), folders of descriptions or of dataset cards. Repeat it for several. Default: those that come with fuzz.",
)  # fmt: skip
_FOLDER = click.argument("folder", type=FilePath(path_type=Path), metavar="FOLDER")


@click.command()
@click.argument("sources", nargs=-1, required=True, type=FilePath(path_type=Path), metavar="CARDS...")
@_DATASETS
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), default=Path("cards-out"), show_default=True,
              metavar="FOLDER", help="Where the matches go.")  # fmt: skip
@click.option("--least", type=Number(min=0, max=1), default=0.5, show_default=True, metavar="P",
              help="The least confidence of a match.")  # fmt: skip
@json_option
def match(sources: tuple[Path, ...], datasets: tuple[Path, ...], out: Path, least: float, as_json: bool) -> None:
    """Find the datasets that models were trained or evaluated on, out of their cards.

    CARDS are folders of cards (owner/name/README.md, owner/name.md, a cache of huggingface_hub, mmdetection's
    metafile.yml) or dumps of them as JSON lines. Each match has a confidence and its evidence: which words, where they
    stand, which rule. A run that was ended goes on where it was; cards that did not change are not read again.

    \b
    fuzz corpus match cards/ --out out
    fuzz corpus match cards/ --datasets datasets.json.gz --datasets evaluation-tables.json.gz --out out
    fuzz corpus tuples out

    Writes matches.jsonl, problems.jsonl (what could not be read, or in part only) and tasks.json (dataset to tasks).

    --json prints {out, cards, before, matched, matches, datasets: {SLUG: n}, unknown: {NAME: n}, problems}: cards read,
    those matched by an earlier run, those with a match, and names of datasets in metadata that no dataset has.
    """
    from corpus.cards.layouts import cards
    from corpus.cards.run import match_all
    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError

    with told(out):
        catalogue = _catalogue(datasets)
        with progress_bar("cards", None) as progress:
            summary = match_all(cards(sources), catalogue, out, least=least, progress=progress)
    if not summary.cards and not summary.before:
        named = ", ".join(map(str, sources))
        raise UsageError(f"no card in {named}: see {out / 'problems.jsonl'}, and --help for layouts")
    if as_json:
        print_json({"out": str(out), **summary.to_json()})
    else:
        click.echo("\n".join(_lines(summary, out)))


@click.command()
@_FOLDER
@_DATASETS
@json_option
def tuples(folder: Path, datasets: tuple[Path, ...], as_json: bool) -> None:
    """Make (model, dataset, task) tuples of the matches in a FOLDER of `fuzz corpus match`.

    A task is one that the card states and the dataset is used for; where the card states none of these, each that the
    dataset is used for. Give the same --datasets as before.

    Writes tuples.jsonl, and tuples/TASK/DATASET/MODEL, a JSON list of the three; names are percent-encoded.

    --json prints {folder, tuples, models, datasets, tasks, rules: {RULE: n}, without: [MATCH]}: how many, by what the
    task was chosen, and matches of which no task is known.
    """
    from corpus.cards.run import matched_rows
    from corpus.cards.tuples import tuples as made
    from corpus.cards.tuples import write_folders
    from corpus.file import write_lines

    with told(folder):
        catalogue = _catalogue(datasets)
        rows = list(matched_rows(folder))
        found = [one for row in rows for one in made(row, catalogue)]
        write_lines(folder / "tuples.jsonl", (one.to_json() for one in found))
        write_folders(folder / "tuples", found)
    have = {(one.model, one.dataset) for one in found}
    without = [f"{row['model']} on {one['dataset']}" for row in rows for one in row["matches"]
               if (row["model"], one["dataset"]) not in have]  # fmt: skip
    rules = Counter(one.task_rule for one in found)
    counts = {"models": len({one.model for one in found}), "datasets": len({one.dataset for one in found}),
              "tasks": len({one.task for one in found})}  # fmt: skip
    if as_json:
        print_json({"folder": str(folder), "tuples": len(found), **counts, "rules": dict(rules), "without": without})
        return
    click.echo(f"{len(found):,} tuples of {counts['models']:,} models, {counts['datasets']:,} datasets, "
               f"{counts['tasks']:,} tasks in {folder / 'tuples'}")  # fmt: skip
    for rule, count in sorted(rules.items()):
        click.echo(f"  {count:,} {_RULES[rule]}")
    if without:
        click.echo(f"  no task is known of {len(without):,} matches, such as {without[0]}")


_RULES = {
    "stated": "with a task that the card states",
    "dataset": "with each task of the dataset",
    "card": "with the card's task: none is known of the dataset",
}


@click.command()
@_FOLDER
@click.option("--graphs", "graphs", multiple=True, required=True, type=FilePath(path_type=Path), metavar="DIR",
              help="Folders of graphs: owner/name.xml, owner--name.xml, or ONNX models of such names, or graphs.json, "
              "which maps names to such files. Repeat it for several.")  # fmt: skip
@click.option("--version", type=click.IntRange(1, 4), default=2, show_default=True, metavar="N",
              help="Of the XML that is made of ONNX models, as in `fuzz corpus sequence`.")  # fmt: skip
@_DATASETS
@json_option
def samples(folder: Path, graphs: tuple[Path, ...], version: int, datasets: tuple[Path, ...], as_json: bool) -> None:
    """Make samples of tuples: the descriptions of a dataset and a task, and the XML graph of a model for them.

    `fuzz corpus sequence` writes such graphs; ONNX models are turned into them here. Give the same --datasets
    as before.

    Writes samples.jsonl, a line a sample: {name, prompt, completion, model, dataset, task}.

    --json prints {folder, samples, graphs, without: {REASON: n}, missing: [MODEL]}: samples, graphs found, why other
    tuples give none, and models without a graph.
    """
    from corpus.cards.reading import CardsError
    from corpus.cards.samples import Graphs, Sample, rows, sample
    from corpus.file import write_lines
    from fuzz.errors import UsageError

    without: Counter[str] = Counter()
    missing: dict[str, None] = {}
    found: list[Sample] = []
    with told(folder):
        catalogue, drawn = _catalogue(datasets), Graphs(graphs, version)
        path = folder / "tuples.jsonl"
        if not path.is_file():
            raise UsageError(f"{folder} holds no tuples.jsonl: run `fuzz corpus tuples {folder}` first")
        for row in rows(path):
            try:
                one = sample(row, catalogue, drawn)
            except CardsError as problem:
                click.echo(str(problem), err=True)
                one = "its graph cannot be read"
            if isinstance(one, Sample):
                found.append(one)
                continue
            without[one] += 1
            if one.startswith("no graph"):
                missing[row["model"]] = None
        write_lines(folder / "samples.jsonl", (one.to_json() for one in found))
    if as_json:
        print_json({"folder": str(folder), "samples": len(found), "graphs": len(drawn), "without": dict(without),
                    "missing": list(missing)})  # fmt: skip
        return
    click.echo(f"{len(found):,} samples in {folder / 'samples.jsonl'}")
    for reason, count in sorted(without.items()):
        click.echo(f"  {count:,} tuples give none: {reason}")


def _catalogue(sources: tuple[Path, ...]) -> Catalogue:
    from corpus.cards.catalogue import load, own

    return load(sources) if sources else own()


@contextmanager
def told(out: Path) -> Iterator[None]:
    """What cannot be used, or written, becomes one line; a package that is not there, the command that brings it."""
    from corpus.cards.reading import CardsError
    from fuzz.errors import UsageError
    from fuzz.file import unwritten

    try:
        yield
    except CardsError as problem:
        raise UsageError(str(problem)) from None
    except ModuleNotFoundError as problem:
        raise UsageError(f"{problem.name} is not installed: pip install 'dnnfuzz[corpus]'") from None
    except OSError as problem:
        raise unwritten(problem, out) from None


def _lines(summary: Summary, out: Path) -> list[str]:
    cards = f"{summary.cards:,} card{'' if summary.cards == 1 else 's'}"
    lines = [f"{cards}, {summary.matched:,} with a dataset; {summary.matches:,} matches in {out / 'matches.jsonl'}"]
    if summary.before:
        lines.append(f"  {summary.before:,} were matched before")
    top = ", ".join(f"{name} {count}" for name, count in _most(summary.datasets)[:5])
    if top:
        lines.append(f"  most often: {top}")
    if summary.unknown:
        first = _most(summary.unknown)[0][0]
        lines.append(f"  {len(summary.unknown):,} names in metadata that no dataset has, such as {first}")
    if summary.problems:
        lines.append(f"  {summary.problems:,} problems told in {out / 'problems.jsonl'}")
    return lines


def _most(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
