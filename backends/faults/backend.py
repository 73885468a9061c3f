"""A backend in which one thing is broken: what a worker runs for a target such as `onnxruntime:fault=lost-bias`."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import onnx

from backends.external import read_model
from backends.faults import casts, contraction, elementwise, movement, normalization, reduction, window
from backends.faults.behaviour import BEHAVIOURS, Circumstances
from backends.faults.draft import rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site
    from backends.protocol import Backend, Compiled, Stage

__all__ = ["REWRITES", "Faulty", "shows"]

REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType(dict(ChainMap(
    *(dict(m.REWRITES) for m in (casts, contraction, elementwise, movement, normalization, reduction, window))
)))  # fmt: skip
"""The faults that change the model before it is compiled, by name."""


def shows(fault: str, model: bytes) -> bool:
    """Whether a backend with this fault treats this model otherwise than one without it."""
    parsed = onnx.ModelProto.FromString(model)
    if fault in BEHAVIOURS:
        return BEHAVIOURS[fault].matches(parsed)
    return rewritten(parsed, REWRITES[fault]) is not None


@dataclass(slots=True)
class Faulty:
    """A backend with a fault; ``memory`` is what it wrongly keeps from model to model."""

    backend: Backend
    fault: str
    memory: dict[str, onnx.TensorProto] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the backend below."""
        return self.backend.name

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> Compiled:
        """Compile the model as the backend would if it had the fault.

        Raises what the backend raises, and `Rejected` where that is the fault.
        """
        rewrite, behaviour = REWRITES.get(self.fault), BEHAVIOURS.get(self.fault)
        parsed = read_model(model, folder)
        if rewrite is not None:
            broken = rewritten(parsed, rewrite)
            return self.backend.compile(model if broken is None else broken.SerializeToString(), folder, options, enter)
        if behaviour is None or not behaviour.matches(parsed):
            return self.backend.compile(model, folder, options, enter)
        about = Circumstances(parsed, options, self.memory)
        if behaviour.compile is not None:
            behaviour.compile(about)
            model = about.model.SerializeToString()
        compiled = self.backend.compile(model, folder, options, enter)
        return compiled if behaviour.wrap is None else behaviour.wrap(compiled, about)
