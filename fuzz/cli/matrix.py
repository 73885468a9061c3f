"""`fuzz matrix`: which versions have which findings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, echo, jobs_option, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fuzz.bisect.history import Releases
    from fuzz.bisect.matrix import Table
    from fuzz.bisect.record import Record
    from fuzz.triage.finding import Finding

__all__ = ["command"]


@click.command()
@click.argument(
    "folders", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER...", nargs=-1, required=True
)
@click.option("--of", "backend", metavar="NAME", multiple=True, help="Findings of this backend alone; may be repeated.")
@click.option(
    "--versions", multiple=True, metavar="[NAME=]A,B,..|A..B",
    help="The releases to ask, of one backend each time.  [default: those that are installed]",
)  # fmt: skip
@click.option("--known", is_flag=True, help="Run nothing: show what bisect.json of each finding tells.")
@click.option("--again", is_flag=True, help="Ask anew what bisect.json has an answer to.")
@click.option(
    "--out", type=FilePath(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write it to FILE.md, FILE.html or FILE.json.  [default: Markdown on standard output]",
)  # fmt: skip
@timeout_option("Seconds for one run.")
@memory_option
@jobs_option
@json_option
def command(
    folders: tuple[Path, ...],
    backend: tuple[str, ...],
    versions: tuple[str, ...],
    known: bool,
    again: bool,
    out: Path | None,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Ask several versions about many findings: a table, a row a finding and a column a version.

    A FOLDER is a finding, or holds findings, as fuzz-root/findings does. One worker of a version serves all findings
    of it; environments are made where they are missing. Answers are kept in bisect.json beside each finding, as those
    of `fuzz bisect` are: what was asked before is not asked again, and the same command goes on after Ctrl-C.

    \b
    fuzz matrix fuzz-root/findings
    fuzz matrix findings --of onnxruntime --versions 1.20.1,1.31.1,1.32.0 --out table.html

    --json prints {tables: [{backend, versions, findings: [what `fuzz bisect --json` prints]}]}.
    Exit codes: 0 no version has any, 1 found, 2 misuse.
    """
    from fuzz.bisect.answer import State
    from fuzz.bisect.matrix import tables, to_json
    from fuzz.bisect.record import Record
    from fuzz.errors import UsageError

    if known and (versions or again):
        raise UsageError("--known runs nothing: leave out --versions and --again")
    if out is not None and out.suffix not in _FORMS:
        raise UsageError(f"{out} has no form that is known: end it in {', '.join(_FORMS)}")
    findings = _findings(folders, backend)
    if known:
        records = [Record(finding) for finding in findings]
    else:
        records = _survey(findings, versions, timeout, memory, jobs, again=again)
    found = tables([record for record in records if record.answers])
    if as_json:
        print_json(to_json(found))
    else:
        _show(found, out)
    return 1 if any(State.BAD in record.states.values() for record in records) else 0


_FORMS = (".md", ".html", ".json")


def _findings(folders: Iterable[Path], names: tuple[str, ...]) -> list[Finding]:
    """The findings in folders, each once. Raises UsageError where there is none."""
    from fuzz.errors import UsageError
    from fuzz.triage.finding import read_finding

    places: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder: give a finding, or a folder of findings")
        inside = sorted(path.parent for path in folder.glob("*/model.onnx"))
        places.update(dict.fromkeys([folder] if (folder / "model.onnx").is_file() else inside))
    found = [read_finding(place) for place in places]
    kept = [each for each in found if not names or _name(each) in names]
    if not kept:
        of = f" of {', '.join(names)}" if names else ""
        raise UsageError(f"no finding{of} lies in {', '.join(map(str, folders))}")
    return kept


def _name(finding: Finding) -> str:
    from fuzz.execute.target import backend_of

    return backend_of(finding.target)


def _survey(
    findings: list[Finding], versions: tuple[str, ...], timeout: float, memory: int, jobs: int | None, *, again: bool
) -> list[Record]:
    from fuzz.bisect.history import found_on
    from fuzz.bisect.inquiry import Inquiry
    from fuzz.bisect.record import Record
    from fuzz.bisect.run import survey
    from fuzz.cli.bisect import heard
    from fuzz.cli.targets import read_target
    from fuzz.execute.attempt import Limits
    from fuzz.judge.verdict import Word

    # Times are compared by another command.
    asked = [each for each in findings if each.signature is None or each.signature.word != Word.SLOW]
    for each in findings:
        if each not in asked:
            echo(f"{each.name} is slow, which is not asked here: `fuzz perf --baseline` compares two versions")
    releases = _releases(asked, versions)
    records = [Record(each, releases[_name(each)].all, anew=again) for each in asked]
    workers = jobs or len(os.sched_getaffinity(0))
    with Inquiry(Limits(timeout, memory << 20), workers) as inquiry:
        survey(
            records, lambda r: releases[_name(r.finding)].asked, lambda r: found_on(r.finding), inquiry, read_target,
            heard, workers,
        )  # fmt: skip
    return records


def _releases(findings: list[Finding], versions: tuple[str, ...]) -> dict[str, Releases]:
    """What is asked of each backend. Raises UsageError."""
    from fuzz.bisect.history import Releases, entry_of
    from fuzz.errors import UsageError

    entries = {_name(each): entry_of(each) for each in findings}
    asked: dict[str, str] = {}
    for text in versions:
        name, equals, wanted = text.partition("=")
        if not equals and len(entries) == 1:
            name, wanted = next(iter(entries)), text
        elif not equals:
            raise UsageError(f"{text!r} names no backend of {', '.join(sorted(entries))}: write --versions NAME={text}")
        if name not in entries:
            raise UsageError(f"there is no finding of {name!r}: there are some of {', '.join(sorted(entries))}")
        if name in asked:
            raise UsageError(f"--versions of {name} stand twice: join them by commas")
        asked[name] = wanted
    return {n: Releases.of(e, asked.get(n), installed=True, tell=echo) for n, e in sorted(entries.items())}


def _show(found: list[Table], out: Path | None) -> None:
    from fuzz.bisect.matrix import html, markdown, to_json
    from fuzz.file import write_text

    if out is None:
        click.echo(markdown(found), nl=False)
        return
    if out.suffix == ".json":
        content = json.dumps(to_json(found), sort_keys=True, indent=1) + "\n"
    else:
        content = html(found) if out.suffix == ".html" else markdown(found)
    write_text(out, content, "give another --out")
    click.echo(str(out))
