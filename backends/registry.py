"""The table of backends: what each is called, what must be installed, what can be set. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.protocol import Knob, Numerics

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            option ``@`` is the device.
        knobs: its switches that turn an optimisation off.
        adapter: what its module imports beside it, for an environment of its own.
        bare: requirements that are installed there without those that they name themselves.
        older: what older versions need beside that: ``((version, requirements), ...)``, for those before the version.
        problem: why a plug-in cannot be used; empty for all others.
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
    problem: str = ""

    @property
    def pinned(self) -> str:
        """The release that the project is tested with; empty where none is pinned."""
        return self.requirements[0].partition("==")[2] if self.requirements else ""

    def install_command(self) -> str:
        """What to type where the backend is missing."""
        own = f"pip install {' '.join(self.requirements)}"
        return f"fuzz backends install {self.name}, or {own}" if self.pinned else own

    def contract(self, options: Mapping[str, str], device: str = "") -> Numerics:
        """How it may compute under these options, on a device (the default one if empty)."""
        given = {**options, "@": device}
        return next((n for name, value, n in self.relaxed if given.get(name) == value), self.numerics)

    def option(self, name: str) -> Option | None:
        """The option of that name."""
        return next((option for option in self.options if option.name == name), None)


_RELOAD = Option("reload", r"yes|no", "yes or no", "save what was compiled, load it and run that (no)")
_THREADS = Option("threads", r"[1-9]\d{0,2}", "a number from 1 to 999", "threads to compute with (1)")
# How each may compute on a CPU was measured (docs/notes/contracts.md); what GPU libraries do stands in their manuals.
_ONNXRUNTIME = Numerics(excess_half_precision=True)
# cuDNN picks its algorithm by speed, Winograd's among them, and float32 products use TF32 unless told otherwise.
_ONNXRUNTIME_CUDA = Numerics(
    flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True, tf32=True, winograd=4
)
# OpenVINO's CPU plugin computes double as float and holds int64 in 32 bits, whatever the hints say. It makes zeros of
# subnormal constants.
_OPENVINO = Numerics(flush_subnormals=True, excess_half_precision=True, narrow_int64=True, narrow_double=True)
_HLO_PASSES = r"[\w-]+(\+[\w-]+)*"
# XLA and IREE compute 16-bit floats in float32 where they fuse, and flush subnormals on a CPU.
_FLUSHING = Numerics(flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True)
_PASSES = r"\w[\w.]*(\+\w[\w.]*)*"

# Each worker starts with these: one thread everywhere, so that a result depends on nothing but the case.
ONE_THREAD: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS", "NPROC", "PJRT_NPROC"), "1"
    )
)

_ENTRIES = (
    Entry(
        name="onnxruntime",
        module="backends.onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        requirements=("onnxruntime==1.31.1",),
        options=(
            Option("opt", r"0|1|2|3|99", "0, 1, 2, 3 or 99", "graph optimisation level (99: all)"),
            Option("disable", _PASSES, "optimizer names joined by +", "optimizers to leave out"),
            _RELOAD,
            _THREADS,
        ),
        devices=("cpu", "cuda"),
        device_distributions=(("cuda", "onnxruntime-gpu"),),
        numerics=_ONNXRUNTIME,
        relaxed=(("@", "cuda", _ONNXRUNTIME_CUDA),),
        knobs=(
            Knob("opt", ("0", "1", "2"), "graph optimisations above that level"),
            Knob("disable", (), "the optimizers named"),
        ),
        # Built for numpy 1, and silent about it.
        older=(("1.19", ("numpy<2",)),),
    ),
    Entry(
        name="tvm",
        module="backends.tvm",
        distributions=("apache-tvm",),
        requirements=("apache-tvm==0.27.0.post1",),
        options=(
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "level of the pass context (3)"),
            Option("disable", _PASSES, "pass names joined by +", "passes to leave out"),
            Option("exec_mode", r"bytecode|compiled", "bytecode or compiled", "how the Relax VM executes"),
            _RELOAD,
            _THREADS,
        ),
        numerics=Numerics(excess_half_precision=True, half_accumulator=True, half_steps=True),
        knobs=(
            Knob("opt", ("0", "1", "2"), "passes above that level"),
            Knob("disable", (), "the passes named"),
        ),
    ),
    Entry(
        name="openvino",
        module="backends.openvino",
        distributions=("openvino",),
        requirements=("openvino==2026.4.1",),
        options=(
            Option("mode", r"accuracy|performance", "accuracy or performance", "execution mode (accuracy)"),
            Option("precision", r"f32|bf16|f16", "f32, bf16 or f16", "inference precision (f32)"),
            _RELOAD,
            _THREADS,
        ),
        numerics=_OPENVINO,
        relaxed=(
            ("precision", "f32", _OPENVINO),
            ("precision", "f16", replace(_OPENVINO, float_as="float16")),
            ("precision", "bf16", replace(_OPENVINO, float_as="bfloat16")),
            ("mode", "performance", replace(_OPENVINO, float_as="bfloat16")),
        ),
    ),
    Entry(
        name="tract",
        module="backends.tract",
        distributions=("tract",),
        requirements=("tract==0.23.9",),
        options=(_RELOAD,),
        # A refusal is its own text, without the addresses of the Rust functions that it came through.
        environment=(("RUST_BACKTRACE", "0"), ("RUST_LIB_BACKTRACE", "0")),
        numerics=Numerics(excess_half_precision=True, half_accumulator=True, half_steps=True),
    ),
    Entry(
        name="jax",
        module="backends.jax",
        distributions=("jax",),
        requirements=("jax==0.10.2", "jaxlib==0.10.2", "onnx==1.23.2", "absl-py==2.5.1", "jaxonnxruntime==0.3.0"),
        options=(
            Option("mode", r"jit|eager", "jit or eager", "compile the whole, or each operator by itself (jit)"),
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "XLA's backend optimisation level (3)"),
            Option("disable", _HLO_PASSES, "pass names joined by +", "HLO passes to leave out"),
            _THREADS,
        ),
        environment=(("JAX_PLATFORMS", "cpu"), ("JAX_ENABLE_COMPILATION_CACHE", "false")),
        numerics=_FLUSHING,
        knobs=(
            Knob("mode", ("eager",), "all that reaches across operators"),
            Knob("opt", ("0", "1", "2"), "LLVM's optimisations above that level"),
            Knob("disable", (), "the HLO passes named"),
        ),
    ),
    Entry(
        name="iree",
        module="backends.iree",
        distributions=("iree-base-compiler",),
        requirements=("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", "onnx==1.23.2"),
        options=(
            Option("target", r"llvm-cpu|vmvx", "llvm-cpu or vmvx", "what it compiles for (llvm-cpu)"),
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "optimisation level (3)"),
            _THREADS,
        ),
        numerics=_FLUSHING,
        knobs=(Knob("opt", ("0", "1", "2"), "optimisations above that level"),),
    ),
    Entry(
        name="reference",
        module="backends.reference",
        distributions=("onnx",),
        requirements=("onnx==1.23.2",),
        # numpy: each operation in the declared type, functions composed of them.
        numerics=Numerics(half_accumulator=True, half_steps=True),
    ),
)


class _Table(Mapping[str, Entry]):
    """The backends of the project, and those of plug-ins, which are looked for when something is first asked."""

    @cached_property
    def _rows(self) -> Mapping[str, Entry]:
        from backends.plugin import plugins

        own = {entry.name: entry for entry in _ENTRIES}
        return {**own, **plugins(own)}

    def __getitem__(self, name: str) -> Entry:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


BACKENDS: Mapping[str, Entry] = _Table()


def is_installed(distribution: str) -> bool:
    """Whether this environment has a distribution."""
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def installed_version(entry: Entry) -> str | None:
    """The version of a backend in this environment, None where it is not installed. Imports nothing of it."""
    return next((metadata.version(name) for name in entry.distributions if is_installed(name)), None)
