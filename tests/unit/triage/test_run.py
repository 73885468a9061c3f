"""From files to files; what is kept for the next time."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from fuzz.errors import CaseError, StorageError, UsageError
from fuzz.execute.attempt import Limits
from fuzz.execute.target import parse_target
from fuzz.execute.worker import Interrupted
from fuzz.triage.predicate import INTERESTING, CommandPredicate, VerdictPredicate
from fuzz.triage.reduction import reduce_case
from fuzz.triage.run import NOTES, Wish, read_candidate, reduce_model
from fuzz.triage.signature import Signature
from tests.unit.triage.conftest import CHAIN, ROW, Asked, Inline, candidate, has, operators, text

NEEDS_EXP = 'grep -qa Exp "$1"'


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "mine.onnx"
    onnx.save(text(CHAIN), path)
    data = tmp_path / "test_data_set_0"
    data.mkdir()
    (data / "input_0.pb").write_bytes(numpy_helper.from_array(ROW[0]).SerializeToString())
    return path


def command(script, seconds=60.0):
    return CommandPredicate(["sh", "-c", script, "sh"], seconds)


def test_a_command_says_what_is_interesting(model, tmp_path):
    out = tmp_path / "out"
    done = reduce_model(Wish(model, None, out), command(NEEDS_EXP))
    assert done.first.signature == INTERESTING
    assert operators(onnx.load(out / "model.onnx")) == ["Exp"]
    report = json.loads((out / "reduction.json").read_text())
    assert (report["nodes_before"], report["nodes"], report["repeats"]) == (8, 1, True)
    assert sorted(path.name for path in out.iterdir()) == [NOTES, "model.onnx", "reduction.json", "test_data_set_0"]
    assert sorted(path.name for path in (out / "test_data_set_0").iterdir()) == ["input_0.pb", "output_0.pb"]
    again = reduce_model(Wish(model, None, out), command(NEEDS_EXP))
    assert again.case == done.case
    assert again.executions == 3
    assert done.executions > 8


def test_arguments_of_a_command_name_the_files(model):
    script = 'test -f "$1" && test -f "$2/input_0.pb" && test -z "$3"'
    predicate = CommandPredicate(["sh", "-c", script, "sh", "{model}", "{inputs}"], 60.0)
    with Inline(predicate) as laboratory:
        assert laboratory.observe(read_candidate(model, None)).signature == INTERESTING


def test_a_command_that_is_ended_with_the_run_has_said_nothing(model, tmp_path):
    predicate = command(f"touch {tmp_path}/begun; sleep 60")

    def end() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        predicate.stop()

    ending = threading.Thread(target=end)
    ending.start()
    with Inline(predicate) as laboratory, pytest.raises(Interrupted):
        laboratory.observe(read_candidate(model, None))
    ending.join()


def test_a_command_that_takes_too_long_is_ended(model):
    with Inline(command("sleep 60", 0.2)) as laboratory:
        found = laboratory.observe(read_candidate(model, None))
    assert (found.signature.word, found.said) == ("dull", "exit status -9")


@pytest.mark.parametrize(("script", "words"), [("exit 3", "exit status 3 where 0 is due"), ("false", "nteresting")])
def test_a_command_that_is_not_interested_is_misuse(model, tmp_path, script, words):
    with pytest.raises(UsageError, match=words):
        reduce_model(Wish(model, None, tmp_path / "out"), command(script))


def test_what_fails_now_and_then_is_not_reduced(model, tmp_path):
    answers = iter([True, False, True])
    with pytest.raises(UsageError, match="fails in one way and then in another"):
        reduce_model(Wish(model, None, tmp_path / "out"), Asked(lambda *_: next(answers)))


def test_a_model_that_is_invalid_is_misuse(tmp_path):
    onnx.save(text("g (float[2] x) => (float[3] y) { y = Relu (x) }"), tmp_path / "bad.onnx")
    with pytest.raises(UsageError, match="is no case to reduce: invalid"):
        reduce_model(Wish(tmp_path / "bad.onnx", None, tmp_path / "out"), Asked(has("Relu")))


def test_folders_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="give another --out"):
        reduce_model(Wish(model, None, tmp_path / "file/out"), Asked(has("Exp")))


def test_external_data_is_taken_in(tmp_path):
    proto = text("g (float[3] x) => (float[3] y) { y = Add (x, w) }")
    proto.graph.initializer.add(name="w", data_type=1, dims=[3], raw_data=np.float32([1, 2, 3]).tobytes())
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    (weight,) = read_candidate(tmp_path / "m.onnx", None).proto().graph.initializer
    assert numpy_helper.to_array(weight).tolist() == [1, 2, 3]
    (tmp_path / "w.bin").unlink()
    with pytest.raises(CaseError, match=r"w\.bin"):
        read_candidate(tmp_path / "m.onnx", None)


def test_what_was_examined_is_not_examined_again(tmp_path):
    notes, case = tmp_path / NOTES, candidate(CHAIN, ROW)
    for _ in range(2):
        predicate = Asked(has("Exp"))
        with Inline(predicate, notes=notes) as laboratory:
            found = laboratory.observe(case)
            assert laboratory.observe(case) == found
    assert (predicate.asked, laboratory.recalled) == ([], 2)
    notes.write_text(notes.read_text() + '{"digest": "cut sho')
    predicate.heading = {"toy": 2}
    with Inline(predicate, notes=notes) as laboratory:
        laboratory.observe(case)
    assert len(predicate.asked) == 1
    with Inline(predicate, notes=notes) as laboratory:
        assert laboratory.observe(case).signature == found.signature


@pytest.mark.parametrize(
    ("action", "number", "word", "stage"),
    [
        ("segv", 1, "crash", "import"), ("rejects", 1, "rejected", "import"), ("fine", -1, "wrong", ""),
        ("fine", 1, "ok", ""),
    ],
)  # fmt: skip
def test_a_target_is_asked_in_workers(toy, action, number, word, stage):
    proto = text("g (float[3] x) => (float[3] y) { y = Relu (x) }")
    proto.graph.name = action
    case = candidate(proto, [np.full(3, number, np.float32)])
    with Inline(VerdictPredicate(toy(), Limits(20.0, 1 << 30), 2), jobs=2) as laboratory:
        first, second = laboratory.observe_all([case, case])
        assert laboratory.run(case.model, case.values()) is not None
    assert first.signature == second.signature
    assert (first.signature.word, first.signature.stage) == (word, stage)
    assert first.finding == (word != "ok")


def test_targets_of_reductions_are_named():
    assert VerdictPredicate(parse_target("reference"), Limits(1.0, 1 << 30)).heading["target"] == "reference"


TWO = """g (float[2, 3] x) => (float[6, 3] y) {
    a = Neg (x)  b = Exp (a)  c = Abs (x)  d = Concat <axis = 0> (b, c, x)  y = Relu (d) }"""


def test_of_two_faults_in_one_target_a_reduction_keeps_to_one():
    target = parse_target("reference:fault=dropped-negation+refused-concat")
    with Inline(VerdictPredicate(target, Limits(20.0, 1 << 30))) as laboratory:
        case = candidate(TWO, ROW)
        first = laboratory.observe(case)
        assert first.signature.word == "rejected"
        done = reduce_case(laboratory, case, first)
        assert done.repeats
        assert operators(done.case) == ["Concat"]
        wrong = laboratory.observe(candidate("g (float[2, 3] x) => (float[2, 3] y) { y = Neg (x) }", ROW))
        assert wrong.signature.word == "wrong"


def test_after_a_crash_the_next_worker_is_started_ahead(toy):
    import os

    import psutil

    proto = text("g (float[3] x) => (float[3] y) { y = Relu (x) }")
    names = ("segv", "segv", "fine", "segv", "fine")
    others = set(psutil.Process(os.getpid()).children())  # an earlier test's
    predicate = VerdictPredicate(toy(), Limits(20.0, 1 << 30))
    with Inline(predicate) as laboratory:
        words = []
        for name in names:
            proto.graph.name = name
            words.append(laboratory.fresh(candidate(proto, [np.full(3, 1, np.float32)]), renew=False).signature.word)
        assert words == ["crash", "crash", "ok", "crash", "ok"]
        mine = set(psutil.Process(os.getpid()).children()) - others
        assert len(mine) >= 2
        predicate.renew()
        assert not mine & set(psutil.Process(os.getpid()).children())


def test_of_a_private_model_nothing_else_is_kept(model, tmp_path):
    def bad(proto, _):
        names = operators(proto)
        if "Exp" in names:
            return INTERESTING
        return Signature("crash" if "Neg" in names else "ok", "run")

    for anonymous in (False, True):
        out = tmp_path / f"out{anonymous}"
        done = reduce_model(Wish(model, None, out, anonymous=anonymous), Asked(bad))
        assert done.others
        assert ((out / NOTES).exists(), (out / "others").exists()) == (not anonymous, not anonymous)


@pytest.mark.parametrize(("word", "one"), [("rejected", True), ("crash", True), ("wrong", False)])
def test_what_has_stopped_is_told_by_operators_and_not_by_types(word, one):
    signature = Signature(word, message="no such thing" if word != "wrong" else "")
    found = set()
    for kind, dtype in (("float", np.float32), ("bool", np.bool_)):
        case = candidate(f"g ({kind}[2] x) => ({kind}[2] y) {{ y = Identity (x) }}", [np.ones(2, dtype)])
        with Inline(Asked(lambda *_: signature)) as laboratory:
            found.add(reduce_case(laboratory, case, laboratory.observe(case)).identity("toy"))
    assert len(found) == (1 if one else 2)
