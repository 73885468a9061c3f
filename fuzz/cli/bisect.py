"""`fuzz bisect`: since when a finding fails, and until when."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, echo, jobs_option, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from fuzz.bisect.answer import Answer
    from fuzz.bisect.record import Record
    from fuzz.execute.attempt import Limits
    from fuzz.triage.finding import Finding

__all__ = ["command", "heard"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FINDING")
@click.option("--backend", metavar="TARGET", help="Where it fails.  [default: what its verdict.json says]")
@click.option("--versions", metavar="A,B,..|A..B", help="The releases to ask.  [default: those of the package index]")
@click.option("--all", "every", is_flag=True, help="Ask each of them, in place of a search.")
@click.option("--again", is_flag=True, help="Ask anew what bisect.json has an answer to.")
@click.option("--build", metavar="CMD", help="Bisect commits: a shell command that builds the one checked out.")
@click.option("--repo", type=FilePath(path_type=Path, file_okay=False), metavar="DIR", help="Their git repository.")
@click.option("--good", metavar="REV", help="A commit that is right.  [default: looked for behind --bad]")
@click.option("--bad", metavar="REV", help="A commit that has it.  [default: HEAD]")
@timeout_option("Seconds for one run.")
@memory_option
@jobs_option
@json_option
def command(
    folder: Path,
    backend: str | None,
    versions: str | None,
    every: bool,
    again: bool,
    build: str | None,
    repo: Path | None,
    good: str | None,
    bad: str | None,
    timeout: float,
    memory: int,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Find the release that a failing case fails since, and the one that mended it.

    FINDING is a folder as `fuzz run`, `fuzz reduce` and `fuzz repro` write it. Each release gets an environment of
    its own, once. A release that lacks what the case needs is skipped, never taken for a good one; where it only
    refuses the version numbers in the model's header, the case is asked under older ones that its operators permit.
    Answers are kept in FINDING/bisect.json: the same command goes on after Ctrl-C, and asks nothing twice.

    With --build it bisects commits. CMD runs in a work tree of its own, never in yours, checked out at a commit;
    TARGET says what to run then: in it {tree} is that work tree, and {out} a folder of the commit's own, which CMD
    finds in $FUZZ_OUT and which is kept, so that nothing is built twice. A commit that cannot be built is skipped.

    \b
    fuzz bisect findings/onnxruntime-max-int64
    fuzz bisect small --backend openvino --versions 2024.0.0..2026.4.1
    fuzz bisect small --repo ~/tvm --build 'sh build.sh' --backend 'tvm:python={out}/venv/bin/python' --good v0.25.0

    --json prints {finding, target, said, spans: [{first_bad, last_bad, good_before, fixed}], versions: [{version,
    word, said, plain}]}; word is bad, good, skip or other (it fails in another way). With --build it is {finding,
    target, said, first_bad, candidates, commits: [{commit, word, said}]}.
    Exit codes: 0 no version has it, 1 found, 2 misuse.
    """
    from fuzz.errors import UsageError
    from fuzz.execute.attempt import Limits
    from fuzz.triage.finding import read_finding

    finding = read_finding(folder, backend)
    limits = Limits(timeout, memory << 20)
    if build is not None or repo is not None:
        if build is None or repo is None:
            raise UsageError("commits need both: --build CMD --repo DIR")
        if versions is not None or every:
            raise UsageError("--versions and --all are of releases, --build and --repo of commits: give one of the two")
        return _commits(finding, limits, build, repo, good, bad, again=again, as_json=as_json)
    if good is not None or bad is not None:
        raise UsageError("--good and --bad are commits: they need --build CMD --repo DIR")
    return _releases(finding, limits, versions, jobs, every=every, again=again, as_json=as_json)


def _releases(
    finding: Finding, limits: Limits, versions: str | None, jobs: int | None, *, every: bool, again: bool, as_json: bool
) -> int:
    from fuzz.bisect.answer import State
    from fuzz.bisect.history import Releases, entry_of, found_on
    from fuzz.bisect.inquiry import Inquiry
    from fuzz.bisect.record import Record
    from fuzz.bisect.run import bisect, survey
    from fuzz.cli.targets import read_target

    entry = entry_of(finding)
    releases = Releases.of(entry, versions, installed=False, tell=echo)
    known = found_on(finding)
    record = Record(finding, releases.all, anew=again)
    workers = jobs or len(os.sched_getaffinity(0))
    with Inquiry(limits, workers) as inquiry:
        if every:
            asked = releases.within(known).asked
            survey([record], lambda _: asked, lambda _: known, inquiry, read_target, heard, workers)
        else:
            bisect(record, releases.within(known).asked, known, inquiry, read_target, heard)
    if as_json:
        print_json(record.to_json())
    else:
        _print(record)
    return 1 if State.BAD in record.states.values() else 0


def heard(record: Record, version: str, answer: Answer) -> None:
    """An answer as it comes, on standard error."""
    said = f" ({answer.said})" if answer.said and answer.state.value in {"skip", "other"} else ""
    echo(f"{record.finding.name} on {version}: {answer.state.value}{said}")


def _print(record: Record) -> None:
    for version in record.order:
        if (answer := record.answers.get(version)) is not None:
            said = f"  {answer.said}" if answer.state.value in {"skip", "other"} else ""
            plain = "  (under an older header)" if answer.plain else ""
            click.echo(f"{version:<14} {answer.state.value:<5}{plain}{said}".rstrip())
    click.echo(f"{record.finding.name}: {record.said}")


def _commits(
    finding: Finding, limits: Limits, build: str, repo: Path, good: str | None, bad: str | None, *, again: bool,
    as_json: bool,
) -> int:  # fmt: skip
    from fuzz.bisect.commits import Wish, bisect_commits

    found = bisect_commits(Wish(finding, limits, build, repo, good, bad, again), echo)
    if as_json:
        print_json(found.to_json())
    else:
        for commit, answer in found.answers.items():
            click.echo(f"{commit[:12]} {answer.state.value:<5} {answer.said}".rstrip())
        click.echo(found.said)
    return 1 if found.candidates else 0
