"""PyTorch with one fault in what torch.compile applies: a backend's module for the tests of `fuzz blame`.

`bug` names the fault: Cos is lowered as Sin, HardSwish is decomposed into its square, or a pass turns sums into
differences.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.entry import Option
from backends.registry import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backends.protocol import Stage

__all__ = ["BACKEND", "ROW"]

BUGS = ("lowering", "decomposition", "pass")
ROW = replace(
    BACKENDS["torch"], name="planted-torch", module=__file__,
    options=(*BACKENDS["torch"].options, Option("bug", "|".join(BUGS), ", ".join(BUGS), "the fault")),
)  # fmt: skip


class _Faulty:
    name = "planted-torch"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> Any:
        from backends.torch import BACKEND as TORCH

        return _Module(TORCH.compile(model, folder, options, enter), options["bug"])


class _Module:
    def __init__(self, compiled: Any, bug: str) -> None:
        self._compiled, self._bug = compiled, bug

    def run(self, inputs: Any) -> Any:
        with _planted(self._bug):
            return self._compiled.run(inputs)

    def artefacts(self) -> Any:
        return self._compiled.artefacts()


@contextmanager
def _planted(bug: str) -> Iterator[None]:
    """The compiler has the fault while it compiles, in the first run."""
    import torch
    from torch._inductor import config, decomposition, lowering

    aten = torch.ops.aten
    if bug == "pass":
        with config.patch(post_grad_custom_pre_pass=_subtract):
            yield
        return
    table, at, fault = {
        "lowering": (lowering.lowerings, aten.cos.default, lowering.lowerings[aten.sin.default]),
        "decomposition": (decomposition.decompositions, aten.hardswish.default, lambda x: x * x),
    }[bug]
    right = table.get(at)
    table[at] = fault
    try:
        yield
    finally:
        if right is None:
            del table[at]
        else:
            table[at] = right


def _subtract(graph: Any) -> None:
    import torch

    for node in graph.nodes:
        if node.target is torch.ops.aten.add.Tensor:
            node.target = torch.ops.aten.sub.Tensor


BACKEND = _Faulty()
