"""Commits of a user's repository, built one after another in a work tree apart."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Self

from fuzz.errors import StorageError, UsageError
from fuzz.execute.environment import cache_folder
from fuzz.execute.group import end_group

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Builds", "Repository"]

_DONE, _FAILED, _LOG = "built", "failed", "build.log"
_TOLD = 160  # characters of the last line of a build that failed


class Repository:
    """A git repository that is only read, but for the list of its work trees."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder: give --repo the repository that is built")
        self.git("rev-parse", "--git-dir")

    def git(self, *arguments: str, within: Path | None = None) -> str:
        """What git prints. Raises UsageError with what it complains of."""
        # A hook or an alias of a shell that calls this inside of another repository must not lead there.
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        try:
            done = subprocess.run(
                ["git", "-C", str(within or self.folder), *arguments], capture_output=True, text=True, check=False,
                errors="replace", env=clean, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as problem:
            raise UsageError(f"git cannot be started: {problem.strerror}; it must be installed") from None
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
            raise UsageError(f"git {arguments[0]} in {self.folder}: {said}")
        return done.stdout.strip()

    def commit(self, revision: str) -> str:
        """The full name of a commit. Raises UsageError."""
        try:
            return self.git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        except UsageError:
            raise UsageError(f"{revision} is no commit of {self.folder}") from None

    def contains(self, commit: str, older: str) -> bool:
        """Whether a commit comes after another, or is it."""
        return self.git("merge-base", older, commit) == older

    def ancestors(self, commit: str) -> list[str]:
        """A commit and those before it, by first parents, newest first."""
        return self.git("rev-list", "--first-parent", commit).split()

    def middle_first(self, bad: str, good: Sequence[str]) -> list[str]:
        """What may have brought it, by how evenly it divides the rest, as ``git bisect`` chooses; `bad` among them."""
        lines = self.git("rev-list", "--bisect-all", bad, *(f"^{each}" for each in good)).splitlines()
        return [line.split()[0] for line in lines]


class Builds:
    """The builds of one repository by one command, kept for a user. A context manager, one process at a time.

    CACHE/builds/<digest>/tree    the work tree
                         /<commit>/            the folder that the command finds in $FUZZ_OUT
                         /<commit>.state       built or failed, and the last line of a build that failed
    """

    def __init__(self, repository: Repository, command: str) -> None:
        whole = f"{repository.folder.resolve()}\n{command}"
        self._repository, self._command = repository, command
        self._place = cache_folder() / "builds" / hashlib.sha256(whole.encode()).hexdigest()[:12]
        self.tree = self._place / "tree"
        self._at = ""

    def __enter__(self) -> Self:
        try:
            self._place.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            said = f"{self._place} cannot be made: {problem.strerror}"
            raise StorageError(f"{said}; set FUZZ_CACHE to a folder") from None
        self._lock = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise UsageError(f"another bisection builds in {self._place}: wait until it has ended") from None
        try:
            if not (self.tree / ".git").exists():
                self._repository.git("worktree", "prune")
                self._repository.git("worktree", "add", "--detach", "--no-checkout", "--force", str(self.tree))
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    def out(self, commit: str) -> Path:
        """What the command leaves of a commit."""
        return self._place / commit

    def log(self, commit: str) -> Path:
        """What the command said."""
        return self.out(commit) / _LOG

    def build(self, commit: str, *, in_tree: bool) -> str:
        """Build a commit; the reason where it cannot be built, else empty.

        ``in_tree`` says that what runs lies in the work tree: that must then be at this commit, whatever was built
        before. What failed once fails again.
        """
        state = self._place / f"{commit}.state"
        word, _, said = state.read_text("utf-8").partition("\n") if state.is_file() else ("", "", "")
        if word == _FAILED:
            return said
        if word == _DONE and (not in_tree or self._at == commit):
            return ""
        self._repository.git("checkout", "--force", "--detach", "--quiet", commit, within=self.tree)
        problem = self._make(commit)
        self._at = "" if problem else commit
        state.write_text(f"{_FAILED}\n{problem}" if problem else _DONE, "utf-8")
        return problem

    def forget(self, commit: str) -> None:
        """Build it anew the next time."""
        (self._place / f"{commit}.state").unlink(missing_ok=True)

    def _make(self, commit: str) -> str:
        out = self.out(commit)
        shutil.rmtree(out, ignore_errors=True)  # what a build left that was interrupted
        out.mkdir()
        variables = {**os.environ, "FUZZ_OUT": str(out), "FUZZ_COMMIT": commit}
        with self.log(commit).open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", self._command], cwd=self.tree, env=variables, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait()
            finally:
                end_group(process)
        if status == 0:
            return ""
        lines = [line for line in self.log(commit).read_text("utf-8", "replace").splitlines() if line.strip()]
        last = f": {lines[-1].strip()[:_TOLD]}" if lines else ""
        return f"the build ended with {status}{last}"
