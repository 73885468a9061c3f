"""What several commands share: `--root`, `--json`, ranges."""

from __future__ import annotations

import json
import os
import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "FilePath",
    "IntRange",
    "Names",
    "Number",
    "SeveralValues",
    "backends_option",
    "default_root",
    "echo",
    "jobs_option",
    "json_option",
    "memory_option",
    "print_json",
    "root_option",
    "timeout_option",
]

Command = TypeVar("Command", bound="Callable[..., Any]")


_ROOT, _ROOT_VARIABLE = Path("fuzz-root"), "FUZZ_ROOT"


def default_root() -> Path:
    """The root where none is named: $FUZZ_ROOT, else ./fuzz-root."""
    return Path(os.environ.get(_ROOT_VARIABLE) or _ROOT)


def root_option(command: Command) -> Command:
    """`--root`, given to the command as ``root: Path``."""
    option = click.option(
        "--root",
        type=FilePath(path_type=Path, file_okay=True),
        envvar=_ROOT_VARIABLE,
        default=_ROOT,
        metavar="DIR",
        help="The folder of the cases and results. Default: $FUZZ_ROOT, else ./fuzz-root.",
    )
    return option(command)


def json_option(command: Command) -> Command:
    """`--json`, given to the command as ``as_json: bool``."""
    option = click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object on standard output and nothing else."
    )
    return option(command)


def jobs_option(command: Command) -> Command:
    """`--jobs`, given to the command as ``jobs: int | None`` (None: one for each core)."""
    option = click.option(
        "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes. Default: one a core."
    )
    return option(command)


def backends_option(help_text: str, *, required: bool = True) -> Callable[[Command], Command]:
    """`--backend`, given to the command as ``backends: tuple[str, ...]``; the help says where what runs."""
    return click.option(
        "--backend", "backends", metavar="TARGET", multiple=True, required=required, help=help_text
    )


def timeout_option(help_text: str) -> Callable[[Command], Command]:
    """`--timeout`, given to the command as ``timeout: float``, in seconds; the help says of what."""
    return click.option(
        "--timeout", type=Number(min=0, min_open=True), default=60.0, show_default=True, metavar="S", help=help_text
    )


def memory_option(command: Command) -> Command:
    """`--memory`, given to the command as ``memory: int``, in MB."""
    option = click.option(
        "--memory", type=click.IntRange(min=1), default=4096, show_default=True, metavar="MB",
        help="Resident memory that one worker process may use.",
    )  # fmt: skip
    return option(command)


def print_json(value: Mapping[str, Any]) -> None:
    """The one object of a command under `--json`."""
    json.dump(value, sys.stdout, sort_keys=True)
    sys.stdout.write("\n")


def echo(message: str) -> None:
    """A message for the person at the terminal: standard error, so that standard output stays the result."""
    click.echo(message, err=True)


class FilePath(click.Path):
    """A path; an empty one, as of a variable that is not set, is a slip and not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty path."""
        if not str(value):
            self.fail("it is empty: give a path", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range; NaN is in none, and infinity only says that something was computed wrongly."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is not finite."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not finite", param, ctx)
        return number


class IntRange(click.ParamType[tuple[int, int]]):
    """`N` or `A-B`, converted to ``(low, high)``."""

    name = "range"

    def __init__(self, minimum: int, maximum: int | None = None) -> None:
        self._minimum, self._maximum = minimum, maximum

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What the help shows."""
        return "N|A-B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse and check the ends."""
        if isinstance(value, tuple):
            return value
        low, dash, high = str(value).strip().partition("-")
        if not (low.isdecimal() and (high.isdecimal() if dash else True)):
            self.fail(f"{value!r} is neither a number nor a range such as 1-40", param, ctx)
        first, last = int(low), int(high or low)
        if first > last:
            self.fail(f"{value!r} runs backwards: write {last}-{first}", param, ctx)
        if first < self._minimum or (self._maximum is not None and last > self._maximum):
            top = "" if self._maximum is None else f" and at most {self._maximum}"
            self.fail(f"{value!r} must be at least {self._minimum}{top}", param, ctx)
        return first, last


class Names(click.ParamType[tuple[str, ...]]):
    """`A,B,C`, converted to a tuple of names."""

    name = "names"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What the help shows."""
        return "A,B,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split at commas; an empty name is a slip."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name; write A,B,C", param, ctx)
        return names


class SeveralValues(click.Command):
    """A command without arguments; its options named in ``several`` take many values: `--for a b`."""

    several: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value."""
        spread: list[str] = []
        option = ""
        for arg in args:
            if arg.startswith("-"):
                option = arg if arg in self.several else ""
            elif option and spread[-1] != option:
                spread.append(option)
            spread.append(arg)
        return super().parse_args(ctx, spread)
