"""What goes wrong in windows: padding, strides, dilations, what counts in a pool."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})
_WINDOWS = _POOLS | {"Conv"}


def _moved_padding(site: Site, move: Callable[[list[int]], list[int] | None]) -> bool:
    padded = site.operator == "Pad"
    if not padded and site.operator not in _WINDOWS | {"ConvTranspose"}:
        return False
    pads: list[int] = list((site.integers(1) if padded else site.attribute("pads")) or [])
    moved = move(list(pads))
    if not pads or moved is None or moved == pads:
        return False
    if padded:
        site.node.input[1] = site.make(moved)
    else:
        site.set("pads", moved)
    return True


def _shifted_padding(site: Site) -> bool:
    """One row of padding is on the other side."""

    def move(pads: list[int]) -> list[int] | None:
        at = next((i for i, n in enumerate(pads) if n > 0), None)
        if at is None:
            return None
        pads[at] -= 1
        pads[(at + len(pads) // 2) % len(pads)] += 1
        return pads

    return _moved_padding(site, move)


def _swapped_padding(site: Site) -> bool:
    """Padding at the beginning and at the end are exchanged."""
    return _moved_padding(site, lambda pads: [*pads[len(pads) // 2 :], *pads[: len(pads) // 2]])


def _restored(site: Site, shape: Sequence[int], axes: int) -> None:
    """Behind the node: crop what is too large, fill with zeros what is too small."""
    rank, name = len(shape), site.output
    raw = site.detach()
    grown = site.behind("Pad", [raw, site.make([0] * (2 * rank - axes) + list(shape[rank - axes :]))])
    bounds = [site.make(n) for n in ([0] * axes, list(shape[rank - axes :]), list(range(rank - axes, rank)))]
    site.behind("Slice", [grown, *bounds], into=name)


def _ignored(site: Site, name: str, *, first_only: bool) -> bool:
    """An attribute with a number for each axis is taken for 1, for the first axis or for all."""
    given, shape = site.attribute(name), site.shape(site.output)
    if site.operator not in _WINDOWS or not given or shape is None or len(site.node.output) > 1:
        return False
    changed = [1, *given[1:]] if first_only else [1] * len(given)
    if changed == list(given):
        return False
    site.set(name, changed)
    _restored(site, shape, len(given))
    return True


def _ignored_stride(site: Site) -> bool:
    return _ignored(site, "strides", first_only=True)


def _ignored_dilation(site: Site) -> bool:
    return _ignored(site, "dilations", first_only=False)


def _ignored_ceiling(site: Site) -> bool:
    """Windows that ceil_mode adds at the end are not computed."""
    shape = site.shape(site.output)
    if site.operator not in _POOLS or not site.attribute("ceil_mode", 0) or shape is None or len(site.node.output) > 1:
        return False
    site.set("ceil_mode", 0)
    _restored(site, shape, len(shape) - 2)
    return True


def _padding_counts(site: Site) -> bool:
    if site.operator != "AveragePool" or not any(site.attribute("pads", [])):
        return False
    return site.set("count_include_pad", 1 - int(site.attribute("count_include_pad", 0)))


def _norm_order(site: Site) -> bool:
    """The order of a norm is taken for its default, 2."""
    names = {"LpPool", "GlobalLpPool", "LpNormalization"}
    return site.operator in names and site.attribute("p", 2) != 2 and site.set("p", None)


def _maximum_from_zero(site: Site) -> bool:
    """A running maximum begins with 0, not with the least number."""
    name = site.output
    if site.operator not in {"MaxPool", "GlobalMaxPool", "ReduceMax"} or not site.is_float(name):
        return False
    site.behind("Relu", [site.detach()], into=name)
    return True


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "shifted-padding": _shifted_padding,
    "swapped-padding": _swapped_padding,
    "ignored-stride": _ignored_stride,
    "ignored-dilation": _ignored_dilation,
    "ignored-ceiling": _ignored_ceiling,
    "padding-counts": _padding_counts,
    "norm-order": _norm_order,
    "maximum-from-zero": _maximum_from_zero,
})  # fmt: skip
