"""Targets as the commands read them: what an environment lacks is installed, and said, before anything runs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fuzz.cli.options import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.entry import Entry
    from fuzz.execute.environment import Environment, Recipe
    from fuzz.execute.target import Target

__all__ = ["install", "read_target", "read_targets"]


def read_targets(texts: tuple[str, ...]) -> tuple[Target, ...]:
    """Read targets, each only once, and install the versions that are missing. Raises `TargetError`."""
    from fuzz.execute.target import MissingEnvironment, parse_target, parse_targets

    missing: dict[str, MissingEnvironment] = {}
    for text in texts:
        # All are read before the first is installed: a slip in the last one is not told minutes later.
        try:
            parse_target(text)
        except MissingEnvironment as problem:
            missing[problem.recipe.text] = problem
    for lacking in missing.values():
        install(lacking.entry, lacking.recipe)
    return parse_targets(texts)


def read_target(text: str) -> Target:
    """Read one target. Raises `TargetError`."""
    return read_targets((text,))[0]


def install(
    entry: Entry, recipe: Recipe, *, python: str | None = None, verbose: bool = False
) -> tuple[Environment, bool]:
    """Install a version of a backend, with progress on standard error; whether it was built now."""
    from fuzz.execute.environment import find
    from fuzz.execute.install import install as build

    if (made := find(recipe)) is not None:
        return made, False
    echo(f"installing {recipe.text} into an environment of its own, once; this can take minutes")
    with _progress(recipe.text, verbose=verbose) as hear:
        made, built = build(entry, recipe, python=python, hear=hear)
    echo(f"{recipe.text} is installed in {made.folder}")
    return made, built


@contextmanager
def _progress(what: str, *, verbose: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that is told each line of an installer: all are shown, or the last one to who watches."""
    if verbose:
        yield echo
        return
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    with console.status(escape(what)) as status:
        yield lambda line: status.update(escape(line.strip()[: max(console.width - 4, 1)]))
