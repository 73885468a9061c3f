"""`make campaign-oracle`: many cases on real compilers, every wrong answer explained, sorted and looked up by hand.

python benchmarks/campaign.py run      generate, execute, judge and explain, a chunk after the other; resumable
python benchmarks/campaign.py judge    judge and explain again what was executed (the judge has changed)
python benchmarks/campaign.py explain  explain again what a node alone does not explain
python benchmarks/campaign.py report   docs/campaigns/oracle.{json,md} from the chunks and from known.json

Distinct wrong answers are those that differ in their signature: the target, the operator at which the answer parts from
the reference, the element type of its first input, whether value, shape or type is wrong, whether the node shows it
alone, in its context, or only where its value is not exposed, and what that context has to hold.
docs/campaigns/known.json holds what a person found.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import fuzz
from figure import commit, machine, write_json

from fuzz.case import find_cases
from fuzz.execute.target import parse_targets
from fuzz.execute.worker import Limits
from fuzz.explain import EXPLAINED, Explainer
from fuzz.judge.compare import Comparison
from fuzz.judge.judge import Oracle
from fuzz.judge.run import judge_root
from fuzz.judge.verdict import REFERENCE, Word
from fuzz.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fuzz.judge.divergence import Divergence
    from fuzz.judge.verdict import Verdict

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
FIELDS = ("target", "operator", "dtype", "kind", "place", "needs")
CHUNK = 500
OPSETS = (21, 21, 17, 21, 13)
"""The operator sets of successive chunks."""


Row = dict[str, Any]
"""One wrong answer, explained."""


@dataclass(frozen=True, slots=True)
class Series:
    """A part of the campaign: its targets, what is generated for them, the first seed, how many cases."""

    name: str
    targets: tuple[str, ...]
    support: tuple[str, ...]
    seed: int
    cases: int

    def chunks(self, place: Path) -> Iterator[tuple[Path, int, int]]:
        """Each chunk's root, first seed and operator set."""
        for number in range(-(-self.cases // CHUNK)):
            opset = OPSETS[number % len(OPSETS)]
            yield place / f"{self.name}-{number:03d}", self.seed + number * CHUNK, opset


SERIES = (
    Series("main", ("onnxruntime", "onnxruntime:opt=0", "openvino"), ("onnxruntime", "openvino"), 0, 50_000),
    Series("tvm", ("tvm",), ("tvm",), 100_000, 3_000),
)


def main() -> int:
    """Do what is asked; exit status 1 where a wrong answer has no explanation, or is our fault."""
    parser = argparse.ArgumentParser(description="Many cases on real compilers, every wrong answer explained.")
    parser.add_argument("step", choices=["run", "judge", "explain", "report"])
    parser.add_argument("--place", default="build/campaign", metavar="DIR", help="of the roots (default: %(default)s)")
    parser.add_argument("--new", action="store_true", help="judge: only what has not been judged")
    parser.add_argument("--keep", action="store_true", help="judge: what a node alone explained stays explained so")
    parser.add_argument("--series", choices=[s.name for s in SERIES], help="one part alone")
    parser.add_argument("--chunks", type=int, metavar="N", help="the first N chunks of each part alone")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where known.json and the report lie")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place, docs = Path(options.place), Path(options.docs)
    chunks = [
        (series, *chunk)
        for series in SERIES
        if options.series in {None, series.name}
        for chunk in list(series.chunks(place))[: options.chunks]
    ]
    if options.step == "report":
        return report([_read(root) for _, root, _, _ in chunks if (root / "chunk.json").exists()], docs)
    for number, (series, root, seed, opset) in enumerate(chunks):
        done = root / "chunk.json"
        if options.step == "explain":
            if done.exists():
                explain(root)
            continue
        if options.step == "judge" and not _executed(series, root):
            continue
        if (options.step == "judge" and not options.new) or not done.exists():
            known = _alone(done) if options.keep else {}
            result = chunk(series, root, seed, opset, execute=options.step == "run", known=known)
            write_json(done, result)
        print(f"{root.name}: {number + 1} of {len(chunks)}", file=sys.stderr, flush=True)
    return 0


def chunk(
    series: Series, root: Path, seed: int, opset: int, *, execute: bool, known: Mapping[tuple[str, int], Row]
) -> dict[str, Any]:
    """Generate, execute, judge and explain one chunk; what was executed before is not executed again.

    ``known`` are rows by target and seed that are not to be explained again, if they are still wrong.
    """
    if execute:
        fuzz("gen", "--root", root, "--seed", seed, "--count", CHUNK, "--dynamic", "mixed", "--opset", opset,
             "--for", *series.support)  # fmt: skip
        fuzz("exec", "--root", root, *(word for target in series.targets for word in ("--backend", target)))
    judgement = judge_root(root, Oracle(), jobs=len(os.sched_getaffinity(0)))
    cases = {case.id: case for case in find_cases(root)}
    wrong = [v for v in judgement.verdicts if v.verdict in {Word.WRONG, Word.SUSPECT}]
    rows = [known[v.target, int(v.case)] for v in wrong if _kept(v, known)]
    rows += [row for part in _explained(series, [v for v in wrong if not _kept(v, known)], cases) for row in part]
    others = Counter(
        (v.target, v.verdict, _gist(v.message))
        for v in judgement.verdicts
        if v.verdict in {Word.REJECTED, Word.CRASH, Word.TIMEOUT, Word.OOM, Word.ERROR, Word.DISPUTE}
    )
    return {
        "cases": judgement.cases,
        "seed": seed,
        "opset": opset,
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
        "counts": judgement.counts,
        "wrong": sorted(rows, key=lambda row: (row["seed"], row["target"])),
        "others": [[*key, count] for key, count in sorted(others.items())],
    }


def _alone(done: Path) -> dict[tuple[str, int], Row]:
    """The rows of an earlier judgement that a node alone explained."""
    rows = _read(done.parent)["wrong"] if done.exists() else []
    return {(row["target"], row["seed"]): {"needs": "", **row} for row in rows if row["place"] == "alone"}


def _kept(verdict: Verdict, known: Mapping[tuple[str, int], Row]) -> bool:
    row = known.get((verdict.target, int(verdict.case)))
    return row is not None and row["verdict"] == verdict.verdict


def explain(root: Path) -> None:
    """Explain again the rows of a chunk that need a node's context; the others stay."""
    part = _read(root)
    again = {(row["seed"], row["target"]) for row in part["wrong"] if row["place"] not in {"alone", "gone"}}
    if not again:
        return
    with Store.open(root) as store:
        verdicts = [v for v in store.verdicts() if (int(v.case), v.target) in again and v.oracle == REFERENCE]
    cases = {case.id: case for case in find_cases(root)}
    targets = parse_targets(tuple(sorted({v.target for v in verdicts})))
    with Explainer(targets, Limits(60.0, 4 << 30)) as explainer:
        rows = [_row(v, explainer.explain(cases[v.case], v)) for v in verdicts if Word(v.verdict) in EXPLAINED]
    kept = [row for row in part["wrong"] if (row["seed"], row["target"]) not in again]
    write_json(root / "chunk.json", {**part, "wrong": sorted([*kept, *rows], key=lambda r: (r["seed"], r["target"]))})


def _executed(series: Series, root: Path) -> bool:
    """Whether every case of a chunk has been executed on every target."""
    if not (root / "fuzz.sqlite").exists():
        return False
    with Store.open(root) as store:
        counts = store.outcome_counts()
    return all(sum(counts.get(target, {}).values()) == CHUNK for target in series.targets)


def _explained(series: Series, wrong: Sequence[Verdict], cases: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of each target's wrong answers, targets side by side."""

    def rows(name: str) -> list[dict[str, Any]]:
        mine = [v for v in wrong if v.target == name]
        with Explainer(parse_targets((name,)), Limits(60.0, 4 << 30)) as explainer:
            return [_row(v, explainer.explain(cases[v.case], v)) for v in mine]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(rows, series.targets))


def _row(verdict: Verdict, found: Divergence | None) -> dict[str, Any]:
    place = "untold"
    if found is not None and found.gone:
        place = "gone"
    elif found is not None and found.hidden:
        place = "cut" if found.operator and not found.entire else "whole"
    elif found is not None:
        place = {None: "exposed", True: "alone", False: "context"}[found.alone]
    comparison = found.comparison if found is not None and found.comparison is not None else verdict
    kind = next((word for word in ("element type", "shape") if comparison.message.startswith(word)), "value")
    return {
        "seed": int(verdict.case), "target": verdict.target,
        "verdict": Word.FLAKY.value if place == "gone" else verdict.verdict,
        "operator": found.operator if found is not None else "",
        "dtype": found.dtypes[0] if found is not None and found.dtypes else "",
        "kind": kind, "place": place, "needs": _needs(found), "node": found.node if found is not None else "",
        "expected": comparison.expected, "actual": comparison.actual, "bound": comparison.bound,
        "ratio": comparison.ratio if isinstance(comparison, Comparison) else comparison.bound_ratio,
        "message": comparison.message or verdict.message,
    }  # fmt: skip


def _needs(found: Divergence | None) -> str:
    """The operators, and "earlier data", without which a node is right."""
    if found is None:
        return ""
    return " + ".join([*sorted({operator for operator, _ in found.needs}), *["earlier data"] * found.after])


def _gist(message: str) -> str:
    """The part of a refusal by which like ones are counted together."""
    return " ".join(message.split())[:120]


def _read(root: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((root / "chunk.json").read_text(encoding="utf-8"))
    return result


# --- the report -----------------------------------------------------------------------------------------------------


def report(chunks: Sequence[Mapping[str, Any]], docs: Path) -> int:
    """Write oracle.json and oracle.md; exit status 1 where a wrong answer is unexplained or ours."""
    known: list[dict[str, str]] = json.loads((docs / "known.json").read_text(encoding="utf-8"))
    counts: dict[str, Counter[str]] = {}
    for part in chunks:
        for target, words in part["counts"].items():
            counts.setdefault(target, Counter()).update(words)
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in (row for part in chunks for row in part["wrong"]):
        groups.setdefault((row["verdict"], *(row[field] for field in FIELDS)), []).append(row)
    lines = [_line(key, rows, known) for key, rows in sorted(groups.items())]
    others: Counter[tuple[str, str, str]] = Counter()
    for part in chunks:
        others.update({(target, word, gist): count for target, word, gist, count in part["others"]})
    result = {
        "made": max((part["made"] for part in chunks), default=""),
        "commit": commit(),
        "machine": machine(),
        "cases": sum(part["cases"] for part in chunks),
        "counts": {target: {word: n for word, n in words.items() if n} for target, words in counts.items()},
        "wrong": lines,
        "others": [[*key, count] for key, count in others.most_common()],
    }
    write_json(docs / "oracle.json", result)
    (docs / "oracle.md").write_text(_page(result), encoding="utf-8")
    open_lines = [line for line in lines if line["whose"] in {"", "ours"}]
    print(f"{len(lines)} distinct, {len(open_lines)} unexplained or ours")
    for line in open_lines:
        print(json.dumps(line))
    return 1 if open_lines else 0


def _line(
    key: tuple[str, ...], rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """One distinct answer: how often, an example, and what known.json says of it: the first entry that fits."""
    fields = dict(zip(("verdict", *FIELDS), key, strict=True))
    entry = next((e for e in known if all(fnmatchcase(fields[f], e.get(f, "*")) for f in fields)), {})
    first = rows[0]
    example = {name: first[name] for name in ("seed", "node", "expected", "actual", "bound", "message")}
    return {**fields, "cases": len(rows), **example, "whose": entry.get("whose", ""), "why": entry.get("why", "")}


_HEAD = """# Campaign: does the judge cry wolf?

{cases:,} generated cases, {made}, commit {commit:.10}; `make campaign-oracle` makes this page. {versions}.

A seed makes the same case again as long as the generator and the support tables stay as they were.

{counts}

## Every distinct wrong answer

An answer is distinct by target, operator, element type of the operator's first input, what is wrong (value, shape,
element type) and where it shows: the node `alone`, only in its `context`, only in a model `cut` off behind it (exposing
the value hides it), only in the `whole` model. *Needs* are the other operators without which the node is right, and
earlier data where it is right on the first data set. *Whose* says who was found to be at fault by hand, *what it is*
why.

| verdict | target | operator | type | wrong | shows | needs | cases | example: seed, got, due | whose | what it is |
|---|---|---|---|---|---|---|---:|---|---|---|
{wrong}

## Refusals, crashes and the rest

| target | verdict | cases | in its words |
|---|---|---:|---|
{others}
"""


def _page(result: Mapping[str, Any]) -> str:
    about = result["machine"]
    words = [word.value for word in Word if any(row.get(word) for row in result["counts"].values())]
    counts = [
        f"| target | {' | '.join(words)} |",
        "|---|" + "---:|" * len(words),
        *(f"| {t} | {' | '.join(f'{row.get(w, 0):,}' for w in words)} |" for t, row in result["counts"].items()),
    ]
    others = (f"| {target} | {word} | {n:,} | {_cell(gist)} |" for target, word, gist, n in result["others"])
    return _HEAD.format(
        cases=result["cases"], made=result["made"], commit=result["commit"],
        versions=", ".join(f"{n} {about[n]}" for n in ("onnxruntime", "openvino", "apache-tvm", "onnx", "numpy")),
        counts="\n".join(counts), wrong="\n".join(map(_row_of, result["wrong"])), others="\n".join(others),
    )  # fmt: skip


def _row_of(line: Mapping[str, Any]) -> str:
    numbers = f"{line['actual']}, {line['expected']} ± {line['bound']}"
    example = f"{line['seed']}: " + (numbers if line["kind"] == "value" else line["message"][:80])
    cells = (line["verdict"], line["target"], line["operator"], line["dtype"], line["kind"], line["place"],
             line["needs"], f"{line['cases']:,}", example, line["whose"], line["why"])  # fmt: skip
    return "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
