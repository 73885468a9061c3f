"""Blame on planted pass bugs, and on real findings whose pass is known: the right switch, in how many executions."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import planted_passes
from figure import machine
from onnx import parser

from backends.tensor import from_numpy
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.triage.blame import blame
from fuzz.triage.candidate import Candidate
from fuzz.triage.finding import Finding, read_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.execute.target import Target

ROOT = Path(__file__).parents[1]
SIZES = (64, 200)
NEEDED = 3
"""Passes that a model cannot do without, in the second series."""
LIMITS = Limits(60.0, 2 << 30)
_QUICK = 9

# What was found by hand of findings/: docs/findings.md says it in words. Any of the sets is right.
KNOWN: Mapping[str, Sequence[str]] = {
    "onnxruntime-pad-max-pool": ("Pad_Fusion",),
    "onnxruntime-div-mul-integers": ("DivMulFusion",),
    "onnxruntime-transpose-matmul-vector": ("MatmulTransposeFusion",),
    "onnxruntime-matmul-scale-double": ("MatMulScaleFusion",),
    "onnxruntime-relu-clip-double": ("FuseReluClip",),
    "onnxruntime-layer-normalization-power-swapped": ("LayerNormFusionL1",),
    # Without the first the second fuses the same nodes, and drops as much of the epsilon.
    "onnxruntime-layer-normalization-double-epsilon": ("LayerNormFusionL1+SimplifiedLayerNormFusion",),
    "onnxruntime-rms-normalization-double-epsilon": ("SimplifiedLayerNormFusion",),
    "onnxruntime-rms-normalization-rank": ("SimplifiedLayerNormFusion",),
    "onnxruntime-qdq-reshape-zero-point": ("QDQPropagationTransformer",),
    "onnxruntime-qdq-int32": ("QDQPropagationTransformer",),
    "onnxruntime-qdq-conv-float-weights": ("WeightBiasQuantization",),
    "onnxruntime-qdq-softmax-overflow": ("QDQSelectorActionTransformer",),
    "onnxruntime-qdq-gemm-bias-scale": ("QDQSelectorActionTransformer",),
    "onnxruntime-matmul-dequantised-weights": ("QDQSelectorActionTransformer",),
    "onnxoptimizer-reshape-reshape": ("eliminate_consecutive_idempotent_ops",),
    "onnxoptimizer-slice-of-shape": ("eliminate_slice_after_shape",),
    "onnxslim-conv-mul-last-axis": ("FusionConvMul",),
    "onnxscript-scatter-nd-reduction": ("no_op_static_scatter_nd_rule",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One bug: whether the right switch was named, in how many executions, of how many passes."""

    series: str
    name: str
    passes: int
    right: bool
    found: str
    executions: int

    @property
    def allowed(self) -> float:
        """What the target grants."""
        return 2 * math.log2(self.passes) + 8


def main() -> int:
    """Measure and print; exit status 1 where a target is not met."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help=f"every {_QUICK}th bug")
    arguments.add_argument("--jobs", type=int, default=2, metavar="N", help="workers (default: %(default)s)")
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    options = arguments.parse_args()
    rows = []
    for row in measured(options.jobs, quick=options.quick):
        print(f"{row.series} {row.name}: {row.found}, {row.executions}", file=sys.stderr, flush=True)
        rows.append(row)
    figures = [_figure(series, [row for row in rows if row.series == series]) for series in
               dict.fromkeys(row.series for row in rows)]  # fmt: skip
    if options.json:
        print(json.dumps({"machine": machine(), "series": figures}))
    for figure in figures if not options.json else ():
        print(f"{figure['series']}: {figure['right']} of {figure['bugs']} right, executions: median "
              f"{figure['median']}, most {figure['most']}, allowed {figure['allowed']:.1f}; "
              f"wrong: {', '.join(figure['wrong']) or 'none'}")  # fmt: skip
    held = [figure for figure in figures if "needed" not in figure["series"]]  # of that there is no target
    return 0 if all(f["right"] >= 0.95 * f["bugs"] and f["median"] <= f["allowed"] for f in held) else 1


def measured(jobs: int, *, quick: bool = False) -> Iterator[Row]:
    """All bugs, one after the other."""
    step = _QUICK if quick else 1
    for count in SIZES:
        for needed in (0, NEEDED):
            for number in range(0, len(planted_passes.BUGS), step):
                yield planted(number, count, needed, jobs)
    for name, sets in list(KNOWN.items())[::step]:
        finding = read_finding(ROOT / "findings" / name)
        found = blame(finding, parse_target(finding.target), LIMITS, jobs=jobs, keep=False)
        text = "+".join(switch.value for switch in found.switches)
        yield Row("findings", name, found.passes, text in sets, text, found.executions)


def planted(number: int, count: int, needed: int, jobs: int) -> Row:
    """One planted bug. Where one of two passes alone makes it go away, both must be told."""
    bug = planted_passes.BUGS[number]
    found = blame(finding_of(number), target_of(number, count, needed), LIMITS, jobs=jobs, keep=False)
    named = [tuple(switch.value for switch in found.switches)]
    named += [tuple(switch.value for switch in other) for other in found.alternatives]
    guilty = planted_passes.culprits(number, count)
    due = [(name,) for name in guilty] if bug.passes == "chain" else [tuple(sorted(guilty))]
    series = f"{count} passes" + (f", {needed} of them needed" if needed else "")
    name = f"{number}-{bug.kind}-{bug.operator}-{bug.passes}"
    text = " or ".join("+".join(names) for names in named)
    return Row(series, name, count, sorted(named) == sorted(due), text, found.executions)


def finding_of(number: int) -> Finding:
    """The case that shows a bug."""
    bug = planted_passes.BUGS[number]
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {bug.graph}')
    names = [port.name for port in model.graph.input]
    feed = dict(zip(names, map(from_numpy, planted_passes.feed(bug)), strict=True))
    return Finding(f"bug-{number}", Path(), Candidate(model.SerializeToString(), (feed,)), "planted-passes", None)


def target_of(number: int, count: int, needed: int = 0, more: str = "") -> Target:
    """The rewriter with so many passes, of which those of that bug are at fault."""
    row = planted_passes.entry(count)
    options = [f"bug={number}", *([f"needed={needed}"] if needed else []), *([more] if more else [])]
    return parse_target(f"planted-passes:{','.join(options)}", {row.name: row})


def _figure(series: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "series": series, "bugs": len(rows), "right": sum(row.right for row in rows),
        "median": median(row.executions for row in rows), "most": max(row.executions for row in rows),
        "allowed": median(row.allowed for row in rows), "wrong": [row.name for row in rows if not row.right],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
