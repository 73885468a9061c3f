"""`fuzz blame`: which of a backend's switches a finding needs."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import jobs_option, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fuzz.triage.trials import Trials

__all__ = ["command"]

_SHOWN = 60  # characters of what is off that a line shows


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False),
                metavar="FOLDER...")  # fmt: skip
@click.option("--backend", metavar="TARGET", help="Where the case fails.  [default: the target that the folder names]")
@timeout_option("Seconds for one run.")
@memory_option
@jobs_option
@json_option
def command(
    folders: tuple[Path, ...], backend: str | None, timeout: float, memory: int, jobs: int | None, as_json: bool
) -> int:
    """Find the smallest set of a backend's switches that makes a finding go away.

    FOLDER holds model.onnx and test_data_set_0, as `fuzz run`, `fuzz reduce` and `fuzz repro` leave it. The case
    runs on its target, then with each level and mode that turns something off, then with passes left out: half of
    them, a quarter, and so on. It has gone away where it is ok, by what the target may do as it is: not where it is
    suspect, undecidable, unsupported, or fails in another way. What is found is tried again in a new process, and so
    is the case with all other passes off. Of what torch.compile counts (decompositions, passes, lowerings) the one
    that the failure begins with is found as well.

    FOLDER gets blame.json: the switches, whatever else makes it go away, all that was asked. After Ctrl-C the
    same command goes on.

    \b
    fuzz blame findings/onnxruntime-pad-max-pool
    fuzz blame fuzz-root/findings/* --jobs 2
    fuzz backends passes onnxruntime        the passes that can be left out
    fuzz backends describe onnxruntime      the other switches

    --json prints {findings: [{finding, target, version, fails, signature, changed, switches, alternatives, coarse,
    alone, repeats, setting, switched, passes, application: {part, number, of, name, gone, stays, own}, asked: [{off,
    answer, said, fresh}], executions, told, sentence}]}. Exit code 1 means that one of them fails, whatever is to
    blame, 0 that none does any more.
    """
    from fuzz.cli.targets import read_target
    from fuzz.execute.attempt import Limits
    from fuzz.triage.blame import blame
    from fuzz.triage.finding import read_finding
    from fuzz.triage.sandbox import Sandbox

    findings = [read_finding(folder, backend) for folder in folders]
    targets = [read_target(finding.target) for finding in findings]
    rows = []
    workers, limits = jobs or len(os.sched_getaffinity(0)), Limits(timeout, memory << 20)
    with Sandbox(workers) as sandbox:
        for finding, target in zip(findings, targets, strict=True):
            with _progress(finding.name) as told:
                rows.append(blame(finding, target, limits, jobs=workers, told=told, sandbox=sandbox))
            if not as_json:
                click.echo(rows[-1].sentence)
    if as_json:
        print_json({"findings": [found.to_json() for found in rows]})
    return 1 if any(found.fails for found in rows) else 0


@contextmanager
def _progress(name: str) -> Iterator[Callable[[Trials], None]]:
    """What was asked last, for a person at a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True)
    with console.status(escape(f"{name}: does it fail?")) as status:

        def told(trials: Trials) -> None:
            last = trials.rows[-1]
            off = " ".join(last.off).replace("+", " + ")
            off = off if len(off) <= _SHOWN else f"{off.count('+') + len(last.off)} switches off"
            status.update(escape(f"{name}: {off}: {last.answer} ({trials.executions + 1} runs)"[: console.width - 4]))

        yield told
