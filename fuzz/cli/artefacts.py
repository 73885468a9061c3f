"""`fuzz backends show` and `fuzz backends passes`: what a backend can tell beside outputs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from fuzz.cli.options import FilePath, echo, json_option, memory_option, print_json, timeout_option

__all__ = ["passes", "show"]


@click.command()
@click.argument("target")
@click.option("--write", is_flag=True, help="Keep them as the table against which targets are checked.")
@json_option
def passes(target: str, write: bool, as_json: bool) -> None:
    """Show the passes that a target's backend can leave out, by the names that its option disable takes.

    \b
    fuzz backends passes onnxruntime
    fuzz exec --backend onnxruntime:disable=ConstantFolding+MatMulAddFusion

    --json prints {backend, version, passes}.
    """
    from backends.passes import FOLDER
    from fuzz.cli.targets import read_target
    from fuzz.execute.worker import Limits
    from fuzz.show import passes as ask

    table = ask(read_target(target), Limits(120.0, 8 << 30))
    if write:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{table.backend}.json").write_text(table.to_json(), encoding="utf-8")
    if as_json:
        print_json({"backend": table.backend, "version": table.version, "passes": list(table.names)})
    elif table.names:
        click.echo("\n".join(table.names))
    else:
        echo(f"{table.backend} has no passes that can be left out one by one")


@click.command()
@click.argument("target")
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--inputs", type=FilePath(path_type=Path), metavar="DIR",
              help="Folder with input_0.pb, ...  [default: test_data_set_* beside it, else made up]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write the files there.  [default: print those that are text]")  # fmt: skip
@timeout_option("Seconds for all.")
@memory_option
@json_option
def show(
    target: str, model: Path, inputs: Path | None, out: Path | None, timeout: float, memory: int, as_json: bool
) -> int:
    """Show what a target makes of a model: the optimised graph, the IR, the passes that changed it, the code.

    \b
    fuzz backends show onnxruntime model.onnx
    fuzz backends show tvm:pipeline=zero fuzz-root/cases/00000001/model.onnx --out shown

    --json prints {target, version, outcome, stage, message, files: [{name, bytes, path or text}]}. Exit code 1 means
    that the target did not run the model.
    """
    from backends.protocol import Outcome
    from fuzz.check import case_of
    from fuzz.cli.targets import read_target
    from fuzz.execute.worker import Limits
    from fuzz.show import show as ask

    chosen = read_target(target)
    with TemporaryDirectory(prefix="fuzz-show-") as scratch:
        attempt, files = ask(chosen, case_of(model, inputs, Path(scratch)), Limits(timeout, memory << 20))
    rows = [_shown(name, content, out) for name, content in files.items()]
    if as_json:
        stage = attempt.stage.value if attempt.stage is not None else None
        print_json({"target": chosen.canonical, "version": chosen.version, "outcome": attempt.outcome.value,
                    "stage": stage, "message": attempt.message, "files": rows})  # fmt: skip
    else:
        _print_shown(rows)
        if attempt.outcome is not Outcome.OK:
            echo(f"{chosen.canonical}: {attempt.outcome.value} {attempt.message}".strip())
        elif not rows:
            echo(f"{chosen.canonical} shows nothing")
    return 0 if attempt.outcome is Outcome.OK else 1


def _shown(name: str, content: bytes, out: Path | None) -> dict[str, Any]:
    """A file as a row: written to a folder, or its text where it is one."""
    row: dict[str, Any] = {"name": name, "bytes": len(content)}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / name
        path.write_bytes(content)
        return {**row, "path": str(path)}
    try:
        return {**row, "text": content.decode("utf-8")} if b"\0" not in content else row
    except UnicodeDecodeError:
        return row


def _print_shown(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if "path" in row:
            click.echo(row["path"])
        elif "text" in row:
            click.echo(f"--- {row['name']}\n{row['text']}".rstrip())
        else:
            click.echo(f"--- {row['name']}: {row['bytes']} bytes that are no text; see --out")
