"""From cases to verdicts, on a backend whose faults are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fuzz.case import find_cases
from fuzz.execute.run import execute
from fuzz.judge.judge import Oracle
from fuzz.judge.run import judge_root
from fuzz.relations.run import twins
from fuzz.store import Store

X = np.array([[-1, 2, 3], [4, -5, 6]], np.float32)
RELU = "g (float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }"
EXP = "g (float[2, 3] x) => (float[2, 3] y) { y = Exp (x) }"
TWO = "g (float[2, 3] x) => (float[2, 3] y, float[2, 3] z) { y = Relu (x) z = Neg (x) }"
TILE = "g (float[2, 3] x) => (float[2, 3] y) { r = Constant<value_ints = [1, 1]>() y = Tile (x, r) }"
TURN = "g (float[2, 3] x) => (float[3, 2] y) { y = Transpose <perm = [1, 0]> (x) }"
TWICE = "g (int32[2, 3] x) => (int32[2, 3] y) { y = Add (x, x) }"
NONE = "g (float[2, 3] x) => (float[2, 3] y) { y = NoSuch (x) }"
ASKED = ("identity", "transpose-twice", "dropout", "split-concat", "tile-once", "expand-same", "reverse-twice")


@pytest.fixture(scope="module")
def related(tmp_path_factory, write, start):
    """A root with several cases, related once; the verdicts by case and relation."""
    root = tmp_path_factory.mktemp("relations") / "root"
    for name, body in (("relu", None), ("exp", EXP), ("two", TWO), ("tile", TILE), ("turn", TURN), ("none", NONE)):
        write(root, name, body or RELU, (X,))
    write(root, "twice", TWICE, (np.arange(6, dtype=np.int32).reshape(2, 3),))
    result = start(root, *(f"metamorphic:{name}" for name in ASKED), "unoptimised")
    return root, result, {(v.case, v.oracle.rpartition(":")[2]): v for v in result.verdicts}


def test_a_variant_that_agrees_is_ok_and_not_kept(related):
    root, _, verdicts = related
    verdict = verdicts["relu", "identity"]
    assert (verdict.target, verdict.verdict, verdict.oracle) == ("faulty", "ok", "metamorphic:identity")
    assert not list((root / "relations" / "cases").glob("relu-metamorphic-identity-*"))
    assert verdicts["twice", "reverse-twice"].verdict == "ok"


def test_a_broken_relation_names_the_rewrite_the_node_and_the_side(related):
    root, result, verdicts = related
    verdict = verdicts["relu", "transpose-twice"]
    assert (verdict.verdict, verdict.output) == ("wrong", "y")
    assert verdict.actual == pytest.approx(verdict.expected + 1)
    assert "Transpose(Transpose(x" in verdict.message
    assert "Relu 'y'" in verdict.message
    assert "the original is ok, the variant wrong" in verdict.message
    assert verdict in result.findings
    (kept,) = [case for case in find_cases(root / "relations") if "relu-metamorphic-transpose" in case.id]
    record = json.loads((kept.folder / "case.json").read_text())
    assert (record["case"], record["relation"]) == ("relu", "metamorphic:transpose-twice")
    with Store.open(root) as store:
        assert verdict in store.verdicts("relu")


def test_a_difference_of_a_few_bounds_is_suspect(related):
    assert related[2]["exp", "expand-same"].verdict in {"ok", "suspect"}


def test_an_output_too_few_is_wrong(related):
    verdict = related[2]["two", "dropout"]
    assert verdict.verdict == "wrong"
    assert "1 outputs where 2 are due" in verdict.message


def test_a_refusal_of_the_variant_alone_is_rejected(related):
    verdict = related[2]["relu", "split-concat"]
    assert verdict.verdict == "rejected"
    assert "the original runs" in verdict.message
    assert "assertion failed: split" in verdict.message


def test_what_the_backend_lacks_is_no_finding(related):
    verdict = related[2]["relu", "tile-once"]
    assert verdict.verdict == "unsupported"
    assert verdict not in related[1].findings


def test_an_original_that_does_not_run_has_no_pairs(related):
    _, result, verdicts = related
    assert result.cases == 7
    assert not [case for case, _ in verdicts if case in {"tile", "none"}]


def test_optimised_against_unoptimised(related):
    verdict = related[2]["relu", "unoptimised"]
    assert (verdict.verdict, verdict.oracle) == ("wrong", "unoptimised")
    assert "faulty:opt=0" in verdict.message


def test_both_sides_wrong_alike_is_no_broken_relation(related):
    assert related[2]["turn", "identity"].verdict == "ok"


def test_counts(related):
    _, result, verdicts = related
    assert sum(n for words in result.counts["faulty"].values() for n in words.values()) == len(verdicts)
    assert set(result.counts["faulty"]) == {"metamorphic", "unoptimised"}


def test_a_second_run_executes_nothing_again(related, start, monkeypatch):
    root, first, _ = related
    counts = []
    monkeypatch.setattr("fuzz.relations.run.execute", lambda *a, **k: counts.append(execute(*a, **k)) or counts[-1])
    second = start(root, *(f"metamorphic:{name}" for name in ASKED), "unoptimised")
    assert first.verdicts == second.verdicts
    assert sum(summary.executed for summary in counts) == 0


def test_diff_shows_the_relations_in_rows_of_their_own(related, target):
    root, result, _ = related
    with Store.open(root) as store:
        execute(find_cases(root), [target()], store=store)
        store.record_verdicts(result.verdicts)
    judgement = judge_root(root, Oracle())
    assert judgement.cases == 7
    assert set(judgement.counts) == {"faulty", "faulty metamorphic", "faulty unoptimised"}
    assert "metamorphic:transpose-twice" in {v.oracle for v in judgement.findings}


def test_a_target_with_the_option_already_has_no_twin(plan, target):
    assert set(twins(target(), plan("unoptimised"))) == {"unoptimised"}
    assert twins(target("faulty:opt=1"), plan("unoptimised")) == {}
    assert twins(target(), plan("metamorphic")) == {}


def test_ctrl_c_keeps_what_was_finished(tmp_path, write, start, monkeypatch):
    root = tmp_path / "root"
    write(root, "case", RELU, (X,))

    def interrupted(*arguments, **options):
        summary = execute(*arguments, **options)
        return replace(summary, interrupted=True)

    monkeypatch.setattr("fuzz.relations.run.execute", interrupted)
    related = start(root, "metamorphic")
    assert related.interrupted
    assert related.verdicts == []
    with Store.open(root / "relations") as store:
        assert store.cases() == ["case"]


def test_one_model_on_two_data_sets_is_two_cases(tmp_path, write, start):
    body = "g (float[n, 3] x) => (float[n, 3] y) { y = Relu (x) }"
    write(tmp_path, "twins", body, (X,), (-X,))
    result = start(tmp_path, "static:specialised")
    assert [v.verdict for v in result.verdicts] == ["ok", "ok"]
