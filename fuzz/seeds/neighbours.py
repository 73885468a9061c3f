"""`fuzz gen --from MODEL`: cases near to a model, of its windows and of the model as a whole.

Three seeds of four make models of its windows, mixed with random nodes; every fourth makes a mutant of the whole model
(`fuzz.mutate`), where it is small enough for the reference. A seed of which no mutant comes makes one of windows.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import onnx
from google.protobuf.message import DecodeError

from fuzz.case import Case, data_sets_of, open_root
from fuzz.errors import UsageError
from fuzz.generate.run import generate_cases
from fuzz.mutate.run import mutate
from fuzz.seeds.mine import Mined, find_models, mine, written
from fuzz.seeds.stock import stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fuzz.generate.settings import Settings

__all__ = ["WINDOWS", "Neighbours", "neighbours"]

WINDOWS = "windows.jsonl"
"""Where in the root the windows of the models lie."""

_EVERY = 4  # seeds for one mutant of a whole model
_LARGEST = 1 << 22  # elements of the constants of a model that is mutated as a whole
_KINDS = ("inputs", "attributes", "types", "shapes")


@dataclass(slots=True)
class Neighbours:
    """What was made: cases of windows and mutants of whole models; why no mutant came of a try, by kind of reason."""

    root: str
    cases: int = 0
    nodes: int = 0
    seconds: float = 0.0
    windows: int = 0
    mutants: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    large: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints: that of `fuzz gen`, and what came of the models."""
        return {
            "root": self.root, "cases": self.cases, "nodes": self.nodes, "seconds": self.seconds,
            "from": {"windows": self.windows, "mutants": self.mutants, "refused": dict(sorted(self.refused.items())),
                     "large": self.large},
        }  # fmt: skip


def neighbours(
    root: Path, models: Sequence[Path], settings: Settings, seeds: Sequence[int], *, jobs: int = 1,
    progress: Callable[[int], None] = lambda _cases: None,
) -> Neighbours:  # fmt: skip
    """Write one case a seed under ``root``, and the models' windows beside them.

    Raises UsageError where a model cannot be read or has no windows, and what ``generate_cases`` raises.
    """
    start = time.perf_counter()
    found = find_models(models)
    mined = Mined()
    mine(found, mined)
    if mined.unread:
        raise UsageError(f"{mined.unread[0]} cannot be read as an ONNX model")
    if not mined.windows:
        why = next(iter((mined.left + mined.unevaluated).elements()), "its nodes are not connected")
        raise UsageError(f"{found[0][0]} has no window to begin from: {why}")
    open_root(root)
    written(mined, root / WINDOWS)
    result = Neighbours(str(root), windows=len(mined.windows))
    parents = [Case(name, path.parent, path, data_sets_of(path.parent)) for path, name in found]
    small = [case for case in parents if _elements(case.model_path) <= _LARGEST]
    result.large = [str(case.model_path) for case in parents if case not in small]
    wanted = [seed for seed in seeds if seed % _EVERY == _EVERY - 1] if small else []
    left: set[int] = set()
    if wanted:
        mutated = mutate(small, _KINDS, root, wanted, jobs=jobs, progress=lambda _done: None)
        left = set(mutated.unmade)
        result.mutants = mutated.cases
        for tally in mutated.kinds.values():
            result.refused += tally.refused
        progress(mutated.cases)
    rest = [seed for seed in seeds if seed not in wanted or seed in left]
    seeded = replace(settings, seeds=(*settings.seeds, stamped(str(root / WINDOWS))))
    made = generate_cases(root, seeded, rest, jobs=jobs, progress=progress)
    result.cases, result.nodes = made.cases + result.mutants, made.nodes
    result.seconds = round(time.perf_counter() - start, 3)
    return result


def _elements(path: Path) -> int:
    """How many numbers the constants of a model hold."""
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise UsageError(f"{path} cannot be read as an ONNX model: {error}") from None
    held = [tensor for node in graph.node for a in node.attribute if (tensor := a.t).dims]
    return sum(prod(tensor.dims) for tensor in (*graph.initializer, *held))
