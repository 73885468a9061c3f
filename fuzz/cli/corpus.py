"""`fuzz corpus`: cases from elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from fuzz.cli.options import json_option, print_json, root_option

if TYPE_CHECKING:
    from pathlib import Path

    from backends.tensor import Value
    from corpus.onnx_tests import OperatorTest
    from fuzz.signature import Port

__all__ = ["command"]


@click.group()
def command() -> None:
    """Write cases from elsewhere into a root."""


@command.command("onnx-tests")
@root_option
@click.option("--filter", "pattern", default="*", metavar="GLOB", help="Tests by name, e.g. 'test_conv*'.")
@json_option
def onnx_tests(root: Path, pattern: str, as_json: bool) -> None:
    """Write ONNX's own operator tests, with the outputs that they expect.

    \b
    fuzz corpus onnx-tests --root onnx-tests
    fuzz exec --root onnx-tests --backend onnxruntime
    fuzz diff --root onnx-tests

    --json prints {root, cases, seconds}.
    """
    from corpus.onnx_tests import operator_tests
    from fuzz.case import open_root
    from fuzz.cli.progress import progress_bar
    from fuzz.errors import UsageError

    start = time.perf_counter()
    open_root(root)
    count = 0
    with progress_bar("operator tests", None) as progress:
        for test in operator_tests(pattern):
            _write(root, test)
            count += 1
            progress(1)
    if not count:
        raise UsageError(f"no operator test is named like {pattern!r}; names begin with test_, so write 'test_conv*'")
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        print_json({"root": str(root), "cases": count, "seconds": seconds})
    else:
        click.echo(f"{count:,} cases in {root} ({seconds:.1f} s)")


def _write(root: Path, test: OperatorTest) -> None:
    from importlib.metadata import version

    from fuzz.case import DataSet, write_case
    from fuzz.signature import signature
    from fuzz.values import decode_value

    ports = signature(test.model)

    def values(of: tuple[Port, ...], files: tuple[bytes, ...]) -> dict[str, Value]:
        return {port.name: decode_value(data, port.type) for port, data in zip(of, files, strict=True)}

    data_set = DataSet(
        values(ports.inputs + ports.defaults, test.inputs),
        values(ports.outputs, test.outputs),
    )
    source = {"test": test.name, "rtol": test.rtol, "atol": test.atol, "onnx": version("onnx")}
    write_case(root, test.name, test.model, [data_set], {"source": source})
