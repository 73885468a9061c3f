"""`fuzz corpus collect`: cards of models and datasets, tasks and results, from where they are published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.corpus_cards import told
from fuzz.cli.options import FilePath, json_option, print_json

if TYPE_CHECKING:
    from corpus.cards.collecting import Collected

__all__ = ["collect"]

_KINDS = ("tasks", "papers-with-code", "datasets", "models")


@click.command()
@click.argument("kinds", nargs=-1, type=click.Choice(_KINDS), metavar="[KIND]...")
@click.option("--out", type=FilePath(path_type=Path, file_okay=False), default=Path("cards"), show_default=True,
              metavar="FOLDER", help="Where it goes.")  # fmt: skip
@click.option("--search", metavar="TEXT", help="Only models and datasets whose names hold this.")
@click.option("--author", metavar="NAME", help="Only models and datasets of this user or organisation.")
@click.option("--tag", "tags", multiple=True, metavar="TAG",
              help="Only those with this tag of the hub, such as image-classification or dataset:imdb. Repeat it: all "
              "must hold.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=0), default=1000, show_default=True, metavar="N",
              help="So many models and datasets, those that are downloaded most; 0: all.")  # fmt: skip
@json_option
def collect(
    kinds: tuple[str, ...], out: Path, search: str | None, author: str | None, tags: tuple[str, ...], limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Fetch cards of models and datasets from the Hugging Face hub, its tasks, and papers-with-code's last dumps.

    KINDs are tasks, papers-with-code, datasets, models; all of them, where none is named. A network is needed. A run
    that was ended goes on where it was; cards that did not change are not fetched again. Where the hub asks to wait,
    the command waits. $HF_ENDPOINT names another hub, $HF_TOKEN is used where it is set.

    \b
    fuzz corpus collect --tag image-classification --limit 500 --out cards
    fuzz corpus match cards/models --datasets cards/papers-with-code --datasets cards/datasets

    --json prints {out, fetched: {KIND: n}, before: {KIND: n}, without: {KIND: n}, evaluations}: cards that came, that
    were there before, models and datasets without a card, and results in model-index blocks.
    """
    from fuzz.cli.progress import progress_bar

    with told(out):
        from corpus.cards.collecting import KINDS, Wanted
        from corpus.cards.collecting import collect as fetch

        wanted = Wanted(kinds or KINDS, search, author, tags, limit or None)
        with progress_bar("cards", None) as progress:
            result = fetch(out, wanted, progress)
    if as_json:
        print_json({"out": str(out), **result.to_json()})
    else:
        click.echo("\n".join(_lines(result, out)))


def _lines(result: Collected, out: Path) -> list[str]:
    lines = [f"in {out}:"]
    for kind, count in result.fetched.items():
        more = [f"{result.before[kind]:,} before"] if result.before.get(kind) else []
        more += [f"{result.without[kind]:,} have no card"] if result.without.get(kind) else []
        lines.append(f"  {count:,} {_NOUNS[kind]}" + (f" ({', '.join(more)})" if more else ""))
    if result.evaluations:
        lines.append(f"  {result.evaluations:,} results in the cards' metadata")
    return lines


_NOUNS = {
    "tasks": "tasks", "papers-with-code": "dumps of papers-with-code", "datasets": "cards of datasets",
    "models": "cards of models",
}  # fmt: skip
