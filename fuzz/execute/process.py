"""What the kernel says of a process and its children: resident memory, CPU time."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

__all__ = ["asleep", "cpu_seconds", "resident_bytes", "tree"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> tuple[int, ...]:
    """A process and its descendants; costs a walk over /proc, so ask seldom."""
    try:
        return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))
    except psutil.Error:
        return (pid,)


def resident_bytes(pids: tuple[int, ...]) -> int:
    """Resident memory of processes together; those that are gone count as none."""
    return sum(int(fields[1]) for pid in pids if (fields := _read(pid, "statm"))) * _PAGE


def cpu_seconds(pids: tuple[int, ...]) -> float:
    """CPU time of processes and of their children that have ended, in the kernel's ticks of about 10 ms."""
    ticks = 0
    for pid in pids:
        # The second field is the program's name in parentheses and may itself hold spaces and parentheses.
        fields = _read(pid, "stat", after=b")")
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def asleep(pids: tuple[int, ...]) -> bool:
    """Whether each thread of these processes waits for something other than a processor or a disk."""
    for pid in pids:
        try:
            threads = [task.name for task in Path(f"/proc/{pid}/task").iterdir()]
        except OSError:
            continue
        for thread in threads:
            fields = _read(pid, f"task/{thread}/stat", after=b")")
            if fields and fields[0] in {b"R", b"D"}:
                return False
    return True


def _read(pid: int, name: str, after: bytes = b"") -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - on the hot path of each wait
            content = file.read(4096) or b""
    except OSError:
        return []
    return (content.rpartition(after)[2] if after else content).split()
