"""A cache: what became of the models that were run, a folder for each.

    <cache>/<build>/state.json              all that is known of the model, see `State`
    <cache>/<build>/labels.json             its labels
    <cache>/<build>/model.onnx              and test_data_set_0, case.json: a standard test case, where it was exported
    <cache>/<build>/graph.json              the traced graph
    <cache>/<build>/precise/output_N.pb     the outputs in float64
    <cache>/.scripts/<digest>.json          which builds came of a script with these arguments

A build's folder is moved into place when it is complete, so that a kill leaves none by halves.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.file import PART, move, part_of, read_json, write_json
from corpus.labels import FILE as LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "MODEL", "SCRIPTS", "STATE", "TRACE", "builds", "clean", "default_cache", "forget", "part", "place",
    "read_script", "read_state", "script_key", "statistics", "sweep", "write_script", "write_state",
]  # fmt: skip

STATE, MODEL, TRACE, SCRIPTS = "state.json", "model.onnx", "graph.json", ".scripts"


def default_cache() -> Path:
    """$FUZZ_CORPUS_CACHE, else dnnfuzz/corpus in the user's cache folder."""
    own = os.environ.get("FUZZ_CORPUS_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dnnfuzz" / "corpus"


def builds(cache: Path) -> list[str]:
    """The names of all builds, sorted; none where there is no cache."""
    if not cache.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(cache)
        if not entry.name.startswith(".") and (cache / entry.name / STATE).is_file()
    )


def read_state(cache: Path, build: str) -> dict[str, Any]:
    """What is known of a build; empty where its file is missing or broken."""
    return read_json(cache / build / STATE)


def write_state(cache: Path, build: str, state: Mapping[str, Any]) -> None:
    """Replace what is known of a build, whole or not at all. Raises OSError."""
    write_json(cache / build / STATE, state)


def part(cache: Path, build: str) -> Path:
    """An empty folder in which a build can grow. Raises OSError."""
    folder = part_of(cache / build)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def place(cache: Path, build: str, folder: Path) -> None:
    """Move what `part` gave to where the build belongs; an earlier one goes. Raises OSError."""
    move(folder, cache / build)


# --- which builds came of a script ------------------------------------------------------------------------------------


def script_key(
    script: Path, arguments: Sequence[str], row: str, *, opset: int, max_depth: int, analyze_only: bool
) -> str:
    """What names a run of a script: its text, the row of its family's table, its arguments, what was asked for."""
    total = hashlib.sha256(script.read_bytes())
    rest = [str(script.resolve()), list(arguments), row, opset, max_depth, analyze_only]
    total.update(json.dumps(rest).encode())
    return total.hexdigest()[:20]


def read_script(cache: Path, key: str) -> dict[str, Any]:
    """What became of a run of a script; empty where it was not run, or not to its end."""
    return read_json(cache / SCRIPTS / f"{key}.json")


def write_script(cache: Path, key: str, record: Mapping[str, Any]) -> None:
    """Keep what became of a run of a script. Raises OSError."""
    write_json(cache / SCRIPTS / f"{key}.json", record)


# --- statistics and cleaning ---------------------------------------------------------------------------------------


def statistics(cache: Path) -> dict[str, Any]:
    """How many builds there are, what became of them, and how many bytes they take."""
    words: dict[str, int] = {}
    names = builds(cache)
    for name in names:
        word = str(read_state(cache, name).get("status", "unknown"))
        words[word] = words.get(word, 0) + 1
    size = sum(path.stat().st_size for path in _files(cache)) if cache.is_dir() else 0
    return {"cache": str(cache), "builds": len(names), "status": dict(sorted(words.items())), "bytes": size}


def clean(cache: Path, names: Sequence[str], *, whole: bool) -> int:
    """Remove the large files of some builds (``whole``: all of them); the bytes that are free now. Raises OSError.

    What the report tells of a build stays, unless it goes as a whole.
    """
    freed = 0
    for name in names:
        folder = cache / name
        freed += sum(path.stat().st_size for path in _files(folder))
        if whole:
            forget(cache, name)
            continue
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            elif entry.name not in {STATE, LABELS}:
                Path(entry.path).unlink()
        freed -= sum(path.stat().st_size for path in _files(folder))
    return freed


def sweep(cache: Path) -> None:
    """Remove what runs that were killed have left by halves; what a process that lives writes has its number in it."""
    for left in cache.glob(f"{PART}*"):
        if not _alive(left.name):
            shutil.rmtree(left, ignore_errors=True)


def forget(cache: Path, name: str) -> None:
    """Remove a build, and the runs of scripts that it came of, so that they run again. Raises OSError."""
    for path in (cache / SCRIPTS).glob("*.json"):
        if name in read_json(path).get("builds", ()):
            path.unlink()
    shutil.rmtree(cache / name)


def _alive(name: str) -> bool:
    try:
        os.kill(int(name.removeprefix(PART).partition("-")[0]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
