"""Small graphs whose sizes are known."""

from __future__ import annotations

import pytest

from abstract.constraints import Constraints
from abstract.dtypes import dtype
from abstract.graph import Graph, Node, Origin, Recipe, Value
from abstract.types import TensorType
from fuzz.generate.tensors import fill

FLOAT = dtype("float")
DRAWN = Recipe("whole", 7, 1.0, 4.0)


class Sketch:
    """A graph under the pen: values by shape, nodes by name."""

    def __init__(self, opset=21):
        self.graph = Graph(opset, Constraints())
        self.store = self.graph.store
        self.count = 0

    def dim(self, size, low=1, high=2**31 - 1):
        return self.store.fresh(size, low=low, high=high)

    def value(self, *shape, kind=FLOAT, recipe=DRAWN, initializer=False):
        self.count += 1
        sizes = tuple(self.store.value(dim) for dim in shape)
        origin = Origin.INITIALIZER if initializer else Origin.INPUT
        array = fill(recipe or DRAWN, sizes, kind)
        made = Value(f"x{self.count}", TensorType(kind, tuple(shape)), array, origin, exact=True, recipe=recipe)
        (self.graph.initializers if initializer else self.graph.inputs).append(made)
        return made

    def node(self, operator, inputs, dims, array, **params):
        self.count += 1
        made = Value(f"v{self.count}", TensorType(FLOAT, tuple(dims)), array, Origin.NODE, exact=False)
        self.graph.nodes.append(Node(operator, tuple(inputs), (made,), params))
        self.graph.outputs = [made]
        return made


@pytest.fixture
def sketch():
    return Sketch()
