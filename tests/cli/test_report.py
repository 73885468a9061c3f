"""`fuzz report`: the page, and what CI reads."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

SMALL = ("--ops", "Sigmoid", "--dtypes", "float", "--nodes", "1-2", "--opset", "21")
FAULTY = "onnxruntime:fault=dropped-activation"


def test_a_campaign(fuzz):
    night = fuzz.home / "night"
    done = fuzz("run", "--root", "night", "--backend", FAULTY, "--count", "1", "--jobs", "1", "--no-reduce", *SMALL)
    assert done.returncode == 1, done.stderr
    done = fuzz("report", "--root", "night", "--junit", "night.xml", "--markdown", "night.md")
    assert done.returncode == 1, done.stderr
    assert done.stderr == "page: night/report.html\n"
    assert f"wrong on {FAULTY}, " in done.stdout
    assert done.stdout.splitlines()[-1] == "1 cases, 1 findings, 1 pairs of operator and type"
    page = (night / "report.html").read_text()
    assert "Sigmoid(float)" in page
    root = ET.parse(fuzz.home / "night.xml").getroot()  # noqa: S314 - our own
    assert (root.tag, root.get("failures"), len(list(root.iter("testcase")))) == ("testsuites", "1", 1)
    assert "### 1. wrong: `Sigmoid(float)` on" in (fuzz.home / "night.md").read_text()

    # Once more as JSON, with a folder that cannot be read.
    (found,) = (night / "findings").iterdir()
    (found / "model.onnx").write_bytes(b"")
    done = fuzz("report", "--root", "night", "--html", "page.html", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout, parse_constant=pytest.fail)
    assert (result["page"], result["cases"]) == ("page.html", 1)
    (finding,) = result["findings"]
    assert (finding["id"], finding["verdict"], finding["title"]) == (found.name, "wrong", "Sigmoid(float)")
    assert finding["actual"] is not None
    assert finding["problems"]
    assert found.name in result["problems"][0]
    assert (result["coverage"]["wanted"], result["coverage"]["missing"]) == (1, [])
    assert (fuzz.home / "page.html").stat().st_size > 10_000


def test_a_root_that_was_judged(fuzz, add_case, refused):
    root = fuzz.home / "fuzz-root"
    add_case(root, "fine", "g (float[3] x) => (float[3] y) { y = Relu (x) }", np.ones(3, np.float32))
    fuzz("exec", "--backend", "onnxruntime")
    assert fuzz("diff").returncode == 0
    done = fuzz("report")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 cases, 0 findings, 1 pairs of operator and type"
    assert "Nothing was found." in (root / "report.html").read_text()
    refused(fuzz("report", "--html", "no/where.html"), "cannot write no/where.html", "--html")


def test_misuse(fuzz, refused):
    refused(fuzz("report", "--root", "nowhere"), "no root at nowhere", "fuzz run --root nowhere")
    (fuzz.home / "empty").mkdir()
    refused(fuzz("report", "--root", "empty"), "nothing was judged in empty", "fuzz diff")
    refused(fuzz("report", "--html", ""), "--html")
