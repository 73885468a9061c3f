"""Calls that may end their process: made once more alone, told, and what a function raises is its caller's."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fuzz.apart import Apart, Died
from fuzz.errors import CaseError


def dies_once(place):
    """Ends its process, but for the second time."""
    if not Path(place).exists():
        Path(place).touch()
        os._exit(3)
    return 7


def dies():
    os.write(2, b"Assertion failed")
    os._exit(3)


def refuses(error):
    raise error


def test_what_ends_its_process_twice_is_told_and_the_next_call_is_answered(capfd):
    with Apart() as apart:
        with pytest.raises(Died, match="reading this case ended the process that did it"):
            apart.call(dies)
        assert apart.call(int, "7", base=8) == 7
    assert capfd.readouterr() == ("", "")  # what a library says as it ends the process is not for the terminal
    assert issubclass(Died, CaseError)


def test_what_ends_its_process_once_is_answered(tmp_path):
    with Apart() as apart:
        assert apart.call(dies_once, tmp_path / "died") == 7


@pytest.mark.parametrize("error", [RuntimeError("mine"), ValueError("mine"), MemoryError("mine")])
def test_what_a_function_raises_is_raised_here(error):
    with Apart() as apart, pytest.raises(type(error), match="mine"):
        apart.call(refuses, error)


def test_threads_that_share_it_get_their_own_answers_while_processes_die_and_are_replaced():
    """Every fourth call ends its process, and a pool is replaced after 7 calls at most."""

    def ask(number):
        try:
            return apart.call(dies) if number % 4 == 0 else apart.call(int, number)
        except Died:
            return None

    with Apart(2, calls=7) as apart, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(ask, range(12)))
    assert answers == [None if number % 4 == 0 else number for number in range(12)]


def test_a_process_outlives_the_thread_that_asked_first():
    with Apart() as apart:
        seen = []
        first = threading.Thread(target=lambda: seen.append(apart.call(os.getpid)))
        first.start()
        first.join()
        assert apart.call(os.getpid) == seen[0]
