from __future__ import annotations

import os
import sqlite3
from dataclasses import replace

import pytest

from backends.protocol import ELSEWHERE, UNTRANSFORMED, Outcome, Stage
from backends.tensor import Tensor
from fuzz.errors import RootError, StorageError
from fuzz.execute.execution import Execution
from fuzz.judge.verdict import Verdict
from fuzz.store import STORE_NAME, Store

EXECUTION = Execution(
    case="000001", target="tvm:opt=0", version="0.27", outcome=Outcome.OK, stage=Stage.RUN, message="", stderr="",
    attempts=1, wall_seconds=0.25, cpu_seconds=0.125,
    outputs=(
        (Tensor("float", (2, 200), b"\x00" * 1600), Tensor("string", (1,), b'["a"]'), None),
        (),
        ([Tensor("int4", (3,), b"\x21\x03"), []], Tensor("bool", (0,), b"")),
    ),
    beside={
        (UNTRANSFORMED, 0, 0): Tensor("float", (1,), b"\x00" * 4), (ELSEWHERE, 0, 0): None,
        (UNTRANSFORMED, 2, 1): Tensor("bool", (1,), b"\x01"), (ELSEWHERE, 2, 7): [],
    },
)  # fmt: skip
VERDICT = Verdict(
    case="000001", target="tvm:opt=0", data_set=1, verdict="wrong", output="y", bound_ratio=float("inf"),
    index=(0, 3), expected=1.5, actual="nan", bound=1e-7, node="Conv_3", message="too far",
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path, create=True) as store:
        yield store


def test_an_execution_comes_back_as_it_was(store):
    store.record_executions([EXECUTION], ["d1"])
    assert store.executions("000001") == [EXECUTION]
    assert store.executions("000002") == []


def test_everything_survives_closing(tmp_path):
    with Store.open(tmp_path, create=True) as store:
        store.record_executions([EXECUTION], ["d1"])
        store.record_verdicts([VERDICT])
    with Store.open(tmp_path) as store:
        assert store.executions("000001") == [EXECUTION]
        assert store.verdicts() == [VERDICT]
    assert [path.name for path in tmp_path.iterdir()] == [STORE_NAME]


def test_the_newest_version_speaks_unless_all_are_asked_for(store):
    newer = replace(EXECUTION, version="0.28", outcome=Outcome.CRASH, stage=None, outputs=())
    store.record_executions([newer, EXECUTION, replace(EXECUTION, target="reference")], ["d"] * 3)
    store.record_executions([newer], ["d"])
    assert store.executions("000001") == [replace(EXECUTION, target="reference"), newer]
    every = store.executions("000001", all_versions=True)
    assert sorted((each.target, each.version) for each in every) == store.targets()
    assert store.outcome_counts() == {"reference": {Outcome.OK: 1}, "tvm:opt=0": {Outcome.CRASH: 1}}
    assert store.targets() == [("reference", "0.27"), ("tvm:opt=0", "0.27"), ("tvm:opt=0", "0.28")]


def test_what_is_executed_again_replaces_the_old_and_its_verdicts(store):
    other = replace(EXECUTION, case="000002")
    store.record_executions([EXECUTION, other], ["d1", "d2"])
    store.record_verdicts([VERDICT, replace(VERDICT, case="000002")])
    again = replace(EXECUTION, outcome=Outcome.TIMEOUT, outputs=())
    store.record_executions([again], ["d9"])
    assert store.executions("000001") == [again]
    assert store.verdicts() == [replace(VERDICT, case="000002")]
    assert store.executed("tvm:opt=0", "0.27") == {("000001", "d9"): Outcome.TIMEOUT, ("000002", "d2"): Outcome.OK}
    assert store.executed("tvm:opt=0", "0.28") == {}
    assert store.cases() == ["000001", "000002"]


def test_outputs_of_a_replaced_execution_take_no_room(store, tmp_path):
    store.record_executions([EXECUTION], ["d"])
    store.record_executions([replace(EXECUTION, outputs=(), beside={})], ["d"])
    with sqlite3.connect(tmp_path / STORE_NAME) as connection:
        assert connection.execute("SELECT count(*) FROM output").fetchone() == (0,)
    connection.close()


def test_compressible_data_is_compressed(store, tmp_path):
    store.record_executions([EXECUTION], ["d"])
    with sqlite3.connect(tmp_path / STORE_NAME) as connection:
        sizes = connection.execute("SELECT size, length(data) FROM output WHERE size > 256").fetchall()
    connection.close()
    assert sizes[0][0] == 1600
    assert sizes[0][1] < 100


def test_verdicts_replace_those_on_the_same_case_and_target(store):
    second = replace(VERDICT, data_set=2, verdict="ok", bound_ratio=0.5, index=None, expected=None, actual=None)
    store.record_verdicts([VERDICT, second])
    assert store.verdicts("000001") == [VERDICT, second]
    store.record_verdicts([second])
    assert store.verdicts() == [second]
    assert store.verdict_counts() == {"tvm:opt=0": {"ok": 1}}
    assert store.verdicts("elsewhere") == []


def test_each_oracle_replaces_its_own_verdicts_only(store):
    other = replace(VERDICT, oracle="session", verdict="nondeterministic")
    store.record_verdicts([VERDICT, other])
    store.record_verdicts([replace(other, verdict="ok")])
    assert store.verdicts() == [VERDICT, replace(other, verdict="ok")]


def test_a_batch_is_written_whole_or_not_at_all(store):
    with pytest.raises(ValueError, match="zip"):
        store.record_executions([EXECUTION, replace(EXECUTION, case="000002")], ["only one digest"])
    assert store.cases() == []


def test_messages_with_stray_characters_are_kept(store):
    store.record_executions([replace(EXECUTION, message="bad \udcff name", stderr="a\nb")], ["d"])
    execution = store.executions("000001")[0]
    assert execution.message == "bad \\udcff name"
    assert execution.stderr == "a\nb"


def test_a_root_without_a_store_says_what_to_do(tmp_path):
    with pytest.raises(RootError, match=r"nothing has been executed in .*: run `fuzz exec"):
        Store.open(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StorageError, match="unable to open"):
        Store.open(tmp_path / "nowhere", create=True)


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / STORE_NAME).write_bytes(b"this is not a database, however long it goes on" * 100)
    with pytest.raises(StorageError, match="damaged; remove it"):
        Store.open(tmp_path)


def test_a_store_of_another_version_is_left_alone(tmp_path):
    Store.open(tmp_path, create=True).close()
    with sqlite3.connect(tmp_path / STORE_NAME) as connection:
        connection.execute("UPDATE meta SET value = '999'")
    connection.close()
    with pytest.raises(StorageError, match="another version of fuzz"):
        Store.open(tmp_path)


def test_a_full_disk_is_said_and_leaves_what_was_there(store):
    store.record_executions([EXECUTION], ["d"])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = replace(EXECUTION, case="big", outputs=((Tensor("uint8", (1 << 20,), os.urandom(1 << 20)),),))
    with pytest.raises(StorageError, match="full; free some space"):
        store.record_executions([big], ["d"])
    assert store.cases() == ["000001"]
    assert store.executions("000001") == [EXECUTION]
