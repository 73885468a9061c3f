"""`make campaign-predictor`: networks of each family measured, a predictor trained on some and tested on the others.

python benchmarks/campaign_predictor.py run      sample, measure, train; goes on where it was
python benchmarks/campaign_predictor.py report   docs/campaigns/predictor.{json,md}
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from figure import commit, machine, write_json

from corpus.families.table import FAMILIES
from corpus.graphs.cache import Cache
from corpus.predictor.experiment import ceiling
from corpus.predictor.target import known, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
CACHE, DOCS = ROOT / "build" / "predictor", ROOT / "docs" / "campaigns"
TARGET, LABEL = "onnxruntime", "latency_ms"
TRAIN = ("nb101", "nb201", "nb301")
EACH, TUNE, ROUNDS, SAMPLES = 100, 50, 3, 16
"""Networks of a family; of them for fine-tuning; rounds of a pass; samples of a round.

They are built as published: small ones take a tenth of a millisecond, and two measurements of them agree too little
(twelve of HiAML: 0.78, Spearman).
"""
ENTRANTS: Mapping[str, Sequence[str]] = {
    "published": (),
    "sums": ("--features", "costs", "--readout", "shares", "--learning-rate", "1e-3", "--epochs", "200"),
}
"""The predictors, by the arguments of `fuzz corpus predict`: as published, and made for sums over nodes."""


def main() -> int:
    """Do one of the two; exit status 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description="Latencies of networks measured, and predicted of unseen families.")
    parser.add_argument("action", choices=["run", "report"])
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR")
    parser.add_argument("--each", type=int, default=EACH, metavar="N", help="networks of a family")
    parser.add_argument("--tune", type=int, default=TUNE, metavar="N", help="of them for fine-tuning")
    parser.add_argument("--train", default="+".join(TRAIN), metavar="FAMILY[+...]", help="families to train on")
    parser.add_argument("--families", default="+".join(FAMILIES), metavar="FAMILY[+...]", help="all that take part")
    options = parser.parse_args()
    return run(options) if options.action == "run" else report(options.cache, options.docs)


def run(options: argparse.Namespace) -> int:
    """Sample and measure each family, then train and test each predictor that has no result yet."""
    families = options.families.split("+")
    graphs, models = str(options.cache / "graphs"), str(options.cache / "models")
    for family in families:
        count = FAMILIES[family].size or options.each
        _fuzz("families", "sample", family, "--count", min(options.each, count), "--full",
              "--out", graphs, "--onnx", models)  # fmt: skip
    _fuzz("measure", *families, "--graphs", graphs, "--models", models, "--backend", TARGET, "--rounds", ROUNDS,
          "--samples", SAMPLES)  # fmt: skip
    seen = options.train.split("+")
    unseen = "+".join(f"{family}#{options.tune}" for family in families if family not in seen)
    for name, arguments in ENTRANTS.items():
        path = options.cache / f"{name}.json"
        if path.exists():
            continue
        start = time.monotonic()
        told = _fuzz("predict", "--graphs", graphs, "--name", name, "--train", options.train, "--test", unseen,
                     "--out", str(options.cache / "predictors"), *arguments, "--json", told=True)  # fmt: skip
        write_json(path, {**json.loads(told), "arguments": list(arguments),
                          "minutes": round((time.monotonic() - start) / 60, 2)})  # fmt: skip
    return 0


def _fuzz(*arguments: object, told: bool = False) -> str:
    """Run a command of `fuzz corpus`; 1 says that some network was refused, which the report tells."""
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "corpus", *map(str, arguments)]
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE if told else None)
    if done.returncode not in {0, 1}:
        sys.exit(done.returncode)
    return done.stdout or ""


def report(cache: Path, docs: Path) -> int:
    """Write predictor.json and predictor.md of what is in the cache."""
    results = {name: json.loads(path.read_text()) for name in ENTRANTS if (path := cache / f"{name}.json").exists()}
    if not results:
        print(f"there are no results in {cache}: run `make campaign-predictor`", file=sys.stderr)
        return 2
    graphs = Cache(cache / "graphs")
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(), "target": TARGET,
        "measured": {family: _measured(graphs, family) for family in graphs.families()}, "predictors": results,
    }  # fmt: skip
    write_json(docs / "predictor.json", result)
    (docs / "predictor.md").write_text(_page(result), encoding="utf-8")
    rows = results.get("sums", {}).get("families", [])
    wins = sum(_beats(row["fine_tuned"]) for row in rows)
    high = sum((row["fine_tuned"]["predictor"]["spearman"] or 0) >= 0.9 for row in rows)
    print(f"{wins} of {len(rows)} unseen families beat both baselines, {high} reach 0.9")
    return 0 if rows and wins == len(rows) and 2 * high > len(rows) else 1


def _beats(row: Mapping[str, Mapping[str, Any]]) -> bool:
    own, *others = ((row[name]["spearman"] or 0.0) for name in ("predictor", "flops", "gcn"))
    return all(own > other for other in others)


def _measured(cache: Cache, family: str) -> dict[str, Any]:
    graphs = list(cache.load(family))
    some = known(graphs, LABEL)
    times = sorted(value(graph, LABEL) for graph in some)
    return {
        "graphs": len(graphs), "measured": len(some), "ceiling": ceiling(some, LABEL) if some else None,
        "ms": [times[0], times[len(times) // 2], times[-1]] if times else [],
    }  # fmt: skip


_HEAD = """# Campaign: latencies predicted

{made}, commit {commit:.10}; `make campaign-predictor` makes this page. onnx {onnx}, numpy {numpy}, Python {python}.
Networks of the [families](../families.md), the first that seed 0 draws, as published, timed on {target}, one
thread, in two passes of {rounds} rounds; [how, and what the columns mean](../predictor.md). The ceiling is Spearman's
correlation of the two passes: how well a measurement ranks as the next one does.

| family | networks | measured | ms: least, median, most | ceiling |
|---|---:|---:|---:|---:|
{rows}
"""

_PREDICTOR = """
## {name}: {arguments}

Trained on {train} ({graphs} graphs to train, to choose the epoch, to test), {minutes:g} minutes with fine-tuning and
baselines. Spearman, of the predictor, the line through the operations, the plain GCN:

| family | tested | never seen | fine-tuned | NDCG@10 | MAPE | ceiling |
|---|---:|---:|---:|---:|---:|---:|
{rows}
"""


def _page(result: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {FAMILIES[name].title} | {row['graphs']} | {row['measured']} | "
        f"{', '.join(f'{one:.3g}' for one in row['ms'])} | {_figure(row['ceiling'])} |"
        for name, row in result["measured"].items()
    )
    head = _HEAD.format(**{**result["machine"], **{key: result[key] for key in ("made", "commit", "target")}},
                        rounds=ROUNDS, rows=rows)  # fmt: skip
    return head + "".join(_section(name, one) for name, one in result["predictors"].items())


def _section(name: str, one: Mapping[str, Any]) -> str:
    return _PREDICTOR.format(
        name=name, arguments=f"`{' '.join(one['arguments'])}`" if one["arguments"] else "the defaults",
        train=", ".join(one["train"]["families"]), graphs=", ".join(map(str, one["train"]["graphs"])),
        minutes=one["minutes"], rows="\n".join(map(_line, one["families"])),
    )  # fmt: skip


def _line(row: Mapping[str, Any]) -> str:
    tuned = row["fine_tuned"] or row["zero_shot"]
    both = " | ".join(
        " / ".join(_figure(part[name]["spearman"]) for name in ("predictor", "flops", "gcn"))
        for part in (row["zero_shot"], tuned)
    )
    own = tuned["predictor"]
    return (
        f"| {FAMILIES[row['family']].title} | {row['tested']} | {both} | {_figure(own['ndcg_10'])} | "
        f"{_figure(own['mape'])} | {_figure(row['ceiling'])} |"
    )


def _figure(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"


if __name__ == "__main__":
    sys.exit(main())
