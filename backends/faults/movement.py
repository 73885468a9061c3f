"""What goes wrong where data only moves: slices, axes, orders, indices, buffers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_GATHERS = frozenset({"Gather", "GatherElements", "GatherND"})
_ELEMENTWISE_AXIS = frozenset({
    "Softmax", "LogSoftmax", "Hardmax", "CumSum", "CumProd", "ArgMax", "ArgMin", "TopK", "Gather", "GatherElements",
    "ScatterElements", "Concat", "Split", "LayerNormalization", "RMSNormalization", "LpNormalization", "Compress",
})  # fmt: skip


def _shifted_slice(site: Site) -> bool:
    """A Slice starts one element off where there is room for that."""
    starts, ends, sizes = site.integers(1), site.integers(2), site.shape(site.input(0))
    if site.operator != "Slice" or starts is None or ends is None or sizes is None:
        return False
    axes = site.integers(3) or list(range(len(starts)))
    steps = site.integers(4) or [1] * len(starts)
    ranges = [range(*slice(s, e, k).indices(sizes[a])) for s, e, k, a in zip(starts, ends, steps, axes, strict=True)]
    for at, covered in enumerate(ranges):
        if covered and covered.step > 0 and (covered[0] > 0 or covered[-1] + 1 < sizes[axes[at]]):
            by = -1 if covered[0] > 0 else 1
            starts[at], ends[at] = covered[0] + by, covered[-1] + 1 + by
            site.node.input[1], site.node.input[2] = site.make(starts), site.make(ends)
            return True
    return False


def _forward_slice(site: Site) -> bool:
    """What a negative step takes comes in forward order."""
    steps, rank = site.integers(4), site.rank(site.input(0))
    if site.operator != "Slice" or steps is None or rank is None:
        return False
    axes = site.integers(3) or list(range(len(steps)))
    turned = [axis for axis, step in zip(axes, steps, strict=True) if step < 0]
    if not turned:
        return False
    name = site.output
    many = len(turned)
    bounds = [site.make([-1] * many), site.make([-(2**62)] * many), site.make(turned), site.make([-1] * many)]
    site.behind("Slice", [site.detach(), *bounds], into=name)
    return True


def _concat_order(site: Site) -> bool:
    inputs = list(site.node.input)
    if site.operator != "Concat" or inputs == inputs[::-1]:
        return False
    return site.become("Concat", inputs[::-1], axis=site.attribute("axis"))


def _rotated(site: Site, name: str, axis: int) -> str | None:
    """A value whose elements have moved on by one along an axis, the last coming first."""
    shape = site.shape(name)
    if not shape or shape[axis] < 2:
        return None
    size = shape[axis]
    parts = [site.slice(name, size - 1, size, axis), site.slice(name, 0, size - 1, axis)]
    return site.before("Concat", parts, axis=axis)


def _split_offset(site: Site) -> bool:
    """The parts of a Split begin one element early."""
    moved = _rotated(site, site.input(0), int(site.attribute("axis", 0))) if site.operator == "Split" else None
    if moved is not None:
        site.node.input[0] = moved
    return moved is not None


def _swapped_axes(site: Site) -> bool:
    """A Transpose exchanges two axes of the same size."""
    shape = site.shape(site.input(0))
    if site.operator != "Transpose" or shape is None:
        return False
    perm = list(site.attribute("perm") or reversed(range(len(shape))))
    for j in range(len(perm)):
        for i in range(j):
            if shape[perm[i]] == shape[perm[j]] > 1:
                perm[i], perm[j] = perm[j], perm[i]
                return site.set("perm", perm)
    return False


def _dropped_transpose(site: Site) -> bool:
    """A Transpose becomes a Reshape: the elements stay where they are."""
    shape = site.shape(site.output)
    if site.operator != "Transpose" or shape is None:
        return False
    return site.become("Reshape", [site.input(0), site.make(list(shape))], allowzero=1)


def _column_major_reshape(site: Site) -> bool:
    """The last two axes of a Reshape are filled in the wrong order."""
    shape = site.shape(site.output)
    if site.operator != "Reshape" or shape is None or len(shape) < 2 or min(shape[-2:]) < 2:
        return False
    name, rank = site.output, len(shape)
    site.node.input[1] = site.make([*shape[:-2], shape[-1], shape[-2]])
    site.set("allowzero", 1)
    site.behind("Transpose", [site.detach()], into=name, perm=[*range(rank - 2), rank - 1, rank - 2])
    return True


def _limited(site: Site) -> tuple[str, Any] | None:
    """The element type of a gather's indices, and the number of elements that they point into."""
    kind, shape = site.element(site.input(1)), site.shape(site.input(0))
    if site.operator not in _GATHERS or kind not in {"int32", "int64"} or not shape:
        return None
    if site.operator != "GatherND":
        return kind, shape[int(site.attribute("axis", 0))]
    first, depth = int(site.attribute("batch_dims", 0)), site.shape(site.input(1))
    return (kind, list(shape[first : first + depth[-1]])) if depth else None


def _next_element(site: Site) -> bool:
    """Indices of a gather are one too large, and held at the last."""
    found = _limited(site)
    if found is None:
        return False
    kind, size = found
    moved = site.before("Add", [site.input(1), site.make(1, kind)])
    site.node.input[1] = site.before("Min", [moved, site.make(np.asarray(size) - 1, kind)])
    return True


def _clamped_index(site: Site) -> bool:
    """Negative indices of a gather become 0 instead of counting from the end."""
    found = _limited(site)
    if found is None:
        return False
    site.node.input[1] = site.before("Max", [site.input(1), site.make(0, found[0])])
    return True


def _repeat_for_tile(site: Site) -> bool:
    """Each element is repeated, not the whole."""
    shape, repeats = site.shape(site.input(0)), site.integers(1)
    if site.operator != "Tile" or not shape or repeats is None:
        return False
    spread = [n for size in shape for n in (size, 1)]
    grown = [n for pair in zip(shape, repeats, strict=True) for n in pair]
    apart = site.before("Reshape", [site.input(0), site.make(spread)], allowzero=1)
    copied = site.before("Expand", [apart, site.make(grown)])
    final = [size * count for size, count in zip(shape, repeats, strict=True)]
    return site.become("Reshape", [copied, site.make(final)], allowzero=1)


def _flipped(operator: str, name: str, default: Any, other: Any) -> Callable[[Site], bool]:
    def rewrite(site: Site) -> bool:
        if site.operator != operator:
            return False
        return site.set(name, default if site.attribute(name, default) == other else other)

    return rewrite


def _transposed_blocks(site: Site) -> bool:
    """SpaceToDepth puts the rows and columns of a block in the other order."""
    shape = site.shape(site.input(0))
    if site.operator != "SpaceToDepth" or shape is None or len(shape) != 4:
        return False
    name, n = site.output, int(site.attribute("blocksize"))
    _, channels, height, width = shape
    raw = site.detach()
    apart = site.behind("Reshape", [raw, site.make([-1, n, n, channels, height // n, width // n])])
    turned = site.behind("Transpose", [apart], perm=[0, 2, 1, 3, 4, 5])
    site.behind("Reshape", [turned, site.make([-1, channels * n * n, height // n, width // n])], into=name)
    return n > 1


def _misread_axis(site: Site) -> bool:
    """Axis -k is read as k - 1."""
    if site.operator not in _ELEMENTWISE_AXIS:
        return False
    if site.operator in {"CumSum", "CumProd"}:
        given = site.constant(1)
        if given is None or given.flat[0] >= 0:
            return False
        site.node.input[1] = site.make(-given - 1, site.element(site.input(1)))
        return True
    axis = site.attribute("axis")
    return axis is not None and axis < 0 and -axis - 1 != axis + (site.rank(site.input(0)) or 0) and site.set(
        "axis", -axis - 1
    )


def _wrong_axis(site: Site) -> bool:
    """The axis beside the right one."""
    axis, rank = site.attribute("axis"), site.rank(site.input(0))
    if site.operator not in _ELEMENTWISE_AXIS or axis is None or rank is None or rank < 2:
        return False
    return site.set("axis", (axis % rank + 1) % rank)


def _edge_as_reflect(site: Site) -> bool:
    return site.operator == "Pad" and site.attribute("mode") == b"edge" and site.set("mode", "reflect")


def _pad_with_zero(site: Site) -> bool:
    value = site.constant(2)
    if site.operator != "Pad" or value is None or not np.any(value):
        return False
    site.node.input[2] = ""
    return True


def _ignored_reduction(site: Site) -> bool:
    """Scattered elements replace instead of being added or multiplied."""
    scatter = site.operator in {"ScatterElements", "ScatterND"}
    return scatter and site.attribute("reduction", b"none") != b"none" and site.set("reduction", "none")


def _ignored_lengths(site: Site) -> bool:
    """ReverseSequence reverses the whole of each sequence."""
    shape, time = site.shape(site.input(0)), int(site.attribute("time_axis", 0))
    if site.operator != "ReverseSequence" or shape is None:
        return False
    batch = shape[int(site.attribute("batch_axis", 1))]
    site.node.input[1] = site.make(np.full(batch, shape[time]))
    return True


def _off_as_on(site: Site) -> bool:
    """The two values of a OneHot are exchanged."""
    if site.operator != "OneHot":
        return False
    site.node.input[2] = site.before("Gather", [site.input(2), site.make([1, 0])])
    return True


def _ignored_diagonal(site: Site) -> bool:
    """Trilu keeps the part about the main diagonal, EyeLike fills that one."""
    if site.operator == "EyeLike":
        return bool(site.attribute("k", 0)) and site.set("k", 0)
    return site.operator == "Trilu" and site.drop_inputs(1)


def _nearest_mode(site: Site) -> bool:
    """The nearest neighbour is taken by floor where another rule is asked for, else by ceil."""
    if site.operator != "Resize" or site.attribute("mode", b"nearest") != b"nearest":
        return False
    other = "ceil" if site.attribute("nearest_mode", b"round_prefer_floor") == b"floor" else "floor"
    return site.set("nearest_mode", other)


def _resize_coordinates(site: Site) -> bool:
    mode = site.attribute("coordinate_transformation_mode", b"half_pixel")
    if site.operator != "Resize":
        return False
    return site.set("coordinate_transformation_mode", "half_pixel" if mode == b"asymmetric" else "asymmetric")


def _wrong_buffer(site: Site) -> bool:
    """An operand is read from where the newest other value of the same type and shape lies."""
    for position, name in enumerate(site.node.input):
        own = site.draft.types.get(name)
        if not name or own is None or own.shape is None or name in site.draft.constants:
            continue
        for other in site.earlier():
            if other == name:
                break
            if site.draft.types.get(other) == own:
                site.node.input[position] = other
                return True
    return False


def _merged_constants(site: Site) -> bool:
    """Constants of the same type and shape are taken for the same one."""
    for position, name in enumerate(site.node.input):
        own = site.draft.constants.get(name)
        if own is None or not site.is_float(name) or not own.dims:
            continue
        for other, tensor in site.draft.constants.items():
            if other == name:
                break
            if tensor.data_type == own.data_type and tensor.dims == own.dims:
                site.node.input[position] = other
                return True
    return False


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "shifted-slice": _shifted_slice,
    "forward-slice": _forward_slice,
    "concat-order": _concat_order,
    "split-offset": _split_offset,
    "swapped-axes": _swapped_axes,
    "dropped-transpose": _dropped_transpose,
    "column-major-reshape": _column_major_reshape,
    "next-element": _next_element,
    "clamped-index": _clamped_index,
    "repeat-for-tile": _repeat_for_tile,
    "depth-to-space-mode": _flipped("DepthToSpace", "mode", b"DCR", b"CRD"),
    "transposed-blocks": _transposed_blocks,
    "wrong-triangle": _flipped("Trilu", "upper", 1, 0),
    "ignored-diagonal": _ignored_diagonal,
    "misread-negative-axis": _misread_axis,
    "wrong-axis": _wrong_axis,
    "edge-as-reflect": _edge_as_reflect,
    "pad-with-zero": _pad_with_zero,
    "ignored-scatter-reduction": _ignored_reduction,
    "ignored-sequence-lengths": _ignored_lengths,
    "one-hot-inverted": _off_as_on,
    "nearest-mode": _nearest_mode,
    "resize-coordinates": _resize_coordinates,
    "wrong-buffer": _wrong_buffer,
    "merged-constants": _merged_constants,
})  # fmt: skip
