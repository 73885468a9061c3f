"""`fuzz ops`: what the generator makes models of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzz.cli.options import json_option, print_json
from fuzz.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["command"]


@click.command()
@click.argument("names", metavar="[OPERATOR]...", nargs=-1)
@click.option("--opset", type=click.IntRange(min=13), metavar="V",
              help="Version of the operator set.  [default: the newest that onnx knows]")  # fmt: skip
@click.option("--domain", metavar="DOMAIN",
              help="Only this domain, e.g. com.microsoft, with all that it has and we leave out.")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path), metavar="DIR",
              help="Count the pairs of operator and type that the cases of this root hold.")  # fmt: skip
@click.option("--missing", is_flag=True, help="With --root: only what no case holds.")
@json_option
def command(
    names: tuple[str, ...], opset: int | None, domain: str | None, root: Path | None, missing: bool, as_json: bool
) -> int:  # fmt: skip
    """List the operators: versions, element types, and what is left out with the reason.

    The types are those of the first operand. With --root each has in brackets how many of the models there hold it.
    Operators of other domains than ONNX's own are named with theirs; `fuzz gen` makes models of them where it is asked
    to by --domain or --ops.

    \b
    fuzz ops Attention DFT
    fuzz ops com.microsoft.Attention FusedMatMul
    fuzz ops --domain com.microsoft
    fuzz ops --opset 17 --json
    fuzz ops --root fuzz-root --missing

    --json prints {opset, operators: [{name, domain, since, family, function, types, reached}], left_out: [{name,
    reason}], unread}: `reached` maps a type to a number of models and is null without --root; `unread` are the cases
    whose models cannot be read.
    """
    from abstract.schema import newest_opset
    from fuzz.generate.plan import full_name

    version = newest_opset() if opset is None else opset
    if version > newest_opset():
        raise UsageError(f"opset {version} is not known: the newest of the installed onnx is {newest_opset()}")
    if missing and root is None:
        raise UsageError("--missing asks for the cases of a root: give --root DIR")
    rows, left_out = _rows(version), _left_out(version)
    if domain is not None:
        rows, left_out = _of_domain(domain, rows, left_out)
    known = {row["name"] for row in rows} | {row["name"] for row in left_out}
    names = tuple(full_name(name) for name in names)
    unknown = sorted(set(names) - known)
    if unknown:
        raise UsageError(f"opset {version} has no operator {', '.join(unknown)}: `fuzz ops` lists them")
    unread: list[str] = []
    if root is not None:
        unread = _count(rows, root)
    if names:
        rows = [row for row in rows if row["name"] in names]
        left_out = [row for row in left_out if row["name"] in names]
    if missing:
        rows, left_out = [row for row in map(_unreached, rows) if row["types"]], []
    if as_json:
        print_json({"opset": version, "operators": rows, "left_out": left_out, "unread": unread})
    else:
        _print(version, rows, left_out, unread)
    return 0


def _of_domain(
    domain: str, rows: list[dict[str, Any]], left_out: list[dict[str, str]]
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """What there is of one domain, and what is left out of it. Raises UsageError."""
    from abstract.contributed import DOMAINS, domain_of
    from abstract.operators.absent_contrib import ABSENT

    if domain in {"", "ai.onnx"}:
        return [row for row in rows if not row["domain"]], left_out
    if domain not in DOMAINS:
        raise UsageError(f"unknown domain {domain!r}: there is ai.onnx, ONNX's own, and {', '.join(DOMAINS)}")
    absent = [{"name": name, "reason": reason} for name, reason in sorted(ABSENT.items()) if domain_of(name) == domain]
    return [row for row in rows if row["domain"] == domain], absent


def _rows(opset: int) -> list[dict[str, Any]]:
    from abstract.contributed import DOMAINS, domain_of
    from abstract.operators import FAMILIES
    from abstract.schema import signature
    from fuzz.generate.plan import menu
    from fuzz.generate.settings import Settings
    from fuzz.generate.single import primary_types

    return [
        {
            "name": name, "domain": domain_of(name), "since": signature(name, opset).since, "family": FAMILIES[name],
            "function": _is_function(name, opset), "types": list(primary_types(name, opset)), "reached": None,
        }
        for name in sorted(menu(Settings(opset=opset, domains=DOMAINS)), key=lambda n: (domain_of(n), n))
    ]  # fmt: skip


def _is_function(name: str, opset: int) -> bool:
    import onnx.defs

    from abstract.contributed import CONTRIBUTED

    if name in CONTRIBUTED:
        return False
    schema: Any = onnx.defs.get_schema(name, opset)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _left_out(opset: int) -> list[dict[str, str]]:
    import onnx.defs

    from abstract.operators import TABLE
    from abstract.operators.absent import ABSENT

    found = []
    for name, reason in (*ABSENT.items(), *((n, f"from opset {r.since} on") for n, r in TABLE.items())):
        try:
            schema: Any = onnx.defs.get_schema(name, opset)
        except onnx.defs.SchemaError:
            continue
        if not schema.deprecated and (name in ABSENT or TABLE[name].since > opset):
            found.append({"name": name, "reason": reason})
    return sorted(found, key=lambda row: row["name"])


def _count(rows: Sequence[dict[str, Any]], root: Path) -> list[str]:
    from fuzz.reach import reached

    found, unread = reached(root)
    for row in rows:
        row["reached"] = {kind: found[row["name"], kind] for kind in row["types"] if found[row["name"], kind]}
    return unread


def _unreached(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "types": [kind for kind in row["types"] if kind not in row["reached"]]}


def _print(
    opset: int, rows: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, str]], unread: Sequence[str]
) -> None:
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        reached = row["reached"] or {}
        kinds = " ".join(f"{kind} ({reached[kind]})" if kind in reached else kind for kind in row["types"])
        note = " [function]" if row["function"] else ""
        click.echo(f"{row['name']:{width}}  {row['since']:>2}  {row['family']:14}  {kinds}{note}")
    for row in left_out:
        click.echo(f"left out: {row['name']}: {row['reason']}")
    if unread:
        click.echo(f"not read: {', '.join(unread)}", err=True)
    click.echo(f"{len(rows)} operators at opset {opset}, {len(left_out)} left out")
