"""What the kernel says of processes: whether they wait or want a processor."""

from __future__ import annotations

import subprocess
import sys

from fuzz.execute.process import asleep


def started(code):
    process = subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{code}"], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_process_that_waits_is_asleep_and_one_that_works_is_not():
    """The second is looked at while it does nothing else, starved or not: it is runnable either way."""
    with started("import threading\nthreading.Event().wait()") as waits, started("while True: pass") as works:
        try:
            while not asleep((waits.pid,)):  # it has printed, and is about to wait
                pass
            assert not asleep((works.pid,))
            assert not asleep((waits.pid, works.pid))
        finally:
            waits.kill()
            works.kill()
    assert asleep((waits.pid,))
