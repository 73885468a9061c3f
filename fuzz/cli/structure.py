"""`fuzz structure`: what models have beside operators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["command"]


@click.command()
@click.option("--root", type=click.Path(path_type=Path), metavar="DIR",
              help="Count the models of this root that have each trait.")  # fmt: skip
@json_option
def command(root: Path | None, as_json: bool) -> int:
    """List what models may have beside operators, and how many have it.

    Without --root: the names for `fuzz gen --structure`, with how many of a hundred models draw each. With --root:
    the traits of the models there, whoever made them.

    \b
    fuzz structure
    fuzz structure --root fuzz-root --json

    --json prints {features: [{name, purpose, chance}]}, or with --root {models, traits: {name: models}, unread}:
    `unread` are the cases whose models cannot be read.
    """
    if root is None:
        from fuzz.generate.structure import FEATURES

        rows = [{"name": n, "purpose": row.purpose, "chance": row.chance} for n, row in FEATURES.items()]
        if as_json:
            print_json({"features": rows})
        else:
            for name, row in FEATURES.items():
                click.echo(f"{name:12} {row.chance:>2} in 100  {row.purpose}")
        return 0
    from fuzz.traits import TRAITS, counted

    models, found, unread = counted(root)
    table = {name: found[name] for name in TRAITS}
    if as_json:
        print_json({"models": models, "traits": table, "unread": unread})
    else:
        _print(models, table, unread)
    return 0


def _print(models: int, table: Mapping[str, int], unread: Sequence[str]) -> None:
    width = max(map(len, table))
    for name, count in table.items():
        click.echo(f"{name:{width}}  {count:>6}  {count / max(models, 1):6.1%}")
    if unread:
        click.echo(f"not read: {', '.join(unread)}", err=True)
    click.echo(f"{models:,} models")
