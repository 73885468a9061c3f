"""`fuzz corpus label-check`: models whose label does not fit their architecture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, Number, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpus.architecture.check import Checked, Suspect

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
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Of the folds and the initial weights.")  # fmt: skip
@json_option
def label_check(
    sources: tuple[Path, ...], corpus: Path | None, key: str, known: tuple[Path, ...], least: int, threshold: float,
    seed: int, as_json: bool,
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
    probability, of_label, has: [{text, of_label, of_other}], lacks: […], twins: {LABEL: n}}], seconds}: unchecked have
    no label or one that too few have; n-grams that a suspect has or lacks, with the shares of the two classes' models
    that have them; twins are models with exactly its n-grams.
    """
    from corpus.architecture.check import check
    from corpus.architecture.classifier import Settings
    from fuzz.cli.progress import progress_bar
    from fuzz.collection.architectures import gather
    from fuzz.errors import UsageError

    if not sources and corpus is None:
        raise UsageError("give a file of architectures, or a cache of `fuzz corpus run` as -d DIR")
    start = time.perf_counter()
    models, learnt = gather(sources, corpus), gather(known, None)
    # Smaller batches than published: a small collection would see too few steps.
    settings = Settings(seed=seed, batch=32)
    with progress_bar("folds", None if known else 2 * settings.folds) as progress:
        try:
            found = check(models, key, settings, known=learnt, least=least, threshold=threshold, progress=progress)
        except ValueError as problem:
            raise UsageError(str(problem)) from None
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        print_json({**found.to_json(), "seconds": seconds})
    else:
        click.echo("\n".join(_lines(found, seconds)))
    return 1 if found.suspects else 0


def _lines(found: Checked, seconds: float) -> Iterator[str]:
    checked = found.models - found.unchecked
    yield f"{len(found.suspects):,} of {checked:,} labels suspect, {len(found.classes)} classes ({seconds:.1f} s)"
    if found.unchecked:
        yield f"  not checked: {found.unchecked:,} models without a label, or with one that too few have"
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
