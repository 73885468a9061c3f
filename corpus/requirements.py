"""Which distributions a corpus needs, what of them is missing, and the commands that install that.

Wheels of torchvision name one release of torch each, and timm asks for torchvision: both are installed without what
they ask for, so that torch stays as it is.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata, util
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["NEEDS", "TRANSLATOR", "InstallError", "commands", "install", "installed", "lacking"]

_TIMM = ("torch", "huggingface-hub", "numpy", "pillow", "PyYAML", "safetensors", "timm", "torchvision")

NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "selftest": ("torch",),
    "transformers": ("torch", "transformers"),
    "timm": _TIMM,
    "torchvision": ("torch", "numpy", "pillow", "torchvision"),
    "torch_hub": _TIMM,
    "diffusers": ("torch", "diffusers", "transformers"),
    "graph_convolutions": ("torch", "torch-geometric"),
    "nas_families": ("torch",),
    "popular_on_huggingface": ("torch", "transformers"),
})  # fmt: skip
"""Distributions by corpus, beside the `TRANSLATOR`."""
TRANSLATOR = ("torch", "onnxscript")
"""What torch needs to make an ONNX model of anything."""

_BARE = frozenset({"timm", "torchvision"})


class InstallError(RuntimeError):
    """An installer that did not do what it was asked for; one line."""


def installed(corpora: Iterable[str]) -> dict[str, str | None]:
    """The distributions that corpora need, and which release of each is in this environment; None where it is not."""
    asked = [*corpora]
    needs = [*(need for corpus in asked for need in NEEDS[corpus]), *(TRANSLATOR if asked else ())]
    return {name: _version(name) for name in dict.fromkeys(needs)}


def lacking(corpora: Iterable[str], *, translates: bool) -> dict[str, list[str]]:
    """By corpus the distributions that it needs and that are not here; one of a stranger's needs torch, at the least.

    Those of the translator count where it ``translates``.
    """
    found = {}
    for corpus in sorted(set(corpora)):
        needs = dict.fromkeys((*NEEDS.get(corpus, TRANSLATOR[:1]), *(TRANSLATOR if translates else ())))
        found[corpus] = [name for name in needs if _version(name) is None]
    return {corpus: names for corpus, names in found.items() if names}


def commands(missing: Sequence[str], constraints: Path) -> list[list[str]]:
    """The commands that install distributions into this environment, in releases that a file of constraints names.

    Raises:
        InstallError: there is no installer.
    """
    from shutil import which

    if util.find_spec("pip") is not None:
        install = [sys.executable, "-m", "pip", "install"]
    elif uv := which("uv"):
        install = [uv, "pip", "install", "--python", sys.executable]
    else:
        raise InstallError("neither pip nor uv is here to install with: `python -m ensurepip` brings pip")
    install += ["--constraint", str(constraints)]
    whole, bare = [name for name in missing if name not in _BARE], [name for name in missing if name in _BARE]
    return [[*install, *whole]] * bool(whole) + [[*install, "--no-deps", *bare]] * bool(bare)


def install(command: Sequence[str]) -> None:
    """Run one of the commands; what it says goes to standard error.

    Raises:
        InstallError: it failed.
    """
    status = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    if status:
        raise InstallError(f"the installer ended with {status}: its last lines above say why")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
