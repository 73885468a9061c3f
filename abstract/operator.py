"""What an operator specification is: everything that the project needs to know of one operator, in one row.

A specification adds to ONNX's schema only what the schema lacks:

- ``propose``   how the generator makes a call of it: which operands, which attributes (the attribute domain);
- ``shape``     the output shapes from the input shapes, symbolically, with the constraints that make the call legal;
- ``domain``    where it is defined on values: the generator keeps it there, the judge masks elsewhere;
- ``evaluate``  its meaning, in float64 (or in any arithmetic: see ``Arithmetic``);
- ``error``     how incoming error passes through and how rounding enters.

*Parameters* are what decides shapes: attributes, and inputs that are attributes in all but name (``axes``, ``pads``,
``shape``, ...), listed in ``parameters``. A rule reads both from ``params`` by their formal name, so that a change of
attribute to input between opsets is nobody's concern but the emitter's and the parser's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from abstract.contract import PERMISSIVE, Contract
from abstract.dims import Dim, Expr

if TYPE_CHECKING:
    from abstract.constraints import Constraints
    from abstract.dtypes import DType, Kind
    from abstract.graph import Graph, Value
    from abstract.schema import Signature
    from abstract.types import Container, Parts, Shape, Sizes, TensorType

__all__ = ["EVERYWHERE", "Accuracy", "Arithmetic", "Array", "Body", "Bound", "Call", "Domain", "Inside", "NotCovered",
           "Operator", "Run", "Scope", "Typing", "as_array"]  # fmt: skip


class NotCovered(Exception):
    """A rule does not implement what these parameters ask for; the interpreter falls back to ONNX's reference."""


Array: TypeAlias = npt.NDArray[Any]
Bound: TypeAlias = "npt.NDArray[np.float64] | float"
"""A bound on the absolute error, an element each or one for all. 0.0 is exact; inf says nothing is known."""
Params: TypeAlias = Mapping[str, Any]
Inside: TypeAlias = "Callable[[Graph, Mapping[Value, Array]], tuple[Any, ...]]"
"""What a body gives, where some of the values that it reads are replaced by others."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where an operand may lie: ``low <= x <= high`` and ``|x| >= away``.

    A value outside is brought inside by an ordinary node (Clip), or another operand is taken.
    """

    low: float = -np.inf
    high: float = np.inf
    away: float = 0.0

    def admits(self, value: Value) -> bool:
        """Whether every element lies inside, with a margin so that no decision hangs on a last bit.

        An integer that is not exact comes from a comparison or a cast, which another rounding moves by 1.
        """
        low, high = value.range()
        margin = 0.0 if value.exact else 1e-6 * max(abs(low), abs(high)) if value.type.dtype.is_float else 1.0
        if low < self.low + margin or high > self.high - margin:
            return False
        return self.away == 0.0 or value.smallest() >= self.away + margin


EVERYWHERE = Domain()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What maths libraries are granted for one function: ``ulps`` units in the last place and ``units`` of u.

    The computed value lies within ``ulps * ulp(y) + units * u`` of the exact y; ``abstract/accuracy.py`` has the table.
    ``composed`` functions take several steps, for which half-width types are granted more.
    """

    ulps: float = 0.5
    units: float = 0.0
    composed: bool = False


class Arithmetic(Protocol):
    """How sums are formed. The reference sums in float64; a null executor in another type and another order."""

    def sum(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        """Sum over axes."""

    def dot(self, a: Array, b: Array) -> Array:
        """As numpy's matmul: the last axis of ``a`` against the last but one of ``b``, the rest broadcast."""


@dataclass(slots=True)
class Run:
    """One execution of an operator as its rules see it: parameters, data inputs (None if absent), declared types.

    ``contract`` says what a legal computation may do; ``constants`` are the positions of operands that are the same in
    every run, into which a compiler may fold others. ``extended`` says that operands of type double come in a carrier
    with a longer significand, so that what the reference itself rounds does not count. ``inside`` runs a body.
    ``exact`` says that every legal computation gives these very operands: else equal ones may come out apart elsewhere.
    """

    params: Params
    inputs: tuple[Array | None, ...]
    dtypes: tuple[DType | None, ...]
    output_dtypes: tuple[DType, ...]
    arithmetic: Arithmetic
    contract: Contract = PERMISSIVE
    constants: frozenset[int] = frozenset()
    extended: bool = False
    inside: Inside | None = None
    exact: bool = True

    def __getitem__(self, position: int) -> Array:
        """The data input at a position. Raises ValueError where it is absent."""
        array = self.inputs[position]
        if array is None:
            raise ValueError(f"required input {position} is absent")
        return array

    def is_constant(self, position: int) -> bool:
        """Whether the data input at a position is known when the model is compiled."""
        return position in self.constants

    def optional(self, position: int) -> Array | None:
        """The data input at a position, or None where it is absent."""
        return self.inputs[position] if position < len(self.inputs) else None


@dataclass(slots=True)
class Typing:
    """What a shape rule sees: parameters (with symbolic integers), input shapes, and the store for its constraints.

    ``containers`` are the operands that are no tensors, by position.
    """

    params: Params
    shapes: tuple[Shape | None, ...]
    dtypes: tuple[DType | None, ...]
    outputs: int
    store: Constraints
    containers: Mapping[int, Parts] = field(default_factory=dict)

    def __getitem__(self, position: int) -> Shape:
        """The shape of the data input at a position."""
        shape = self.shapes[position]
        if shape is None:
            raise ValueError(f"required input {position} is absent")
        return shape

    def parts(self, position: int) -> Parts:
        """What the container at a position holds."""
        return self.containers[position]


@dataclass(frozen=True, slots=True)
class Call:
    """A proposed application: data operands in formal order, parameters by formal name, number of outputs used.

    ``absent`` are the positions of outputs that the node leaves out; by None the generator decides. ``stored`` says in
    which types parameters that are inputs are written, by type variable; what it does not name is int64 or float.
    """

    inputs: tuple[Value | None, ...]
    params: Params = field(default_factory=dict)
    outputs: int = 1
    absent: frozenset[int] | None = None
    stored: Mapping[str, DType] = field(default_factory=dict)


class Body(Protocol):
    """A graph inside of a node, under construction: it may read what the graphs around it have."""

    graph: Graph

    def formal(self, type_: TensorType, array: Array, *, exact: bool) -> Value:
        """A new formal input, with what it holds in the first run."""

    def grow(self, nodes: int) -> None:
        """Call operators until there are so many nodes more, or luck runs out."""

    def call(self, name: str, inputs: tuple[Value, ...], params: Params) -> Value:
        """The first output of one node. Raises Infeasible."""

    def constant(self, array: Array, dtype: DType) -> Value:
        """A new initializer of the body."""

    def made(self) -> list[Value]:
        """The tensors that its nodes compute."""

    def visible(self) -> list[Value]:
        """The tensors that it may read."""


class Scope(Protocol):
    """What ``propose`` may ask of the generator. Each method that cannot be met raises ``Infeasible``."""

    store: Constraints
    signature: Signature

    def integer(self, low: int, high: int) -> int:
        """A recorded choice in [low, high]."""

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options, all alike."""

    def coin(self, chance: float) -> bool:
        """True with this chance."""

    def size(self, low: int, high: int, name: str = "p") -> Expr:
        """A new symbolic parameter in [low, high], its witness chosen at random."""

    def told(self, low: int, high: int, near: Dim = 1) -> Expr | None:
        """A size in [low, high] that follows from open ones (``near`` by preference), for a parameter that is an input.

        Its constraints are in the store: it stays at least ``low``. None where a number is wanted.
        """

    def stored(self, variable: str, kinds: Sequence[Kind] | None = None) -> Mapping[str, DType]:
        """What ``Call.stored`` holds for parameters of a type variable: a type now and then, mostly nothing."""

    def dtype(self, variable: str, kinds: Sequence[Kind] | None = None) -> DType:
        """The element type of a type variable: chosen at the first request, the same ever after."""

    def tensor(
        self,
        variable: str = "T",
        *,
        rank: tuple[int, int] = (0, 8),
        kinds: Sequence[Kind] | None = None,
        domain: Domain = EVERYWHERE,
        where: Callable[[Value], bool] | None = None,
    ) -> Value:
        """An operand: a value that exists, guarded where its domain asks for it, or a new input or initializer.

        ``where`` restricts which existing values will do; a new one is not asked.
        """

    def shaped(
        self, shape: Shape, variable: str = "T", *, domain: Domain = EVERYWHERE, weight: bool = False
    ) -> Value:
        """An operand of exactly this shape. ``weight`` prefers an initializer over what exists."""

    def broadcastable(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """An operand that broadcasts with ``value`` in both directions."""

    def unidirectional(self, value: Value, variable: str = "T", *, domain: Domain = EVERYWHERE) -> Value:
        """An operand that broadcasts to ``value`` and leaves its shape as it is."""

    def constant(self, array: Array, dtype: DType) -> Value:
        """A new initializer with these values."""

    def of(self, dtype: DType, shape: Shape | None) -> Value:
        """A tensor of an element type, and of a shape where one is given."""

    def forget(self, variable: str) -> None:
        """Let a variadic operand have a type of its own."""

    def container(self, kinds: Sequence[Container], where: Callable[[Value], bool] | None = None) -> Value:
        """A sequence or an optional that exists."""

    def body(self) -> Body:
        """An empty body for the node."""

    def inside(self, graph: Graph, values: Mapping[Value, Array]) -> tuple[Any, ...]:
        """What a body gives where these values are others. Raises Infeasible where it is not defined on them."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the operator table. ``since`` is the lowest opset whose meaning the rules below give.

    ``shape`` says None for an axis whose size the values decide; the generator puts a symbol there.

    ``exact``: outputs are selected or moved from inputs, never rounded. ``opaque``: the reference has other means to
    run it (``abstract/body.py``, ``abstract/fallback.py``); ``evaluate`` serves the generator alone. ``accuracy`` is
    what the result of the last operation is granted on top of ``error``. ``tied``: what it rounds to whole steps may
    legally come out one apart next to a tie, so no decision reads its outputs without a margin. ``output_dtypes``
    overrides what the schema's type variables say.
    """

    name: str
    propose: Callable[[Scope], Call]
    shape: Callable[[Typing], tuple[Sizes | Parts, ...]]
    evaluate: Callable[[Run], tuple[Any, ...]]
    error: Callable[[Run, tuple[Array, ...], tuple[Bound, ...]], tuple[Bound, ...]]
    parameters: tuple[str, ...] = ()
    accuracy: Accuracy = Accuracy()
    exact: bool = False
    opaque: bool = False
    tied: bool = False
    since: int = 13
    defined: Callable[[Run], bool] | None = None
    output_dtypes: Callable[[Typing, Signature], tuple[DType, ...]] | None = None
    weight: float = 1.0


def as_array(result: Any) -> Array:
    """What a rule gives, as an array; one string, of which numpy makes an array of its own kind, as an object."""
    array = np.asarray(result)
    return array.astype(object) if array.dtype.kind == "U" else array


def dims(values: Sequence[Dim]) -> tuple[Dim, ...]:
    """A tuple of dimensions from any sequence of integers and expressions (numpy integers become int)."""
    return tuple(v if isinstance(v, Expr) else int(v) for v in values)
