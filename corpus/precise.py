"""An exported program run in float64, and how far rounding can move its outputs.

A worst-case bound on a deep net's error says nothing: it grows by a factor with each layer (1e21 for a resnet18
whose outputs are about 1). What rounding really does is sampled: the program runs in float64, and again with each
rounded result moved by up to a unit of the type in which the model computes it, at random (Monte Carlo arithmetic:
D. S. Parker, "Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic", UCLA CSD-970002, 1997). A
result that the type can hold is not moved, since no rounding happens; operands of contractions are, as the partial
sums inside of them are rounded too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import GraphModule, Interpreter, Node
from torch.utils import _pytree as pytree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.export import ExportedProgram

__all__ = ["DRAWS", "FACTOR", "Float64", "Precise", "flat_inputs", "precise_outputs"]

DRAWS = 3
"""How many times rounding is drawn."""

FACTOR = 32.0
"""A legal computation stays within so many times the largest deviation that was drawn. Three draws of one unit each
see the size of the error and not its tail; a sum of n terms in another order adds up to a factor of about sqrt(log
n)."""

_LEAST = 4.0  # units of the largest output: what is granted where nothing moved
_NARROW = frozenset({torch.float32, torch.float16, torch.bfloat16})
_ASSERTIONS = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range")
_CONTRACTIONS = frozenset({
    "conv1d", "conv2d", "conv3d", "convolution", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear",
    "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "scaled_dot_product_attention", "_conv_depthwise2d",
    "lstm", "gru", "rnn_tanh", "rnn_relu", "bilinear", "mv", "dot",
})  # fmt: skip
_CHOOSING = MappingProxyType({"topk": 2, "sort": 1, "argsort": 1})
"""Operators that may choose among equal elements, and which of their operands is the axis."""


@dataclass(frozen=True, slots=True)
class Precise:
    """The outputs of a program in float64, and for each how far from it a legal computation may be.

    ``tolerances`` is the largest absolute deviation of any element, infinite where nothing can be said: where the draws
    disagree about a whole number, or are nowhere finite.
    """

    outputs: tuple[torch.Tensor, ...]
    tolerances: tuple[float, ...]


def flat_inputs(program: ExportedProgram, user: Sequence[Any]) -> list[Any]:
    """What the program's graph takes, in its order: parameters, buffers, constants, the user's inputs (all leaves)."""
    from torch.export.graph_signature import InputKind

    rest = iter(user)
    found: list[Any] = []
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            found.append(next(rest))
        elif spec.target in program.state_dict:
            found.append(program.state_dict[spec.target])
        else:
            found.append(program.constants[spec.target or ""])
    return found


def precise_outputs(program: ExportedProgram, user: Sequence[Any]) -> Precise:
    """Run a program in float64, and drawn. Raises whatever an operator raises that does not take float64."""
    inputs = flat_inputs(program, user)

    def run(generator: torch.Generator | None) -> list[torch.Tensor]:
        # Copies, for a program may write into what it is given.
        given = [v.clone() if isinstance(v, torch.Tensor) else v for v in map(_promoted, inputs)]
        return _user_outputs(program, Float64(program.graph_module, generator).run(*given))

    with torch.no_grad():
        exact = run(None)
        drawn = [run(torch.Generator().manual_seed(seed)) for seed in range(DRAWS)]
    types = _declared(program)
    tolerances = tuple(
        _tolerance(value, [draw[i] for draw in drawn], types[i]) for i, value in enumerate(exact)
    )
    return Precise(tuple(exact), tolerances)


def _user_outputs(program: ExportedProgram, outputs: Sequence[Any]) -> list[torch.Tensor]:
    from torch.export.graph_signature import OutputKind

    pairs = zip(program.graph_signature.output_specs, outputs, strict=True)
    return [v for spec, v in pairs if spec.kind is OutputKind.USER_OUTPUT and isinstance(v, torch.Tensor)]


def _declared(program: ExportedProgram) -> list[torch.dtype]:
    """The element types of the outputs as the model has them."""
    node = next(node for node in program.graph.nodes if node.op == "output")
    values = [arg.meta.get("val") if isinstance(arg, Node) else None for arg in node.args[0]]
    return [value.dtype for value in _user_outputs(program, values)]


def _tolerance(exact: torch.Tensor, drawn: Sequence[torch.Tensor], dtype: torch.dtype) -> float:
    if not exact.numel():
        return 0.0
    if any(draw.shape != exact.shape for draw in drawn):
        return math.inf
    if not (exact.is_floating_point() or exact.is_complex()):
        return 0.0 if all(torch.equal(exact, draw) for draw in drawn) else math.inf
    finite = exact.isfinite()
    if not bool(finite.any()):
        return math.inf
    moved = max(float((draw - exact)[finite].abs().max()) for draw in drawn)
    least = _LEAST * torch.finfo(dtype).eps * float(exact[finite].abs().max())
    tolerance = max(FACTOR * moved, least)
    return tolerance if math.isfinite(tolerance) else math.inf


class Float64(Interpreter):  # type: ignore[misc]
    """Runs a graph with every float in float64; with a generator each rounded result is moved."""

    def __init__(self, module: GraphModule, generator: torch.Generator | None = None) -> None:
        super().__init__(module)
        self._generator = generator
        self._node: Node | None = None

    def run_node(self, n: Node) -> Any:
        """Run a node, and know which."""
        self._node = n
        return super().run_node(n)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        """A constant, in float64."""
        return _promoted(super().get_attr(target, args, kwargs))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """What an operator gives on float64, its rounding drawn where there is a generator; assertions are left out."""
        node = self._node
        name = getattr(target, "__name__", "").partition(".")[0]
        if name.startswith(_ASSERTIONS) or node is None:
            return None
        inner = next((i for i, arg in enumerate(args) if isinstance(arg, GraphModule)), None)
        if inner is not None:
            return self._nested(name, args, inner)
        args, kwargs = pytree.tree_map(_wide_type, (args, kwargs))
        unit = _unit(node)
        if unit and self._generator is not None and name in _CONTRACTIONS:
            args = pytree.tree_map(lambda leaf: self._shaken(leaf, unit), args)
        result = _promoted(self._chosen(name, target, args, kwargs))
        if not unit or self._generator is None or _is_view(target):
            return result
        dtype = _dtype(node)
        return pytree.tree_map(lambda leaf: self._rounded(leaf, unit, dtype), result)

    def _nested(self, name: str, args: Sequence[Any], inner: int) -> Any:
        """What wraps a block of nodes (no gradients, autocast) runs it; a choice runs the branch that it takes."""
        if name == "cond":
            return Float64(args[1] if bool(args[0]) else args[2], self._generator).run(*args[3])
        return Float64(args[inner], self._generator).run(*args[inner + 1 :])

    def _chosen(self, name: str, target: Any, args: Any, kwargs: Any) -> Any:
        """What an operator gives; of those that choose among equals, drawn, any of what they may choose.

        PyTorch leaves open which of equal elements `topk` takes, and `sort` puts first. So they see the elements in a
        drawn order.
        """
        call = super().call_function
        if self._generator is None or name not in _CHOOSING or kwargs.get("stable") or args[0].ndim == 0:
            return call(target, args, kwargs)
        position = _CHOOSING[name]
        axis = kwargs.get("dim", args[position] if len(args) > position else -1)
        order = torch.randperm(args[0].shape[axis], generator=self._generator)
        result = call(target, (args[0].index_select(axis, order), *args[1:]), kwargs)
        return order[result] if isinstance(result, torch.Tensor) else (result[0], order[result[1]])

    def _shaken(self, leaf: Any, unit: float) -> Any:
        if not isinstance(leaf, torch.Tensor) or leaf.dtype is not torch.float64:
            return leaf
        # Half of a build is passes like these over large tensors: few of them, and of float32 what needs no more.
        noise = torch.empty(leaf.shape).uniform_(-unit, unit, generator=self._generator)
        return torch.mul(leaf, noise).add_(leaf)

    def _rounded(self, leaf: Any, unit: float, dtype: torch.dtype) -> Any:
        if not isinstance(leaf, torch.Tensor) or leaf.dtype is not torch.float64:
            return leaf
        return torch.where(leaf.to(dtype) == leaf, leaf, self._shaken(leaf, unit))


def _dtype(node: Node) -> torch.dtype:
    value = node.meta.get("val")
    first = next((leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)), None)
    return torch.float64 if first is None else first.dtype


def _unit(node: Node) -> float:
    """The unit of the type that a node computes in; 0 where it rounds nothing."""
    dtype = _dtype(node)
    return float(torch.finfo(dtype).eps) / 2 if dtype in _NARROW else 0.0


def _is_view(target: Any) -> bool:
    schema = getattr(target, "_schema", None)
    return schema is not None and any(result.alias_info is not None for result in schema.returns)


def _promoted(value: Any) -> Any:
    return pytree.tree_map(
        lambda leaf: leaf.detach().double() if isinstance(leaf, torch.Tensor) and leaf.dtype in _NARROW else leaf, value
    )


def _wide_type(leaf: Any) -> Any:
    return torch.float64 if isinstance(leaf, torch.dtype) and leaf in _NARROW else leaf
