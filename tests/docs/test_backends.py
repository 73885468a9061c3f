"""The page of backends is what the tables and the registry say."""

from __future__ import annotations

from pathlib import Path

from fuzz.doctor.page import page
from fuzz.doctor.table import load_tables

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


def test_it_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(load_tables()), "run: fuzz doctor --page docs/backends.md"
