"""Environments: for a version of a backend a virtual environment of its own, once for a user, shared by all roots.

    CACHE/environments/onnxruntime==1.20.1-5f0c2d1e/environment.json     what is in it, written last
                                                   /venv/                the environment

Without its `environment.json` a folder is no environment. It is locked while it is built or removed, and for sharing
while a worker runs in it; the kernel takes the locks of a process that is killed. The digits are a digest of what was
asked for, so that two releases of this program with other requirements do not share one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

import backends
from fuzz.errors import StorageError, TargetError
from fuzz.file import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backends.entry import Entry

__all__ = [
    "CONSTRAINTS", "Environment", "Recipe", "cache_folder", "claimed", "clear_abandoned", "distribution",
    "environments", "find", "hold", "is_release", "normal", "recipe", "remove", "undeclare", "write",
]  # fmt: skip

_MANIFEST = "environment.json"
CONSTRAINTS = Path(backends.__file__).parent / "constraints.txt"
"""What the distributions that backends pull in are pinned to."""
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an environment is to hold.

    Attributes:
        backend: the registry's name.
        version: the version that was asked for, in its normal form.
        device: the device where that changes what is installed; else empty.
        requirements: what the installer is given.
        bare: what it is given afterwards, to install without the requirements of these.
    """

    backend: str
    version: str
    device: str
    requirements: tuple[str, ...]
    bare: tuple[str, ...]

    @property
    def text(self) -> str:
        """The target that asks for it."""
        return f"{self.backend}=={self.tag}"

    @property
    def tag(self) -> str:
        """The version, with the device where that matters."""
        return f"{self.version}{self.device and '@' + self.device}"

    @property
    def folder(self) -> Path:
        """Where it lies."""
        digest = hashlib.sha256("\n".join((*self.requirements, "", *self.bare)).encode()).hexdigest()
        return _folder() / f"{self.text}-{digest[:8]}"


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that is there: its recipe, the backend's version in it, all distributions, where it lies."""

    recipe: Recipe
    version: str
    installed: Mapping[str, str]
    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "venv" / "bin" / "python")

    @property
    def usable(self) -> bool:
        """Whether its interpreter is still there: it goes with the Python that the environment was made from."""
        return os.access(self.python, os.X_OK)


def cache_folder() -> Path:
    """Where environments are kept: $FUZZ_CACHE, else dnnfuzz in $XDG_CACHE_HOME, else in ~/.cache."""
    own = os.environ.get("FUZZ_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    # The standard that names the variable has relative paths ignored.
    return (shared if shared.is_absolute() else Path("~/.cache").expanduser()) / "dnnfuzz"


def _folder() -> Path:
    return cache_folder() / "environments"


def normal(version: str) -> str:
    """The one way in which a version is written here, of all that PEP 440 calls equal: ``1.20.0`` gives ``1.20``.

    Zeros at the end of the release go but for the first two numbers, or three where more follows: ``0.27.0.post1``.
    What is no version stays as it is.
    """
    try:
        read = Version(version)
    except InvalidVersion:
        return version
    least = 3 if read.is_prerelease or read.is_postrelease else 2
    numbers = [*read.release, 0, 0][: max(least, len(read.release))]
    while len(numbers) > least and numbers[-1] == 0:
        numbers.pop()
    # What stands around the numbers of the release stays as it is.
    epoch = f"{read.epoch}!" if read.epoch else ""
    return str(read).replace(f"{epoch}{'.'.join(map(str, read.release))}", f"{epoch}{'.'.join(map(str, numbers))}", 1)


def is_release(asked: str, there: str) -> bool:
    """Whether what is there is the version that is asked for, as an installer reads ``==``.

    What stands behind a plus tells apart builds of one release: torch 2.13.0+cpu is a torch 2.13.
    """
    return normal(asked) in {normal(there), normal(there.partition("+")[0])}


def recipe(entry: Entry, version: str, device: str = "") -> Recipe:
    """What to install for a version of a backend. Requirements pinned to the same version as the first move with it.

    Raises `TargetError` for what is no version.
    """
    try:
        Version(version)
    except InvalidVersion:
        raise TargetError(f"{version!r} is no version: write {entry.name}=={entry.pinned or '1.2.3'}") from None
    version = normal(version)
    pinned = dict(entry.device_distributions).get(device)
    requirements = [_moved(text, entry.pinned, version) for text in entry.requirements]
    if pinned is not None and pinned in entry.distributions:
        requirements[0] = f"{pinned}=={version}"
    elif pinned is not None:
        requirements.append(pinned)
    older = [text for before, texts in entry.older if _release(version) < _release(before) for text in texts]
    named = {distribution(text) for text in (*requirements, *older)}
    adapter = [text for text in entry.adapter if distribution(text) not in named]
    return Recipe(
        entry.name, version, device if pinned is not None else "", (*requirements, *older, *adapter), entry.bare
    )


def _moved(requirement: str, pinned: str, version: str) -> str:
    name, _, pin = requirement.partition("==")
    return f"{name}=={version}" if pin == pinned else requirement


def distribution(requirement: str) -> str:
    """The normal form of the name that a requirement begins with."""
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else requirement


def _release(version: str) -> tuple[int, ...]:
    """The numbers with which a version begins, for comparing: ``1.20.1rc1`` gives (1, 20, 1)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, match[0].split("."))) if match else ()


def find(wanted: Recipe) -> Environment | None:
    """The environment of a recipe, None where it is not there or its interpreter has gone."""
    made = _read(wanted.folder)
    return made if made is not None and made.usable else None


def _read(folder: Path) -> Environment | None:
    """The environment in a folder, None where there is none."""
    try:
        content = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        asked = content["recipe"]
        made = Recipe(
            asked["backend"], asked["version"], asked["device"], tuple(asked["requirements"]), tuple(asked["bare"])
        )
        return Environment(made, content["version"], content["installed"], folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(environment: Environment) -> None:
    """Declare an environment finished: from here on it is one."""
    content = {
        "recipe": asdict(environment.recipe), "version": environment.version,
        "installed": dict(environment.installed),
    }  # fmt: skip
    write_json(environment.folder / _MANIFEST, content)


def environments(backend: str | None = None) -> list[Environment]:
    """All environments, or those of one backend, by backend and version."""
    found = [made for folder in _folders() if (made := _read(folder)) is not None]
    found = [made for made in found if backend in {None, made.recipe.backend}]
    return sorted(found, key=lambda made: (made.recipe.backend, _release(made.version), made.folder.name))


def remove(environment: Environment) -> None:
    """Remove an environment. Raises `TargetError` where it is in use, `StorageError` where it cannot be removed."""
    lock = _lock(environment.folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        if not environment.folder.exists():
            return
        raise TargetError(f"the environment of {environment.recipe.text} is in use: wait until that run has ended")
    try:
        (environment.folder / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(environment.folder)
    except OSError as problem:
        raise StorageError(f"{environment.folder} cannot be removed: {problem.strerror}") from None
    finally:
        os.close(lock)


def undeclare(folder: Path) -> None:
    """Make an environment's folder, which is locked, an empty one that counts as none."""
    (folder / _MANIFEST).unlink(missing_ok=True)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def clear_abandoned() -> None:
    """Remove what builds left behind that were killed."""
    for folder in _folders():
        lock = None if _is_finished(folder) else _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            continue
        # It may have been finished between the look and the lock.
        if not _is_finished(folder):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def hold(folder: Path) -> int:
    """The descriptor that keeps an environment from being removed while it is open.

    Raises `TargetError` where it is just being removed.
    """
    lock = _lock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    if lock is None:
        raise TargetError(f"the environment {folder.name} is being removed: run the same command again")
    return lock


@contextlib.contextmanager
def claimed(folder: Path, wait: Callable[[], None]) -> Iterator[int]:
    """Own the folder of an environment that is to be built; yields the descriptor that locks it.

    ``wait`` is called where another process owns it, before waiting for that. A folder that has no manifest at the
    end is removed. Raises `StorageError` where it cannot be made.
    """
    lock = _claim(folder, wait)
    try:
        yield lock
    finally:
        if not _is_finished(folder):
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _claim(folder: Path, wait: Callable[[], None]) -> int:
    waited = False
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise StorageError(f"{folder} cannot be made: {problem.strerror}; set FUZZ_CACHE to a folder") from None
        lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None and not waited:
            waited = True
            wait()
        if lock is None:
            lock = _lock(folder, fcntl.LOCK_EX)
        if lock is not None:
            return lock
        # The other process did not finish, and took the folder with it.


def _lock(folder: Path, mode: int) -> int | None:
    """The descriptor of a folder, locked; None where it is locked already or gone, also while waiting for it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, mode)
        if os.path.samestat(os.fstat(descriptor), folder.stat(follow_symlinks=False)):
            return descriptor
    except OSError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_finished(folder: Path) -> bool:
    return (folder / _MANIFEST).is_file()


def _folders() -> list[Path]:
    place = _folder()
    return sorted(folder for folder in place.iterdir() if folder.is_dir()) if place.is_dir() else []
