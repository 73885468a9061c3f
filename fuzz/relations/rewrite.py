"""What a rewrite is: a change of a model that keeps its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fuzz.relations.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    import onnx

    from backends.tensor import Tensor
    from fuzz.relations.site import Base

__all__ = ["OLDEST_OPSET", "Rewrite", "Rewritten", "rewritten"]

OLDEST_OPSET = 13
"""Rewrites add nodes as this opset and later ones have them: axes of Squeeze and ReduceSum are inputs."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rule.

    Attributes:
        name: what reports call it.
        summary: the equation, in a line.
        apply: changes a site and says whether it could.
        exact: the same elements come out under any legal arithmetic (data is moved, or the operation added is exact);
            otherwise the two results agree within their bounds.
        opaque: the nodes are the same, but stand inside of a body or a function, of which the reference knows only a
            coarse bound: the original's bound holds.
        operators: generated models of these operators have a place for it; empty: nearly any model has.
    """

    name: str
    summary: str
    apply: Callable[[Site], bool]
    exact: bool = True
    opaque: bool = False
    operators: tuple[str, ...] = ()


class Rewritten(NamedTuple):
    """A rewritten model, and where it was changed, in words; the rest as in ``Site``."""

    model: onnx.ModelProto
    place: str
    lifted: dict[str, Tensor]
    frozen: AbstractSet[str]
    copies: Sequence[str]


def rewritten(base: Base, rewrite: Rewrite, draw: Callable[[int], int]) -> Rewritten | None:
    """The model after one application at a place that ``draw`` picks; None where it has no such place."""
    if base.opset < OLDEST_OPSET:
        return None
    site = Site(base, draw)
    if not rewrite.apply(site):
        return None
    return Rewritten(site.finished(), site.place, site.lifted, site.frozen, site.copies)
