"""`fuzz backends probe`, as somebody types it: all of a table, a part of it anew, misuse."""

from __future__ import annotations

import json


def probe(fuzz, *arguments):
    return fuzz("backends", "probe", "reference", "--samples", 1, "--out", "tables", *arguments)


def test_a_part_is_probed_anew_and_the_rest_stays(fuzz):
    done = probe(fuzz, "--ops", "Relu,Cast", "--dtypes", "float,int16", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["tables"]
    assert (row["operators"], row["opset"]) == (2, 21)
    path = fuzz.home / row["file"]
    table = json.loads(path.read_text())
    assert table["operators"]["Cast"]["float,int16"] == "yes"
    table["operators"]["Relu"]["float"] = "no"
    table["operators"]["Abs"] = {"float": "yes"}
    path.write_text(json.dumps(table))
    assert probe(fuzz, "--ops", "Relu").returncode == 0
    after = json.loads(path.read_text())["operators"]
    assert after["Relu"]["float"] == "yes"
    assert after["Relu"]["double"] == "yes"
    assert (after["Abs"], after["Cast"]) == ({"float": "yes"}, table["operators"]["Cast"])


def test_misuse_is_one_line(fuzz, refused):
    refused(probe(fuzz, "--ops", "Rely"), "did you mean Relu?")
    refused(probe(fuzz, "--dtypes", "float32"), "unknown element type 'float32'")
    (fuzz.home / "tables").mkdir()
    table = {"backend": "reference", "version": "0.1", "opset": 17, "operators": {}}
    (fuzz.home / "tables" / "reference.json").write_text(json.dumps(table))
    refused(probe(fuzz, "--ops", "Relu"), "the table is of reference 0.1 at opset 17", "probe all of it anew")
