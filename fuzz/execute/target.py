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
from backends.registry import BACKENDS, ONE_THREAD, installed_version, is_installed
from fuzz.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.registry import Entry

__all__ = ["Target", "parse_target", "parse_targets"]

_FORM = re.compile(r"(?P<name>[\w.-]+?)(==(?P<version>[^:@]+))?(:(?P<options>.*?))?(@(?P<device>[a-z0-9]+))?")
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


@dataclass(frozen=True, slots=True)
class Target:
    """A backend with its settings.

    Attributes:
        canonical: the target's text with its options sorted; two texts that mean the same have the same.
        backend: the registry's name of the backend.
        version: the version that will run; empty where a local build does not say one.
        options: the backend's own options, and ``fault`` where one is to be planted in it.
        device: where it runs.
        entry: the registry's row.
        python: the interpreter that the worker runs on.
        environment: variables that the user asks for beside those of the backend.
    """

    canonical: str
    backend: str
    version: str
    options: tuple[tuple[str, str], ...]
    device: str
    entry: Entry
    python: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()

    def variables(self) -> dict[str, str]:
        """The variables that the worker's environment gets on top of the driver's."""
        threads = dict(self.options).get("threads", "1")
        return {**dict.fromkeys(ONE_THREAD, threads), **dict(self.entry.environment), **dict(self.environment)}


def parse_target(text: str, table: Mapping[str, Entry] = BACKENDS) -> Target:
    """Read and check a target.

    Raises:
        TargetError: no such backend, option or device, a value that the option does not take, not installed.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise TargetError(f"{text!r} is no target: write NAME[==VERSION][:OPTION=VALUE,...][@DEVICE]")
    name, device = match["name"], match["device"]
    if name not in table:
        raise TargetError(f"unknown backend {name!r}: known are {', '.join(sorted(table))}")
    entry = table[name]
    pairs = _pairs(text, match["options"])
    python = pairs.get("python", sys.executable)
    options = {key: value for key, value in pairs.items() if key != "python" and not _VARIABLE.fullmatch(key)}
    _check_options(entry, options)
    if device is not None and device not in entry.devices:
        raise TargetError(f"{name} runs on {' or '.join(entry.devices)}, not on {device!r}")
    version = _version(entry, pairs.get("python"))
    if match["version"] not in {None, version}:
        raise TargetError(
            f"{name}=={match['version']} is asked for but {version} is installed: "
            f"other versions are not supported yet; write {name}"
        )
    if device is not None and "python" not in pairs:
        _check_device(entry, device)
    return Target(
        canonical=_canonical(match["name"], match["version"], pairs, device, entry),
        backend=name,
        version=version,
        options=tuple(sorted(options.items())),
        device=device or entry.devices[0],
        entry=entry,
        python=python,
        environment=tuple(sorted((key[4:], pairs[key]) for key in pairs if _VARIABLE.fullmatch(key))),
    )


def parse_targets(texts: tuple[str, ...], table: Mapping[str, Entry] = BACKENDS) -> tuple[Target, ...]:
    """Read several targets, each only once, in the order given. Raises `TargetError`."""
    return tuple({target.canonical: target for target in (parse_target(text, table) for text in texts)}.values())


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
            _check_fault(entry, value)
            continue
        option = entry.option(key)
        if option is None:
            known = [*(option.name for option in entry.options), "fault", "python", "env.NAME"]
            raise TargetError(f"{entry.name} has no option {key!r}: it has {', '.join(known)}")
        if not option.allows(value):
            raise TargetError(f"{entry.name}:{key}={value}: {key} is {option.allowed}")


def _check_fault(entry: Entry, name: str) -> None:
    """Every backend can have one of the faults that `fuzz selftest` plants."""
    if name not in FAULTS:
        from difflib import get_close_matches

        close = get_close_matches(name, FAULTS, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise TargetError(f"{entry.name}:fault={name}: unknown fault{hint}; `fuzz selftest --list` shows them")


def _version(entry: Entry, python: str | None) -> str:
    if python is None:
        version = installed_version(entry)
        if version is None:
            raise TargetError(f"{entry.name} is not installed: {entry.install_command()}")
        return version
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


def _check_device(entry: Entry, device: str) -> None:
    """Refuse a device whose distribution is missing or that this machine does not have. Imports nothing heavy."""
    needed = dict(entry.device_distributions).get(device)
    if needed is not None and not is_installed(needed):
        raise TargetError(f"{entry.name}@{device} needs another distribution: pip install {needed}")
    if device == "cuda" and not Path("/dev/nvidiactl").exists():
        raise TargetError(f"{entry.name}@cuda: this machine has no NVIDIA GPU that can be reached")


def _canonical(name: str, version: str | None, pairs: Mapping[str, str], device: str | None, entry: Entry) -> str:
    text = name if version is None else f"{name}=={version}"
    if pairs:
        text += ":" + ",".join(f"{key}={pairs[key]}" for key in sorted(pairs))
    return text if device in {None, entry.devices[0]} else f"{text}@{device}"
