"""`make campaign-corpus`: every small model of the corpora built, exported, run on ONNX Runtime and judged.

python benchmarks/campaign_corpus.py run [fuzz corpus run's arguments]   goes on where it was
python benchmarks/campaign_corpus.py report                              docs/campaigns/corpus.{json,md}
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from figure import commit, machine, write_json

from corpus.cache import builds, read_state
from fuzz.collection.summary import word_of

ROOT = Path(__file__).parents[1]
CACHE, DOCS = ROOT / "build" / "corpus", ROOT / "docs" / "campaigns"
TARGET = "onnxruntime"
State: TypeAlias = Mapping[str, Any]

EXPORTED, AGREEING = 0.90, 0.95
"""What part of the models is to be exported, and of those to run and agree."""

REASONS = Path(__file__).with_name("corpus_reasons.json")
"""Why a model does not agree, by what was said of it and its name: each looked at by hand."""


def main() -> int:
    """Run or report; exit status 1 where a figure is missed, or a model has no reason."""
    parser = argparse.ArgumentParser(description="The corpora of real models, built and compared.")
    parser.add_argument("action", choices=["run", "report"])
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="DIR")
    options, rest = parser.parse_known_args()
    return run(options.cache, rest) if options.action == "run" else report(options.cache, options.docs)


def run(cache: Path, rest: Sequence[str]) -> int:
    """Run all, and add the time that it took to what it took before."""
    start = time.monotonic()
    command = [sys.executable, "-c", "from fuzz.cli.main import main; main()", "corpus", "run", "-d", str(cache)]
    done = subprocess.run([*command, "--backend", TARGET, *rest], check=False)
    spent = cache / "seconds.json"
    before = json.loads(spent.read_text()) if spent.exists() else 0.0
    cache.mkdir(parents=True, exist_ok=True)
    spent.write_text(json.dumps(before + time.monotonic() - start))
    return 0 if done.returncode in {0, 1} else done.returncode


def report(cache: Path, docs: Path) -> int:
    """Write corpus.json and corpus.md of what is in the cache."""
    states = {name: read_state(cache, name) for name in builds(cache)}
    if not states:
        print(f"there are no builds in {cache}: run `make campaign-corpus`", file=sys.stderr)
        return 2
    spent, reasons = cache / "seconds.json", json.loads(REASONS.read_text("utf-8"))["reasons"]
    rows = {name: _row(states, name) for name in ("all", *sorted({str(s["corpus"]) for s in states.values()}))}
    result = {
        "made": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), "machine": machine(),
        "minutes": round(json.loads(spent.read_text()) / 60, 1) if spent.exists() else None,
        "corpora": rows, "decided": _decided(states.values()),
        "seconds": _seconds(states.values()),
        "others": [_other(name, state, reasons) for name, state in states.items() if not agrees(state)],
    }  # fmt: skip
    write_json(docs / "corpus.json", result)
    (docs / "corpus.md").write_text(_page(result), encoding="utf-8")
    total = rows["all"]
    print(f"{total['models']:,} models, {total['exported']:,} exported, {total['agree']:,} agree")
    unknown = [other["build"] for other in result["others"] if not other["why"]]
    if unknown:
        print(f"nobody looked why yet, see {REASONS.name}: {', '.join(unknown)}", file=sys.stderr)
    reached = total["exported"] >= EXPORTED * total["models"] and total["agree"] >= AGREEING * total["exported"]
    return 0 if reached and not unknown else 1


def agrees(state: State) -> bool:
    """Whether a model was exported, and all sides agree as far as can be said."""
    row = state.get("targets", {}).get(TARGET, {})
    return row.get("verdict") in {"ok", "suspect"} and not state.get("side")


def _row(states: Mapping[str, State], corpus: str) -> dict[str, int]:
    mine = [state for state in states.values() if corpus in {"all", state["corpus"]}]
    ran = [state for state in mine if state.get("targets", {}).get(TARGET, {}).get("outcome") == "ok"]
    return {
        "models": len(mine),
        "forward": sum(state.get("stage") not in {"script", "forward"} for state in mine),
        "exported": sum(state.get("status") == "successful" for state in mine),
        "ran": len(ran),
        "agree": sum(agrees(state) for state in mine),
        "undecidable": sum(state["targets"][TARGET]["verdict"] == "undecidable" for state in ran),
        "revived": sum(bool(state.get("revived")) for state in mine),
    }


def _decided(states: Any) -> dict[str, int]:
    rows = (state["targets"][TARGET] for state in states if TARGET in state.get("targets", {}))
    words = Counter(row["decided"] or "nothing" for row in rows)
    return dict(sorted(words.items()))


def _seconds(states: Any) -> dict[str, float]:
    total: Counter[str] = Counter()
    for state in states:
        for stage, seconds in state.get("seconds", {}).items():
            total[stage] += seconds
    return {stage: round(seconds, 1) for stage, seconds in total.most_common()}


def _other(name: str, state: State, reasons: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A model that does not agree, or was not exported, and why."""
    row = state.get("targets", {}).get(TARGET, {})
    if state.get("status") in {"failed", "killed"}:
        said = f"{state.get('stage')}: {state.get('error')}"
    elif state.get("side"):
        said = f"{state['side']} {state.get('node', '')}: {state.get('message')}"
    else:
        said = f"{row.get('verdict', 'not run')}: {row.get('message', '')}"
    return {"build": name, "word": word_of(state), "said": said[:240], "why": _why(said, state, reasons)}


def _why(said: str, state: State, reasons: Sequence[Mapping[str, Any]]) -> str:
    """The reason that somebody found for this model, as long as what is said of it is what it was then."""
    for reason in reasons:
        if state.get("model") in reason["models"] and re.search(reason["said"], said):
            return str(reason["why"])
    return ""


_HEAD = """# Campaign: real models

{made}, commit {commit:.10}; `make campaign-corpus` makes this page. onnx {onnx}, numpy {numpy}, Python {python}.
Every small model of the [corpora](../corpus.md): its script run, the model caught, exported, run on {target} and judged
([how](../notes/corpus.md)).{minutes}

| corpus | models | run in PyTorch | exported | run on {target} | agree | undecidable | were dead |
|---|---:|---:|---:|---:|---:|---:|---:|
{rows}

What {target}'s answers were judged by: {decided}. Seconds by stage, over all processes: {seconds}.

## The others, {count:,}

| model | | said | why |
|---|---|---|---|
{others}
"""

_COLUMNS = ("models", "forward", "exported", "ran", "agree", "undecidable", "revived")


def _page(result: Mapping[str, Any]) -> str:
    rows = result["corpora"]
    order = [*(name for name in rows if name != "all"), "all"]
    minutes = result["minutes"]
    return _HEAD.format(
        **{**result["machine"], **{key: result[key] for key in ("made", "commit")}}, target=TARGET,
        minutes=f" It took {minutes:g} minutes." if minutes else "",
        rows="\n".join(f"| {name} | {' | '.join(_cells(rows[name]))} |" for name in order),
        decided=", ".join(f"{count:,} by {word}" for word, count in result["decided"].items()),
        seconds=", ".join(f"{stage} {seconds:,.0f}" for stage, seconds in result["seconds"].items()),
        count=len(result["others"]), others="\n".join(_others(result["others"])),
    )  # fmt: skip


def _cells(row: Mapping[str, int]) -> Iterator[str]:
    for column in _COLUMNS:
        base = {"exported": "models", "agree": "exported"}.get(column)
        share = f" ({row[column] / row[base]:.1%})" if base and row[base] else ""
        yield f"{row[column]:,}{share}"


def _others(others: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for other in others:
        cells = (other[key].replace("|", "\\|").replace("\n", " ") for key in ("build", "word", "said", "why"))
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
