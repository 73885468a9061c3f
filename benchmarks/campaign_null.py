"""`make campaign-null`: legal recomputations of every operator on every element type, and of whole models.

python benchmarks/campaign_null.py                docs/campaigns/null.{json,md}; ten minutes on two idle cores
python benchmarks/campaign_null.py --per-pair 11 --count 50   fewer outputs for each operator and type, fewer models
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from commands import fuzz
from figure import commit, machine, write_json

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
Counts: TypeAlias = Mapping[str, Any]
SUSPECT = 0.1
"""Percent of the outputs that may be called suspect."""


@dataclass(frozen=True, slots=True)
class Series:
    """Whole models: how the root of them is made, and what part of the count of models is asked for.

    In the commands COUNT stands for that number, ROOT for the folder that is judged, PARENTS for one beside it.
    """

    label: str
    share: float
    commands: tuple[str, ...]


SERIES = (
    Series("default settings", 1, ("gen --root ROOT --count COUNT",)),
    Series("com.microsoft too", 1, ("gen --root ROOT --count COUNT --seed 100000 --domain com.microsoft",)),
    Series("NaN and infinities", 1, ("gen --root ROOT --count COUNT --seed 200000 --nonfinite --dynamic mixed",)),
    Series("dynamic, at up to four sizes", 0.4, ("gen --root ROOT --count COUNT --seed 300000 --dynamic",)),
    Series("dynamic and com.microsoft", 0.2,
           ("gen --root ROOT --count COUNT --seed 400000 --dynamic --domain com.microsoft",)),
    Series("mutants", 1, ("gen --root PARENTS --count COUNT --seed 500000 --dynamic mixed --domain com.microsoft",
                          "mutate --root PARENTS --out ROOT --count COUNT")),
    Series("other sizes and static forms", 0.1, ("gen --root ROOT --count COUNT --seed 600000 --dynamic mixed",
                                                 "diversify --root ROOT --count 6 --specialise")),
)  # fmt: skip


def main() -> int:
    """Measure and write; exit status 1 where a legal output is called wrong, or too many are called suspect."""
    parser = argparse.ArgumentParser(description="What the judge says of legal recomputations.")
    parser.add_argument("--per-pair", type=int, default=110, metavar="N", help="outputs of each operator and type")
    parser.add_argument("--count", type=int, default=600, metavar="N",
                        help="whole models of a series; of some a part of it (default: %(default)s)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = ("--jobs", str(options.jobs))
    graphs = [{"label": one.label, **judged(one, options.count, jobs)} for one in SERIES]
    strata = fuzz("selftest", "--null", "--per-pair", str(options.per_pair), *jobs)
    return report(strata, graphs, options.per_pair, Path(options.docs))


def judged(series: Series, count: int, jobs: Sequence[str]) -> Counts:
    """What is said of the models of a series, made in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        models = str(max(1, round(count * series.share)))
        names = {"ROOT": f"{folder}/root", "PARENTS": f"{folder}/parents", "COUNT": models}
        for command in series.commands:
            fuzz(*(names.get(word, word) for word in command.split()), *jobs)
        return fuzz("selftest", "--null", "--root", names["ROOT"], *jobs)


def report(strata: Counts, graphs: Sequence[Counts], count: int, docs: Path) -> int:
    """Write null.json and null.md. ``strata`` and ``graphs`` are what `fuzz selftest --null` printed."""
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(),
        "per_pair": count, "strata": strata, "graphs": graphs,
    }  # fmt: skip
    write_json(docs / "null.json", result)
    (docs / "null.md").write_text(_page(result), encoding="utf-8")
    parts = (strata, *graphs)
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

An operator's types are those of its type variables, each by the first operand that is of it. Of {pairs} such pairs,
{enough} have at least {per_pair} judged outputs. The others, and why:

| operator | operand | types | judged | reason |
|---|---|---|---:|---|
{short}

## Operator by operator

| operator | types | judged | fewest of a type | suspect | wrong | undecidable |
|---|---:|---:|---:|---:|---:|---:|
{operators}

An output counts for each type that its node has.
"""


def _page(result: Mapping[str, Any]) -> str:
    strata, graphs = result["strata"], result["graphs"]
    pairs = strata["pairs"]
    short = [pair for pair in pairs if decided(pair) < result["per_pair"]]
    totals = [("operator by operator, type by type", strata), *((part["label"], part) for part in graphs)]
    totals.append(("all", {word: sum(part[word] for _, part in totals) for word in ("cases", *_WORDS)}))
    return _HEAD.format(
        **{**result["machine"], **result}, pairs=len(pairs), enough=len(pairs) - len(short),
        totals="\n".join(f"| {label} | {part['cases']:,} | {_counts(part)} |" for label, part in totals),
        short="\n".join(_short(short)),
        operators="\n".join(_operators(pairs)),
    )  # fmt: skip


_WORDS = ("ok", "suspect", "wrong", "undecidable")


def _counts(part: Counts) -> str:
    numbers = (decided(part), part["ok"], part["suspect"], part["wrong"], part["undecidable"])
    return " | ".join(f"{n:,}" for n in numbers)


def _short(pairs: list[Counts]) -> Iterator[str]:
    """A row for each operand and reason."""
    rows: dict[tuple[str, str, int, str], list[str]] = {}
    for pair in pairs:
        rows.setdefault((pair["operator"], pair["operand"], decided(pair), pair["reason"]), []).append(pair["type"])
    for (operator, operand, judged_, reason), types in rows.items():
        yield f"| {operator} | {operand} | {', '.join(types)} | {judged_} | {reason} |"


def _operators(pairs: list[Counts]) -> Iterator[str]:
    """A row for each operator, over the types that it was judged on."""
    names = dict.fromkeys(pair["operator"] for pair in pairs)
    for name in names:
        mine = [pair for pair in pairs if pair["operator"] == name and pair["cases"]]
        sums = {word: sum(pair[word] for pair in mine) for word in _WORDS}
        fewest = min(map(decided, mine), default=0)
        rest = f"{sums['suspect']} | {sums['wrong']} | {sums['undecidable']}"
        yield f"| {name} | {len(mine)} | {decided(sums):,} | {fewest} | {rest} |"


if __name__ == "__main__":
    sys.exit(main())
