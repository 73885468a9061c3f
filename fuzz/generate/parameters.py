"""How a model says the parameters that hold symbolic integers: by numbers, relatively, or computed in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abstract.dims import Dim, Expr, symbols
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.chain import divisions, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from abstract.dims import Symbol
    from abstract.graph import Graph, Node
    from fuzz.generate.chain import Sources, Style

__all__ = ["Parameters"]

_LARGEST = 2**53  # beyond which the reference does not count: ends of Slice that mean all


def relative(node: Node, name: str, given: Any, resolve: Callable[[Dim], Dim]) -> Any:
    """A target shape said without its symbols where the operator has a way to: 0 and -1 in Reshape, 1 in Expand."""
    if name != "shape" or node.operator not in ("Reshape", "Expand") or not isinstance(given, tuple):
        return given
    operand = node.inputs[0]
    if operand is None:
        return given
    have = operand.type.shape
    result = list(given)
    if node.operator == "Expand":
        shift = len(have) - len(given)
        for i, dim in enumerate(given):
            if isinstance(dim, Expr) and i + shift >= 0 and resolve(dim) == resolve(have[i + shift]):
                result[i] = 1
        return tuple(result)
    copies = min(len(have), len(given)) if not node.params.get("allowzero", 0) else 0
    for i, dim in enumerate(given[:copies]):
        if isinstance(dim, Expr) and resolve(dim) == resolve(have[i]):
            result[i] = 0
    left = [i for i, dim in enumerate(result) if isinstance(dim, Expr) and not isinstance(resolve(dim), int)]
    if len(left) == 1 and -1 not in [d for d in given if isinstance(d, int)]:
        result[left[0]] = -1
    return tuple(result)


def _items(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


class Parameters:
    """The parameters of one graph and the bodies in it. ``style`` is that of its chains; None where it has none."""

    def __init__(self, graph: Graph, style: Style | None) -> None:
        self.store = graph.store
        self.opset = graph.opset
        self.style = style
        self._computed: set[tuple[Node, str]] = set()
        self._given: frozenset[Symbol] = frozenset()
        self._readable: frozenset[Symbol] = frozenset()
        if style is not None:
            resolve = graph.store.resolve
            self._given = frozenset(s for v in graph.inputs for d in v.type.shape for s in symbols(resolve(d)))
            self._readable = readable(graph)

    def pinning(self, node: Node, name: str, given: Any) -> list[Expr]:
        """What of a parameter is written by its witness. Asked once a parameter, before any is written."""
        if not any(isinstance(item, Expr) for item in _items(given)):
            return []
        said = relative(node, name, given, self.store.resolve)
        left = [item for item in _items(said) if isinstance(item, Expr)]
        if self.style is None or not self._computable(node, name, given):
            return left
        if left or self.style.coin(self.style.direct):
            self._computed.add((node, name))
        return []

    def _computable(self, node: Node, name: str, given: Any) -> bool:
        """Whether a parameter is an input, of whole numbers, which shapes of the model's inputs tell."""
        sign = signature(node.operator, self.opset)
        if name not in TABLE[node.operator].parameters or all(name != formal.name for formal in sign.inputs):
            return False
        if any(isinstance(item, int) and abs(item) > _LARGEST for item in _items(given)):
            return False
        dims = [self.store.resolve(item) for item in _items(given) if isinstance(item, Expr)]
        if any(s in self._given and s not in self._readable for dim in dims for s in symbols(dim)):
            return False
        facts = [fact for dim in dims for fact in divisions(dim)]
        if not all(fact.holds(self.store.witness) for fact in facts):
            return False
        for fact in facts:
            self.store.require(fact)
        return True

    def said(self, node: Node, sources: Sources) -> dict[str, Any]:
        """The parameters of a node: numbers, and dims in live symbols where they are to be computed."""
        result: dict[str, Any] = {}
        for name, given in node.params.items():
            if (node, name) in self._computed:
                dims = tuple(sources.plain(item) for item in _items(given))
                result[name] = dims if isinstance(given, tuple) else dims[0]
                continue
            kept = relative(node, name, given, self.store.resolve) if sources.live else given
            if isinstance(kept, tuple):
                kept = tuple(self.store.value(v) if isinstance(v, Expr) else v for v in kept)
            elif isinstance(kept, Expr):
                kept = self.store.value(kept)
            result[name] = kept
        return result
