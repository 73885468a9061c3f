"""From a root to a report: a campaign's store and folders, whatever state they are in, and roots that were judged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from onnx.external_data_helper import set_external_data

from fuzz.campaign.campaign import Campaign
from fuzz.campaign.history import read_history
from fuzz.campaign.ledger import Ledger
from fuzz.campaign.trial import Answer, Exhibit, Failure, Sighting, Trial, finding_id
from fuzz.errors import RootError, StorageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_targets
from fuzz.generate.settings import Settings
from fuzz.judge.verdict import Verdict
from fuzz.report.exhibit import read_exhibits
from fuzz.report.junit import junit
from fuzz.report.overview import overview
from fuzz.report.sources import read_account
from fuzz.store import Store

RELU = "g (float[2] x) => (float[2] y) <float[1] w = {0.5}> { t = Relu (x)  y = Add (t, w) }"
WRONG = Verdict("c", "onnxruntime", 0, "wrong", "y", 5.0, (1,), 1.5, 2.0, 0.1)


def write_folder(folder, verdict=WRONG):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {RELU}')
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for name, array in (("input_0", [-1, 1]), ("output_0", [0.5, 1.5])):
        (data / f"{name}.pb").write_bytes(numpy_helper.from_array(np.array(array, np.float32)).SerializeToString())
    said = {"target": "onnxruntime", "version": "1", "verdict": asdict(verdict), "nodes_before": 12, "message": "so"}
    (folder / "verdict.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def root(tmp_path):
    """A campaign of four cases on two targets, in two sittings, that found two things, one in two cases."""
    settings = Settings(operators=("Relu", "Add"), dtypes=("float", "int32"))
    campaign = Campaign(settings, parse_targets(("onnxruntime", "onnxruntime:opt=0")), Limits(60.0, 4096 << 20))
    version = campaign.targets[0].version

    def trial(seed):
        answers = [
            Answer(target.canonical, version, "ok", word, "", 1, 0.5)
            for target, word in zip(campaign.targets, ("wrong", "ok"), strict=True)
        ]
        failure = Failure("onnxruntime", f"key {seed // 3}", "Add(float)", "{}")
        pairs = (("Add", "float"), ("Relu", "float"))
        return Trial(seed, 2, 0.1, 0.2, tuple(answers), (failure,), pairs=pairs)

    def shown(identity, seed):
        folder = write_folder(tmp_path / f"findings/.part-1-{identity}-{seed}")
        sighting = Sighting("onnxruntime", identity, "wrong (value)", f"Add({identity})", 2, 12, folder)
        return Exhibit(seed, "onnxruntime", (sighting,))

    with Ledger.open(tmp_path, campaign) as ledger:
        for seed in (0, 1, 2):
            ledger.take(trial(seed))
        ledger.decide(2, "onnxruntime", due=False)
        ledger.take(shown("one", 0))
        ledger.take(Exhibit(1, "onnxruntime", problem="it fails no more"))
    with Ledger.open(tmp_path, campaign) as ledger:
        ledger.take(trial(3))
        ledger.take(shown("two", 3))
        ledger.take(trial(4))
    return tmp_path


def test_a_campaign(root):
    account = read_account(root, 1)
    assert (account.cases, account.campaigns, account.waiting) == (5, 1, 1)
    assert account.problems == ("seed 1 failed on onnxruntime, and shows nothing: it fails no more",)
    assert [(row.name, row.verdicts) for row in account.targets] == [
        ("onnxruntime", {"wrong": 5}), ("onnxruntime:opt=0", {"ok": 5}),
    ]  # fmt: skip
    first, second = account.discoveries
    assert (first.title, first.count, first.assumed, first.seed, first.nodes_before) == ("Add(one)", 2, 1, 0, 12)
    assert (second.title, second.count, second.assumed) == ("Add(two)", 1, 0)
    assert first.seconds < second.seconds <= account.seconds
    assert first.verdict.actual == 2.0
    assert [(v.role, v.name, v.label, v.elements) for v in first.values] == [
        ("input", "x", "f32 2", "-1 1"), ("constant", "w", "f32 1", "0.5"), ("expected", "y", "f32 2", "0.5 1.5"),
    ]  # fmt: skip
    assert first.operators == ["Add", "Relu"]
    assert set(account.wanted) == {(name, kind) for name in ("Add", "Relu") for kind in ("float", "int32")}
    assert account.missing == [("Add", "int32"), ("Relu", "int32")]
    cell = account.cells["Add", "float"]
    assert (cell["onnxruntime"].state, cell["onnxruntime"].findings, cell["onnxruntime"].failed) == ("found", 2, 5)
    assert (cell["onnxruntime:opt=0"].state, cell["onnxruntime:opt=0"].cases) == ("ok", 5)
    assert account.done[-1][1] == 5
    assert account.done[-1][0] <= account.seconds


def test_it_can_be_read_while_a_run_writes(root):
    history = read_history(root)
    terms = history.terms[0]
    campaign = Campaign(Settings.from_json(terms["settings"]), parse_targets(("tract",)), Limits(60.0, 1 << 30))
    with Ledger.open(root, campaign) as ledger:
        ledger.take(Trial(7, problem="ValueError: no"))
        ledger.flush()
        account = read_account(root, 1)
    assert (account.campaigns, account.cases) == (2, 6)
    assert account.problems[0] == "seed 7: ValueError: no"
    assert account.seconds >= history.seconds


def test_it_can_be_read_where_nobody_can_write(root, monkeypatch):
    real = sqlite3.connect

    class Closed(sqlite3.Connection):
        def execute(self, *_):
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorname = "SQLITE_CANTOPEN"
            raise error

    def connect(place, **given):  # what a read-only disk does to it; a test that root runs has no other way to have one
        return real(":memory:", factory=Closed) if "mode=rw" in place else real(place, **given)

    monkeypatch.setattr("fuzz.campaign.history.sqlite3.connect", connect)
    before = sorted(path.name for path in root.iterdir())
    assert read_history(root).cases == 5
    assert sorted(path.name for path in root.iterdir()) == before


def test_what_one_folder_lacks_stops_no_other(root):
    lost, broken = (root / "findings" / finding_id(name) for name in ("one", "two"))
    shutil.rmtree(lost)
    (broken / "model.onnx").write_bytes(b"\xff\xffno model")
    (broken / "verdict.json").write_text("{")
    write_folder(root / "findings/0123456789ab")
    account = read_account(root, 2)
    found = {discovery.id: discovery for discovery in account.discoveries}
    assert found[lost.name].problems == ("the folder is not there",)
    assert found[lost.name].title == "Add(one)"
    assert len(found[broken.name].problems) == 3
    assert "no JSON" in found[broken.name].problems[0]
    assert (found["0123456789ab"].problems, found["0123456789ab"].word) == ((), "wrong")
    assert any(str(lost) in problem for problem in account.problems)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("[]", "verdict.json holds no object"),
        ('{"verdict": 3}', "verdict.json tells no verdict: it is no object"),
        ('{"verdict": {"case": "c"}}', "verdict.json tells no verdict"),
        ('{"verdict": {"case": "c", "target": "t", "data_set": 0, "verdict": "wrong", "bound": "x"}}', "no verdict"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_verdict_that_others_wrote(tmp_path, told, problem):
    folder = write_folder(tmp_path / "0123456789ab")
    (folder / "verdict.json").write_text(told)
    (exhibit,) = read_exhibits([folder], 1)
    assert any(problem in found for found in exhibit.problems), exhibit.problems
    assert exhibit.drawing.svg
    assert len(exhibit.values) == 3


def test_what_lies_beside_is_shown_whole_up_to_a_size(tmp_path):
    folder = write_folder(tmp_path / "0123456789ab")
    (folder / "repro.py").write_bytes(b"print('\xff')")
    (folder / "NOTES.md").write_text("x" * 100_000)
    said = json.loads((folder / "verdict.json").read_text())
    more = {
        "summary": "it is wrong", "expected_reason": "because", "versions": {"numpy": "2"}, "aside": True,
        "ruled_out": [{"what": "tvm", "verdict": "ok", "said": None}, 3], "repro": {"says": "BUG", "problem": ""},
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps({**said, **more}))
    (exhibit,) = read_exhibits([folder], 1)
    papers = exhibit.papers
    assert papers.repro == "print('\ufffd')"
    assert len(papers.notes) == 65_538
    assert (papers.summary, papers.reason, papers.versions) == ("it is wrong", "because", (("numpy", "2"),))
    assert (papers.ruled_out, papers.says, papers.problem, papers.aside) == ((("tvm", "ok", ""),), "BUG", "", True)
    (folder / "verdict.json").write_text(json.dumps({**said, "ruled_out": 3, "versions": [], "repro": "x"}))
    (exhibit,) = read_exhibits([folder], 1)
    assert (exhibit.papers.ruled_out, exhibit.problems) == ((), ())


def test_numbers_that_lie_in_another_file_are_left_out(tmp_path):
    folder = write_folder(tmp_path / "0123456789ab")
    model = onnx.load(folder / "model.onnx")
    (weight,) = model.graph.initializer
    weight.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    set_external_data(weight, "weights.bin")
    weight.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (exhibit,) = read_exhibits([folder], 1)
    assert ([value.role for value in exhibit.values], exhibit.problems) == (["input", "expected"], ())


def test_findings_that_were_copied_out_of_their_root(root, tmp_path_factory):
    place = tmp_path_factory.mktemp("copied")
    shutil.copytree(root / "findings", place / "findings")
    account = read_account(place, 1)
    assert [found.word for found in account.discoveries] == ["wrong", "wrong"]
    assert (account.targets, account.wanted, account.seconds) == ((), None, None)


def test_a_store_of_another_version(root):
    with sqlite3.connect(root / "campaign.sqlite") as connection:
        connection.execute("UPDATE meta SET value = '0'")
    connection.close()
    with pytest.raises(StorageError, match="another version"):
        read_account(root, 1)


def test_settings_that_are_not_known_here_cost_what_was_never_reached_alone(root):
    with sqlite3.connect(root / "campaign.sqlite") as connection:
        connection.execute("""UPDATE campaign SET terms = '{"settings": {"novelty": 3}}'""")
    connection.close()
    account = read_account(root, 1)
    assert account.wanted is None
    assert "what was never reached cannot be told" in account.problems[0]
    assert len(account.discoveries) == 2


def test_a_root_that_was_judged(tmp_path):
    for name in ("a", "b"):
        write_folder(tmp_path / "cases" / name)
    with Store.open(tmp_path, create=True) as store:
        with pytest.raises(RootError, match="fuzz diff"):
            read_account(tmp_path, 1)
        store.record_verdicts([
            Verdict("a", "tvm", 0, "wrong", "y", 5.0, (1,), 1.5, 2.0, 0.1), Verdict("b", "tvm", 0, "ok"),
            Verdict("gone", "tvm", 0, "crash", message="signal 11"),
        ])  # fmt: skip
    account = read_account(tmp_path, 1)
    assert account.campaigns == 0
    wrong, crash = account.discoveries
    assert (wrong.title, wrong.word, wrong.drawing.nodes) == ("a", "wrong", 2)
    assert [value.role for value in wrong.values] == ["input", "constant", "expected"]
    assert (crash.title, crash.drawing.svg) == ("gone", "")
    assert account.problems == (f"case gone is no more in {tmp_path}",)
    assert account.cells["Relu", "float"]["tvm"].verdicts == {"wrong": 1, "ok": 1}


def test_a_root_with_both(root):
    """A campaign ran there, and `gen`, `exec` and `diff`: nothing of either is left out, and nothing counted twice."""
    campaign = read_account(root, 1)
    for name in ("a", "b"):
        write_folder(root / "cases" / name)
    with Store.open(root, create=True) as store:
        told = read_account(root, 1)
        assert told.discoveries == campaign.discoveries
        assert told.cases == campaign.cases
        assert "is left out: nothing was judged in" in told.problems[-1]
        version = campaign.targets[0].version
        store.record_verdicts([
            Verdict("a", "onnxruntime", 0, "wrong", "y", 5.0, (1,), 1.5, 2.0, 0.1), Verdict("b", "tvm", 0, "ok"),
        ])  # fmt: skip
    both = read_account(root, 1)
    assert (both.campaigns, both.cases, both.judged) == (campaign.campaigns, campaign.cases + 2, 2)
    assert len(both.discoveries) == len(campaign.discoveries) + 1
    (judged,) = set(both.discoveries) - set(campaign.discoveries)
    assert (judged.title, judged.target, judged.word) == ("a", "onnxruntime", "wrong")
    counts = {(row.name, row.version): dict(row.verdicts) for row in both.targets}
    assert counts["onnxruntime", version] == {"wrong": 5}
    assert counts["onnxruntime", ""] == {"wrong": 1}
    assert counts["tvm", ""] == {"ok": 1}
    cell, before = (account.cells["Add", "float"]["onnxruntime"] for account in (both, campaign))
    assert cell.verdicts == before.verdicts + Counter(wrong=1)
    assert (cell.findings, cell.seconds) == (before.findings, before.seconds)
    assert both.cells["Relu", "float"]["tvm"].state == "ok"
    assert (both.wanted, both.seconds, both.done) == (campaign.wanted, campaign.seconds, campaign.done)
    page = overview(both)
    assert "of the cases by fuzz exec" in page
    assert f"of {campaign.cases} cases" in page
    assert f"of {both.cases} cases" not in page


def test_no_root(tmp_path):
    with pytest.raises(RootError, match="there is no root"):
        read_account(tmp_path / "nowhere", 1)
    with pytest.raises(RootError, match="nothing was judged"):
        read_account(tmp_path, 1)
    (tmp_path / "file").touch()
    with pytest.raises(RootError, match="is no folder"):
        read_account(tmp_path / "file", 1)


def test_a_campaign_that_has_only_begun(tmp_path):
    campaign = Campaign(Settings(), parse_targets(("onnxruntime",)), Limits(60.0, 4096 << 20))
    with Ledger.open(tmp_path, campaign):
        pass
    account = read_account(tmp_path, 1)
    assert [(row.name, row.verdicts) for row in account.targets] == [("onnxruntime", {})]
    assert "no findings in 0 cases" in junit(account)
    assert "Nothing was found." in overview(account)
