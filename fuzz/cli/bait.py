"""`fuzz bait`: the patterns that compilers rewrite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.generate.bait.pattern import Pattern

__all__ = ["command"]


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--markdown", is_flag=True, help="Print the page docs/bait.md, which is made this way.")
@json_option
def command(names: tuple[str, ...], markdown: bool, as_json: bool) -> int:
    """List the patterns that `fuzz gen` places in models, and which pass of which compiler rewrites each.

    NAME is a pattern, a theme such as linear, or a compiler such as onnxruntime. `fuzz gen --bait NAME` places
    patterns by name or theme, about half of them with one thing off: a near-miss, which the pass must leave alone.

    \b
    fuzz bait attention
    fuzz gen --bait attention,softmax-log --count 100
    fuzz bait --json

    --json prints {patterns: [{name, theme, expression, types, operators, rewriters: [{compiler, pass}], near_misses}]}.
    """
    from fuzz.generate.bait import PATTERNS

    if markdown and (as_json or names):
        raise UsageError("--markdown prints the whole page: give it alone")
    rows = [row for row in PATTERNS.values() if not names or set(names) & _known(row)]
    unknown = set(names).difference(*map(_known, PATTERNS.values()))
    if unknown:
        raise UsageError(f"no pattern, theme or compiler {', '.join(sorted(unknown))}: `fuzz bait` lists them")
    if as_json:
        from fuzz.generate.bait.miss import misses

        print_json({"patterns": [{**row.to_json(), "near_misses": list(misses(row))} for row in rows]})
    elif markdown:
        from fuzz.generate.bait.page import page

        click.echo(page().rstrip("\n"))
    else:
        _print(rows)
    return 0


def _known(row: Pattern) -> set[str]:
    return {row.name, row.theme, *(rewriter.compiler for rewriter in row.rewriters)}


def _print(rows: Sequence[Pattern]) -> None:
    theme = ""
    for row in rows:
        if row.theme != theme:
            theme = row.theme
            click.echo(f"{theme}:")
        click.echo(f"  {row.name}: {row.text}")
        click.echo(f"      {', '.join(f'{r.compiler} {r.name}' for r in row.rewriters)}")
    click.echo(f"{len(rows)} patterns")
