"""From a root to what a report says of it: campaigns that ran there, cases that were executed and judged, or both."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fuzz.campaign.history import History, read_history
from fuzz.campaign.shelf import FINDINGS_FOLDER
from fuzz.case import find_cases
from fuzz.errors import RootError
from fuzz.judge.verdict import FINDINGS
from fuzz.report.account import EXECUTED, Account, Cell, Discovery, TargetRow, gravest_first, joined
from fuzz.report.drawings import Drawing
from fuzz.report.exhibit import read_cases, read_exhibits
from fuzz.report.sameness import same_bugs
from fuzz.store import STORE_NAME, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from fuzz.campaign.history import Found
    from fuzz.judge.verdict import Verdict
    from fuzz.reach import Pair
    from fuzz.report.exhibit import Exhibit

__all__ = ["read_account"]

_NAMED = re.compile(r"[0-9a-f]{12}$")
_NOTHING = Drawing("", 0, (), "")


def read_account(root: Path, jobs: int, advance: Callable[[int], None] = lambda _done: None) -> Account:
    """All that is known of a root; ``advance`` is told how many more cases were read.

    Raises RootError (no root, or nothing came of it yet), StorageError.
    """
    history, judged = read_history(root), (root / STORE_NAME).is_file()
    if history is not None:
        of_campaigns = _of_campaigns(root, history, jobs, advance)
        return _beside(of_campaigns, root, jobs, advance) if judged else of_campaigns
    if judged:
        return _of_cases(root, jobs, advance)
    folders = _folders(root)
    if folders:  # copied out of a campaign's root
        return _of_campaigns(root, _NO_HISTORY, jobs, advance)
    if root.exists() and not root.is_dir():
        raise RootError(f"{root} is no folder: a root is a folder, made by `fuzz run --root DIR`")
    if not root.is_dir():
        raise RootError(f"there is no root at {root}: make one with `fuzz run --root {root} --backend TARGET`")
    raise RootError(f"nothing was judged in {root}: run `fuzz run --root {root}`, or `fuzz exec` and `fuzz diff`")


_NO_HISTORY = History((), 0, 0.0, {}, (), (), (), 0, ())


def _beside(campaigns: Account, root: Path, jobs: int, advance: Callable[[int], None]) -> Account:
    """A campaign's account with that of the cases of its root that were judged one by one.

    Where nothing was judged, or the cases are gone, it stays the campaign's, and says so.
    """
    try:
        cases = _of_cases(root, jobs, advance)
    except RootError as error:
        problem = f"what `fuzz exec` ran in this root is left out: {error}"
        return replace(campaigns, problems=(*campaigns.problems, problem))
    return joined(campaigns, cases)


# --- campaigns --------------------------------------------------------------------------------------------------------


def _folders(root: Path) -> list[str]:
    place = root / FINDINGS_FOLDER
    return sorted(path.name for path in place.iterdir() if _NAMED.match(path.name)) if place.is_dir() else []


def _of_campaigns(root: Path, history: History, jobs: int, advance: Callable[[int], None]) -> Account:
    rows = {found.id: found for found in history.found}
    names = sorted({*rows, *_folders(root)})
    exhibits = read_exhibits([root / FINDINGS_FOLDER / name for name in names], jobs, advance)
    discoveries = _one_bug_each(gravest_first(
        _discovery(name, exhibit, rows.get(name)) for name, exhibit in zip(names, exhibits, strict=True)
    ))  # fmt: skip
    targets = tuple(TargetRow(name, version, counts) for (name, version), counts in history.counts.items())
    wanted, problems = _wanted(history.terms)
    seen: dict[Pair, float] = {}
    for row in history.covered:
        pair = row.operator, row.type
        seen[pair] = min(row.seconds, seen.get(pair, row.seconds))
    return Account(
        title=str(root), campaigns=max(len(history.terms), 1), cases=history.cases, targets=targets,
        discoveries=tuple(discoveries), cells=_with_findings(_covered(history), discoveries), wanted=wanted,
        seconds=history.seconds if history.terms else None, done=history.done, seen=seen,
        waiting=history.waiting, problems=(*problems, *history.problems, *_unread(discoveries)),
    )  # fmt: skip


def _discovery(name: str, exhibit: Exhibit, row: Found | None) -> Discovery:
    said, verdict = exhibit.said, exhibit.verdict
    signature = said.get("signature")
    word = verdict.verdict if verdict else str(row.signature).split(" ", 1)[0] if row else "error"
    operators = ", ".join(operator for operator, _ in exhibit.drawing.operators[:6])
    target = row.target if row else str(said.get("target", ""))
    return Discovery(
        id=name, target=target, version=str(said.get("version", "")), word=word,
        title=(row.pattern if row else str(said.get("pattern", ""))) or operators or name,
        signature=row.signature if row else _signature(signature), count=row.reduced + row.assumed if row else 1,
        assumed=row.assumed if row else 0,
        folder=exhibit.folder, drawing=exhibit.drawing, verdict=verdict,
        message=str(said.get("message") or (verdict.message if verdict else "")),
        nodes_before=_whole(said.get("nodes_before")), seed=row.seed if row else _whole(said.get("seed")),
        first_seen=row.first_seen if row else "", seconds=row.seconds if row else None,
        unreduced=str(said.get("unreduced", "")), pairs=exhibit.pairs, values=exhibit.values,
        papers=exhibit.papers, blamed=exhibit.blamed, problems=exhibit.problems,
    )  # fmt: skip


def _one_bug_each(discoveries: list[Discovery]) -> list[Discovery]:
    """The same, each with the id of the one before it that is the same bug."""
    same = same_bugs(discoveries)
    return [replace(found, same_as=same.get(found.id, "")) for found in discoveries]


def _signature(told: object) -> str:
    if not isinstance(told, dict):
        return ""
    frames = told.get("frames")
    said = [told.get(key) for key in ("word", "stage", "symptom", "message")]
    return " · ".join(str(part) for part in (*said, *(frames if isinstance(frames, list) else ())) if part)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _covered(history: History) -> dict[Pair, dict[str, Cell]]:
    cells: dict[Pair, dict[str, Cell]] = {}
    for row in history.covered:
        cell = cells.setdefault((row.operator, row.type), {}).setdefault(row.target, Cell())
        cell.verdicts[row.verdict] += row.cases
        if row.verdict == "ok":
            cell.seconds = row.seconds if cell.seconds is None else min(row.seconds, cell.seconds)
    return cells


def _with_findings(cells: dict[Pair, dict[str, Cell]], discoveries: Iterable[Discovery]) -> dict[Pair, dict[str, Cell]]:
    """The cells with the findings whose reduced models hold the pair; what was not reduced blames nobody."""
    for found in discoveries:
        for pair in found.pairs if not found.unreduced else ():
            if pair in cells and found.target in cells[pair]:
                cells[pair][found.target].findings += 1
    return cells


def _wanted(terms: Sequence[Mapping[str, Any]]) -> tuple[frozenset[Pair] | None, list[str]]:
    """The pairs that the settings of these campaigns allow, of the first operand as ``fuzz.reach`` has them."""
    from fuzz.generate.plan import menu
    from fuzz.generate.settings import Settings
    from fuzz.generate.single import primary_types
    from fuzz.generate.support import joint_support

    wanted: set[Pair] = set()
    for asked in terms:
        try:
            settings = Settings.from_json(asked["settings"])
            supports = joint_support(settings.targets)
            for operator in menu(settings):
                kinds = set(primary_types(operator, settings.opset)) & set(settings.dtypes)
                wanted.update((operator, kind) for kind in kinds if supports is None or supports(operator, kind))
        except (KeyError, TypeError, ValueError) as error:
            return None, [f"what was never reached cannot be told: settings that are not known here ({error})"]
    return (frozenset(wanted) if terms else None), []


def _unread(discoveries: Iterable[Discovery]) -> list[str]:
    return [f"{found.folder}: {problem}" for found in discoveries for problem in found.problems]


# --- cases that were executed and judged ------------------------------------------------------------------------------


def _of_cases(root: Path, jobs: int, advance: Callable[[int], None]) -> Account:
    with Store.open(root) as store:
        verdicts, versions = store.verdicts(), dict(store.targets())
    if not verdicts:
        raise RootError(f"nothing was judged in {root}: run `fuzz diff --root {root}`")
    cases = {case.id: case for case in find_cases(root)}
    found = [verdict for verdict in verdicts if verdict.verdict in FINDINGS]
    places: dict[str, list[str]] = {}
    data_sets: dict[str, int] = {}
    for verdict in found:
        places.setdefault(verdict.case, []).extend(filter(None, [verdict.node or verdict.output]))
        data_sets.setdefault(verdict.case, verdict.data_set)
    tasks = [(c.folder, c.model_path, data_sets.get(c.id), tuple(places.get(c.id, ()))) for c in cases.values()]
    exhibits = read_cases(tasks, jobs, advance)
    by_case = dict(zip(cases, exhibits, strict=True))
    lost = [name for name in places if name not in by_case]
    discoveries = gravest_first(_of_verdict(v, by_case.get(v.case), versions.get(v.target, ""), root) for v in found)
    counts: dict[str, Counter[str]] = {}
    cells: dict[Pair, dict[str, Cell]] = {}
    for verdict in verdicts:
        counts.setdefault(verdict.target, Counter())[verdict.verdict] += 1
        for pair in by_case[verdict.case].pairs if verdict.case in by_case else ():
            cells.setdefault(pair, {}).setdefault(verdict.target, Cell()).verdicts[verdict.verdict] += 1
    targets = tuple(TargetRow(name, versions.get(name, ""), row) for name, row in sorted(counts.items()))
    return Account(
        title=str(root), campaigns=0, cases=len(cases), judged=len(cases), targets=targets,
        discoveries=tuple(discoveries), cells=cells,
        problems=(*(f"case {name} is no more in {root}" for name in lost), *_unread(discoveries)),
    )  # fmt: skip


def _of_verdict(verdict: Verdict, exhibit: Exhibit | None, version: str, root: Path) -> Discovery:
    drawing = exhibit.drawing if exhibit else _NOTHING
    return Discovery(
        id=f"{verdict.case}-{verdict.target}-{verdict.oracle}-{verdict.data_set}", target=verdict.target,
        version=version, word=verdict.verdict, title=verdict.case, signature=_by_oracle(verdict),
        count=1, folder=exhibit.folder if exhibit else str(root / verdict.case), drawing=drawing, verdict=verdict,
        message=verdict.message, unreduced=EXECUTED, pairs=exhibit.pairs if exhibit else (),
        values=exhibit.values if exhibit else (), problems=exhibit.problems if exhibit else (),
    )  # fmt: skip


def _by_oracle(verdict: Verdict) -> str:
    return verdict.verdict if verdict.oracle == "reference" else f"{verdict.verdict} by {verdict.oracle}"
