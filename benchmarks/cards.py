"""Precision and recall of `fuzz corpus match` on cards that were written and labelled for it.

    python benchmarks/cards.py            both halves, by kind of card
    python benchmarks/cards.py --errors   and each error on the half that rules are tuned on

A card is matched under a name that says nothing, but for those whose name is what the test is about.
The half that is held out was written before the rules, and its errors are not shown: who looks at them to mend a rule
has no such half any more. `--held-out-errors` shows them all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from corpus.cards.card import parse
from corpus.cards.catalogue import Catalogue, own
from corpus.cards.matching import match

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "labelled_cards"
HALVES = ("tuning", "held_out")
MARK = "%%%% "


def cards(path: Path) -> Iterator[tuple[str, str, set[str], str]]:
    """Name, kind, datasets and text of each card of a file."""
    for part in path.read_text(encoding="utf-8").split(f"\n{MARK}"):
        head, _, text = part.removeprefix(MARK).partition("\n")
        name, kind, wanted = (word.strip() for word in head.split("|"))
        yield name, kind, {word.strip() for word in wanted.split(",") if word.strip()}, text


def measure(path: Path, catalogue: Catalogue, *, errors: bool) -> dict[str, Counter[str]]:
    """Hits, false matches and misses, in all and by kind."""
    total: dict[str, Counter[str]] = {"all": Counter()}
    for name, kind, wanted, text in cards(path):
        found = match(parse(name if kind == "name" else "somebody/something", text), catalogue)
        given = {one.dataset for one in found.matches}
        counts = Counter(cards=1, hit=len(given & wanted), false=len(given - wanted), missed=len(wanted - given))
        for key in ("all", kind):
            total.setdefault(key, Counter()).update(counts)
        if errors and given != wanted:
            print(f"  {name}: missed {sorted(wanted - given)}, false {sorted(given - wanted)}")
            for one in (*found.matches, *found.rejected):
                if one.dataset in given ^ wanted:
                    for evidence in one.evidence:
                        print(f"      {one.dataset}: {evidence}")
    return total


def rates(counts: Counter[str]) -> tuple[float, float]:
    """Precision and recall; 1 where there was nothing to be right about."""
    given, wanted = counts["hit"] + counts["false"], counts["hit"] + counts["missed"]
    return counts["hit"] / given if given else 1.0, counts["hit"] / wanted if wanted else 1.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--errors", action="store_true", help="each error on the half that rules are tuned on")
    arguments.add_argument("--held-out-errors", action="store_true", help="each error on the half that is held out")
    arguments.add_argument("--json", action="store_true", help="one JSON object")
    given = arguments.parse_args()
    catalogue, result = own(), {}
    for half in HALVES:
        shown = {"tuning": given.errors, "held_out": given.held_out_errors}[half]
        result[half] = measure(HERE / f"{half}.txt", catalogue, errors=shown)
    if given.json:
        json.dump(result, sys.stdout, sort_keys=True)
        return 0
    for half, total in result.items():
        print(f"{half:17} cards  datasets  precision  recall")
        for kind, counts in total.items():
            precision, recall = rates(counts)
            wanted = counts["hit"] + counts["missed"]
            print(f"  {kind:15} {counts['cards']:5} {wanted:9}  {precision:9.3f}  {recall:6.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
