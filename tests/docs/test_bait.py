"""The page of fusion bait is what the tables say."""

from __future__ import annotations

from pathlib import Path

from fuzz.generate.bait import PATTERNS
from fuzz.generate.bait.page import page

PAGE = Path(__file__).parents[2] / "docs" / "bait.md"


def test_it_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: fuzz bait --markdown > docs/bait.md"


def test_every_pattern_has_its_row():
    rows = {line.split("`")[1] for line in page().splitlines() if line.startswith("| `")}
    assert rows >= set(PATTERNS)
