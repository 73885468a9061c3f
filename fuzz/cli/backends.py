"""`fuzz backends`: what can run here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from backends.registry import Entry

__all__ = ["command"]


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the backends: which are installed and can run here, and the options that their targets take.

    --json prints {"backends": [{name, versions, installed, runnable, reason, devices, options}]}.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@command.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where to write NAME.json.  [default: the tables of this installation]")  # fmt: skip
@click.option("--samples", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="Models of each operator and element type.")  # fmt: skip
@json_option
def probe(targets: tuple[str, ...], out: Path | None, samples: int, as_json: bool) -> None:
    """Find out what targets support, for `fuzz gen --for`: run single-operator models and keep the table.

    --json prints {"tables": [{backend, version, opset, operators, pairs, file}]}.
    """
    from backends.support import FOLDER
    from fuzz.cli.progress import progress_bar
    from fuzz.execute.target import parse_targets
    from fuzz.probe import probe as run

    folder = out or FOLDER
    rows = []
    for target in parse_targets(targets):
        with progress_bar(f"probing {target.canonical}", None) as advance:
            table = run(target, samples=samples, progress=lambda: advance(1))
        path = folder / f"{table.backend}.json"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(table.to_json(), encoding="utf-8")
        pairs = sum(table.supports(name, kind) for name, kinds in table.operators.items() for kind in kinds)
        rows.append({"backend": table.backend, "version": table.version, "opset": table.opset,
                     "operators": len(table.operators), "pairs": pairs, "file": str(path)})  # fmt: skip
        if not as_json:
            click.echo(f"{target.canonical} {table.version}: {pairs} pairs of operator and type run; {path}")
    if as_json:
        print_json({"tables": rows})


def _list(as_json: bool) -> None:
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
