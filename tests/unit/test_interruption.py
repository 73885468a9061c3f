"""An interruption at a bad moment is not lost."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, signal, time
from fuzz.interruption import insist

class Last:
    def __del__(self):
        {deed}
        for _ in range(1000):
            pass

insist()
try:
    last = Last()
    del last
    time.sleep({seconds})
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def run(deed, seconds):
    program = PROGRAM.format(deed=deed, seconds=seconds)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)


def test_one_that_a_finalizer_swallows_is_raised_again():
    done = run("os.kill(os.getpid(), signal.SIGINT)", 60)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_other_errors_there_are_told_as_ever():
    done = run("raise ArithmeticError", 0)
    assert done.stdout == "went on\n"
    assert "Exception ignored in: <function Last.__del__" in done.stderr
    assert "ArithmeticError" in done.stderr
