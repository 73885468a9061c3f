"""What the kernel says of a process and its children: resident memory, CPU time."""

from __future__ import annotations

import os

import psutil

__all__ = ["cpu_seconds", "resident_bytes", "tree"]

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


def _read(pid: int, name: str, after: bytes = b"") -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - on the hot path of each wait
            content = file.read(4096) or b""
    except OSError:
        return []
    return (content.rpartition(after)[2] if after else content).split()
