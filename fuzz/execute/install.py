"""Building an environment: uv or pip, each under a leash, until a worker starts in it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz.errors import TargetError
from fuzz.execute.environment import (
    CONSTRAINTS,
    Environment,
    claimed,
    clear_abandoned,
    distribution,
    find,
    undeclare,
    write,
)
from fuzz.execute.group import end_group, leashed
from fuzz.execute.target import Target
from fuzz.execute.worker import Limits, Worker, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from backends.entry import Entry
    from fuzz.execute.environment import Recipe

__all__ = ["install"]

_CONTENT = """
import json
from importlib import metadata
print(json.dumps({d.metadata["Name"]: d.version for d in metadata.distributions()}))
"""
# What installers say where the constraints do not fit what a release asks for, or this Python.
_CONTRADICTION = re.compile(r"ResolutionImpossible|conflicting|unsatisfiable|No matching distribution|no version of")
_KEPT = 400  # lines of an installer's output
_TOLD = 3  # of them in a message
_WIDTH = 240  # characters of each of these
_ERROR = re.compile(r"^\s*(error|fatal|cause|×|╰)", re.IGNORECASE)
_VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")
_SHOWN = 8  # versions of a list that is too long for a line
_HINTS = (
    (
        r"from versions: none|not found in the package registry",
        "no release for this Python ({python}) can be found, or the package index not be reached",
    ),
    (r"No matching distribution|no version of", "choose a release that is there for this Python ({python})"),
    (r"ResolutionImpossible|conflicting|unsatisfiable", "its requirements contradict one another"),
    (r"No space left", "free some space, or set FUZZ_CACHE to a folder elsewhere"),
    (r"", "`fuzz backends install {text} --verbose` shows all that the installer says"),
)


@dataclass(frozen=True, slots=True)
class _Build:
    """One build in a folder that is claimed: the recipe, the driver's lock, who hears what the installer says."""

    entry: Entry
    recipe: Recipe
    lock: int
    python: str
    hear: Callable[[str], None]

    @property
    def place(self) -> Path:
        return self.recipe.folder / "venv"

    def make(self) -> Environment:
        """Install, look at what came, and start a worker there."""
        undeclare(self.recipe.folder)
        make, add = self._installer()
        self._must(make)
        self._add(add)
        if self.recipe.bare:
            self._must([*add, "--no-deps", *self.recipe.bare])
        interpreter = str(self.place / "bin" / "python")
        status, lines = self._run([interpreter, "-I", "-c", _CONTENT])
        installed: dict[str, str] = json.loads(lines[-1]) if status == 0 and lines else {}
        names = {_plain(name): version for name, version in installed.items()}
        version = next((names[_plain(name)] for name in self.entry.distributions if _plain(name) in names), None)
        if version is None:
            raise TargetError(f"{self.recipe.text}: none of {', '.join(self.entry.distributions)} came to be installed")
        made = Environment(self.recipe, version, dict(sorted(installed.items())), self.recipe.folder)
        self._try(made)
        write(made)
        return made

    def _installer(self) -> tuple[list[str], list[str]]:
        """The commands that make the environment, and that put into it what stands behind them."""
        interpreter = str(self.place / "bin" / "python")
        uv = shutil.which("uv")
        if uv is not None:
            return (
                [uv, "venv", "--quiet", "--python", self.python, str(self.place)],
                [uv, "pip", "install", "--python", interpreter],
            )
        if importlib.util.find_spec("pip") is None:
            raise TargetError(f"{self.recipe.text} cannot be installed: neither uv nor pip is here, and one is needed")
        return [self.python, "-I", "-m", "venv", "--without-pip", str(self.place)], [
            sys.executable, "-I", "-m", "pip", "--python", interpreter, "install", "--no-input",
            "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off",
        ]  # fmt: skip

    def _add(self, add: Sequence[str]) -> None:
        """Install the requirements, with as many companions pinned as the release gets along with."""
        for pins in self._constraints():
            file = self.recipe.folder / "constraints.txt"
            file.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
            status, lines = self._told([*add, "--constraint", str(file), *self.recipe.requirements])
            if status == 0:
                return
            if not pins or not _CONTRADICTION.search("\n".join(lines)):
                raise TargetError(_failure(self.recipe, lines))
            self.hear(f"{self.recipe.text} does not get along with the companions that are pinned: with fewer of them")

    def _constraints(self) -> list[list[str]]:
        """What companions are pinned to: all of them, those of the adapter, none."""
        named = {distribution(text) for text in self.recipe.requirements if re.search("[<=>~]", text)}
        adapter = {distribution(text) for text in self.entry.adapter}
        lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if "==" in line and distribution(line) not in named]
        return [pins, [pin for pin in pins if distribution(pin) in adapter], []]

    def _must(self, command: Sequence[str]) -> None:
        status, lines = self._told(command)
        if status:
            raise TargetError(_failure(self.recipe, lines))

    def _told(self, command: Sequence[str]) -> tuple[int, list[str]]:
        self.hear(f"$ {' '.join(command)}")
        return self._run(command)

    def _run(self, command: Sequence[str]) -> tuple[int, list[str]]:
        """Run a command to its end: its status and the last lines that it printed, on either stream."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        lines: deque[str] = deque(maxlen=_KEPT)
        with subprocess.Popen(
            leashed(command),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env=environment, start_new_session=True, pass_fds=(self.lock,),
        ) as process:  # fmt: skip
            try:
                for line in process.stdout or ():
                    lines.append(line.rstrip())
                    self.hear(lines[-1])
                return process.wait(), list(lines)
            except BaseException:
                end_group(process)
                raise

    def _try(self, made: Environment) -> None:
        """What cannot be imported is no environment."""
        self.hear("starting a worker in it")
        target = Target(
            canonical=self.recipe.text, backend=self.entry.name, version=made.version, options=(),
            device=self.recipe.device or self.entry.devices[0], entry=self.entry, python=made.python,
        )  # fmt: skip
        try:
            Worker(target, Limits(60.0, 4 << 30), threading.Event()).close()
        except WorkerError as problem:
            raise TargetError(f"{self.recipe.text} was installed and does not work: {problem}") from None


def install(
    entry: Entry, recipe: Recipe, *, python: str | None = None, hear: Callable[[str], None] = lambda _: None
) -> tuple[Environment, bool]:
    """The environment of a recipe, built where it is missing; and whether it was built now.

    Of several processes that ask for the same one at a time, one builds it and the others wait.

    Args:
        entry: the backend's row.
        recipe: what to install (`fuzz.execute.environment.recipe`).
        python: the interpreter that it is made from; by default this one.
        hear: is told each line that the installer prints.

    Raises:
        TargetError: it cannot be installed; what the installer said, in a line.
        StorageError: the folder cannot be made.
    """
    made = find(recipe)
    if made is not None:
        return made, False
    clear_abandoned()
    with claimed(recipe.folder, lambda: hear("another process is installing it: waiting")) as lock:
        made = find(recipe)
        if made is not None:
            return made, False
        return _Build(entry, recipe, lock, python or sys.executable, hear).make(), True


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _failure(recipe: Recipe, lines: Sequence[str]) -> str:
    """What an installer that failed said last, in one line, with a hint."""
    text = "\n".join(lines)
    said = [line for line in lines if _ERROR.match(line)] or [line for line in lines if line.strip()]
    told = " / ".join(_VERSIONS.sub(_few, line.strip())[:_WIDTH] for line in said[-_TOLD:]) or "the installer failed"
    hint = next(hint for pattern, hint in _HINTS if re.search(pattern, text))
    python = ".".join(map(str, sys.version_info[:2]))
    return f"{recipe.text} cannot be installed: {told} ({hint.format(text=recipe.text, python=python)})"


def _few(match: re.Match[str]) -> str:
    versions = match[1].split(", ")
    return match[0] if len(versions) <= _SHOWN else f"(the newest: {', '.join(versions[-_SHOWN:])})"
