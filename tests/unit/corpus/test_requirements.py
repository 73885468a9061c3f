"""What corpora need: the commands that install it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from corpus import requirements
from corpus.requirements import NEEDS, InstallError, commands, install, installed, lacking

PINS = Path("pins.txt")


def test_torchvision_and_timm_come_without_what_they_ask_for():
    whole, bare = commands(["torch", "timm", "torchvision", "pillow"], PINS)
    assert whole[-4:] == ["--constraint", "pins.txt", "torch", "pillow"]
    assert bare[-5:] == ["--constraint", "pins.txt", "--no-deps", "timm", "torchvision"]
    assert commands([], PINS) == []
    assert len(commands(["timm"], PINS)) == 1


def test_without_an_installer(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InstallError, match="ensurepip"):
        commands(["torch"], PINS)
    monkeypatch.setattr("shutil.which", lambda _: "/bin/uv")
    assert commands(["torch"], PINS)[0][:5] == ["/bin/uv", "pip", "install", "--python", sys.executable]


def test_what_is_installed_and_what_is_not(monkeypatch):
    monkeypatch.setattr(requirements, "NEEDS", {"a": ("pytest", "no-such-distribution")})
    monkeypatch.setattr(requirements, "TRANSLATOR", ("pytest", "no-translator"))
    here = {"pytest": pytest.__version__, "no-such-distribution": None, "no-translator": None}
    assert installed(["a", "a"]) == here
    assert set(installed([])) == set()
    assert lacking(["a", "own"], translates=True) == {
        "a": ["no-such-distribution", "no-translator"], "own": ["no-translator"],
    }  # fmt: skip
    assert lacking(["a", "own"], translates=False) == {"a": ["no-such-distribution"]}
    assert "torch" in NEEDS["selftest"]


def test_an_installer_that_fails():
    install([sys.executable, "-c", ""])
    with pytest.raises(InstallError, match="ended with 3"):
        install([sys.executable, "-c", "raise SystemExit(3)"])
