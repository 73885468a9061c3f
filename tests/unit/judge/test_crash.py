"""The same crash in two cases has the same words."""

from __future__ import annotations

import pytest

from backends.protocol import Outcome, Stage
from fuzz.judge.crash import crash_signature, normalised

DUMP = """{words}
Fatal Python error: {what}

Current thread 0x00007f{thread} (most recent call first):
  File "{place}/onnxruntime/capi/session.py", line {line} in run
  File "{place}/backends/onnxruntime.py", line 9 in run
  File "{place}/backends/vary.py", line 9 in _repeat
  File "{place}/backends/worker.py", line 9 in serve

Extension modules: numpy._core, google._upb (total: {line})
"""
NATIVE = """!!!!!!! Segfault encountered !!!!!!!
Stack trace:
  3: tvm::relax::Fuse(tvm::Module const&)
        at /build/src/fuse.cc:{line}
  2: tvm::relax::Pass::Apply(int, {thread})
  #4 0x00007f{thread} in tvm_main (argc=1) at /build/main.cc:{line}
  0: 0x{thread}
"""


def dump(words="", what="Segmentation fault", thread="aabb", place="/home/one", line=12):
    return DUMP.format(words=words, what=what, thread=thread, place=place, line=line)


def crash(stderr, message="the worker died of SIGSEGV", stage=Stage.RUN):
    return crash_signature(Outcome.CRASH, stage, message, stderr)


def test_signal_stage_and_the_innermost_frames():
    assert crash(dump()) == "SIGSEGV at run: session.py run < onnxruntime.py run < vary.py _repeat"


def test_what_changes_from_case_to_case_is_left_out():
    one = crash(dump("terminate: node 'v17' at /tmp/x/model.onnx: 3 != 4 (0x7f00)"))
    two = crash(dump("terminate: node 'w2' at /home/y.onnx: 12 != 9 (0xffff)", thread="ccdd", place="/srv", line=99))
    assert one == two
    assert one.startswith("SIGSEGV at run: terminate: node NAME at PATH: N != N (ADDRESS); session.py run")


def test_other_crashes_have_other_words():
    seen = {
        crash(dump()),
        crash(dump(), stage=Stage.COMPILE),
        crash(dump(), "the worker died of SIGABRT"),
        crash(dump("Check failed: rank")),
        crash(dump().replace("session.py", "other.py")),
        crash(""),
    }
    assert len(seen) == 6


def test_native_frames_come_before_those_of_the_interpreter():
    found = crash(NATIVE.format(line=1, thread="aa") + dump(), stage=Stage.COMPILE)
    assert found == crash(NATIVE.format(line=77, thread="bb") + dump(line=3), stage=Stage.COMPILE)
    assert found.endswith("tvm::relax::Fuse < tvm::relax::Pass::Apply < tvm_main")


def test_a_dump_without_frames_still_says_what():
    assert crash("Fatal Python error: Aborted\n") == "SIGSEGV at run: Aborted"


@pytest.mark.parametrize(
    ("message", "words"),
    [("the worker exited with status 3 without an answer", "status 3"),
     ("the worker garbled a message: 12 bytes", "the worker garbled a message: N bytes")],
)  # fmt: skip
def test_a_death_without_a_signal(message, words):
    assert crash_signature(Outcome.CRASH, None, message, "") == words


def test_any_other_outcome_keeps_its_words():
    assert crash_signature(Outcome.REJECTED, Stage.RUN, "rank 3", dump()) == "rank 3"


def test_an_apostrophe_opens_no_name():
    assert normalised("the model's signature: input 'x0' is gone") == "the model's signature: input NAME is gone"


def test_lines_have_an_end():
    assert len(normalised("word " * 1000)) <= 160


def test_the_debuggers_stack_counts_from_where_it_died_to_the_interpreter():
    stack = """native stack:
#0 __pthread_kill_implementation (pthread_kill.c:44)
#1 __GI_raise (raise.c:26)
#2 __GI_abort (abort.c:79)
#3 std::terminate() (libstdc++.so.6)
#4 ov::Node::shape7(int const&) (libopenvino.so.2641)
#5 ov::Node::shape9(int const&) (libopenvino.so.2641)
#6 ?? (libopenvino.so.2641)
#7 ov::validate (libopenvino.so.2641)
#8 cfunction_vectorcall_NOARGS (methodobject.c:486)
#9 PyObject_Vectorcall (call.c:299)"""
    place = "ov::Node::shapeN < ov::validate"
    assert crash(f"{dump()}\n{stack}", "the worker died of SIGABRT") == f"SIGABRT at run: {place}"
