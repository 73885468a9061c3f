"""What a person at a terminal sees of a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from fuzz.campaign.ledger import Finding
from fuzz.campaign.trial import Answer, Sighting, Trial
from fuzz.cli.campaign import Board, display


class Known:
    """A store that has one finding and two cases."""

    def counts(self):
        return {"tvm": {"ok": 2}}

    def findings(self):
        return [Finding("0123456789ab", "tvm", 4, "wrong (value)", "Relu(float)", 1, "2026-01-01T00:00:00+00:00", 1200)]


def trial(seed, outcome="ok", verdict="ok", sightings=()):
    return Trial(seed, 3, 0.0, 0.0, (Answer("tvm", "1", outcome, verdict, "", 1, 0.0),), sightings)


def drawn(board, now):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(board.picture(now))
    return captured.get()


def test_the_picture():
    board = Board(Known(), ["tvm"], 50, 100.0)
    assert board.rate == 0.0
    shown = Sighting("tvm", "i", "s", "p", 1, 2, Path("nowhere"))
    board.take([trial(0), trial(1), trial(2, verdict="wrong", sightings=(shown,)), trial(3, "crash", "crash")], 102.0)
    assert board.rate == pytest.approx(2.0)
    lines = [line.split() for line in drawn(board, 104.0).splitlines()]
    assert " ".join(lines[0]) == "4 cases now of 50, 2.0/s, 1 findings, 4 s"
    assert lines[1] == ["target", "healthy", "crash", "ok", "wrong"]
    assert lines[2] == ["tvm", "75%", "1", "4", "1"]
    assert " ".join(lines[3]) == "0123456789ab 1,200 x tvm wrong (value): Relu(float)"


def test_the_rate_is_that_of_late():
    board = Board(Known(), ["tvm"], None, 0.0)
    for second in range(1, 101):
        board.take([trial(second)] * (2 if second > 60 else 10), float(second))
    assert board.rate == pytest.approx(2.0)


def test_nothing_is_drawn_where_nobody_watches(capsys):
    with display(Known(), ["tvm"], None) as progress:
        progress([trial(0)])
    assert capsys.readouterr().err == ""


def test_a_terminal_is_drawn_to(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with display(Known(), ["tvm"], None) as progress:
        progress([trial(0)])
    assert "1 cases now" in capsys.readouterr().err
