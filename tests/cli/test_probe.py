"""`fuzz backends probe`, as somebody types it: all of a table, a part of it anew, misuse."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time


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


def test_an_interrupted_probe_writes_no_table_and_goes_on(unmeasured, fuzz):
    words = ["backends", "probe", "reference", "--samples", "20", "--out", "tables", "--ops", "Add,Max,Min,Mul,Sub"]
    process = subprocess.Popen(
        [str(fuzz.program), *words], cwd=fuzz.home, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    place = fuzz.home / "fuzz-root" / "probe"
    while not executed(place):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1].endswith("run the same command to go on")
    assert not (fuzz.home / "tables").exists()
    before = executed(place)
    done = fuzz(*words, "--json")
    assert done.returncode == 0
    (row,) = json.loads(done.stdout)["tables"]
    table = json.loads((fuzz.home / row["file"]).read_text())["operators"]
    assert set(table) == {"Add", "Max", "Min", "Mul", "Sub"}
    assert table["Add"]["float"] == "yes"
    assert before > 0
    assert list(place.iterdir()) == []


def executed(place) -> int:
    """How many cases of the probe in this folder have been executed."""
    stores = list(place.glob("*/fuzz.sqlite"))
    if not stores:
        return 0
    with sqlite3.connect(f"file:{stores[0]}?mode=ro", uri=True) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM execution").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
        finally:
            connection.commit()


def test_misuse_is_one_line(fuzz, refused):
    refused(probe(fuzz, "--ops", "Rely"), "did you mean Relu?")
    refused(probe(fuzz, "--dtypes", "float32"), "unknown element type 'float32'")
    (fuzz.home / "tables").mkdir()
    table = {"backend": "reference", "version": "0.1", "opset": 17, "operators": {}}
    (fuzz.home / "tables" / "reference.json").write_text(json.dumps(table))
    refused(probe(fuzz, "--ops", "Relu"), "the table is of reference 0.1 at opset 17", "probe all of it anew")
