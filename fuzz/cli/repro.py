"""`fuzz repro`: the papers of a failing case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import SeveralValues, json_option, memory_option, print_json, timeout_option

if TYPE_CHECKING:
    from fuzz.repro.papers import Papers

__all__ = ["command"]


class _Repro(SeveralValues):
    several = ("--against",)


@click.command(cls=_Repro)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--backend", metavar="TARGET", required=True, help="Where the case fails, such as tvm.")
@click.option(
    "--against", multiple=True, metavar="TARGET",
    help="Other targets that the case is run on, to tell whose fault it is. Repeat it for several.",
)  # fmt: skip
@timeout_option("Seconds for one run.")
@memory_option
@json_option
def command(folder: Path, backend: str, against: tuple[str, ...], timeout: float, memory: int, as_json: bool) -> int:
    """Write the papers of a failing case: a script that shows it, and a report for its tracker.

    FOLDER holds model.onnx and test_data_set_0, as `fuzz reduce` leaves it. It gets

    \b
    repro.py       self-contained, by the backend's public interface; exits with 1 while the bug is there,
                   0 once it is mended, 2 where it cannot run
    NOTES.md       the report, under the headings that the project's tracker asks for
    verdict.json   all that is known: versions, what is due and why, what was ruled out

    The case runs on TARGET, on TARGET with its optimisations off, and on ONNX's evaluator. repro.py is run by
    itself, and is kept only if it shows the bug.

    \b
    fuzz reduce model.onnx --backend openvino --out small && fuzz repro small --backend openvino
    fuzz repro small --backend openvino --against onnxruntime

    --json prints {word, finding, script, problem, said, title}. Exit code 1 means that the case fails on TARGET,
    0 that it does not.
    """
    from fuzz.cli.targets import read_target, read_targets
    from fuzz.errors import CaseError
    from fuzz.execute.attempt import Limits
    from fuzz.repro.papers import document
    from fuzz.triage.run import read_candidate

    model = folder / "model.onnx"
    if not model.is_file():
        raise CaseError(f"{folder} holds no model.onnx: give the folder of one case, as `fuzz reduce --out` makes it")
    target = read_target(backend)
    others = [each.canonical for each in read_targets(against)] if against else []
    papers = document(folder, read_candidate(model, None), target, Limits(timeout, memory << 20), others)
    if as_json:
        print_json(papers.to_json())
    else:
        _print(folder, papers, target.canonical)
    return 1 if papers.finding else 0


def _print(folder: Path, papers: Papers, target: str) -> None:
    if not papers.finding:
        said = f": {papers.said}" if papers.said else ""
        click.echo(f"{folder} is {papers.word} on {target}{said}; nothing was written")
        return
    click.echo(papers.title)
    if papers.script:
        click.echo(papers.said.rstrip())
        click.echo(f"{folder / 'repro.py'}")
    else:
        click.echo(f"no repro.py: {papers.problem}")
    click.echo(f"{folder / 'NOTES.md'}")
