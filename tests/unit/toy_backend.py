"""A backend that does whatever the name of the graph says: the worst that a compiler can do to its worker."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from backends.external import read_model
from backends.protocol import OutOfMemory, Rejected, Stage, Unsupported
from backends.tensor import Tensor, to_numpy


def channel() -> int:
    return int(sys.argv[1])


def spin() -> None:
    while True:
        pass


def allocate() -> None:
    held = []
    while True:
        held.append(b"\x01" * (16 << 20))


def print_garbage() -> None:
    for stream in (1, 2):
        os.write(stream, b"\x00\xff\x1b[31mdnf1 garbage {]" * 2000)


def flood() -> None:
    while True:
        os.write(2, b"the same line again\n" * 5000)


def half_a_frame() -> None:
    os.write(channel(), b"dnf1\x10\x00\x00\x00\x00\x00")
    os._exit(0)


def garble() -> None:
    os.write(channel(), b"this is no frame, whatever it may look like")
    time.sleep(1000)


def wrong_fields() -> None:
    from backends.frame import Frame, encode

    for part in encode(Frame("done", {"outcome": "fantastic"})):
        os.write(channel(), part)
    time.sleep(1000)


def unknown_operation() -> None:
    from backends.frame import Frame, encode

    for part in encode(Frame("gossip")):
        os.write(channel(), part)
    time.sleep(1000)


def outputs_that_are_no_list() -> None:
    from backends.frame import Frame, encode

    for part in encode(Frame("outputs", values=[None])):
        os.write(channel(), part)
    time.sleep(1000)


def report() -> None:
    from backends.frame import Frame, encode

    for part in encode(Frame("report", {"runs": 3}, [[None]])):
        os.write(channel(), part)


def laps() -> None:
    from backends.frame import Frame, encode

    for _ in range(3):
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            pass
        for part in encode(Frame("lap")):
            os.write(channel(), part)


def deaf() -> None:
    os.close(channel())
    time.sleep(1000)


def child_and_crash() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    Path(os.environ["TOY_FLAG"]).write_text(str(child.pid), encoding="ascii")
    os.kill(os.getpid(), signal.SIGKILL)


HELD: list[bytes] = []


def hold() -> None:
    HELD.append(b"\x01" * (130 << 20))


def child_allocates() -> None:
    code = "import time\nx = []\nwhile True: x.append(bytearray(b'1' * (8 << 20))); time.sleep(0.01)"
    subprocess.run([sys.executable, "-c", code], check=False)


def overflow() -> None:
    nested: object = ()
    for _ in range(1 << 19):
        nested = (nested,)
    hash(nested)


def crash_once() -> None:
    flag = Path(os.environ["TOY_FLAG"])
    if not flag.exists():
        flag.touch()
        os.write(2, b"the first time hurts\n")
        os.kill(os.getpid(), signal.SIGSEGV)


def home() -> None:
    seen = f"{Path.home()}\n{os.environ.get('XDG_CACHE_HOME')}\n"
    Path(os.environ["TOY_FLAG"]).write_text(seen, encoding="utf-8")


def litter() -> None:
    Path(os.environ["TMPDIR"], "left-behind").write_text("x", encoding="ascii")
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(kind: type[Exception], message: str) -> None:
    raise kind(message)


ACTIONS = {
    "fine": lambda: None,
    "slow": lambda: time.sleep(0.15),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "overflow": overflow,
    "exit": lambda: os._exit(0),
    "exit3": lambda: os._exit(3),
    "sleep": lambda: time.sleep(1000),
    "spin": spin,
    "allocate": allocate,
    "child_allocates": child_allocates,
    "hold": hold,
    "garbage": print_garbage,
    "flood": flood,
    "half_a_frame": half_a_frame,
    "garble": garble,
    "wrong_fields": wrong_fields,
    "unknown_operation": unknown_operation,
    "outputs_that_are_no_list": outputs_that_are_no_list,
    "report": report,
    "laps": laps,
    "deaf": deaf,
    "child_and_crash": child_and_crash,
    "crash_once": crash_once,
    "litter": litter,
    "home": home,
    "lacks": lambda: refuse(Unsupported, "no such operator"),
    "rejects": lambda: refuse(Rejected, "this model is invalid"),
    "no_memory": lambda: refuse(OutOfMemory, "bad_alloc"),
    "python_memory": lambda: refuse(MemoryError, ""),
    "bug": lambda: refuse(TypeError, "the harness has a bug"),
}


RETURNED = {
    "arrays": lambda inputs: [to_numpy(value) for value in inputs],
    "numpy_sizes": lambda _: [Tensor("float", (np.int64(1),), bytes(4))],
    "strings": lambda _: ["text"],
    "nothing": lambda _: None,
}
"""What a careless adapter returns."""
ACTIONS.update(dict.fromkeys(RETURNED, lambda: None))


class Program:
    def __init__(self, name: str) -> None:
        self.name = name
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        action, _, when = self.name.partition("@")
        if when in {"run", f"run{self.runs}"}:
            ACTIONS[action]()
        return RETURNED[action](inputs) if action in RETURNED else list(inputs)


class Toy:
    name = "toy"

    def compile(self, model, folder, options, enter):
        assert options["device"] == "cpu"
        name = read_model(model, folder).graph.name
        action, _, when = name.partition("@")
        if not when:
            ACTIONS[action]()
        enter(Stage.COMPILE)
        if when == "compile":
            ACTIONS[action]()
        return Program(name)


BACKEND = Toy()
