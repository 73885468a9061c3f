"""A process that has imported what commands import and forks them: `python breeder.py SOCKET PROGRAM`, a descriptor.

Half of what most commands take is an interpreter that starts and its imports. A fork is a process of its own as well,
with its arguments, folder, environment and streams; it differs in what is imported already.

A question is one message, JSON, with the descriptors of the command's two streams; its answers are two numbers: the
process, and then its exit status. The socket's end ends this process.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from importlib import import_module

MESSAGE = 1 << 20
# The commands' own modules import nothing heavy before they are called.
HEAVY = (
    "abstract.operators", "fuzz.campaign.campaign", "fuzz.cli.campaign", "fuzz.cli.generator", "fuzz.cli.options",
    "fuzz.cli.progress", "fuzz.cli.tables", "fuzz.cli.targets", "fuzz.execute.run", "fuzz.generate.run",
    "fuzz.judge.run", "fuzz.report.overview", "fuzz.seeds.neighbours", "fuzz.triage.run", "onnx.checker",
    "onnx.shape_inference", "rich.console", "rich.table",
)  # fmt: skip


def become(question: dict, streams: list[int]) -> None:
    """Make this process what it would be, had it been started as asked."""
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(question["environment"])
    os.chdir(question["folder"])
    tempfile.tempdir = None
    sys.argv[1:] = question["arguments"]


def breed(channel: socket.socket) -> bool:
    """Fork what is asked for, until nothing is; whether this is such a fork."""
    while True:
        message, streams, _, _ = socket.recv_fds(channel, MESSAGE, 2)
        if not message:
            return False
        pid = os.fork()
        if pid == 0:
            channel.close()
            become(json.loads(message), streams)
            return True
        for stream in streams:
            os.close(stream)
        channel.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        channel.send(b"%d" % os.waitstatus_to_exitcode(status))


def serve() -> None:
    """Import, then breed; a fork goes on as the console script does."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    program = sys.argv[2]
    # A process that a command spawns begins with its main module.
    sys.argv[:] = [program]
    sys.path[0] = os.path.dirname(program)  # noqa: PTH120 - as the interpreter does it
    sys.modules["__main__"].__file__ = program
    main = import_module("fuzz.cli.main").main
    for module in HEAVY:
        import_module(module)
    if breed(channel):
        sys.exit(main())


if __name__ == "__main__":
    serve()
