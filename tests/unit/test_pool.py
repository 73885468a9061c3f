"""Pools of processes: Ctrl-C is the driver's, memory is bounded, what has not begun is dropped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from fuzz.pool import process_pool


def interrupt_self() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "alive"


def allocate(size: int) -> int:
    return len(bytearray(size))


def test_a_signal_to_the_group_does_not_end_a_process():
    with process_pool(2) as pool:
        assert pool.submit(interrupt_self).result() == "alive"


def test_memory_is_bounded_in_the_process_and_not_here():
    with process_pool(1, memory=1 << 32) as pool:
        with pytest.raises(MemoryError):
            pool.submit(allocate, 1 << 33).result()
        assert pool.submit(allocate, 10).result() == 10


def test_processes_end_with_a_driver_that_is_killed():
    """They hold their queue open for one another: none sees it close."""
    script = (
        "import sys, time\nfrom fuzz.pool import process_pool\n"
        "with process_pool(2) as pool:\n"
        "    tasks = [pool.submit(time.sleep, 0.01) for _ in range(4)]\n"
        "    [task.result() for task in tasks]\n"
        "    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    children = psutil.Process(driver.pid).children()
    assert children
    driver.kill()
    driver.communicate(timeout=30)  # ends only when the last process that holds the pipe does
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


ORPHANED = """
import multiprocessing, os, signal, sys
from fuzz.pool import process_pool

class Slow:
    'A process that reads this is held up until its driver is gone.'
    text = f"import os, time\\nwhile os.getppid() == {os.getpid()}: time.sleep(0.01)"
    def __reduce__(self):
        return exec, (self.text,)

multiprocessing.set_start_method(sys.argv[1])
if sys.argv[1] == "fork":
    os.register_at_fork(after_in_child=lambda: exec(Slow.text))
with process_pool(1, memory=Slow() if sys.argv[1] == "spawn" else None) as pool:
    pool.submit(print)
    print(*pool._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_a_process_that_was_not_ready_when_its_driver_was_killed_ends_too(way):
    """What a process asks of the kernel comes too late then: it would wait for tasks for good."""
    command = [sys.executable, "-c", ORPHANED, way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        (number,) = driver.stdout.readline().split()
    assert driver.returncode == -signal.SIGKILL
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(number))
        try:
            process.wait(30)
        finally:
            process.kill()


def test_an_error_drops_what_has_not_begun():
    def fail() -> None:
        with process_pool(1) as pool:
            pending.extend(pool.submit(time.sleep, 0.2) for _ in range(50))
            raise KeyboardInterrupt

    pending: list = []
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert sum(future.cancelled() for future in pending) > 40
    assert all(future.done() for future in pending)
