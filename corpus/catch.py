"""Runs a script and catches the models that it calls, without a change to it.

A call of an ``nn.Module`` that no other module's call surrounds is a model of the script's; with ``max_depth`` so
are its parts, down to that depth. Arguments are kept as they were when the call began.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import random
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    import torch

__all__ = ["Caught", "Run", "Signature", "run_script", "structural_hash"]

_HASH = 8  # hexadecimal digits of a model's hash, as people type them
_PLAIN = (bool, int, float, str, bytes, type(None))

Signature = tuple[tuple[str, str, tuple[int, ...]], ...]
"""Of each tensor among the arguments: its place, element type and shape."""


@dataclass(slots=True)
class Caught:
    """One model that a script called.

    ``hash`` names it by its structure and by the types and shapes of what it was given, not by its weights.
    ``depth`` is 0 for a model of the script's, 1 for a part of one. ``calls`` counts all calls of this module with
    such inputs.
    """

    module: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    hash: str
    depth: int
    signature: Signature
    training: bool
    calls: int = 1

    @property
    def parameters(self) -> int:
        """How many numbers it learns; those that two places share count once."""
        return sum(parameter.numel() for parameter in self.module.parameters())


@dataclass(slots=True)
class Run:
    """What a script did: the models in the order of their first calls, and what it raised, if anything."""

    caught: list[Caught] = field(default_factory=list)
    problem: BaseException | None = None


def run_script(script: Path, arguments: Sequence[str] = (), *, max_depth: int = 0) -> Run:
    """Run a script as ``python script arguments`` does, in this process, and catch its models.

    Seeds are 0 and gradients are on when it begins; the working directory is its own; what it changes of these goes
    back afterwards. A script that ends by ``sys.exit(0)`` has no problem. What was caught before a problem is kept.
    """
    run = Run()
    catcher = _Catcher(max_depth, run.caught)
    with _as_main(script, arguments), catcher:
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            run.problem = end if end.code else None
        except Exception as problem:  # noqa: BLE001 - a script of anybody's; it is told
            run.problem = problem
    return run


class _Catcher:
    """Stands in for ``nn.Module.__call__`` while a script runs."""

    def __init__(self, max_depth: int, found: list[Caught]) -> None:
        self._max_depth = max_depth
        self._found = found
        self._known: dict[tuple[int, Signature], Caught] = {}
        self._hashes: set[str] = set()
        self._depth = 0
        self._before: Any = None

    def __enter__(self) -> None:
        import torch

        self._before = before = torch.nn.Module.__call__

        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if self._depth <= self._max_depth and (self._depth or not _is_internal(module)):
                self._note(module, args, kwargs)
            self._depth += 1
            try:
                return before(module, *args, **kwargs)
            finally:
                self._depth -= 1

        torch.nn.Module.__call__ = call

    def __exit__(self, *_: object) -> None:
        import torch

        torch.nn.Module.__call__ = self._before

    def _note(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signature = _signature(args, kwargs)
        # Sizes alone do not make another model: a loop of generation calls one with a token more each time.
        key = (id(module), tuple((place, dtype, (len(shape),)) for place, dtype, shape in signature))
        if key in self._known:
            self._known[key].calls += 1
            return
        name = structural_hash(module, signature)
        kept = Caught(module, _kept(args), _kept(kwargs), name, self._depth, signature, module.training)
        self._known[key] = kept
        if name not in self._hashes:
            self._hashes.add(name)
            self._found.append(kept)


def _is_internal(module: torch.nn.Module) -> bool:
    """Whether a call that no other surrounds is no call of the script's.

    Such are a parametrised weight that is read, and a model that is tried out while another is built around it.
    """
    import torch

    if type(module).__module__.startswith("torch.nn.utils."):
        return True
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - who calls is asked of the interpreter
    while frame is not None:
        if frame.f_code.co_name == "__init__" and isinstance(frame.f_locals.get("self"), torch.nn.Module):
            return True
        frame = frame.f_back
    return False


def structural_hash(module: torch.nn.Module, signature: Signature) -> str:
    """Eight hexadecimal digits that stand for a model's structure and its inputs' types and shapes."""
    total = hashlib.sha256()
    for path, part in module.named_modules():
        kind = type(part)
        total.update(f"{path}\0{kind.__module__}.{kind.__qualname__}\0{part.extra_repr()}\n".encode())
        total.update(_own_code(kind))
    for path, parameter in module.named_parameters():
        total.update(f"{path}\0{parameter.dtype}\0{tuple(parameter.shape)}\n".encode())
    total.update(repr(signature).encode())
    return total.hexdigest()[:_HASH]


def _own_code(kind: type[torch.nn.Module]) -> bytes:
    """What tells classes of scripts apart that have the same name; the names of libraries' classes do that already."""
    code = getattr(kind.forward, "__code__", None)
    if kind.__module__ != "__main__" or code is None:
        return b""
    return bytes(code.co_code) + repr((code.co_names, code.co_varnames)).encode()


def _signature(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Signature:
    import torch
    from torch.utils import _pytree as pytree

    leaves, _ = pytree.tree_flatten_with_path((args, dict(sorted(kwargs.items()))))
    return tuple(
        (pytree.keystr(place), str(leaf.dtype).removeprefix("torch."), tuple(leaf.shape))
        for place, leaf in leaves
        if isinstance(leaf, torch.Tensor)
    )


def _kept(values: Any) -> Any:
    """Arguments as they are now: what the call or the script changes of them later does not count."""
    from torch.utils import _pytree as pytree

    return pytree.tree_map(_copied, values)


def _copied(leaf: Any) -> Any:
    import torch

    if isinstance(leaf, torch.Tensor):
        return leaf.detach().clone()
    if isinstance(leaf, _PLAIN):
        return leaf
    try:
        return copy.deepcopy(leaf)
    except Exception:  # noqa: BLE001 - an object that cannot be copied is passed on as it is
        return leaf


@contextlib.contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """The process as ``python script arguments`` finds it; put back afterwards."""
    import numpy as np
    import torch

    argv, path, folder = sys.argv, list(sys.path), Path.cwd()
    dtype, gradients, threads = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    main = sys.modules.get("__main__")
    sys.argv = [str(script), *arguments]
    # Another distribution may be named like the script's folder (models/timm), which Python would find there first.
    sys.path.insert(0, str(script.parent))
    random.seed(0)  # noqa: TID251 - the script's own randomness, not a decision of ours
    np.random.seed(0)  # noqa: NPY002, TID251 - the same
    torch.manual_seed(0)
    torch.set_grad_enabled(True)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
        if main is not None:
            sys.modules["__main__"] = main
        os.chdir(folder)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_num_threads(threads)
