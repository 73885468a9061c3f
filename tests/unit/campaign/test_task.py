"""What becomes of a task whose process dies of it."""

from __future__ import annotations

from fuzz.campaign.task import Examine, Reduce
from fuzz.campaign.trial import Exhibit, Failure, Trial


def test_a_seed_is_examined_twice_and_then_told():
    task = Examine(3)
    assert task.after(1, -9) is task
    assert task.after(2, -9) == Trial(3, problem="the process that examined it ended with exit code -9")


def test_a_case_that_cannot_be_reduced_is_kept_as_it_is_and_given_up_last():
    task = Reduce(3, Failure("tvm", "rough", "", "{}"))
    assert task.after(1, -9) is task
    plain = task.after(2, -9)
    assert isinstance(plain, Reduce)
    assert (plain.key, plain.plain) == (task.key, "the process that reduced it ended with exit code -9")
    assert plain.after(3, -11) == Exhibit(3, "tvm", problem="the process that reduced it ended with exit code -11")
