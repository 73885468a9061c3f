"""Reports to look at, and a real Chromium over its own pipe: no driver, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from fuzz.judge.verdict import Verdict
from fuzz.report.account import Account, Cell, Discovery, TargetRow
from fuzz.report.drawings import Drawing
from fuzz.report.exhibit import Listed
from fuzz.report.papers import Papers

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_PATIENCE = 120.0  # seconds without a word


class Browser:
    """One tab. ``noise`` is what pages have said, thrown or asked the network for."""

    def __init__(self, home: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio",
            "--remote-debugging-pipe", f"--user-data-dir={home / 'profile'}", "about:blank",
        ]  # fmt: skip
        # The pipe is descriptors 3 and 4 of the browser's own.
        wired = ["bash", "-c", f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@"', "bash", *command]
        self._process = subprocess.Popen(
            wired,
            pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(home)},
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read, self._rest, self._number, self._session = ours[1], theirs[0], b"", 0, None
        self.noise: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait(20)

    def _message(self) -> dict:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], _PATIENCE)[0]:
                raise TimeoutError(f"the browser has said nothing for {_PATIENCE:.0f} s")
            if not (more := os.read(self._read, 1 << 16)):
                raise EOFError("the browser is gone")
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        return json.loads(text)

    def call(self, method: str, **params: object) -> dict:
        """Ask for something and wait for the answer; what happens meanwhile is noted."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._write, json.dumps(asked).encode() + b"\0")
        while (said := self._message()).get("id") != asked["id"]:
            self._note(said)
        if "error" in said:
            raise AssertionError(f"{method}: {said['error']}")
        return said["result"]

    def _note(self, said: dict) -> str:
        params, method = said.get("params", {}), said.get("method", "")
        if method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.noise.append(f"{method}: {json.dumps(params)[:500]}")
        if method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "about:")):
            self.noise.append(f"request: {params['request']['url']}")
        return method

    def open(self, path: Path, anchor: str = "", *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a page in a window of a size, light or dark, and wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"file://{path}{anchor}")
        while self._note(self._message()) != "Page.loadEventFired":
            pass
        self.run("document.readyState === 'complete' || new Promise((done) => addEventListener('load', done))")

    def run(self, script: str) -> object:
        """What an expression comes to in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def key(self, name: str) -> None:
        """Press and release a key."""
        codes = {"Enter": (13, "\r"), "Tab": (9, ""), "ArrowRight": (39, ""), "ArrowDown": (40, "")}
        code, text = codes[name]
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **typed)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


# --- what is reported on ----------------------------------------------------------------------------------------------

SVG = '<svg class="graph" width="90" height="60"><g class="node linear"><text>Conv</text></g></svg>'


@pytest.fixture
def discovery():
    """Make a finding; whatever is not named is that of a wrong Conv."""

    def make(name="0123456789ab", **changes):
        word = changes.get("word", "wrong")
        verdict = Verdict("c", "tvm", 0, word, "y", 3.4e6, (0, 2), 1.5, 2.0, 1e-7, None, "")
        told = {
            "id": name, "target": "tvm", "version": "0.27", "word": word, "title": "Conv(float)",
            "signature": "wrong (value)", "count": 3, "folder": f"root/findings/{name}",
            "drawing": Drawing(SVG, 1, (("Conv", 1),)), "verdict": verdict, "message": "", "nodes_before": 9, "seed": 5,
            "seconds": 61.0, "pairs": (("Conv", "float"),),
            "values": (Listed("input", "x", "f32 2", "1 2"), Listed("expected", "y", "f32 1×3", "0 0 1.5")),
        }  # fmt: skip
        return Discovery(**{**told, **changes})

    return make


@pytest.fixture
def account(discovery):
    """Make a report on two targets; ``discoveries`` and all else may be given."""

    def make(**changes):
        cells = {
            ("Conv", "float"): {
                "tvm": Cell(Counter(ok=4, wrong=3), 1, 2.0), "iree": Cell(Counter(ok=7), seconds=2.0),
            },
            ("Relu", "float"): {"tvm": Cell(Counter(ok=2), seconds=30.0), "iree": Cell(Counter(unsupported=2))},
            ("Relu", "int8"): {"tvm": Cell(Counter(wrong=1)), "iree": Cell(Counter(ok=1), seconds=50.0)},
        }  # fmt: skip
        told = {
            "title": "night", "campaigns": 1, "cases": 1200, "targets": (
                TargetRow("iree", "3.13", {"ok": 1100, "unsupported": 100}),
                TargetRow("tvm", "0.27", {"ok": 1196, "wrong": 3, "crash": 1}),
            ),
            "discoveries": (
                discovery(),
                discovery("ba9876543210", target="iree", word="crash", title="Relu(int8)", count=1, seconds=5.0,
                          signature="crash at run: SIGSEGV", drawing=Drawing(SVG, 2, (("Relu", 1),)), verdict=None,
                          message="signal 11", pairs=(("Relu", "int8"),),
                          papers=Papers("iree dies of Relu", notes="# Title", repro="import iree", says="BUG: it dies",
                                        ruled_out=(("iree:opt=0", "ok", "right"),))),
                discovery("000000000000", word="rejected", title="Add(float)", count=40, verdict=None,
                          drawing=Drawing(SVG, 1, (("Add", 1),)), message="no such thing", pairs=(("Add", "float"),)),
            ),
            "cells": cells, "wanted": frozenset({*cells, ("Abs", "double"), ("Abs", "float")}), "seconds": 120.0,
            "done": ((60.0, 500), (120.0, 1200)), "seen": {("Conv", "float"): 1.0, ("Relu", "float"): 2.0},
        }  # fmt: skip
        return Account(**{**told, **changes})

    return make
