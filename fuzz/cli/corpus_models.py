"""`fuzz corpus list` and `fuzz corpus install`: which real models there are, and what they need."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from corpus.catalogue import Entry

__all__ = ["install", "list_models"]


@click.command("list")
@click.argument("globs", nargs=-1, metavar="[GLOB]...")
@click.option("--labels", multiple=True, metavar="KEY::VALUE[,VALUE]",
              help="Only models with one of the values; several keys must all hold.")  # fmt: skip
@click.option("--problems", is_flag=True, help="Those that are known not to run, and why.")
@json_option
def list_models(globs: tuple[str, ...], labels: tuple[str, ...], problems: bool, as_json: bool) -> None:
    """List the real models that can be run: of the corpora that come with fuzz, or of your own scripts.

    A GLOB goes by corpus, by name, by script, or by script::name; or it is the path of a script or folder of yours. A
    script begins with a line such as `# labels: name::bert author::google task::NLP`.

    \b
    fuzz corpus list timm
    fuzz corpus list 'timm.py::resnet*' bert
    fuzz corpus list --labels task::Audio,NLP --labels test_group::small
    fuzz corpus list my_models/

    --json prints {models: [{name, corpus, path, labels, problem}]}.
    """
    from corpus.catalogue import CatalogueError, find
    from corpus.family import FamilyError
    from corpus.labels import LabelsError, wanted
    from fuzz.errors import UsageError

    try:
        found = find(globs, wanted(labels), problems=problems)
    except (CatalogueError, FamilyError, LabelsError) as problem:
        raise UsageError(str(problem)) from None
    except OSError as problem:
        raise UsageError(f"{problem.filename} cannot be read: {problem.strerror}") from None
    if as_json:
        print_json({"models": [_row(entry) for entry in found]})
    else:
        _print(found)


def _row(entry: Entry) -> dict[str, object]:
    labels = {key: list(values) for key, values in entry.labels.items()}
    return {"name": entry.name, "corpus": entry.corpus, "path": entry.path, "labels": labels, "problem": entry.problem}


def _print(found: Sequence[Entry]) -> None:
    width = min(60, max((len(entry.path) for entry in found), default=0))
    for entry in found:
        told = entry.problem or " ".join(
            f"{key}::{','.join(values)}" for key, values in entry.labels.items() if key not in {"name", "license"}
        )
        click.echo(f"{entry.path:{width}}  {told}")
    corpora = len({entry.corpus for entry in found})
    click.echo(f"{len(found):,} models of {corpora} {'corpus' if corpora == 1 else 'corpora'}")


@click.command()
@click.argument("corpora", nargs=-1, metavar="[CORPUS]...")
@click.option("--dry-run", is_flag=True, help="Only show the commands.")
@json_option
def install(corpora: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Install what corpora need into the environment that fuzz runs in; all of them, where none is named.

    What is there already stays as it is. What is missing comes in the release that the project is tested with.

    --json prints {corpora, distributions: {NAME: VERSION or null}, commands}: what was there before, and the commands.
    """
    from corpus.requirements import NEEDS, InstallError, commands, installed
    from corpus.requirements import install as run
    from fuzz.errors import StorageError, UsageError, did_you_mean
    from fuzz.execute.environment import CONSTRAINTS

    unknown = [name for name in corpora if name not in NEEDS]
    if unknown:
        near = did_you_mean(unknown[0], NEEDS)
        raise UsageError(f"no corpus {unknown[0]!r}{near}: there is {', '.join(NEEDS)}")
    asked = corpora or tuple(NEEDS)
    there = installed(asked)
    try:
        due = commands([name for name, version in there.items() if version is None], CONSTRAINTS)
        for command in due:
            click.echo(f"$ {shlex.join(command)}", err=as_json)
            if not dry_run:
                run(command)
    except InstallError as problem:
        raise StorageError(str(problem)) from None
    if as_json:
        print_json({"corpora": list(asked), "distributions": there, "commands": due})
    elif not due:
        click.echo(f"nothing is missing: {', '.join(f'{name} {version}' for name, version in there.items())}")
