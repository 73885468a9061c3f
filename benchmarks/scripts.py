"""What a script of a corpus costs over the plain model: labels, parameters, tables; and the catching of its models."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from commands import fuzz
from figure import Clock, Figure, Scale, clock, settled

from corpus.catalogue import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["overhead"]

_PLAIN = {
    "timm/timm.py::resnet18": """
import timm, torch
torch.manual_seed(0)
timm.create_model("resnet18").eval()(torch.rand(1, 3, 224, 224))
""",
    "selftest/linear.py": """
import torch
torch.manual_seed(0)
torch.nn.Linear(10, 5).eval()(torch.rand(1, 10))
""",
}
"""By the name of a model, how one would build and call it without a corpus."""


def overhead(scale: Scale) -> Iterator[Figure]:
    """Wall time of a whole process that calls a model: the script, and `fuzz corpus run`, less the plain."""
    repeats = 2 if scale.quick else 7
    for name, plain in _PLAIN.items():
        walls, cpu = _walls(_ways(name, plain, scale.folder()), repeats)
        for way, label in (("script", "the script of"), ("caught", "`fuzz corpus run --analyze-only` of")):
            yield Figure(
                f"{label} {name}: wall time over the plain model's", round(walls[way] - walls["plain"], 2), "s", 1.5,
                cpu=cpu if way == "script" else None,
                detail=f"{walls[way]:.2f} s against {walls['plain']:.2f} s, median of {repeats} in turns",
            )  # fmt: skip


def _ways(name: str, plain: str, folder: Path) -> Mapping[str, Callable[[], object]]:
    """How the model is called: without a corpus, by its script, and caught."""
    path, _, member = name.partition("::")
    return {
        # What a machine needs before it can import torchvision belongs to all.
        "plain": lambda: _python("-c", f"from corpus.preparation import prepare; prepare()\n{plain}"),
        "script": lambda: _python(str(MODELS / path), *(["--model", member] if member else [])),
        "caught": lambda: fuzz("corpus", "run", name, "--analyze-only", "--rebuild", "always", "-d", folder),
    }


def _walls(ways: Mapping[str, Callable[[], object]], repeats: int) -> tuple[dict[str, float], float]:
    """The median wall time of each way, in turns, after a first turn that warms the disk; and the CPU time of all."""
    times: dict[str, list[Clock]] = {way: [] for way in ways}
    for _ in range(repeats + 1):
        for way, call in ways.items():
            with clock() as spent:
                call()
            times[way].append(spent)
    cpu = sum(spent.cpu for taken in times.values() for spent in taken)
    return {way: settled(taken).wall for way, taken in times.items()}, cpu


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
