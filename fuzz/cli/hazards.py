"""`fuzz hazards`: what the specification leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from abstract.hazards import Hazard

__all__ = ["command"]


@click.command()
@click.option("--operator", "operators", metavar="NAME", multiple=True,
              help="Only the rows of this operator, such as Gather. Repeat it for several.")  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print the page docs/hazards.md, which is made this way.")
@json_option
def command(operators: tuple[str, ...], markdown: bool, as_json: bool) -> int:
    """List what ONNX's specification leaves open, operator by operator, and what becomes of it here.

    A hazard is avoided by the generator; in a model from elsewhere, the elements that it reaches are not judged,
    and where it may stop an implementation a crash is no finding. `fuzz check MODEL` shows those of a model.

    \b
    fuzz hazards --operator Gather --operator ScatterND
    fuzz hazards --json

    --json prints {hazards: [{id, operators, since, until, condition, says, place, treatment, stops, detected}]}.
    """
    from abstract.hazards import HAZARDS

    if markdown and (as_json or operators):
        raise UsageError("--markdown prints the whole page: give it alone")
    rows = [row for row in HAZARDS if not operators or set(operators) & set(row.operators)]
    unknown = set(operators) - {name for row in HAZARDS for name in row.operators}
    if unknown:
        raise UsageError(f"no hazard is known of {', '.join(sorted(unknown))}: `fuzz hazards` lists the operators")
    if as_json:
        print_json({"hazards": [row.to_json() for row in rows]})
    elif markdown:
        from abstract.hazards.page import page

        click.echo(page().rstrip("\n"))
    else:
        _print(rows)
    return 0


def _print(rows: Sequence[Hazard]) -> None:
    for row in rows:
        stops = "; may refuse or stop" if row.stops else ""
        click.echo(f"{row.id}: {row.treatment.value}{stops}")
        click.echo(f"    {', '.join(row.operators)}, version {row.versions()}: {row.condition}")
        click.echo(f"    {row.says.value} ({row.place})")
    click.echo(f"{len(rows)} hazards")
