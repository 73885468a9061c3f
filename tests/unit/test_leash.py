"""A command under a leash ends as it would by itself, and with its driver, whatever it has started."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from fuzz.execute.group import end_group, leashed

SLEEPER = "import time; print('here', flush=True); time.sleep(600)"
# Starts a command under a leash, which starts another one; says their numbers, and is killed.
DRIVER = f"""
import os, signal, subprocess, sys
import psutil
from fuzz.execute.group import leashed
inner = "import subprocess, sys; subprocess.call([sys.executable, '-c', sys.argv[1]])"
command, pipe = leashed([sys.executable, "-c", inner, {SLEEPER!r}]), subprocess.PIPE
process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
process.stdout.readline()
print(process.pid, *(one.pid for one in psutil.Process(process.pid).children(recursive=True)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def run(script):
    with subprocess.Popen(
        leashed([sys.executable, "-c", script]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        return process.stdout.read(), process.wait()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_its_status_is_that_of_the_command(number):
    assert run(f"import sys; print('said'); sys.exit({number})") == ("said\n", number)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_it_dies_of_what_the_command_dies_of(number):
    assert run(f"import os; os.kill(os.getpid(), {int(number)})") == ("", -number)


def test_what_cannot_be_started_is_said():
    with subprocess.Popen(
        leashed(["/there/is/none"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert "No such file or directory: '/there/is/none'" in process.stdout.read()
    assert process.returncode == 127


def test_all_of_it_ends_with_a_driver_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        numbers = driver.stdout.readline().split()
    assert driver.returncode == -signal.SIGKILL
    assert len(numbers) == 3
    left = [psutil.Process(number) for number in map(int, numbers) if psutil.pid_exists(number)]
    _, alive = psutil.wait_procs(left, timeout=30)
    for process in alive:
        process.kill()
    assert not alive


def test_it_can_be_ended_by_its_driver():
    process = subprocess.Popen(
        leashed([sys.executable, "-c", SLEEPER]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        inside = psutil.Process(process.pid).children()
        end_group(process)
    gone, _ = psutil.wait_procs(inside, timeout=30)
    assert gone == inside
