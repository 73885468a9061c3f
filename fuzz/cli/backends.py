"""`fuzz backends`: what can run here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from backends.registry import Entry

__all__ = ["command"]


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the backends: which are installed and can run here, and the options that their targets take.

    --json prints {"backends": [{name, versions, installed, runnable, reason, devices, options}]}.
    """
    from backends.registry import BACKENDS

    rows = [_row(entry) for _, entry in sorted(BACKENDS.items())]
    if as_json:
        print_json({"backends": rows})
    else:
        _print_table(rows)


def _row(entry: Entry) -> dict[str, Any]:
    from fuzz.errors import TargetError
    from fuzz.execute.target import parse_target

    try:
        target = parse_target(entry.name)
        versions, reason = [target.version], ""
    except TargetError as problem:
        versions, reason = [], str(problem)
    devices = []
    for device in entry.devices:
        try:
            parse_target(f"{entry.name}@{device}")
            devices.append(device)
        except TargetError:
            continue
    return {
        "name": entry.name,
        "versions": versions,
        "installed": bool(versions),
        "runnable": bool(devices),
        "reason": reason,
        "devices": devices,
        "options": {option.name: option.allowed for option in entry.options},
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("name", "version", "runs on", "options"):
        table.add_column(column)
    for row in rows:
        options = "\n".join(f"{name}: {allowed}" for name, allowed in row["options"].items())
        table.add_row(row["name"], ", ".join(row["versions"]) or row["reason"], ", ".join(row["devices"]), options)
    Console().print(table)
