"""`fuzz structure`."""

from __future__ import annotations

import json

from fuzz.generate.structure import FEATURES


def test_it_lists_the_features_that_gen_takes(fuzz):
    done = fuzz("structure")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(FEATURES)
    made = json.loads(fuzz("structure", "--json").stdout)
    assert [row["name"] for row in made["features"]] == list(FEATURES)


def test_it_counts_the_models_of_a_root(fuzz, tmp_path):
    root = tmp_path / "root"
    done = fuzz("gen", "--root", root, "--count", 12, "--structure", "functions,defaults", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    (root / "cases" / "00000003" / "model.onnx").write_bytes(b"no model")
    done = fuzz("structure", "--root", root)
    assert done.returncode == 0
    assert "not read: 00000003" in done.stderr
    assert done.stdout.splitlines()[-1] == "11 models"
    made = json.loads(fuzz("structure", "--root", root, "--json").stdout)
    assert (made["models"], made["unread"]) == (11, ["00000003"])
    assert 1 <= made["traits"]["functions"] <= 11
    assert made["traits"]["data in another file"] == 0


def test_a_root_that_is_none(fuzz):
    done = fuzz("structure", "--root", "nowhere")
    assert done.returncode == 2
    assert "there is no root" in done.stderr
