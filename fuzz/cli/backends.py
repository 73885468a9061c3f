"""`fuzz backends`: what can run here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.artefacts import passes, show
from fuzz.cli.describe import describe
from fuzz.cli.options import Names, default_root, echo, json_option, print_json

if TYPE_CHECKING:
    from backends.entry import Entry
    from backends.support import Support
    from fuzz.execute.environment import Environment
    from fuzz.execute.target import Target

__all__ = ["command"]


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the backends: which versions are installed and can run here, and the options that their targets take.

    A version is one of this Python's own environment, or has an environment to itself, which `fuzz backends install`
    or a target such as tvm==0.26.0 makes. Environments lie in $FUZZ_CACHE, else in dnnfuzz in the user's cache folder,
    and serve all roots.

    --json prints {"backends": [{name, versions, installed, runnable, reason, devices, options}]}.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


command.add_command(describe)
command.add_command(passes)
command.add_command(show)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[==VERSION]...")
@click.option("--python", metavar="PATH", help="The interpreter to make it from.  [default: the one that runs fuzz]")
@click.option("--verbose", is_flag=True, help="Show all that the installer says.")
@json_option
def install(names: tuple[str, ...], python: str | None, verbose: bool, as_json: bool) -> None:
    """Make an environment that holds a version of a backend, with uv where it is found, else with pip.

    Without a version it is the one that the project is tested with. NAME==VERSION@cuda is another environment where a
    backend has another distribution for that device. What is there already stays as it is.

    --json prints {"environments": [{backend, version, device, python, folder, built}]}.
    """
    from fuzz.cli.targets import install as make
    from fuzz.execute.target import parse_recipe

    rows = []
    for entry, recipe in [parse_recipe(name) for name in names]:
        made, built = make(entry, recipe, python=python, verbose=verbose)
        rows.append({**_plain(made), "built": built})
        if not built:
            echo(f"{recipe.text} is installed already in {made.folder}")
    if as_json:
        print_json({"environments": rows})


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME[==VERSION]...")
@json_option
def remove(names: tuple[str, ...], as_json: bool) -> None:
    """Remove environments: the one of a version, or all of a backend. What this Python itself has stays.

    --json prints {"removed": [{backend, version, device, python, folder}]}.
    """
    from fuzz.errors import TargetError
    from fuzz.execute.environment import clear_abandoned, environments, is_release
    from fuzz.execute.environment import remove as take_away

    clear_abandoned()
    rows = []
    for text in names:
        name, _, version = text.partition("==")
        release, _, device = version.partition("@")
        chosen = [
            e for e in environments(name)
            if not version or (is_release(release, e.recipe.version) and device in {"", e.recipe.device})
        ]  # fmt: skip
        if not chosen:
            there = ", ".join(e.recipe.text for e in environments()) or "none at all"
            raise TargetError(f"there is no environment of {text}: there is {there}")
        for made in chosen:
            take_away(made)
            rows.append(_plain(made))
            if not as_json:
                click.echo(f"removed {made.recipe.text}")
    if as_json:
        print_json({"removed": rows})


def _plain(made: Environment) -> dict[str, Any]:
    return {"backend": made.recipe.backend, "version": made.version, "device": made.recipe.device,
            "python": made.python, "folder": str(made.folder)}  # fmt: skip


@command.command()
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Where to write NAME.json.  [default: the tables of this installation]")  # fmt: skip
@click.option("--samples", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
              help="Models of each operator and element type.")  # fmt: skip
@click.option("--opset", type=click.IntRange(min=7), metavar="V",
              help="Version of the operator set, which --for then generates.  [default: 21]")  # fmt: skip
@click.option("--ops", type=Names(), help="Probe these operators alone; the rest of the table stays.  [default: all]")
@click.option("--dtypes", type=Names(),
              help="Probe these types alone; the rest of the table stays.  [default: all]")  # fmt: skip
@json_option
def probe(
    targets: tuple[str, ...], out: Path | None, samples: int, opset: int | None, ops: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None, as_json: bool,
) -> None:  # fmt: skip
    """Find out what targets support, for `fuzz gen --for`: run single-operator models and keep the table.

    Operators that have two types (Cast, Gather, Where) are probed by pairs of them as well. Until a table is whole,
    its models and results lie under probe in $FUZZ_ROOT, else in ./fuzz-root: the same command goes on with them.

    --json prints {"tables": [{backend, version, opset, operators, pairs, file}]}.
    """
    from backends.support import FOLDER
    from fuzz.cli.targets import read_targets

    folder = out or FOLDER
    rows = []
    for target in read_targets(targets):
        path = folder / f"{target.backend}.json"
        table = _probed(target, folder, samples, opset, ops, dtypes)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(table.to_json(), encoding="utf-8")
        pairs = sum(table.supports(name, kind) for name, kinds in table.operators.items() for kind in kinds)
        rows.append({"backend": table.backend, "version": table.version, "opset": table.opset,
                     "operators": len(table.operators), "pairs": pairs, "file": str(path)})  # fmt: skip
        if not as_json:
            click.echo(f"{target.canonical} {table.version}: {pairs} pairs of operator and type run; {path}")
    if as_json:
        print_json({"tables": rows})


def _probed(
    target: Target, folder: Path, samples: int, opset: int | None, ops: tuple[str, ...] | None,
    dtypes: tuple[str, ...] | None,
) -> Support:  # fmt: skip
    """The table of a target, all of it or, where only a part is asked for, with that part anew."""
    from backends.support import Support, load_support
    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError
    from fuzz.generate.plan import menu
    from fuzz.generate.settings import DEFAULT_DTYPES, DEFAULT_OPSET, Settings
    from fuzz.probe import probe as run

    kept = load_support(target.backend, folder) if ops or dtypes else None
    version = opset or (kept.opset if kept is not None else DEFAULT_OPSET)
    try:
        menu(Settings(opset=version, operators=ops or (), dtypes=dtypes or DEFAULT_DTYPES))
        if kept is not None:
            kept.updated(Support(target.backend, target.version, version, {}))
        kinds = dtypes or DEFAULT_DTYPES
        place = _place(target, version, samples, ops or (), kinds)
        with progress_bar(f"probing {target.canonical}", None) as advance:
            table = run(
                target, place, opset=version, operators=ops or (), dtypes=kinds, samples=samples,
                progress=lambda: advance(1),
            )  # fmt: skip
        if table is None:
            raise click.Abort
        shutil.rmtree(place)
        return table if kept is None else kept.updated(table)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _place(target: Target, *asked: object) -> Path:
    """Where a probe's models lie: a folder for each thing that can be asked."""
    from hashlib import sha256

    words = json.dumps([target.canonical, target.version, *asked])
    name = f"{target.backend}-{sha256(words.encode()).hexdigest()[:8]}"
    return default_root() / "probe" / name


def _list(as_json: bool) -> None:
    from backends.registry import BACKENDS

    rows = [_row(entry) for _, entry in sorted(BACKENDS.items())]
    if as_json:
        print_json({"backends": rows})
    else:
        _print_table(rows)


def _row(entry: Entry) -> dict[str, Any]:
    from backends.registry import installed_version
    from fuzz.errors import TargetError
    from fuzz.execute.target import parse_target

    own = installed_version(entry)
    versions = [version for version in (own, *_apart(entry)) if version is not None]
    # What can be typed: the name alone where this Python has the backend, or the release that is pinned.
    texts = [entry.name, *(f"{entry.name}=={version}" for version in versions if version != own)]
    reason = ""
    try:
        parse_target(entry.name)
    except TargetError as problem:
        reason = "" if versions else str(problem)
    devices = []
    for device in entry.devices:
        for text in texts:
            try:
                parse_target(f"{text}@{device}")
                devices.append(device)
                break
            except TargetError:
                continue
    return {
        "name": entry.name,
        "versions": list(dict.fromkeys(versions)),
        "installed": bool(versions),
        "runnable": bool(devices),
        "reason": reason,
        "devices": devices,
        "options": {option.name: option.allowed for option in entry.options},
    }


def _apart(entry: Entry) -> list[str]:
    """The versions that have an environment which a target of this backend would use."""
    from fuzz.execute.environment import environments, recipe

    return [
        made.version
        for made in environments(entry.name)
        if made.usable and made.folder == recipe(entry, made.recipe.version, made.recipe.device).folder
    ]


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("name", "version", "runs on", "options", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        version = escape(_versions(row) or row["reason"])
        table.add_row(row["name"], version, ", ".join(row["devices"]) or "·", ", ".join(row["options"]))
    Console().print(table)
    click.echo("\n`fuzz backends describe NAME` tells what the options of one take")


def _versions(row: dict[str, Any]) -> str:
    """A line a version; those that are not in this Python's own environment are marked."""
    from backends.registry import BACKENDS, installed_version

    own = installed_version(BACKENDS[row["name"]])
    return "\n".join(version if version == own else f"{version} (environment)" for version in row["versions"])
