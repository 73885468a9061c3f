"""`make campaign-faults`: how long the fuzzer takes to find each planted fault, and a fixed tolerance beside it.

python benchmarks/campaign_faults.py run      a minute for each fault, then ten where none was found; resumable
python benchmarks/campaign_faults.py report   docs/campaigns/faults.{json,md} from what was found so far
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from commands import fuzz
from figure import commit, machine, write_json

from backends.faults.table import FAULTS
from fuzz.execute.target import parse_target
from fuzz.selftest.hunt import COMPARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCS = Path(__file__).parents[1] / "docs" / "campaigns"
PARTS = 2
"""The faults are dealt out to so many searches: each runs the cases on the clean target for itself."""

Trail: TypeAlias = Mapping[str, Any]
"""One fault, as `fuzz selftest --faults --json` has it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A search of some CPU seconds for each fault that is still ``wanted``, from where the stage ``after`` ended."""

    name: str
    seconds: int
    wanted: Callable[[Trail], bool]
    after: str = ""


def _missed(trail: Trail) -> bool:
    return trail["found"] is None


def _missed_by_allclose(trail: Trail) -> bool:
    return trail["found"] is not None and trail["close"] is None and trail["right"] in COMPARED


STAGES = (
    Stage("minute", 60, lambda _: True),
    Stage("ten-minutes", 600, _missed, "minute"),
    Stage("allclose", 600, _missed_by_allclose, "minute"),
)
LIMITS: Mapping[int, int] = {60: 80, 600: 95}
"""CPU seconds, and the share of faults in percent that has to be found within them."""


def main() -> int:
    """Do what is asked; exit status 1 where fewer faults are found than have to be."""
    parser = argparse.ArgumentParser(description="How long the fuzzer takes to find each planted fault.")
    parser.add_argument("step", choices=["run", "report"])
    parser.add_argument("--backend", default="onnxruntime", metavar="TARGET", help="to break (default: %(default)s)")
    parser.add_argument("--fault", action="append", choices=FAULTS, metavar="NAME", help="this one alone; repeatable")
    parser.add_argument("--stage", action="append", choices=[s.name for s in STAGES], help="this one alone; repeatable")
    parser.add_argument("--jobs", type=int, default=PARTS, metavar="N", help="searches side by side")
    parser.add_argument("--place", default="build/campaign-faults", metavar="DIR", help="of what was found so far")
    parser.add_argument("--docs", default=str(DOCS), metavar="DIR", help="where the report goes")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    place, target = Path(options.place), parse_target(options.backend)
    if options.step == "report":
        return report(list(trails(place)), target.canonical, _about(place), Path(options.docs))
    names = options.fault or [f.name for f in FAULTS.values() if target.backend not in f.granted]
    note(place)
    for stage in STAGES:
        if options.stage is None or stage.name in options.stage:
            with ThreadPoolExecutor(options.jobs) as pool:
                begun = [
                    pool.submit(search, stage, part, names[part::PARTS], target.canonical, place)
                    for part in range(PARTS)
                ]
                for part in begun:
                    part.result()
    return 0


def note(place: Path) -> None:
    """Keep beside the states what was searched with, and when: a search that goes on may do so on another commit."""
    commits = [*_about(place).get("commits", []), commit()]
    made = datetime.now(UTC).strftime("%Y-%m-%d")
    write_json(place / "about.json", {"made": made, "commits": list(dict.fromkeys(commits)), "machine": machine()})


def _about(place: Path) -> dict[str, Any]:
    path = place / "about.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def search(stage: Stage, part: int, names: Sequence[str], target: str, place: Path) -> None:
    """One stage of one part, as far as it is not done."""
    state, before = (place / f"{name}-{part}.json" for name in (stage.name, stage.after))
    if stage.after:
        missed = {trail["fault"] for trail in _read(before) if stage.wanted(trail)}
        names = [name for name in names if name in missed]
    if not names:
        return
    if stage.after and not state.exists():
        shutil.copyfile(before, state)
    asked = [word for name in names for word in ("--fault", name)]
    fuzz("selftest", "--faults", "--backend", target, "--time", str(stage.seconds), "--state", state, *asked)


def trails(place: Path) -> Iterator[Trail]:
    """How far the search for each fault has come, in the order of the table."""
    found: dict[str, Trail] = {}
    for stage in STAGES:
        for part in range(PARTS):
            path = place / f"{stage.name}-{part}.json"
            for trail in _read(path) if path.exists() else ():
                # What is copied from the stage before has not been searched for longer than there.
                if trail["fault"] not in found or trail["seconds"] > found[trail["fault"]]["seconds"]:
                    found[trail["fault"]] = trail
    return (found[name] for name in FAULTS if name in found)


def _read(path: Path) -> list[Trail]:
    return list(json.loads(path.read_text(encoding="utf-8"))["trails"])


# --- the report -----------------------------------------------------------------------------------------------------


def report(found: Sequence[Trail], target: str, about: Mapping[str, Any], docs: Path) -> int:
    """Write faults.json and faults.md; exit status 1 where too few were found. ``about`` is what ``note`` keeps."""
    shares = {
        seconds: {key: _share(found, key, seconds) for key in ("found", "close")} for seconds in LIMITS
    }
    result = {
        **about, "target": target, "shares": {str(seconds): row for seconds, row in shares.items()}, "faults": found,
    }
    write_json(docs / "faults.json", result)
    (docs / "faults.md").write_text(_page(result), encoding="utf-8")
    for seconds, row in shares.items():
        print(f"{len(found)} faults, {seconds} s: {row['found']} % found, {row['close']} % by allclose")
    return 0 if all(shares[seconds]["found"] >= due for seconds, due in LIMITS.items()) else 1


def _share(found: Sequence[Trail], key: str, seconds: int) -> float:
    """Percent of the faults that were found within some seconds; ``key``: by us or by allclose."""
    within = [trail for trail in found if trail[key] is not None and trail[key]["seconds"] <= seconds]
    return round(100 * len(within) / len(found), 1) if found else 0.0


_HEAD = """# Campaign: are planted faults found?

{count} faults in {target}, one at a time; {made}, commit {commit}; `make campaign-faults` makes this page.
{processor}, one core for each search; onnxruntime {onnxruntime}, onnx {onnx}, numpy {numpy}, Python {python}.

| found within | right verdict | at least | allclose(1e-2, 1e-3) |
|---|---:|---:|---:|
{lines}

Seconds are CPU time of generator, target and judge over all cases up to the finding, as if the fault had been searched
for alone; [how](../notes/selftest.md). *Shown in* counts the cases seen that the fault changes anything in. allclose
compares with the same target without the fault, at the first run of each data set, and would call real rounding an
error as well; where it has found nothing the seconds say how long it has looked.

| fault | right verdict | CPU s | cases | shown in | found by | allclose: CPU s | cases |
|---|---|---:|---:|---:|---|---:|---:|
{rows}
"""


def _page(result: Mapping[str, Any]) -> str:
    lines = (
        f"| {int(seconds):,} s of CPU time | {row['found']} % | {LIMITS[int(seconds)]} % | {row['close']} % |"
        for seconds, row in result["shares"].items()
    )
    slowest = sorted(result["faults"], key=lambda t: t["found"]["seconds"] if t["found"] else float("inf"))
    commits = ", ".join(name[:10] for name in result["commits"])
    return _HEAD.format(
        **{**result["machine"], **result}, commit=commits, count=len(result["faults"]), lines="\n".join(lines),
        rows="\n".join(map(_row, slowest)),
    )  # fmt: skip


def _row(trail: Trail) -> str:
    found, close = trail["found"], trail["close"]
    if found is None:
        seen = ", ".join(f"{n} {word}" for word, n in sorted((trail["other"] or {}).items()))
        ours = (f"not in {trail['seconds']:,.0f}", f"{trail['cases']:,}", seen)
    else:
        by = f"{found['oracle']}, seed {found['seed']}"
        ours = (f"{found['seconds']:,.1f}", f"{found['cases']:,}", by)
    theirs = (f"{close['seconds']:,.1f}", f"{close['cases']:,}") if close else (_unseen(trail), "")
    cells = (trail["fault"], trail["right"], ours[0], ours[1], f"{trail['shown']:,}", ours[2], *theirs)
    return "| " + " | ".join(cells) + " |"


def _unseen(trail: Trail) -> str:
    """Values are compared for as long as the search went on; what is no value cannot be seen by comparing."""
    return f"not in {trail['seconds']:,.0f}" if trail["right"] in COMPARED else "cannot"


if __name__ == "__main__":
    sys.exit(main())
