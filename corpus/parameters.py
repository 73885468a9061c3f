"""The standard arguments of scripts: their names, defaults and how a script asks for them.

Names and defaults are those of TurnkeyML. A script takes those that it names; the others are let pass, so that one set
of arguments can be given to many scripts. Three are ours: ``--model NAME`` picks a model of a family, ``--full`` asks
for the size that people run in place of a small variant, ``--weights DIR`` names a local folder of published models.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from corpus.family import FamilyError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from corpus.family import Member

__all__ = ["ARGUMENTS", "Argument", "member", "parse"]


@dataclass(frozen=True, slots=True)
class Argument:
    """One standard argument."""

    name: str
    default: Any
    kind: Callable[[str], Any]
    help: str


def _flag(text: str) -> bool:
    if text.lower() in {"true", "yes", "1"}:
        return True
    if text.lower() in {"false", "no", "0"}:
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


ARGUMENTS: Mapping[str, Argument] = MappingProxyType({
    argument.name: argument
    for argument in (
        Argument("batch_size", 1, _count, "how many inputs at once"),
        Argument("max_seq_length", 128, _count, "tokens of a text"),
        Argument("max_audio_seq_length", 25600, _count, "samples of a recording"),
        Argument("height", 224, _count, "rows of an image"),
        Argument("num_channels", 3, _count, "channels of an image"),
        Argument("width", 224, _count, "columns of an image"),
        Argument("pretrained", False, _flag, "take published weights; needs a network"),  # noqa: FBT003 - a default
        Argument("k", 8, _count, "hops, or neighbours, of a graph network"),
        Argument("alpha", 2.2, float, "how strongly a graph network holds to its input"),
        Argument("out_channels", 16, _count, "features of a node that a graph network gives"),
        Argument("num_layers", 8, _count, "layers of a graph network"),
        Argument("in_channels", 1433, _count, "features of a node that a graph network takes"),
        Argument("full", False, _flag, "the size that people run, in place of a small variant"),  # noqa: FBT003
        Argument("model", None, str, "which model of the family"),
        Argument("weights", None, Path, "a local folder of configurations and weights"),
    )
})  # fmt: skip
"""All that a script may ask for, by name."""


def parse(
    names: Sequence[str],
    *,
    small: Mapping[str, Any] | None = None,
    family: str | None = None,
    default: str = "",
    standard: Mapping[str, Any] | None = None,
) -> Any:
    """What the command line says of the named arguments: a list of values in this order, or one value of one name.

    What is given wins. Otherwise ``full`` decides: without it a value comes from the row of the model in the family's
    table, else from ``small``, else it is the standard default; with it only the standard default counts.

    A line on standard error and exit code 2 answer what cannot be understood.

    Args:
        names: keys of `ARGUMENTS`; a list of one gives the value itself.
        small: defaults of the small variant.
        family: ``__file__`` of a script that stands for a family.
        default: the model of the family that is taken where none is given.
        standard: defaults of this model in place of the standard ones.
    """
    given = _given(names, family)
    rows = _rows(family)
    chosen: str = given.get("model", default)
    if family and rows and chosen not in rows:
        _fail(f"no model {chosen!r} in {Path(family).name}{_near(str(chosen), rows)}")
    variant: dict[str, Any] = {}
    if not given.get("full"):
        variant = {**(small or {}), **(rows[chosen].arguments if chosen in rows else {})}
    values = {name: argument.default for name, argument in ARGUMENTS.items()} | dict(standard or {}) | variant | given
    values["model"] = chosen
    found = [values[name] for name in names]
    return found[0] if len(found) == 1 else found


def member(family: str, name: str) -> Member | None:
    """The row of a model in the table beside a script; None where there is none."""
    return _rows(family).get(name)


def _given(names: Sequence[str], family: str | None) -> dict[str, Any]:
    script = Path(sys.argv[0] or "script").name
    about = "Build a model and run it once. Standard arguments that this script has no use for are let pass."
    parser = _Parser(prog=script, description=about)
    for argument in ARGUMENTS.values():
        used = argument.name in names or (argument.name == "full" and family is not None)
        text = argument.help + ("" if argument.default in {None, False} else f" [{argument.default}]")
        options: dict[str, Any] = {"type": argument.kind, "help": text if used else argparse.SUPPRESS}
        if argument.kind is _flag:
            options |= {"nargs": "?", "const": True}
        parser.add_argument(f"--{argument.name}", default=argparse.SUPPRESS, metavar=argument.name.upper(), **options)
    return vars(parser.parse_args(sys.argv[1:]))


def _rows(family: str | None) -> Mapping[str, Member]:
    if family is None:
        return {}
    try:
        return load(family)
    except FamilyError as problem:
        _fail(str(problem))


class _Parser(argparse.ArgumentParser):
    """One that says in a line what it did not understand."""

    def error(self, message: str) -> NoReturn:
        _fail(f"{message} (--help lists the arguments)")


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"{Path(sys.argv[0]).name}: {message}\n")
    raise SystemExit(2)


def _near(name: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else f": there are {len(known):,}, which `fuzz corpus list` shows"
