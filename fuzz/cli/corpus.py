"""`fuzz corpus`: real models, and cases from elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from fuzz.cli.corpus_architecture import architecture
from fuzz.cli.corpus_cards import match, samples, tuples
from fuzz.cli.corpus_collect import collect
from fuzz.cli.corpus_families import command as families
from fuzz.cli.corpus_graphs import graph, sequence, show
from fuzz.cli.corpus_label_check import label_check
from fuzz.cli.corpus_measure import command as measure
from fuzz.cli.corpus_mine import command as mine
from fuzz.cli.corpus_models import install, list_models
from fuzz.cli.corpus_predict import command as predict
from fuzz.cli.corpus_report import clean, report, stats
from fuzz.cli.corpus_run import run
from fuzz.cli.options import json_option, print_json, root_option

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]


@click.group()
def command() -> None:
    """Real models, run and compared, and other cases from elsewhere."""


command.add_command(families, "families")
command.add_command(mine, "mine")
command.add_command(measure, "measure")
command.add_command(predict, "predict")
_PARTS = (
    install, list_models, run, report, stats, clean,
    graph, show, sequence, architecture, label_check,
    collect, match, tuples, samples,
)  # fmt: skip
for part in _PARTS:
    command.add_command(part)


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
    from fuzz.doctor.suite import write_test
    from fuzz.errors import UsageError

    start = time.perf_counter()
    open_root(root)
    count = 0
    with progress_bar("operator tests", None) as progress:
        for test in operator_tests(pattern):
            write_test(root, test)
            count += 1
            progress(1)
    if not count:
        raise UsageError(f"no operator test is named like {pattern!r}; names begin with test_, so write 'test_conv*'")
    seconds = round(time.perf_counter() - start, 3)
    if as_json:
        print_json({"root": str(root), "cases": count, "seconds": seconds})
    else:
        click.echo(f"{count:,} cases in {root} ({seconds:.1f} s)")
