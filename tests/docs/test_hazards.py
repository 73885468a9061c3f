"""The page of hazards is what the table says."""

from __future__ import annotations

from pathlib import Path

from abstract.hazards import HAZARDS
from abstract.hazards.page import page

PAGE = Path(__file__).parents[2] / "docs" / "hazards.md"


def test_it_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: fuzz hazards --markdown > docs/hazards.md"


def test_every_hazard_has_its_row():
    rows = {line.split("`")[1] for line in page().splitlines() if line.startswith("| `")}
    assert rows == {row.id for row in HAZARDS}
