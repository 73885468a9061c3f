"""The process that runs scripts and builds their models: imports are paid once for all that it is given.

Started as ``python -P -m corpus.worker CHANNEL DRIVER``. CHANNEL is a socket's descriptor that carries a JSON object
a line; DRIVER is the process that started it, with which it ends. A request is a `Request`; events answer it:

    {"event": "caught", "models": [{build, class, hash, parameters, depth, calls, inputs}]}
    {"event": "stage", "build": ..., "stage": ...}
    {"event": "built", "build": ..., "status": ...}
    {"event": "located", "build": ..., "node": ..., "problem": ...}
    {"event": "done", "problem": ..., "builds": [...], "seconds": ...}

What scripts print goes to a file, whose end comes with ``done`` where a script fails.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus import cache as store

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpus.catch import Caught

__all__ = ["Request", "main", "serve"]

_PR_SET_PDEATHSIG = 1
_TAIL = 2000  # characters of what a script printed
_LARGE = 2 << 30  # bytes of resident memory; the libraries alone take less than one GiB
_GROWTH = 1 << 30  # bytes of models and of what libraries keep of them, before all is looked through again
_SELDOM = (20_000, 20, 20)  # allocations before the collector looks through the young, ... of what is left


@dataclass(frozen=True, slots=True)
class Request:
    """One script to run: what of it is wanted, and where its builds go.

    ``stem`` begins the names of the builds; ``pick`` is the hash of the only model that is wanted, if any; ``facts``
    are put into the state of each build and into the source of its case, ``labels`` beside it. Builds in ``skip``
    are not made again. With ``locate`` nothing is built, and the node is told at which a model is
    translated wrongly.
    """

    script: str
    arguments: list[str]
    cache: str
    stem: str
    opset: int
    max_depth: int = 0
    analyze_only: bool = False
    pick: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    skip: list[str] = field(default_factory=list)
    locate: bool = False

    def to_line(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(request: Request, tell: Callable[[dict[str, Any]], None]) -> None:
    """Run a script, build its models, and tell what comes of it."""
    import torch

    from corpus.catch import run_script

    torch.set_num_threads(1)
    start = time.perf_counter()
    run = run_script(Path(request.script), request.arguments, max_depth=request.max_depth)
    script_seconds = time.perf_counter() - start
    wanted = [caught for caught in run.caught if not request.pick or caught.hash == request.pick]
    named = [(f"{request.stem}_{caught.hash}", caught) for caught in wanted]
    tell({"event": "caught", "models": [{"build": name, **_described(caught)} for name, caught in named]})
    for name, caught in named:
        if name in request.skip:
            continue
        if request.locate:
            tell({"event": "located", "build": name, **_located(caught, request.opset)})
            continue
        state = {
            **request.facts, **_described(caught), "script_seconds": round(script_seconds, 4),
            "versions": {"torch": torch.__version__}, "targets": {},
        }  # fmt: skip
        _build(request, name, caught, state, tell)
    problem = "" if run.problem is None else f"{type(run.problem).__name__}: {run.problem}"
    if not problem and not run.caught:
        problem = "the script calls no model"
    elif not problem and not wanted:
        problem = f"no model of the script has the hash {request.pick}; it has {', '.join(c.hash for c in run.caught)}"
    tell({
        "event": "done", "problem": problem, "builds": [name for name, _ in named],
        "seconds": round(script_seconds, 4), "printed": _printed() if problem else "",
    })  # fmt: skip


@dataclass(slots=True)
class Ground:
    """What is there before a script runs, libraries and no model: the garbage collector is not to look through it.

    It holds a million objects, and exporting sets the collector off every few milliseconds. What the libraries kept of
    a model until later would stay for good: where the process has grown past ``limit`` bytes, all is looked through
    again first. That takes a second, so it is not done again before the process has grown by as much again.
    """

    limit: int = _LARGE

    def clear(self) -> None:
        """Collect what the last script has left, and set aside what there is now."""
        grown = _resident() > self.limit
        if grown:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_SELDOM)
        if grown:
            self.limit = max(self.limit, _resident() + _GROWTH)


def _resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _build(
    request: Request, name: str, caught: Caught, state: dict[str, Any], tell: Callable[[dict[str, Any]], None]
) -> None:
    from corpus.build import build
    from corpus.labels import save_to_cache

    cache = Path(request.cache)
    known = store.read_state(cache, name).get("status", "analyzed")
    if request.analyze_only and known != "analyzed":  # what was built already says as much, and more
        tell({"event": "built", "build": name, "status": known})
        return
    folder = store.part(cache, name)

    def stage(word: str) -> None:
        tell({"event": "stage", "build": name, "stage": word})

    if request.analyze_only:
        state["status"] = "analyzed"
    else:
        source = {**request.facts, "hash": caught.hash, "class": state["class"], "arguments": request.arguments}
        state |= build(caught, folder, opset=request.opset, source=source, tell=stage)
    store.write_state(cache, folder.name, state)
    save_to_cache(folder.parent, folder.name, {key: tuple(values) for key, values in request.labels.items()})
    store.place(cache, name, folder)
    tell({"event": "built", "build": name, "status": state["status"]})


def _located(caught: Caught, opset: int) -> dict[str, str]:
    from corpus.build import alive
    from corpus.mistranslation import mistranslated

    try:
        alive(caught, {})
        return {"node": mistranslated(caught, opset), "problem": ""}
    except Exception as problem:  # noqa: BLE001 - that a place is not found must not end the run; it is told
        return {"node": "", "problem": f"{type(problem).__name__}: {problem}"[:200]}


def _described(caught: Caught) -> dict[str, Any]:
    return {
        "class": type(caught.module).__name__,
        "hash": caught.hash,
        "parameters": caught.parameters,
        "depth": caught.depth,
        "calls": caught.calls,
        "inputs": [[place, dtype, list(shape)] for place, dtype, shape in caught.signature],
    }


def _printed() -> str:
    """The end of what scripts printed into the file behind standard output."""
    sys.stdout.flush()
    sys.stderr.flush()
    size = os.fstat(1).st_size
    return os.pread(1, _TAIL, max(size - _TAIL, 0)).decode("utf-8", "replace").strip()


def main(channel: int, driver: int) -> None:
    """Serve requests until the channel closes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != driver:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tempfile.TemporaryFile() as printed, socket.socket(fileno=channel) as connection:
        for descriptor in (1, 2):
            os.dup2(printed.fileno(), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from corpus.preparation import prepare

        def tell(event: dict[str, Any]) -> None:
            connection.sendall(json.dumps(event).encode() + b"\n")

        prepare()
        ground = Ground()
        for line in connection.makefile("rb"):
            printed.truncate(0)
            printed.seek(0)
            ground.clear()
            serve(Request(**json.loads(line)), tell)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
