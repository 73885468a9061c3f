"""The symbolic graph: values with their types and witness tensors, and the nodes between them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from abstract.constraints import Constraints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.dtypes import DType
    from abstract.types import TensorType

__all__ = ["Graph", "Node", "Origin", "Recipe", "Value"]

_minimum, _maximum = np.minimum.reduce, np.maximum.reduce  # what the methods of arrays call after some more of Python


class Origin(enum.Enum):
    """Where a value comes from."""

    INPUT = "input"
    INITIALIZER = "initializer"
    NODE = "node"
    FORMAL = "formal"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the numbers of an input or initializer are made, at any size: a palette, a seed, and where they lie."""

    palette: str
    seed: int
    low: float
    high: float
    away: float = 0.0


@dataclass(slots=True, eq=False)
class Value:
    """One edge of the graph: its type and the tensor that it holds under the witness.

    ``array`` is held in the carrier type of the element type (float64, int64, ...). ``exact`` says that every legal
    computation gives these very numbers, so that decisions may read them without a margin. ``recipe`` belongs to
    inputs and initializers whose numbers were drawn; it is None where they were given.
    """

    name: str
    type: TensorType
    array: npt.NDArray[Any]
    origin: Origin
    exact: bool
    recipe: Recipe | None = None
    uses: int = 0
    _range: tuple[float, float] | None = field(default=None, repr=False)
    _smallest: float | None = field(default=None, repr=False)

    def replace(self, array: npt.NDArray[Any]) -> None:
        """Other numbers under the same name: what was known of the old ones is forgotten."""
        self.array, self._range, self._smallest = array, None, None

    def range(self) -> tuple[float, float]:
        """The least and the greatest element, as floats; (0.0, 0.0) for an empty tensor and for what has no order."""
        if self._range is None:
            a = self.array
            known = a.size and a.dtype.kind not in "Oc"
            self._range = (float(_minimum(a, None)), float(_maximum(a, None))) if known else (0.0, 0.0)
        return self._range

    def smallest(self) -> float:
        """The least magnitude of an element; inf for an empty tensor."""
        if self._smallest is None:
            a = self.array
            self._smallest = float(np.abs(a).min()) if a.size else np.inf
        return self._smallest


@dataclass(slots=True, eq=False)
class Node:
    """One application of an operator: data operands in formal order (None if absent), parameters by formal name.

    ``bodies`` are those parameters that are graphs, which may read values of the graphs around them.
    ``absent`` is what its ``Call`` says of outputs that are left out, ``stored`` of the types of its parameters.
    """

    operator: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    params: Mapping[str, Any]
    absent: frozenset[int] | None = None

    bodies: tuple[Graph, ...] = ()
    stored: Mapping[str, DType] = field(default_factory=dict)

    @property
    def reads(self) -> list[Value]:
        """Operands, and what its bodies read from outside."""
        found = [value for value in self.inputs if value is not None]
        for body in self.bodies:
            found += body.captured
        return found


@dataclass(slots=True)
class Graph:
    """A whole model, or the body of a node: nodes in topological order over values, and the constraint store.

    ``omitted`` are optional outputs of nodes that nothing reads and that are left out;
    ``defaults`` are those of the initializers of a model that a caller may override.
    ``captured`` is what the nodes of a body, or of bodies inside of it, read from the graphs around it, each as often.
    """

    opset: int
    store: Constraints = field(default_factory=Constraints)
    inputs: list[Value] = field(default_factory=list)
    initializers: list[Value] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    omitted: set[Value] = field(default_factory=set)
    captured: list[Value] = field(default_factory=list)
    defaults: list[Value] = field(default_factory=list)
