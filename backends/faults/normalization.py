"""What goes wrong in normalisations and softmax: epsilons, axes, statistics, overflow."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.faults.draft import Site

__all__ = ["REWRITES"]

_DEFAULT_EPSILON: Mapping[str, float] = MappingProxyType({
    "BatchNormalization": 1e-5, "InstanceNormalization": 1e-5, "LayerNormalization": 1e-5, "GroupNormalization": 1e-5,
    "RMSNormalization": 1e-5,
})  # fmt: skip


def _epsilon(site: Site) -> float | None:
    default = _DEFAULT_EPSILON.get(site.operator)
    return None if default is None else float(site.attribute("epsilon", default))


def _dropped_epsilon(site: Site) -> bool:
    return bool(_epsilon(site)) and site.set("epsilon", 0.0)


def _doubled_epsilon(site: Site) -> bool:
    epsilon = _epsilon(site)
    return bool(epsilon) and site.set("epsilon", 2 * (epsilon or 0.0))


def _epsilon_outside_root(site: Site) -> bool:
    """sqrt(variance) + epsilon in a BatchNormalization, as its inputs are: (sqrt(v) + e)**2 - e for the variance."""
    epsilon, kind = _epsilon(site), site.element(site.input(4))
    if site.operator != "BatchNormalization" or not epsilon:
        return False
    outside = site.before("Add", [site.before("Sqrt", [site.input(4)]), site.make(epsilon, kind)])
    square = site.before("Mul", [outside, outside])
    site.node.input[4] = site.before("Sub", [square, site.make(epsilon, kind)])
    return True


def _swapped_statistics(site: Site) -> bool:
    """Mean and variance of a BatchNormalization are exchanged; what is negative then is made positive."""
    if site.operator != "BatchNormalization" or site.input(3) == site.input(4):
        return False
    mean, variance = site.input(4), site.before("Abs", [site.input(3)])
    site.node.input[3], site.node.input[4] = mean, variance
    return True


def _layer(site: Site, *, one_pass: bool = False, first_axis: bool = False, unbiased: bool = False) -> bool:
    """A LayerNormalization made of its parts, one of them wrong."""
    x, shape = site.input(0), site.shape(site.input(0))
    kind = site.element(x)
    if site.operator != "LayerNormalization" or shape is None or kind not in {"float", "double"}:
        return False
    if len([name for name in site.node.output if name]) > 1:
        return False
    first = int(site.attribute("axis", -1)) % len(shape)
    over = list(range(first, len(shape)))
    if first_axis:
        if len(shape) < 2 or first == len(shape) - 1:
            return False
        over = over[-1:]
    count = 1
    for axis in over:
        count *= shape[axis]
    if count < 2:
        return False
    axes = site.make(over)
    mean = site.before("ReduceMean", [x, axes])
    away = site.before("Sub", [x, mean])
    if one_pass:
        mean_of_squares = site.before("ReduceMean", [site.before("Mul", [x, x]), axes])
        variance = site.before("Sub", [mean_of_squares, site.before("Mul", [mean, mean])])
    else:
        variance = site.before("ReduceMean", [site.before("Mul", [away, away]), axes])
    if unbiased:
        variance = site.before("Mul", [variance, site.make(count / (count - 1), kind)])
    inside = site.before("Add", [variance, site.make(float(site.attribute("epsilon", 1e-5)), kind)])
    result = site.before("Div", [away, site.before("Sqrt", [inside])])
    result = site.before("Mul", [result, site.input(1)])
    if site.input(2):
        return site.become("Add", [result, site.input(2)])
    return site.become("Identity", [result])


def _one_pass_variance(site: Site) -> bool:
    """E[x**2] - E[x]**2."""
    return _layer(site, one_pass=True)


def _last_axis_only(site: Site) -> bool:
    """Of several axes only the last is normalised."""
    return _layer(site, first_axis=True)


def _unbiased_variance(site: Site) -> bool:
    """Division by n - 1."""
    return _layer(site, unbiased=True)


def _unshifted_softmax(site: Site) -> bool:
    """exp(x) / sum(exp(x)) without the maximum taken off."""
    axis, rank = site.attribute("axis", -1), site.rank(site.input(0))
    if site.operator != "Softmax" or rank is None:
        return False
    above = site.before("Exp", [site.input(0)])
    below = site.before("ReduceSum", [above, site.make([axis])])
    return site.become("Div", [above, below])


def _softmax_axis(site: Site) -> bool:
    """Softmax over the last axis where another is asked for, else over the first."""
    axis, rank = int(site.attribute("axis", -1)), site.rank(site.input(0))
    if site.operator not in {"Softmax", "LogSoftmax", "Hardmax"} or rank is None or rank < 2:
        return False
    return site.set("axis", 0 if axis % rank == rank - 1 else -1)


def _merged_groups(site: Site) -> bool:
    """All groups of a GroupNormalization share their statistics."""
    groups = int(site.attribute("num_groups", 1))
    return site.operator == "GroupNormalization" and groups > 1 and site.set("num_groups", 1)


def _ignored_local_constants(site: Site) -> bool:
    """alpha, beta and bias of an LRN are taken for their defaults."""
    if site.operator != "LRN":
        return False
    present = [a.name for a in site.node.attribute if a.name != "size"]
    return bool(present) and all(site.set(name, None) for name in present)


REWRITES: Mapping[str, Callable[[Site], bool]] = MappingProxyType({
    "dropped-epsilon": _dropped_epsilon,
    "doubled-epsilon": _doubled_epsilon,
    "epsilon-outside-root": _epsilon_outside_root,
    "swapped-statistics": _swapped_statistics,
    "one-pass-variance": _one_pass_variance,
    "last-axis-only": _last_axis_only,
    "unbiased-variance": _unbiased_variance,
    "unshifted-softmax": _unshifted_softmax,
    "softmax-axis": _softmax_axis,
    "merged-groups": _merged_groups,
    "ignored-local-constants": _ignored_local_constants,
})  # fmt: skip
