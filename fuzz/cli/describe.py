"""`fuzz backends describe`: all that can be said to one backend, and what it promises."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from backends.entry import Entry

__all__ = ["describe"]


@click.command()
@click.argument("name")
@json_option
def describe(name: str, as_json: bool) -> None:
    """Describe a backend: its options, the switches that turn optimisations off, devices, how it may compute.

    --json prints {name, pinned, installed, requirements, devices, options: [{name, allowed, purpose}], knobs:
    [{option, values, switches_off}], numerics, reason}.
    """
    from backends.registry import BACKENDS, installed_version
    from fuzz.errors import TargetError

    if name not in BACKENDS:
        raise TargetError(f"unknown backend {name!r}: known are {', '.join(sorted(BACKENDS))}")
    entry = BACKENDS[name]
    content = {
        "name": entry.name,
        "pinned": entry.pinned,
        "installed": installed_version(entry),
        "requirements": list(entry.requirements),
        "devices": list(entry.devices),
        "options": [{"name": o.name, "allowed": o.allowed, "purpose": o.purpose} for o in entry.options],
        "knobs": [asdict(knob) for knob in entry.knobs],
        "numerics": {key: value for key, value in asdict(entry.numerics).items() if value},
        "reason": entry.problem,
    }
    if as_json:
        print_json(content)
    elif entry.problem:
        click.echo(entry.problem)
    else:
        _print(entry, content)


def _print(entry: Entry, content: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    version = content["installed"] or f"not installed: {entry.install_command()}"
    console.print(f"[bold]{entry.name}[/] {escape(version)}; runs on {', '.join(entry.devices)}", highlight=False)
    numerics = ", ".join(key if value is True else f"{key} {value}" for key, value in content["numerics"].items())
    console.print(f"may compute with: {numerics or 'IEEE arithmetic alone'} (docs/notes/contracts.md)", highlight=False)
    options = Table("option", "takes", "for", box=None, pad_edge=False, header_style="bold")
    for option in entry.options:
        options.add_row(option.name, escape(option.allowed), escape(option.purpose))
    knobs = Table("turns off", "by", box=None, pad_edge=False, header_style="bold")
    for knob in entry.knobs:
        values = f"one of {len(knob.values)}" if len(knob.values) > _SHOWN else " or ".join(knob.values) or "NAMES"
        values = f"({values}).NUMBER" if knob.counted else values
        knobs.add_row(escape(knob.switches_off), escape(f"{knob.option}={values}"))
    for table, rows in ((options, entry.options), (knobs, entry.knobs)):
        if rows:
            console.print()
            console.print(table)


_SHOWN = 6  # values of a knob that fit a line
