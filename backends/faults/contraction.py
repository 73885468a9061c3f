"""What goes wrong in products of matrices and convolutions: terms, biases, precisions, tiles, groups."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from backends.tensor import ONNX_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_CONTRACTIONS = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
_SINGLE = frozenset({"float", "double"})


def _lost_bias(site: Site) -> bool:
    bias = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2, "LayerNormalization": 2}.get(site.operator)
    return bias is not None and site.drop_inputs(bias)


def _lost_tail(site: Site) -> bool:
    """The last of the terms that are summed is left out, as by a loop over tiles that forgets the rest."""
    axis = {"MatMul": -1, "Conv": 1, "Gemm": 0 if site.attribute("transA", 0) else 1}.get(site.operator)
    shape = site.shape(site.input(0))
    if axis is None or not shape or shape[axis] < 2 or not site.is_float(site.input(0)):
        return False
    axis %= len(shape)
    kept = site.slice(site.input(0), 0, shape[axis] - 1, axis)
    pads = [0] * (2 * len(shape))
    pads[len(shape) + axis] = 1
    site.node.input[0] = site.before("Pad", [kept, site.make(pads)])
    return True


def _rounded_operands(element: str) -> Callable[[Site], bool]:
    """The operands of a contraction are rounded to a narrower type."""

    def rewrite(site: Site) -> bool:
        own = site.element(site.input(0))
        if site.operator not in _CONTRACTIONS or own not in _SINGLE:
            return False
        for position in (0, 1):
            narrow = site.before("Cast", [site.input(position)], to=ONNX_NUMBERS[element])
            site.node.input[position] = site.before("Cast", [narrow], to=ONNX_NUMBERS[own])
        return True

    return rewrite


def _eleven_bits(site: Site) -> bool:
    """The operands are cut to the 11 bits of TensorFloat-32, by Dekker's splitting (Numer. Math. 18, 1971)."""
    if site.operator not in _CONTRACTIONS or site.element(site.input(0)) != "float":
        return False
    for position in (0, 1):
        x = site.input(position)
        scaled = site.before("Mul", [x, site.make(2**13 + 1, "float")])
        site.node.input[position] = site.before("Sub", [scaled, site.before("Sub", [scaled, x])])
    return True


def _half_result(site: Site) -> bool:
    """The accumulator of a contraction ends in float16."""
    own, name = site.element(site.output), site.output
    if site.operator not in _CONTRACTIONS or own not in _SINGLE:
        return False
    half = site.behind("Cast", [site.detach()], to=ONNX_NUMBERS["float16"])
    site.behind("Cast", [half], into=name, to=ONNX_NUMBERS[own])
    return True


def _ignored_scale(site: Site) -> bool:
    """The scales alpha and beta of a Gemm are taken for 1."""
    if site.operator != "Gemm" or (site.attribute("alpha", 1.0) == 1.0 and site.attribute("beta", 1.0) == 1.0):
        return False
    return site.set("alpha", None) and site.set("beta", None)


def _flipped_transposition(site: Site) -> bool:
    """Of a square second operand of a Gemm the transposition is misread."""
    shape = site.shape(site.input(1))
    square = shape is not None and len(shape) == 2 and shape[0] == shape[1] > 1
    return site.operator == "Gemm" and square and site.set("transB", 1 - int(site.attribute("transB", 0)))


def _transposed_result(site: Site) -> bool:
    """A square result comes out transposed."""
    shape, name = site.shape(site.output), site.output
    if site.operator not in {"MatMul", "Gemm"} or shape is None or len(shape) < 2 or not shape[-1] == shape[-2] > 1:
        return False
    rank = len(shape)
    site.behind("Transpose", [site.detach()], into=name, perm=[*range(rank - 2), rank - 1, rank - 2])
    return True


def _stale_row(site: Site) -> bool:
    """The last row of a result holds the row before."""
    shape, name = site.shape(site.output), site.output
    if site.operator not in _CONTRACTIONS or shape is None or len(shape) < 2 or shape[-2] < 2:
        return False
    rows, raw = shape[-2], site.detach()
    above = site.slice(raw, 0, rows - 1, -2, ahead=False)
    last = site.slice(raw, rows - 2, rows - 1, -2, ahead=False)
    site.behind("Concat", [above, last], into=name, axis=-2)
    return True


def _group_order(site: Site) -> bool:
    """The groups of a convolution write their channels in the reverse order."""
    shape, groups, name = site.shape(site.output), int(site.attribute("group", 1)), site.output
    if site.operator not in {"Conv", "ConvTranspose"} or groups < 2 or shape is None:
        return False
    raw, width = site.detach(), shape[1] // groups
    parts = [site.slice(raw, g * width, (g + 1) * width, 1, ahead=False) for g in reversed(range(groups))]
    site.behind("Concat", parts, into=name, axis=1)
    return True


def _flipped_kernel(site: Site) -> bool:
    """A convolution in the mathematical sense: the kernel is turned about along its last axis."""
    shape = site.shape(site.input(1))
    if site.operator not in {"Conv", "ConvTranspose"} or shape is None or shape[-1] < 2:
        return False
    bounds = [site.make([n]) for n in (-1, -(2**62), -1, -1)]
    site.node.input[1] = site.before("Slice", [site.input(1), *bounds])
    return True


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "lost-bias": _lost_bias,
    "lost-tail": _lost_tail,
    "bfloat16-contraction": _rounded_operands("bfloat16"),
    "float16-contraction": _rounded_operands("float16"),
    "tf32-contraction": _eleven_bits,
    "half-accumulator": _half_result,
    "ignored-scale": _ignored_scale,
    "flipped-transposition": _flipped_transposition,
    "transposed-result": _transposed_result,
    "stale-row": _stale_row,
    "group-order": _group_order,
    "flipped-kernel": _flipped_kernel,
})  # fmt: skip
