"""What was reached: operator by type by target, what was never reached, and how both grew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstract.dtypes import DTYPES
from fuzz.judge.verdict import Word
from fuzz.report.account import Cell
from fuzz.report.markup import json_in_script, text
from fuzz.report.plot import Curve, duration, growth, plot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fuzz.reach import Pair
    from fuzz.report.account import Account

__all__ = ["coverage_data", "coverage_section", "plots_section"]

_STATES = ("none", "ok", "refused", "open", "found")
_CURVES = 6  # targets that have a curve of their own
_EMPTY = Cell()


def coverage_section(account: Account) -> str:
    """Figures by target, the matrix (which the page's script draws), and the list of what is missing."""
    if not account.cells and not account.wanted:
        return ""
    targets = "".join(f'<option value="{index}">{text(t)}</option>' for index, t in enumerate(account.target_names))
    reached = f"{len(account.cells):,} pairs of operator and element type were reached by a case."
    if account.wanted is not None:
        inside = len(account.wanted & set(account.cells))
        of = f"{inside:,} of the {len(account.wanted):,} pairs of operator and element type"
        reached = f"{of} that the settings allow were reached by a case."
    return (
        '<h2 id="coverage">Coverage</h2>'
        f'<p class="lead">{reached}</p>'
        f"{_by_target(account)}"
        '<div class="tools" role="search"><input id="cells-search" type="search" placeholder="Operator" '
        'aria-label="Search operators">'
        f'<select id="cells-target" aria-label="Coverage of"><option value="">all targets</option>{targets}</select>'
        '<select id="cells-show" aria-label="Show"><option value="">all operators</option>'
        '<option value="found">with findings</option><option value="none">never reached</option>'
        '<option value="refused">unsupported</option></select>'
        '<output id="cells-shown" aria-live="polite"></output></div>'
        '<div><div class="card cells" tabindex="0" role="region" aria-label="Coverage by operator and type" id="cells">'
        "<noscript><p>The matrix is drawn by a script.</p></noscript></div>"
        '<p class="card" id="cell" aria-live="polite">Choose a cell: each number is how many cases had the operator on '
        "the type.</p></div>"
        f'<p class="legend states">{_legend()}</p>{_missing(account)}'
        f'<script type="application/json" id="cells-data">{json_in_script(coverage_data(account))}</script>'
    )


def _legend() -> str:
    named = (
        ("s-found", "in a finding"), ("s-ok", "ok"), ("s-part", "ok on some targets"), ("s-open", "never ok"),
        ("s-refused", "unsupported"), ("s-none", "never reached"),
    )  # fmt: skip
    return "".join(f'<span><i class="{shade}"></i>{name}</span>' for shade, name in named)


def _by_target(account: Account) -> str:
    total = len(account.wanted | set(account.cells)) if account.wanted is not None else len(account.cells)
    rows = []
    for target in account.target_names:
        states = [row.get(target, _EMPTY).state for row in account.cells.values()]
        ok = sum(row.get(target, _EMPTY).verdicts[Word.OK] > 0 for row in account.cells.values())
        never = total - len(states) + states.count("none")
        counts = (states.count("found"), states.count("refused"), states.count("open"), never)
        share = 100 * ok / total if total else 0.0
        cells = "".join(f"<td>{count:,}</td>" for count in counts)
        rows.append(
            f'<tr><th scope="row">{text(target)}</th><td><div class="bar"><i class="good-word" style="flex:{ok}"></i>'
            f'<i style="flex:{max(total - ok, 0)}"></i></div></td>'
            f"<td>{ok:,} <small>{share:.0f}%</small></td>{cells}</tr>"
        )
    head = "".join(
        f'<th scope="col" class="count">{name}</th>'
        for name in ("answered ok", "in a finding", "unsupported", "never ok", "never reached")
    )
    return (
        '<div class="card scroll" tabindex="0" role="region" aria-label="Coverage by target"><table class="matrix">'
        f'<thead><tr><th scope="col">target</th><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _missing(account: Account) -> str:
    missing = account.missing
    if account.wanted is None or not missing:
        return ""
    by_operator: dict[str, list[str]] = {}
    for operator, kind in missing:
        by_operator.setdefault(operator, []).append(kind)
    items = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(', '.join(kinds))}</dd></div>" for name, kinds in by_operator.items()
    )
    return (
        f"<details><summary>{len(missing):,} pairs that no case had</summary>"
        f'<dl class="missing">{items}</dl></details>'
    )


def coverage_data(account: Account) -> dict[str, Any]:
    """The matrix as numbers, for the page's script: targets, types, and by operator the cells that mean anything.

    A row is [operator, [[type, [[state, cases, ok, failed, unsupported, findings] a target]], ...]]; a cell that no
    case reached has no numbers.
    """
    order = {dtype.name: at for at, dtype in enumerate(DTYPES)}
    pairs: set[Pair] = set(account.cells) | (account.wanted or frozenset())
    types = sorted({kind for _, kind in pairs}, key=lambda kind: (order.get(kind, len(order)), kind))
    places = {kind: at for at, kind in enumerate(types)}
    rows: dict[str, list[Any]] = {}
    for operator, kind in sorted(pairs, key=lambda pair: (pair[0].rpartition(".")[::2], places[pair[1]])):
        found = account.cells.get((operator, kind), {})
        told = [_numbers(found.get(target, _EMPTY)) for target in account.target_names] if found else []
        rows.setdefault(operator, []).append([places[kind], told])
    return {"targets": account.target_names, "types": types, "rows": list(rows.items())}


def _numbers(cell: Cell) -> list[int]:
    counts: Mapping[str, int] = cell.verdicts
    refused, ok = counts.get(Word.UNSUPPORTED, 0), counts.get(Word.OK, 0)
    return [_STATES.index(cell.state), cell.cases, ok, cell.failed, refused, cell.findings]


def plots_section(account: Account) -> str:
    """Findings and coverage over the time that the campaigns ran; empty where no clock ran."""
    if not account.done or account.seconds is None:
        return ""
    end, names = account.seconds, account.target_names
    moments = [(found.target, found.seconds) for found in account.discoveries if found.seconds is not None]
    found = [Curve("all", growth(seconds for _, seconds in moments))]
    reached = [Curve("reached", growth(account.seen.values()))]
    if len(names) <= _CURVES:
        if len(names) > 1:
            found += [Curve(name, growth(s for target, s in moments if target == name)) for name in names]
        for name in names:
            cells = [row[name] for row in account.cells.values() if name in row]
            reached.append(Curve(f"ok on {name}", growth(c.seconds for c in cells if c.seconds is not None)))
    wanted = f"of {len(account.wanted):,} pairs" if account.wanted is not None else "pairs"
    return (
        '<h2 id="time">Over time</h2><div class="plots">'
        + plot("Distinct findings", found, end, f"in {duration(end)}")
        + plot("Operator × type", reached, end, wanted)
        + plot("Cases", [Curve("done", account.done)], end, f"{account.cases / max(end, 1e-9):,.1f} a second")
        + "</div>"
    )
