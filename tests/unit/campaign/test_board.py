"""What a person at a terminal sees of a campaign."""

from __future__ import annotations

import pytest
from rich.console import Console

from fuzz.campaign.ledger import Finding
from fuzz.campaign.steering import Terms
from fuzz.campaign.trial import Answer, Exhibit, Trial
from fuzz.cli.campaign import Board, display


class Known:
    """A store that has one finding and two cases."""

    def counts(self):
        return {"tvm": {"ok": 2}}

    def operators(self):
        return {"Add", "Relu"}

    def links(self):
        return {"Add>Relu": 0}

    def findings(self):
        return [Finding("0123456789ab", "tvm", 4, "wrong (value)", "Relu(float)", 1, "2026-01-01T00:00:00+00:00", 1200)]


class Planned:
    """A schedule on which two cases wait."""

    waiting = 2

    def __init__(self, **terms):
        self.terms = Terms(**terms)


def trial(seed, outcome="ok", verdict="ok", operator="Relu"):
    answers = (Answer("tvm", "1", outcome, verdict, "", 1, 0.0),)
    return Trial(seed, 3, 0.0, 0.0, answers, pairs=((operator, "float"),), links=frozenset({f"Add>{operator}"}))


def drawn(board, now, width=120):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(board.picture(now))
    return captured.get()


def test_the_picture():
    board = Board(Known(), ["tvm"], 50, 100.0)
    assert board.rate == 0.0
    results = [trial(0), trial(1), trial(2, verdict="wrong"), Exhibit(2, "tvm"), trial(3, "crash", "crash", "Mul")]
    board.take(results, Planned(), 102.0)
    assert board.rate == pytest.approx(2.0)
    lines = [line.split() for line in drawn(board, 104.0).splitlines()]
    assert " ".join(lines[0]) == "4 cases now of 50, 2.0/s, 4 s"
    assert " ".join(lines[1]) == "3 operators, 2 pairs of them"
    assert " ".join(lines[2]) == "1 findings, 2 failing cases to be reduced"
    assert lines[3] == ["target", "health", "crash", "ok", "wrong"]
    assert lines[4] == ["tvm", "75%", "1", "4", "1"]
    assert " ".join(lines[5]) == "1,200 x Relu(float): wrong (value) on tvm (0123456789ab)"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(59.9, "59 s"), (61.0, "1 min 01 s"), (3600.0, "1 h 00 min"), (90_061.0, "25 h 01 min")]
)
def test_the_time_is_told_as_people_tell_it(seconds, shown):
    assert drawn(Board(Known(), ["tvm"], None, 0.0), seconds).splitlines()[0].rstrip().endswith(f", {shown}")


def test_a_target_that_is_not_asked_says_why():
    board = Board(Known(), ["tvm"], None, 0.0)
    board.take([trial(0, "crash", "crash")], Planned(quarantined=("tvm",)), 1.0)
    assert "quarantined" in drawn(board, 1.0)
    board.take([], Planned(quarantined=("tvm",), spent=("tvm",)), 2.0)
    assert "spent" in drawn(board, 2.0)


def test_many_findings_are_counted_and_narrow_terminals_keep_the_figures():
    class Rich(Known):
        def findings(self):
            return super().findings() * 12

    board = Board(Rich(), ["onnxruntime==1.23.2:opt=0,threads=2"], None, 0.0)
    lines = drawn(board, 1.0, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[-1].strip() == "and 4 more findings"
    assert "onnxruntime==1.23.2:opt=0,threads=2" in "".join(line.split(" ")[0] for line in lines)


def test_the_rate_is_that_of_late():
    board = Board(Known(), ["tvm"], None, 0.0)
    for second in range(1, 101):
        board.take([trial(second)] * (2 if second > 60 else 10), Planned(), float(second))
    assert board.rate == pytest.approx(2.0)


def test_nothing_is_drawn_where_nobody_watches(capsys):
    with display(Known(), ["tvm"], None) as progress:
        progress([trial(0)], Planned())
    assert capsys.readouterr().err == ""


def test_a_terminal_is_drawn_to(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with display(Known(), ["tvm"], None) as progress:
        progress([trial(0)], Planned())
    assert "1 cases now" in capsys.readouterr().err
