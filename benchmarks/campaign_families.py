"""`make campaign-families`: a hundred networks of each search space built, exported, run on ONNX Runtime and judged.

python benchmarks/campaign_families.py table     which networks there are, and what they are like
python benchmarks/campaign_families.py run [fuzz corpus run's arguments]   goes on where it was, ten of each in turn
python benchmarks/campaign_families.py windows   what `fuzz gen --seeds FAMILY` takes, of what was built
python benchmarks/campaign_families.py count     every cell of NAS-Bench-101 by the published hash (minutes)
python benchmarks/campaign_families.py report    docs/campaigns/families.{json,md}
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaign_corpus import TARGET, agrees
from figure import commit, machine, write_json

from corpus.cache import builds, read_state
from corpus.catalogue import MODELS
from corpus.families.nasbench101 import VERTICES, cells, fingerprint
from corpus.families.statistics import MEASURED, size_text, statistics
from corpus.families.table import FAMILIES
from corpus.family import Member, load, save

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[1]
CACHE, DOCS = ROOT / "build" / "families", ROOT / "docs" / "campaigns"
SCRIPT = MODELS / "nas_families" / "nas_families.py"
EACH, SMALL, TURN, WINDOWS = 100, 4, 10, 60
"""Networks of a family; of them in test_group::small; built before the next family's turn; windows of a family."""
WINDOW_FOLDER = ROOT / "corpus" / "windows" / "families"


def main() -> int:
    """Do one of the five; exit status 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description="Search spaces of networks, sampled, built and compared.")
    parser.add_argument("action", choices=["table", "run", "windows", "count", "report"])
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR")
    options, rest = parser.parse_known_args()
    if options.action == "table":
        return table()
    if options.action == "run":
        return run(options.cache, rest)
    if options.action == "windows":
        return windows(options.cache)
    return count(options.cache) if options.action == "count" else report(options.cache, options.docs)


def table() -> int:
    """Write the table of nas_families.py, and what the first twenty of each are like as published."""
    save(SCRIPT, {
        found.name: Member(
            found.name, labels={"test_group": ("small",)} if index < SMALL else {},
            build={"family": family.name, "index": index},
        )
        for family in FAMILIES.values() for index, found in enumerate(islice(family.samples(0), EACH))
    })  # fmt: skip
    write_json(MEASURED, {name: statistics(one, count=20, seed=0).to_json() for name, one in FAMILIES.items()})
    return 0


def run(cache: Path, rest: Sequence[str]) -> int:
    """Run all, ten of each family in turn, and add the time that it took to what it took before."""
    cache.mkdir(parents=True, exist_ok=True)
    rows = load(SCRIPT).values()
    for turn in range(0, EACH, TURN):
        names = [row.name for row in rows if turn <= row.build["index"] < turn + TURN]
        start = time.monotonic()
        command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "corpus", "run", "-d", str(cache)]
        globs = [f"{SCRIPT.name}::{name}" for name in names]
        done = subprocess.run([*command, "--backend", TARGET, *rest, *globs], check=False)
        _add(cache / "seconds.json", time.monotonic() - start)
        if done.returncode not in {0, 1}:
            return done.returncode
    return 0


def _add(path: Path, seconds: float) -> None:
    before = json.loads(path.read_text()) if path.exists() else 0.0
    path.write_text(json.dumps(before + seconds))


def windows(cache: Path) -> int:
    """Mine windows of the first networks of each family, where all of them are built."""
    from fuzz.seeds.mine import Mined, find_models, mine, written

    members = load(SCRIPT)
    for family in FAMILIES:
        names = {row.name for row in members.values() if row.build["family"] == family and row.build["index"] < SMALL}
        folders = [cache / name for name in builds(cache) if read_state(cache, name)["model"] in names]
        if len(folders) < SMALL:
            print(f"{family}: {len(folders)} of {SMALL} are built: `campaign_families.py run` first", file=sys.stderr)
            return 2
        result = Mined()
        mine(find_models(folders), result, nodes=(2, 6), limit=WINDOWS)
        written(result, WINDOW_FOLDER / f"{family}.jsonl")
        print(f"{family}: {len(result.windows)} windows of {result.distinct:,}", flush=True)
    return 0


def count(cache: Path) -> int:
    """Count the cells of NAS-Bench-101 that differ, by vertices, and keep that for the report."""
    start = time.monotonic()
    seen: set[str] = set()
    found: dict[str, int] = {}
    for vertices in range(2, VERTICES + 1):
        before = len(seen)
        seen.update(map(fingerprint, cells(vertices)))
        found[str(vertices)] = len(seen) - before
        print(f"{vertices} vertices: {found[str(vertices)]:,} cells, {len(seen):,} in all", flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    write_json(cache / "nb101.json", {
        "cells": found, "total": len(seen), "minutes": round((time.monotonic() - start) / 60, 1),
    })  # fmt: skip
    return 0 if len(seen) == FAMILIES["nb101"].size else 1


def report(cache: Path, docs: Path) -> int:
    """Write families.json and families.md of what is in the cache."""
    states = [read_state(cache, name) for name in builds(cache)]
    if not states:
        print(f"there are no builds in {cache}: run `make campaign-families`", file=sys.stderr)
        return 2
    members = load(SCRIPT)
    grouped: dict[str, list[Mapping[str, Any]]] = {name: [] for name in FAMILIES}
    for state in states:
        grouped[members[state["model"]].build["family"]].append(state)
    counted, spent = cache / "nb101.json", cache / "seconds.json"
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(),
        "minutes": round(json.loads(spent.read_text()) / 60, 1) if len(states) == len(members) else None,
        "planned": len(members),
        "nb101": json.loads(counted.read_text()) if counted.exists() else None,
        "families": {name: _row(name, rows) for name, rows in grouped.items()},
        "others": [_other(state) for state in states if not agrees(state)],
    }  # fmt: skip
    write_json(docs / "families.json", result)
    (docs / "families.md").write_text(_page(result), encoding="utf-8")
    total = Counter[str]()
    for row in result["families"].values():
        total.update({key: row[key] for key in ("models", "exported", "agree")})
    print(f"{total['models']:,} networks, {total['exported']:,} exported, {total['agree']:,} agree")
    return 0 if total["agree"] == len(members) else 1


def _row(name: str, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    targets = [state.get("targets", {}).get(TARGET, {}) for state in states]
    operators = Counter[str]()
    for state in states:
        operators.update(state.get("onnx", {}).get("operators", {}))
    return {
        "models": len(states),
        "exported": sum(state.get("status") == "successful" for state in states),
        "ran": sum(row.get("outcome") == "ok" for row in targets),
        "agree": sum(map(agrees, states)),
        "revived": sum(bool(state.get("revived")) for state in states),
        "seconds": _median([sum(state.get("seconds", {}).values()) for state in states]),
        "nodes": _range([state["nodes"] for state in states if "nodes" in state]),
        "operators": sorted(operators),
        "full": json.loads(MEASURED.read_text())[name],
    }


def _median(values: Sequence[float]) -> float | None:
    return round(sorted(values)[len(values) // 2], 1) if values else None


def _range(values: Sequence[int]) -> list[int]:
    return [min(values), max(values)] if values else []


def _other(state: Mapping[str, Any]) -> dict[str, str]:
    row = state.get("targets", {}).get(TARGET, {})
    said = state.get("error") or state.get("message") or f"{row.get('verdict', 'not run')}: {row.get('message')}"
    return {"model": str(state["model"]), "said": str(said)[:240]}


_HEAD = """# Campaign: search spaces of networks

{made}, commit {commit:.10}; `make campaign-families` makes this page. onnx {onnx}, numpy {numpy}, Python {python}.
{models:,} of {planned:,} networks of the [families](../families.md), the first that seed 0 draws: built small,
exported, checked, run on {target}, held against eager PyTorch within the bound ([how](../notes/corpus.md)).{minutes}

| family | networks | exported | run on {target} | agree | nodes of the program | median seconds |
|---|---:|---:|---:|---:|---:|---:|
{rows}

As published, of the first twenty that seed 0 draws:

| family | architectures | parameters, million | multiply-adds, million | input |
|---|---:|---:|---:|---:|
{full}

{counted}ONNX operators of all of them: {operators}.

## The others, {count:,}

| network | said |
|---|---|
{others}
"""


def _page(result: Mapping[str, Any]) -> str:
    rows = result["families"]
    counted = result["nb101"]
    return _HEAD.format(
        **{**result["machine"], **{key: result[key] for key in ("made", "commit")}}, target=TARGET,
        planned=result["planned"], models=sum(row["models"] for row in rows.values()),
        minutes=f" It took {result['minutes']:g} minutes." if result["minutes"] else "",
        rows="\n".join(_line(name, row) for name, row in rows.items()),
        full="\n".join(_full(name, row["full"]) for name, row in rows.items()),
        counted=f"NAS-Bench-101 enumerated: {_cells(counted)}.\n\n" if counted else "",
        operators=", ".join(sorted({name for row in rows.values() for name in row["operators"]})),
        count=len(result["others"]),
        others="\n".join(f"| {one['model']} | {one['said'].replace('|', '/')} |" for one in result["others"]),
    )  # fmt: skip


def _cells(counted: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{number:,} of {vertices}" for vertices, number in counted["cells"].items())
    return f"{counted['total']:,} cells by the published hash ({parts} vertices)"


def _line(name: str, row: Mapping[str, Any]) -> str:
    nodes = f"{row['nodes'][0]:,} to {row['nodes'][1]:,}" if row["nodes"] else "-"
    counts = " | ".join(f"{row[key]:,}" for key in ("models", "exported", "ran", "agree"))
    return f"| {FAMILIES[name].title} | {counts} | {nodes} | {row['seconds'] or '-'} |"


def _full(name: str, row: Mapping[str, Any]) -> str:
    family = FAMILIES[name]
    spans = (" to ".join(f"{value / 1e6:,.2f}" for value in row[key]) for key in ("parameters", "multiply_adds"))
    return f"| {family.title} | {size_text(family.size)} | {' | '.join(spans)} | {family.full} |"


if __name__ == "__main__":
    sys.exit(main())
