"""`make campaign-null`: legal recomputations of every operator on every element type, and of whole models.

python benchmarks/campaign_null.py                docs/campaigns/null.{json,md}; two minutes
python benchmarks/campaign_null.py --per-pair 11  fewer outputs for each operator and type
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from commands import fuzz
from figure import commit, machine, write_json

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
Counts: TypeAlias = Mapping[str, Any]
SUSPECT = 0.1
"""Percent of the outputs that may be called suspect."""


def main() -> int:
    """Measure and write; exit status 1 where a legal output is called wrong, or too many are called suspect."""
    parser = argparse.ArgumentParser(description="What the judge says of legal recomputations.")
    parser.add_argument("--per-pair", type=int, default=110, metavar="N", help="outputs of each operator and type")
    parser.add_argument("--count", type=int, default=2000, metavar="N", help="whole models (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = ("--jobs", str(options.jobs))
    return report(
        fuzz("selftest", "--null", "--per-pair", str(options.per_pair), *jobs),
        fuzz("selftest", "--null", "--count", str(options.count), *jobs), options.per_pair, Path(options.docs),
    )  # fmt: skip


def report(strata: Counts, graphs: Counts, count: int, docs: Path) -> int:
    """Write null.json and null.md. ``strata`` and ``graphs`` are what `fuzz selftest --null` printed."""
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(),
        "per_pair": count, "strata": strata, "graphs": graphs,
    }  # fmt: skip
    write_json(docs / "null.json", result)
    (docs / "null.md").write_text(_page(result), encoding="utf-8")
    parts = (strata, graphs)
    print("\n".join(f"{decided(p):,} judged, {p['suspect']} suspect, {p['wrong']} wrong" for p in parts))
    sound = all(p["wrong"] == 0 and 100 * p["suspect"] <= SUSPECT * decided(p) for p in parts)
    return 0 if sound else 1


def decided(part: Counts) -> int:
    """Outputs of which something could be said."""
    return int(part["ok"] + part["suspect"] + part["wrong"])


_HEAD = """# Campaign: is what is legal called wrong?

{made}, commit {commit:.10}; `make campaign-null` makes this page. onnx {onnx}, numpy {numpy}, Python {python}.
Models are recomputed by eleven legal means ([how](../notes/selftest.md)); each value that a node computes is judged.

| | models | judged | ok | suspect | wrong | undecidable beside them |
|---|---:|---:|---:|---:|---:|---:|
{totals}

Of {pairs} pairs of an operator and an element type of its first operand, {enough} have at least {per_pair} judged
outputs. The others, and why:

| operator | type | judged | reason |
|---|---|---:|---|
{short}

## Operator by operator

| operator | types | judged | fewest of a type | suspect | wrong | undecidable |
|---|---:|---:|---:|---:|---:|---:|
{operators}
"""


def _page(result: Mapping[str, Any]) -> str:
    strata, graphs = result["strata"], result["graphs"]
    pairs = strata["pairs"]
    short = [pair for pair in pairs if decided(pair) < result["per_pair"]]
    totals = (("operator by operator, type by type", strata), ("whole models of 1 to 20 nodes", graphs))
    return _HEAD.format(
        **{**result["machine"], **result}, pairs=len(pairs), enough=len(pairs) - len(short),
        totals="\n".join(f"| {label} | {part['cases']:,} | {_counts(part)} |" for label, part in totals),
        short="\n".join(f"| {p['operator']} | {p['type']} | {decided(p)} | {p['reason']} |" for p in short),
        operators="\n".join(_operators(pairs)),
    )  # fmt: skip


def _counts(part: Counts) -> str:
    numbers = (decided(part), part["ok"], part["suspect"], part["wrong"], part["undecidable"])
    return " | ".join(f"{n:,}" for n in numbers)


def _operators(pairs: list[Counts]) -> Iterator[str]:
    """A row for each operator, over the types that it was judged on."""
    names = dict.fromkeys(pair["operator"] for pair in pairs)
    for name in names:
        mine = [pair for pair in pairs if pair["operator"] == name and pair["cases"]]
        sums = {word: sum(pair[word] for pair in mine) for word in ("ok", "suspect", "wrong", "undecidable")}
        fewest = min(map(decided, mine), default=0)
        rest = f"{sums['suspect']} | {sums['wrong']} | {sums['undecidable']}"
        yield f"| {name} | {len(mine)} | {decided(sums):,} | {fewest} | {rest} |"


if __name__ == "__main__":
    sys.exit(main())
