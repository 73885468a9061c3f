"""`fuzz relate`."""

from __future__ import annotations

import json

import numpy as np

X = np.array([[-1, 2, 3]], np.float32)
RELU = "g (float[1, 3] x) => (float[1, 3] y) { y = Relu (x) }"


def test_pairs_that_agree(fuzz, add_case):
    add_case(fuzz.home / "fuzz-root", "fine", RELU, X)
    done = fuzz("relate", "--backend", "onnxruntime", "--only", "metamorphic,unoptimised")
    assert done.returncode == 0, done.stderr
    header, first, second = done.stdout.splitlines()[:3]
    assert header.split() == ["target", "ok", "wrong"]
    assert first.split() == ["onnxruntime", "metamorphic", "4", "·"]
    assert second.split() == ["onnxruntime", "unoptimised", "1", "·"]
    shown = fuzz("exec", "--backend", "onnxruntime")
    assert shown.returncode == 0, shown.stderr


def test_json(fuzz, add_case):
    add_case(fuzz.home / "fuzz-root", "fine", RELU, X)
    done = fuzz("relate", "--backend", "onnxruntime", "--only", "metamorphic:identity", "--json", "--seed", 3)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"cases", "verdicts", "unused", "findings"}
    assert found["cases"] == 1
    assert found["findings"] == []
    assert found["verdicts"]["onnxruntime"]["metamorphic"]["ok"] == 1


def test_list(fuzz):
    done = fuzz("relate", "--list")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"unoptimised", "metamorphic", "metamorphic:transpose-twice"} <= set(names)
    assert len([name for name in names if name.startswith("metamorphic:")]) >= 20


def test_misuse(fuzz, add_case, refused):
    add_case(fuzz.home / "fuzz-root", "fine", RELU, X)
    refused(fuzz("relate", "--backend", "onnxruntime", "--only", "nonsense"), "nonsense", "--list")
    refused(fuzz("relate", "--backend", "nosuch"), "unknown backend")
    refused(fuzz("relate"), "--backend")
    refused(fuzz("relate", "--root", "nowhere", "--backend", "onnxruntime"), "there is no root")
