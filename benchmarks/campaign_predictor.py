"""`make campaign-predictor`: networks of each family measured; each family predicted by what was trained on the others.

python benchmarks/campaign_predictor.py run      sample, measure, train; goes on where it was
python benchmarks/campaign_predictor.py report   docs/campaigns/predictor.{json,md}
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from figure import commit, machine, write_json

from corpus.families.table import FAMILIES
from corpus.graphs.cache import Cache
from corpus.predictor.experiment import ceiling
from corpus.predictor.recipe import RECIPES
from corpus.predictor.target import known, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
CACHE, DOCS = ROOT / "build" / "predictor", ROOT / "docs" / "campaigns"
TARGET, LABEL = "onnxruntime", "latency_ms"
EACH, TUNE, ROUNDS, SAMPLES, LONGEST = 100, 50, 2, 16, 10.0
"""Networks of a family; of them for fine-tuning; rounds of a pass; samples of a round; minutes that training may take.

They are built as published: small ones take a tenth of a millisecond, and two measurements of them agree too little
(twelve of HiAML: 0.78, Spearman).
"""
OURS, SEEDS = "roofline", {"published": (0,), "roofline": (0, 1, 2)}
"""The recipe whose figures are asked for; seeds of splits, weights and batches, by recipe."""
COLUMNS = ("predictor", "flops", "gcn")


def main() -> int:
    """Do one of the two; exit status 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description="Latencies of networks measured, and predicted of unseen families.")
    parser.add_argument("action", choices=["run", "report"])
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR")
    parser.add_argument("--each", type=int, default=EACH, metavar="N", help="networks of a family")
    parser.add_argument("--tune", type=int, default=TUNE, metavar="N", help="of them for fine-tuning")
    parser.add_argument("--families", default="+".join(FAMILIES), metavar="FAMILY[+...]", help="all that take part")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="predictors that are trained at a time")
    options = parser.parse_args()
    return run(options) if options.action == "run" else report(options.cache, options.docs)


def run(options: argparse.Namespace) -> int:
    """Sample and measure each family, then train and test each predictor that has no result yet."""
    families = options.families.split("+")
    graphs, models = options.cache / "graphs", options.cache / "models"
    for family in families:
        count = FAMILIES[family].size or options.each
        _fuzz("families", "sample", family, "--count", min(options.each, count), "--full",
              "--out", graphs, "--onnx", models)  # fmt: skip
    _fuzz("measure", *families, "--graphs", graphs, "--models", models, "--backend", TARGET, "--rounds", ROUNDS,
          "--samples", SAMPLES)  # fmt: skip
    work = [(name, family, seed) for name in RECIPES for family in families for seed in SEEDS[name]]
    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(lambda each: _trained(options, families, *each), work):
            pass
    return 0


def _trained(options: argparse.Namespace, families: Sequence[str], name: str, family: str, seed: int) -> None:
    """One predictor trained on all families but one, and tested on that."""
    path = options.cache / "results" / f"{name}-{family}-seed{seed}.json"
    if path.exists():
        return
    others = "+".join(each for each in families if each != family)
    start = time.monotonic()
    told = _fuzz("predict", "--graphs", options.cache / "graphs", "--name", f"{name}_{family}", "--train", others,
                 "--test", f"{family}#{options.tune}", "--out", options.cache / "predictors", "--seed", seed,
                 "--recipe", name, "--json", told=True)  # fmt: skip
    minutes = (time.monotonic() - start) / 60
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**json.loads(told), "minutes": round(minutes, 2)})
    print(f"{name}, {family}, seed {seed}: {minutes:.1f} minutes", file=sys.stderr)


def _fuzz(*arguments: object, told: bool = False) -> str:
    """Run a command of `fuzz corpus`; 1 says that some network was refused, which the report tells."""
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "corpus", *map(str, arguments)]
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE if told else None)
    if done.returncode not in {0, 1}:
        sys.exit(done.returncode)
    return done.stdout or ""


def report(cache: Path, docs: Path) -> int:
    """Write predictor.json and predictor.md of what is in the cache."""
    results = {name: _results(cache / "results", name) for name in RECIPES}
    if not results[OURS]:
        print(f"there are no results in {cache}: run `make campaign-predictor`", file=sys.stderr)
        return 2
    graphs = Cache(cache / "graphs")
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(), "target": TARGET,
        "measured": {family: _measured(graphs, family) for family in graphs.families()}, "predictors": results,
    }  # fmt: skip
    write_json(docs / "predictor.json", result)
    (docs / "predictor.md").write_text(_page(result), encoding="utf-8")
    rows = [_means(seeds, "fine_tuned") for seeds in results[OURS].values()]
    # A rate that suits the one may not suit the other: a plain GCN counts as each recipe trains it.
    plain = [
        max(_means(one[family], "fine_tuned")["gcn"] for one in results.values() if family in one)
        for family in results[OURS]
    ]
    wins = sum(row["predictor"] > max(row["flops"], gcn) for row, gcn in zip(rows, plain, strict=True))
    high = sum(row["predictor"] >= 0.9 for row in rows)
    longest = max(one["minutes"] for seeds in results[OURS].values() for one in seeds)
    print(f"{wins} of {len(rows)} unseen families beat both baselines, {high} reach 0.9; {longest} minutes at most")
    return 0 if wins == len(rows) and 2 * high > len(rows) and longest <= LONGEST else 1


def _results(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """By family, what there is of each seed."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for family in FAMILIES:
        for seed in SEEDS[name]:
            path = folder / f"{name}-{family}-seed{seed}.json"
            if path.exists():
                told = json.loads(path.read_text(encoding="utf-8"))
                kept = ("seed", "settings", "train", "test", "minutes")
                found[family].append({**{key: told[key] for key in kept}, **told["families"][0]})
    return found


def _means(seeds: Sequence[Mapping[str, Any]], part: str, measure: str = "spearman") -> dict[str, float]:
    """The mean over seeds of a measure; where ranks were all equal it is 0."""
    return {name: fmean(one[part][name][measure] or 0.0 for one in seeds) for name in COLUMNS}


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
correlation of the two passes: how well a measurement ranks as the next one does. What is predicted is their mean, whose
noise is less than that of either: a predictor may come out a little above it.

| family | networks | measured | ms: least, median, most | ceiling |
|---|---:|---:|---:|---:|
{rows}

Each predictor was trained on all families but one and tested on that one: as it was, then fine-tuned on {tune} of its
networks and tested on the others, which is repeated with other splits and weights where there are several seeds. The
settings were chosen by tests on the three NAS-Bench families alone; on the six others nothing was tried out.
"""

_PREDICTOR = """
## `--recipe {name}`

{recipe}.

{minutes} minutes each, two at a time on two cores, with fine-tuning and baselines. Spearman, of the predictor, the line
through the operations, the plain GCN; the mean of {seeds}, and the least of the predictor's:

| family | tested | never seen | fine-tuned | least | NDCG@10 | MAPE | ceiling |
|---|---:|---:|---:|---:|---:|---:|---:|
{rows}
"""


def _page(result: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {FAMILIES[name].title} | {row['graphs']} | {row['measured']} | "
        f"{', '.join(f'{one:.3g}' for one in row['ms'])} | {_figure(row['ceiling'])} |"
        for name, row in result["measured"].items()
    )
    head = _HEAD.format(**{**result["machine"], **{key: result[key] for key in ("made", "commit", "target")}},
                        rounds=ROUNDS, rows=rows, tune=TUNE)  # fmt: skip
    return head + "".join(_section(name, one) for name, one in result["predictors"].items() if one)


def _section(name: str, families: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    minutes = sorted(one["minutes"] for seeds in families.values() for one in seeds)
    recipe = ", ".join(f"{key.replace('_', ' ')} {one}" for key, one in asdict(RECIPES[name]).items())
    seeds = ", ".join(map(str, SEEDS[name]))
    return _PREDICTOR.format(
        name=name, recipe=recipe, minutes=f"{minutes[0]:g} to {minutes[-1]:g}",
        seeds=f"seed {seeds}" if len(SEEDS[name]) == 1 else f"seeds {seeds}",
        rows="\n".join(_line(family, each) for family, each in families.items()),
    )  # fmt: skip


def _line(family: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    both = " | ".join(" / ".join(map(_figure, _means(seeds, part).values())) for part in ("zero_shot", "fine_tuned"))
    least = min(one["fine_tuned"]["predictor"]["spearman"] or 0.0 for one in seeds)
    ndcg, mape = (_means(seeds, "fine_tuned", measure)["predictor"] for measure in ("ndcg_10", "mape"))
    return (
        f"| {FAMILIES[family].title} | {seeds[0]['tested']} | {both} | {_figure(least)} | {_figure(ndcg)} | "
        f"{_figure(mape)} | {_figure(fmean(one['ceiling'] for one in seeds))} |"
    )


def _figure(number: float | None) -> str:
    return "-" if number is None else f"{number:.3f}"


if __name__ == "__main__":
    sys.exit(main())
