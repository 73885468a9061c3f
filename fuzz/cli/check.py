"""`fuzz check`: one model of the user's own."""

from __future__ import annotations

from pathlib import Path

import click

from fuzz.cli.diff import oracle_from, oracle_options
from fuzz.cli.options import FilePath, backends_option, json_option, memory_option, print_json, timeout_option

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@backends_option(
    "Where to run it, such as tvm or onnxruntime:opt=0. Repeat it for several.  [default: only show hazards]",
    required=False,
)
@click.option(
    "--inputs",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Folder with input_0.pb, input_1.pb, ...  [default: test_data_set_* beside the model, else made up]",
)
@oracle_options
@timeout_option("Seconds for one target.")
@memory_option
@json_option
def command(
    model: Path,
    backends: tuple[str, ...],
    inputs: Path | None,
    oracle: str,
    rtol: float | None,
    atol: float | None,
    timeout: float,
    memory: int,
    as_json: bool,
) -> int:
    """Run and judge one model of your own.

    Where a target is wrong, the model runs there once more with every intermediate value exposed, which shows the
    first node at which it parts from the reference.

    What the specification leaves open for the model on its inputs is shown first, also without any target: what
    depends on it is not judged (see `fuzz hazards`).

    \b
    fuzz check model.onnx
    fuzz check model.onnx --backend tvm --backend openvino
    fuzz check model.onnx --inputs test_data_set_0 --backend onnxruntime

    --json prints {model, verdicts: [{target, verdict, data_set, output, index, expected, actual, bound,
    bound_ratio, node, message, oracle}], hazards: [{data_set, hazard, node, operator, output, elements}],
    problem}. Exit code 1 means findings.
    """
    from fuzz.check import Limits, check_model, hazards_of_model
    from fuzz.cli.tables import console, hazard_json, print_findings, print_hazards, verdict_json
    from fuzz.cli.targets import read_targets
    from fuzz.judge.verdict import FINDINGS

    targets = read_targets(backends)
    chosen = oracle_from(oracle, rtol, atol)
    hazards = hazards_of_model(model, inputs)
    verdicts = check_model(model, inputs, targets, chosen, Limits(timeout, memory)) if targets else []
    if as_json:
        print_json({
            "model": str(model),
            "verdicts": [verdict_json(verdict) for verdict in verdicts],
            "hazards": [hazard_json(number, arising) for number, arising in hazards.arisings],
            "problem": hazards.problem,
        })  # fmt: skip
    else:
        print_hazards(console(), hazards, remedy="see --json")
        if not targets and not hazards.arisings and not hazards.problem:
            click.echo("no hazards")
        print_findings(console(), verdicts, remedy="see --json")
    return 1 if any(verdict.verdict in FINDINGS for verdict in verdicts) else 0
