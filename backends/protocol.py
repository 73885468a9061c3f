"""What a backend is, how it refuses, and what it promises about its numbers."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backends.layout import Layout
    from backends.tensor import Value


class Outcome(str, Enum):  # noqa: UP042 - a worker's Python may be older than StrEnum
    """What became of one case on one target: a closed set.

    `unsupported`: the backend says in its own words that it lacks an operator or type. `rejected`: it refuses the
    model as invalid, or fails an assertion of its own. `error`: not the backend but our own harness, or the case's
    own files, failed.
    """

    OK = "ok"
    UNSUPPORTED = "unsupported"
    REJECTED = "rejected"
    CRASH = "crash"
    TIMEOUT = "timeout"
    OOM = "oom"
    ERROR = "error"


class Stage(str, Enum):  # noqa: UP042 - a worker's Python may be older than StrEnum
    """How far a case has come: the front end reads the model, the compiler compiles it, the code runs.

    `plain`: a graph-to-graph tool's plain runtime is at work on something that the tool has not made. What it dies of
    there is not the tool's fault.
    """

    IMPORT = "import"
    COMPILE = "compile"
    RUN = "run"
    PLAIN = "plain"


class BackendError(Exception):
    """Base of the ways in which a backend refuses a case."""


class Unsupported(BackendError):
    """The backend says that it lacks an operator, a type or a feature."""


class Rejected(BackendError):
    """The backend refuses the case in words that claim it is invalid, or by an assertion of its own."""


class OutOfMemory(BackendError):
    """The backend reports that it could not get memory."""


class InvalidCase(Exception):
    """The case's own files are at fault: no readable model, or data outside of its folder."""


@dataclass(frozen=True, slots=True)
class Numerics:
    """How a target may legally compute; the default is IEEE arithmetic in the type that the model declares.

    `abstract/contract.py` says what each grant means for the error bounds. Sums in any order, with or without fused
    multiply-adds, and constants folded into one another are legal for every target.

    Attributes:
        flush_subnormals: subnormal inputs and constants may become zero, and with `half_steps` 16-bit results.
        excess_half_precision: float16 and bfloat16 nodes may compute in float32 and keep the excess between nodes, so
            that an explicit cast rounds nothing.
        half_accumulator: sums of float16 or bfloat16 products may be accumulated in that type; else in float32.
        half_steps: functions of float16 or bfloat16 may be composed of steps rounded to that type; else of float32.
        tf32: operands of float32 contractions may be rounded to TF32.
        winograd: the largest tile of outputs, along one axis, by which convolutions are computed; 0 for none.
        narrow_int64: int64 and uint64 values may be held in int32.
        narrow_double: double nodes may compute in float.
        float_as: the narrower type in which floats may be held, where an option asks for it; empty for float.
    """

    flush_subnormals: bool = False
    excess_half_precision: bool = False
    half_accumulator: bool = False
    half_steps: bool = False
    tf32: bool = False
    winograd: int = 0
    narrow_int64: bool = False
    narrow_double: bool = False
    float_as: str = ""


@dataclass(frozen=True, slots=True)
class Knob:
    """A switch that turns an optimisation off: the option, the values that do it, and what goes off.

    Values that can be joined by + turn different things off, and so do those of `mode`; of others the first turns off
    the most. `disable` takes names of passes: without values here they are those of the installed version. `default` is
    the option's own value, where it is one of these. Where `counted` is set, a value names what is applied many times:
    `VALUE.3` leaves the first three applications, `VALUE` all, and `counted` is how the backend's own tools are told
    that, with `{backend}`, `{part}` (the value, taken apart) and `{last}` (the number of the last one, from 0).
    """

    option: str
    values: tuple[str, ...]
    switches_off: str
    default: str = ""
    counted: str = ""


class Compiled(Protocol):
    """A model ready to run, as often as wanted."""

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        """Outputs in the model's order for inputs in the model's order (initializers are no inputs).

        Raises `Unsupported`, `Rejected` or `OutOfMemory`.
        """
        ...


@runtime_checkable
class Arranged(Protocol):
    """What a `Compiled` may be as well: a model that takes its inputs from memory that lies in other ways."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts that the backend's interface takes by its own documentation."""
        ...

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        """As `run`, with the inputs in that layout."""
        ...


class Binding(Protocol):
    """Output buffers that stay bound from run to run."""

    def run(self, inputs: Sequence[Value], fill: int | None) -> list[Value]:
        """As `Compiled.run`, once every byte of the buffers has the value `fill`; None leaves what is there."""
        ...


@runtime_checkable
class Bindable(Protocol):
    """What a `Compiled` may be as well: a model that writes into buffers which the caller keeps."""

    def bind(self, like: Sequence[Value]) -> Binding:
        """Bind buffers for outputs of these types and shapes. Raises `Unsupported` for what cannot be bound."""
        ...


APPLICATIONS = "applications.txt"
"""The artefact that names what a counted knob counts, a line each, whether it was left out or not."""


@runtime_checkable
class Showing(Protocol):
    """What a `Compiled` may be as well: a model that shows what the compiler made of it."""

    def artefacts(self) -> Mapping[str, bytes]:
        """The contents of files by name, in the order of the pipeline: an optimised graph, an IR, a list of passes.

        Called after the runs, if there are any; it may compile anew. Equal for equal cases: no addresses, no times.
        """
        ...


@runtime_checkable
class Rewritten(Compiled, Protocol):
    """What a `Compiled` may be as well: a model that a graph-to-graph tool has rewritten, on a plain runtime.

    The runtime has faults of its own. So it runs the model as it was too, before what the tool made of it.
    """

    def untransformed(self, inputs: Sequence[Value]) -> list[Value]:
        """What the plain runtime computes from the model as it was; the stage is `plain` meanwhile.

        Raises `Unsupported` where it cannot: then nothing can be said of the tool.
        """
        ...

    def elsewhere(
        self, inputs: Sequence[Value], outputs: Sequence[Value], untransformed: Sequence[Value]
    ) -> list[Value]:
        """What another runtime computes from the rewritten model; empty where the two results are close anyway.

        Empty also where there is no other runtime, or it cannot.
        """
        ...


COMPARED = "untransformed, the plain runtime gives the same but for what is kept beside the outputs"
"""The message of an outcome `ok` of a `Rewritten`: its outputs were compared."""

UNTRANSFORMED, ELSEWHERE = "untransformed", "elsewhere"
"""What is kept beside outputs: other values from the model as it was; another runtime's from the rewritten one."""


class Backend(Protocol):
    """One compiler or runtime. A module in this folder holds one as `BACKEND`; it keeps no state between cases."""

    @property
    def name(self) -> str:
        """The name under which the registry knows it."""
        ...

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> Compiled:
        """Compile a serialized model, whose external data lies in `folder`.

        `enter(Stage.COMPILE)` is called once the front end has read the model, where the two can be told apart.
        Raises `Unsupported`, `Rejected` or `OutOfMemory`.
        """
        ...


@runtime_checkable
class Listing(Protocol):
    """What a `Backend` may be as well: one whose single passes can be left out by the option `disable`."""

    def passes(self) -> Sequence[str]:
        """The names that `disable` knows in the installed version, sorted."""
        ...


@dataclass(frozen=True, slots=True)
class Words:
    """The words by which one backend says that it lacks something, as regular expressions over its messages."""

    unsupported: tuple[str, ...] = ()
    out_of_memory: tuple[str, ...] = (r"bad_alloc", r"[Oo]ut of memory", r"[Ff]ailed to allocate memory")

    def sort(self, message: str) -> type[BackendError]:
        """Which refusal a message is."""
        if any(re.search(pattern, message) for pattern in self.out_of_memory):
            return OutOfMemory
        if any(re.search(pattern, message) for pattern in self.unsupported):
            return Unsupported
        return Rejected


@contextmanager
def heard(words: Words) -> Iterator[None]:
    """Turn whatever the backend's own code raises inside the block into a refusal, sorted by its words.

    Only the backend's calls belong inside: what our own code raises is a harness error and must stay one.
    """
    try:
        yield
    except BackendError:
        raise
    except MemoryError as problem:
        raise OutOfMemory(str(problem) or "MemoryError") from problem
    except Exception as problem:
        message = f"{type(problem).__name__}: {problem}"
        raise words.sort(message)(message) from problem
