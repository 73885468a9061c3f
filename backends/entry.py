"""A row of the table of backends: what one is called, what must be installed, what can be set."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.protocol import Knob, Numerics

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Entry", "Option"]

_ADAPTER = ("numpy", "ml-dtypes", "onnx")


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a backend: its name, the regular expression that its values match, the same in words."""

    name: str
    pattern: str
    allowed: str
    purpose: str

    def allows(self, value: str) -> bool:
        """Whether a value is one that the option takes."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """One backend.

    Attributes:
        name: what targets call it.
        module: the module of this package that holds `BACKEND`, or the path of a file outside of it.
        distributions: what must be installed; the first one's version is the backend's version.
        requirements: the same, pinned to the releases that the project is tested with.
        options: what can be set after the colon of a target.
        devices: where it can run; the first is the default.
        device_distributions: for a device, the distribution that must be installed to reach it.
        environment: variables that its worker starts with.
        numerics: how it may legally compute.
        relaxed: what an option's value makes of that: ``((option, value, numerics), ...)``, the first match counts; the
            value ``*`` is any, the option ``@`` is the device.
        knobs: its switches that turn an optimisation off.
        adapter: what its module imports beside it, for an environment of its own.
        bare: requirements that are installed there without those that they name themselves.
        older: what older versions need beside that: ``((version, requirements), ...)``, for those before the version.
        needed: passes without which it does not run a Relu: to leave one out tells nothing of a failure.
        once: options that hold for the life of its process: another value of one needs another worker.
        tool: whether it rewrites a model, which the runtime of its option `runtime` (onnxruntime) then executes.
        ranks: of the tensors that it has, the lowest and the highest.
        needs_input: whether it takes no model that has no inputs.
        constant_data: whether operators take constants where real models have none: as other operands than weights.
        computed_weights: whether weights may be what another operator computes, or an input.
        lacks: what models may have beside operators and it does not take: names of `fuzz gen --structure`.
        refuses: whole numbers that attributes have in ONNX and it does not take: ``operator.attribute=value``.
        problem: why nobody can use it here: a plug-in that does not fit, a backend that is no more; else empty.
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    requirements: tuple[str, ...]
    options: tuple[Option, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    device_distributions: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    numerics: Numerics = field(default_factory=Numerics)
    relaxed: tuple[tuple[str, str, Numerics], ...] = ()
    knobs: tuple[Knob, ...] = ()
    adapter: tuple[str, ...] = _ADAPTER
    bare: tuple[str, ...] = ()
    older: tuple[tuple[str, tuple[str, ...]], ...] = ()
    needed: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    tool: bool = False
    ranks: tuple[int, int] = (0, 8)
    needs_input: bool = False
    constant_data: bool = True
    computed_weights: bool = True
    lacks: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    problem: str = ""

    @property
    def pinned(self) -> str:
        """The release that the project is tested with; empty where none is pinned."""
        return self.requirements[0].partition("==")[2] if self.requirements else ""

    def install_command(self) -> str:
        """What to type where the backend is missing."""
        own = f"pip install {' '.join(self.requirements)}"
        if self.bare:
            own += f" && pip install --no-deps {' '.join(self.bare)}"
        return f"fuzz backends install {self.name}, or {own}" if self.pinned else own

    def contract(self, options: Mapping[str, str], device: str = "") -> Numerics:
        """How it may compute under these options, on a device (the default one if empty)."""
        given = {**options, "@": device}
        matches = (n for name, value, n in self.relaxed if name in given and value in {"*", given[name]})
        return next(matches, self.numerics)

    def option(self, name: str) -> Option | None:
        """The option of that name."""
        return next((option for option in self.options if option.name == name), None)
