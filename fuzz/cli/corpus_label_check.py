"""`fuzz corpus label-check`: models whose label does not fit their architecture."""

from __future__ import annotations

import time
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import FilePath, Number, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from corpus.architecture.check import Checked, Suspect
    from corpus.architecture.classifier import Settings
    from fuzz.collection.graphs import Unread

__all__ = ["label_check"]


@click.command("label-check")
@click.argument("sources", nargs=-1, type=FilePath(path_type=Path, file_okay=True), metavar="[ARCHITECTURES...]")
@click.option("-d", "--cache-dir", "corpus", type=FilePath(path_type=Path, file_okay=False, exists=True), metavar="DIR",
              help="Check the builds of this cache of `fuzz corpus run`, too.")  # fmt: skip
@click.option("--label", "key", type=click.Choice(["model_type", "architecture"]), default="model_type",
              show_default=True, help="Which label.")  # fmt: skip
@click.option("--known", multiple=True, type=FilePath(path_type=Path, file_okay=True), metavar="ARCHITECTURES",
              help="Learn from these models, whose labels are taken as right, not from those checked.")  # fmt: skip
@click.option("--least", type=click.IntRange(min=2), default=20, show_default=True, metavar="N",
              help="How many models a class must have to be checked.")  # fmt: skip
@click.option("--threshold", type=Number(min=0, max=1), default=0.5, show_default=True, metavar="P",
              help="The least probability of another class that makes a label suspect.")  # fmt: skip
@click.option("--noise", type=Number(min=0, max=0.5), default=0, show_default=True, metavar="SHARE",
              help="Leave this share out of what is learnt from: the least likely by a Gaussian mixture.")  # fmt: skip
@click.option("--grid", multiple=True, type=click.Choice(["rate", "dropout", "batch", "widths", "all"]),
              help="First try several values of this setting of the classifier, with those of each other --grid, and "
              "take what predicts labels best.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Of the folds and the initial weights.")  # fmt: skip
@json_option
def label_check(
    sources: tuple[Path, ...], corpus: Path | None, key: str, known: tuple[Path, ...], least: int, threshold: float,
    noise: float, grid: tuple[str, ...], seed: int, as_json: bool,
) -> int:  # fmt: skip
    """Report models whose label does not fit their architecture, with the evidence.

    ARCHITECTURES are files of JSON lines (.jsonl, .jsonl.gz) or folders of them, as `make campaign-architectures`
    makes them. A classifier learns from four fifths of the models what their classes look like and is asked about the
    rest, five times; then again without those in doubt. Classes whose graphs are the same (hubert and wav2vec2) are
    found and taken as one.

    \b
    fuzz corpus label-check build/architectures
    fuzz corpus label-check new.jsonl --known build/architectures --label architecture

    Exit code 1 where a label is suspect.

    --json prints {label, models, unchecked, classes, groups, accuracies, suspects: [{name, label, looks_like,
    probability, of_label, has: [{text, of_label, of_other}], lacks: […], twins: {LABEL: n}}], unread: [{file,
    why}], seconds}: unchecked have no label or one that too few have; n-grams that a suspect has or lacks, with the
    shares of the two classes' models that have them; twins are models with exactly its n-grams; unread are builds. With
    --grid also settings, and grid: [{settings, accuracy}], the best first.
    """
    from corpus.architecture.check import check, tuned
    from corpus.architecture.classifier import GRID, Settings
    from fuzz.cli.progress import progress_bar
    from fuzz.collection.architectures import gather
    from fuzz.errors import UsageError

    if not sources and corpus is None:
        raise UsageError("give a file of architectures, or a cache of `fuzz corpus run` as -d DIR")
    start = time.perf_counter()
    unread: list[Unread] = []
    models, learnt = gather(sources, corpus, unread), gather(known)
    # Smaller batches than published: a small collection would see too few steps.
    settings = Settings(seed=seed, batch=32, noise=noise)
    asked = {name: values for name, values in GRID.items() if name in grid or "all" in grid}
    folds = settings.folds * ((0 if known else 2) + (prod(map(len, asked.values())) if asked else 0))
    tried: list[tuple[Settings, float]] = []
    with progress_bar("folds", folds or None) as progress:
        try:
            if asked:
                tried = tuned(learnt or models, key, settings, asked, least=least, progress=progress)
                settings = tried[0][0]
            found = check(models, key, settings, known=learnt, least=least, threshold=threshold, progress=progress)
        except ValueError as problem:
            raise UsageError(str(problem)) from None
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        rows = [{"settings": _named(one, asked), "accuracy": round(accuracy, 4)} for one, accuracy in tried]
        more = {"settings": rows[0]["settings"], "grid": rows} if rows else {}
        failed = [one.to_json() for one in unread]
        print_json({**found.to_json(), **more, "unread": failed, "seconds": seconds})
    else:
        for one, accuracy in tried:
            told = ", ".join(f"{name} {value}" for name, value in _named(one, asked).items())
            click.echo(f"labels predicted: {accuracy:.1%} with {told}")
        click.echo("\n".join(_lines(found, unread, seconds)))
    return 1 if found.suspects else 0


def _named(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in names}


def _lines(found: Checked, unread: Sequence[Unread], seconds: float) -> Iterator[str]:
    checked = found.models - found.unchecked
    yield f"{len(found.suspects):,} of {checked:,} labels suspect, {len(found.classes)} classes ({seconds:.1f} s)"
    if found.unchecked:
        yield f"  not checked: {found.unchecked:,} models without a label, or with one that too few have"
    if unread:
        yield f"  not read: {len(unread):,} builds, such as {unread[0].text()}"
    for group in found.groups:
        yield f"  taken as one, since their graphs are the same: {', '.join(group.split('|'))}"
    if found.accuracies:
        mean = sum(found.accuracies) / len(found.accuracies)
        yield f"  labels predicted: {mean:.1%} ({' '.join(f'{one:.1%}' for one in found.accuracies)} in the folds)"
    for one in found.suspects:
        yield from _told(one)


def _told(one: Suspect) -> Iterator[str]:
    yield (f"{one.name}: labelled {one.label} ({one.of_label:.0%}), looks like {one.looks_like.replace('|', ' or ')} "
           f"({one.probability:.0%})")  # fmt: skip
    for word, shares in (("has", one.has), ("lacks", one.lacks)):
        for share in shares:
            yield f"  {word} {share.text} (in {share.of_label:.0%} of its label, {share.of_other:.0%} of the other)"
    if one.twins:
        named = ", ".join(f"{count} {label}" for label, count in one.twins.items())
        yield f"  models with exactly its n-grams: {named}"
