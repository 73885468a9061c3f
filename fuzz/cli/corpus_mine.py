"""`fuzz corpus mine`: windows of real models, for `fuzz gen --seeds`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import FilePath, IntRange, json_option, print_json

if TYPE_CHECKING:
    from fuzz.seeds.mine import Mined

__all__ = ["command"]


@click.command()
@click.argument("models", nargs=-1, required=True, type=FilePath(path_type=Path, file_okay=True),
                metavar="MODEL_OR_FOLDER...")  # fmt: skip
@click.option("-k", "nodes", type=IntRange(2, 12), default="2-8", show_default=True,
              help="Nodes of a window: a number or a range.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N",
              help="Keep so many windows, of each number of nodes alike many: one of four of most models, three for "
              "what they have that the others lack.  "
              "[default: all]")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("windows.jsonl"),
              show_default=True, metavar="FILE", help="Where the windows go: one a line, as JSON.")  # fmt: skip
@json_option
def command(models: tuple[Path, ...], nodes: tuple[int, int], limit: int | None, out: Path, as_json: bool) -> None:
    """Cut windows of a few connected nodes out of ONNX models, for `fuzz gen --seeds FILE`.

    A folder is searched for *.onnx at any depth: a cache of `fuzz corpus run`, standard test cases, models of your
    own. Windows that are alike but for names and sizes are kept once. Their sizes become symbols, tied as the
    operators tie them; each window is evaluated at its own sizes or at others before it is kept. Large constants
    are not kept, only their sizes. The same models give the same file.

    \b
    fuzz corpus mine model.onnx --out model.jsonl
    fuzz corpus mine exported/ -k 3-6 --limit 2000 --out windows.jsonl
    fuzz gen --seeds windows.jsonl --count 1000

    --json prints {out, models, nodes, met, distinct, windows, symbolic, evaluated, reasons: {TEXT: n},
    unevaluated: {TEXT: n}, left: {TEXT: n}, unread: [FILE]}: nodes read and windows cut, those that are distinct,
    that are kept, that have symbolic sizes, that were evaluated; why others have none, were not evaluated, why nodes
    are in no window, and what could not be read.
    """
    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError
    from fuzz.seeds.mine import Mined, find_models, mine, written

    found = find_models(models)
    result = Mined()
    try:
        with progress_bar("models", len(found)) as progress:
            mine(found, result, nodes=nodes, limit=limit, progress=progress)
    except KeyboardInterrupt:
        written(result, out)
        click.echo(f"interrupted: {len(result.windows):,} windows in {out}", err=True)
        raise
    if not result.models:
        raise UsageError(f"none of {len(found)} files can be read as an ONNX model: {', '.join(result.unread[:3])}")
    written(result, out)
    if as_json:
        print_json({"out": str(out), **result.to_json()})
    else:
        click.echo("\n".join(_told(result, out)))


def _told(result: Mined, out: Path) -> list[str]:
    share = 100 * result.symbolic / max(result.typed, 1)
    head = f"{len(result.windows):,} windows of {result.models:,} models in {out}"
    cut = f"{result.nodes:,} nodes, {result.met:,} windows cut, {result.distinct:,} distinct"
    lines = [f"{head} ({cut}; {share:.1f} % of {result.typed:,} with symbolic sizes)"]
    for what, counts in (
        ("no symbolic size", result.reasons), ("left out", result.unevaluated), ("nodes in no window", result.left)
    ):  # fmt: skip
        lines += [f"  {what}: {number:,} {why}" for why, number in counts.most_common(5)]
    lines += [f"  not read: {path}" for path in result.unread[:5]]
    return lines
