"""`fuzz corpus families` and what it makes, as somebody types it."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

from corpus.families.table import FAMILIES
from corpus.graphs.cache import Cache


def test_the_list(fuzz):
    done = fuzz("corpus", "families", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["name"]: row for row in json.loads(done.stdout)["families"]}
    assert list(rows) == list(FAMILIES)
    assert {name: row["size"] for name, row in rows.items()} == {name: one.size for name, one in FAMILIES.items()}
    assert (rows["nb201"]["size"], rows["hiaml"]["size"], rows["inception"]["size"]) == (15_625, 38_416, None)
    assert all("arXiv" in row["source"] for row in rows.values())
    for row in rows.values():
        least, most = row["statistics"]["parameters"]
        assert 10_000 < least < most < 60_000_000


def test_the_list_for_a_person_needs_no_torch(fuzz):
    code = (
        "import sys; sys.argv = ['fuzz', 'corpus', 'families']\n"
        "from fuzz.cli.main import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'numpy', 'onnx'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split()[:2] == ["family", "architectures"]
    assert [line.split()[0] for line in lines] == list(FAMILIES)
    assert "423,624" in lines[0]


def test_a_sample_is_cached_and_not_made_again(fuzz):
    pytest.importorskip("torch", reason="networks are PyTorch's")
    words = ("corpus", "families", "sample", "nb201", "--count", 1, "--out", "graphs", "--onnx", "models", "--json")
    done = fuzz(*words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    first = FAMILIES["nb201"].sample(0, 0)
    assert (told["added"], told["kept"], told["failed"]) == ([first.name], [], {})
    (graph,) = Cache(fuzz.home / "graphs").load("nb201")
    assert (graph.name, graph.labels["canonical"]) == (first.name, first.canonical)
    assert graph.labels["parameters"] == graph.parameters() > 1_000
    assert graph.labels["flops"] == graph.flops() > 100_000
    assert {node.operator for node in graph.nodes} >= {"Input", "Conv", "BatchNorm", "MatMul", "Output"}
    again = json.loads(fuzz(*words).stdout)
    assert (again["added"], again["kept"]) == ([], [first.name])
    ran = fuzz("exec", "--root", "models", "--backend", "onnxruntime", "--json")
    assert ran.returncode == 0, ran.stderr
    assert fuzz("diff", "--root", "models").returncode == 0


def test_a_family_seeds_the_generator(fuzz):
    made = fuzz("gen", "--root", "root", "--count", 4, "--seeds", "hiaml", "--nodes", 4)
    assert made.returncode == 0, made.stderr
    records = [json.loads(path.read_text()) for path in (fuzz.home / "root").rglob("case.json")]
    assert sum(len(record["windows"]) for record in records) >= 2


def test_misuse(fuzz, refused):
    refused(fuzz("corpus", "families", "sample", "nb202", "--out", "x"), "no family 'nb202'", "nb101, nb201")
    refused(fuzz("corpus", "families", "sample", "nb201", "--count", 15_626, "--out", "x"), "15,625 architectures")


def test_networks_that_cannot_be_made_end_with_1(tmp_path, monkeypatch):
    from fuzz.cli.main import main

    monkeypatch.setattr("corpus.families.sampling.sample", lambda _, __, result, **___: result.failed.update(one="why"))
    monkeypatch.setattr("sys.argv", ["fuzz", "corpus", "families", "sample", "nb201", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1


def test_a_full_disk_ends_it_in_a_line(tmp_path, monkeypatch, capsys):
    from fuzz.cli.main import main

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("corpus.families.sampling.case", full)
    monkeypatch.setattr("sys.argv", ["fuzz", "corpus", "families", "sample", "nb201", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert told.count("\n") == 1
