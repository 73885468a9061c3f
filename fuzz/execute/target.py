"""A target: `name[==version][:option=value,...][@device]`, what the user asks to run cases on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.faults.table import FAULTS
from backends.passes import load_passes
from backends.registry import BACKENDS, NO_TELEMETRY, ONE_THREAD, installed_version, is_installed
from fuzz.errors import TargetError, did_you_mean
from fuzz.execute.environment import Environment, find, is_release, normal, recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.entry import Entry
    from fuzz.execute.environment import Recipe

__all__ = [
    "FORM", "MissingEnvironment", "Target", "backend_of", "canonical_text", "parse_recipe", "parse_target",
    "parse_targets", "version_in",
]  # fmt: skip

FORM = re.compile(r"(?P<name>[\w.-]+?)(==(?P<version>[^:@]+))?(:(?P<options>.*?))?(@(?P<device>[a-z0-9]+))?")
"""The form of a target's text."""
_VARIABLE = re.compile(r"env\.[A-Za-z_]\w*")
_VERSION_PROBE = """
import sys
from importlib import metadata
for name in sys.argv[1:]:
    try:
        print(metadata.version(name)); break
    except metadata.PackageNotFoundError:
        pass
"""


class MissingEnvironment(TargetError):
    """A version is asked for that is nowhere here; `install` can make an environment of the recipe."""

    def __init__(self, message: str, entry: Entry, wanted: Recipe) -> None:
        super().__init__(message)
        self.entry = entry
        self.recipe = wanted


@dataclass(frozen=True, slots=True)
class Target:
    """A backend with its settings.

    Attributes:
        canonical: the target's text with its options sorted; two texts that mean the same have the same.
        backend: the registry's name of the backend.
        version: the version that will run; empty where a local build does not say one.
        options: the backend's own options, and ``fault`` where one or more are to be planted in it.
        device: where it runs.
        entry: the registry's row.
        python: the interpreter that the worker runs on.
        environment: variables that the user asks for beside those of the backend.
        home: the folder of the environment that the worker runs in, where it is one of ours.
    """

    canonical: str
    backend: str
    version: str
    options: tuple[tuple[str, str], ...]
    device: str
    entry: Entry
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()
    home: Path | None = None

    def __hash__(self) -> int:
        """Of the text that tells targets apart: that of all fields would take as long as some steps of a judgement."""
        return hash(self.canonical)

    def variables(self) -> dict[str, str]:
        """The variables that the worker's environment gets on top of the driver's."""
        threads = dict(self.options).get("threads", "1")
        shared = {**dict.fromkeys(ONE_THREAD, threads), **NO_TELEMETRY}
        return {**shared, **dict(self.entry.environment), **dict(self.environment)}


def parse_target(text: str, table: Mapping[str, Entry] = BACKENDS) -> Target:
    """Read and check a target.

    Raises:
        TargetError: no such backend, option or device, a value that the option does not take, not installed.
        MissingEnvironment: all is well but for the version that is asked for, which is not installed.
    """
    match = FORM.fullmatch(text.strip())
    if match is None:
        raise TargetError(f"{text!r} is no target: write NAME[==VERSION][:OPTION=VALUE,...][@DEVICE]")
    name, device = match["name"], match["device"]
    entry = _entry(name, table)
    pairs = _pairs(text, match["options"])
    options = {key: value for key, value in pairs.items() if key != "python" and not _VARIABLE.fullmatch(key)}
    _check_options(entry, options)
    _check_device(entry, device)
    version, python, home = _place(entry, match["version"], device, pairs.get("python"))
    _check_passes(entry, version, options)
    return Target(
        canonical=_canonical(match["name"], match["version"], pairs, device, entry),
        backend=name,
        version=version,
        options=tuple(sorted(options.items())),
        device=device or entry.devices[0],
        entry=entry,
        python=python,
        environment=tuple(sorted((key[4:], pairs[key]) for key in pairs if _VARIABLE.fullmatch(key))),
        home=home,
    )


def parse_targets(texts: tuple[str, ...], table: Mapping[str, Entry] = BACKENDS) -> tuple[Target, ...]:
    """Read several targets, each only once, in the order given. Raises `TargetError`."""
    return tuple({target.canonical: target for target in (parse_target(text, table) for text in texts)}.values())


def backend_of(text: str) -> str:
    """The backend that a target's text names; what is no target stays as it is."""
    match = FORM.fullmatch(text.strip())
    return text if match is None else match["name"]


def version_in(text: str) -> str:
    """The version that a target's text asks for; empty where it asks for none."""
    match = FORM.fullmatch(text.strip())
    return "" if match is None else match["version"] or ""


def canonical_text(text: str, table: Mapping[str, Entry] = BACKENDS) -> str:
    """A target's text as results are kept under it; what is no target of a known backend stays as it is."""
    match = FORM.fullmatch(text.strip())
    if match is None or match["name"] not in table:
        return text
    pairs = _pairs(text, match["options"])
    return _canonical(match["name"], match["version"], pairs, match["device"], table[match["name"]])


def parse_recipe(text: str, table: Mapping[str, Entry] = BACKENDS) -> tuple[Entry, Recipe]:
    """Read `name[==version][@device]` as what an environment is to hold.

    Raises:
        TargetError: no such backend or device, no version and none pinned.
    """
    match = FORM.fullmatch(text.strip())
    if match is None or match["options"] is not None:
        raise TargetError(f"{text!r} is nothing to install: write NAME, NAME==VERSION or NAME==VERSION@DEVICE")
    entry = _entry(match["name"], table)
    _check_device(entry, match["device"])
    version = match["version"] or entry.pinned
    if not version:
        raise TargetError(f"{entry.name} names no release of its own: write {entry.name}==VERSION")
    return entry, recipe(entry, version, match["device"] or "")


def _entry(name: str, table: Mapping[str, Entry]) -> Entry:
    if name not in table:
        raise TargetError(f"unknown backend {name!r}: known are {', '.join(sorted(table))}")
    if table[name].problem:
        raise TargetError(table[name].problem)
    return table[name]


def _check_device(entry: Entry, device: str | None) -> None:
    if device is not None and device not in entry.devices:
        raise TargetError(f"{entry.name} runs on {' or '.join(entry.devices)}, not on {device!r}")


def _pairs(text: str, options: str | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in (options or "").split(",") if options is not None else ():
        key, equals, value = item.partition("=")
        if not (key and equals and value):
            raise TargetError(f"{item!r} in {text!r} is no option: write OPTION=VALUE, several joined by commas")
        if key in pairs:
            raise TargetError(f"option {key!r} stands twice in {text!r}")
        pairs[key] = value
    return pairs


def _check_options(entry: Entry, options: Mapping[str, str]) -> None:
    for key, value in options.items():
        if key == "fault":
            _check_faults(entry, value)
            continue
        option = entry.option(key)
        if option is None:
            known = [*(option.name for option in entry.options), "fault", "python", "env.NAME"]
            raise TargetError(f"{entry.name} has no option {key!r}: it has {', '.join(known)}")
        if not option.allows(value):
            raise TargetError(f"{entry.name}:{key}={value}: {key} is {option.allowed}")


def _check_passes(entry: Entry, version: str, options: Mapping[str, str]) -> None:
    """Refuse names that the version of the table does not know: compilers ignore them without a word."""
    table = load_passes(entry.name) if "disable" in options else None
    if table is None or table.version != version:
        return
    for name in options["disable"].split("+"):
        if name not in table.names:
            hint = did_you_mean(name, table.names)
            raise TargetError(
                f"{entry.name} {version} has no pass {name!r}{hint}; `fuzz backends passes {entry.name}` shows them"
            )


def _check_faults(entry: Entry, names: str) -> None:
    """Every backend can have the faults that `fuzz selftest` plants, several joined by +."""
    for name in names.split("+"):
        if name not in FAULTS:
            hint = did_you_mean(name, FAULTS)
            raise TargetError(f"{entry.name}:fault={names}: unknown fault{hint}; `fuzz selftest --list` shows them")


def _place(
    entry: Entry, asked: str | None, device: str | None, python: str | None
) -> tuple[str, str, Path | None]:
    """Which version runs, on which interpreter, in which environment of ours (None: not in one)."""
    if python is not None:
        version = _version(entry, python)
        if asked is not None and not is_release(asked, version):
            raise TargetError(f"{entry.name}=={asked} is asked for, but {python} has {version or 'no such backend'}")
        return version, python, None
    own = installed_version(entry)
    if own is not None and (asked is None or is_release(asked, own)) and _reaches(entry, device):
        _check_gpu(entry, device)
        return own, sys.executable, None
    made = _environment(entry, asked, device, own)
    return made.version, made.python, made.folder


def _environment(entry: Entry, asked: str | None, device: str | None, own: str | None) -> Environment:
    """The environment of a version; where none is asked for, of the one that the project is tested with."""
    wanted = asked or entry.pinned
    made = find(recipe(entry, wanted, device or "")) if wanted else None
    if made is not None or asked is not None:
        _check_gpu(entry, device)
    if made is not None:
        return made
    if asked is not None:
        here = f" ({own} is)" if own is not None and own != asked else ""
        wanted_recipe = recipe(entry, asked, device or "")
        message = f"{wanted_recipe.text} is not installed{here}: fuzz backends install {wanted_recipe.text}"
        raise MissingEnvironment(message, entry, wanted_recipe)
    if own is None:
        raise TargetError(f"{entry.name} is not installed: {entry.install_command()}")
    needed = dict(entry.device_distributions)[device or ""]
    raise TargetError(f"{entry.name}@{device} needs another distribution: pip install {needed}")


def _version(entry: Entry, python: str) -> str:
    if not (Path(python).is_file() and os.access(python, os.X_OK)):
        raise TargetError(f"{python} is no interpreter: give the path of the environment's bin/python")
    try:
        probe = subprocess.run(
            [python, "-I", "-c", _VERSION_PROBE, *entry.distributions],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as problem:
        raise TargetError(f"{python} does not run as a Python interpreter: {problem}") from None
    # A branch built in place may have no distribution; the worker shows whether it can be imported.
    return probe.stdout.strip()


def _check_gpu(entry: Entry, device: str | None) -> None:
    """Refuse a device that this machine does not have."""
    if device == "cuda" and not Path("/dev/nvidiactl").exists():
        raise TargetError(f"{entry.name}@cuda: this machine has no NVIDIA GPU that can be reached")


def _reaches(entry: Entry, device: str | None) -> bool:
    """Whether the driver's own environment has what the device needs."""
    needed = dict(entry.device_distributions).get(device or "")
    return needed is None or is_installed(needed)


def _canonical(name: str, version: str | None, pairs: Mapping[str, str], device: str | None, entry: Entry) -> str:
    text = name if version is None else f"{name}=={normal(version)}"
    if pairs:
        text += ":" + ",".join(f"{key}={pairs[key]}" for key in sorted(pairs))
    return text if device in {None, entry.devices[0]} else f"{text}@{device}"
