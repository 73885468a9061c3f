"""Once-for-All: the subnets of the ProxylessNAS and MobileNetV3 supernets.

Source: Cai, Gan, Wang, Zhang, Han, "Once-for-All: Train One Network and Specialize it for Efficient Deployment",
ICLR 2020 (arXiv 1908.09791), section 3.2; github.com/mit-han-lab/once-for-all (ofa_mbv3.py, ofa_proxyless.py).
Five units of 2 to 4 inverted residual blocks (Sandler et al. 2018), each with a depthwise window of 3, 5 or 7 and an
expansion of 3, 4 or 6: (9^2 + 9^3 + 9^4)^5, about 2 * 10^19. The ProxylessNAS space has a sixth unit of one block.
Widths are those of the published checkpoints that GENNAPE's caches are of: 1.2 and 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpus.families.family import Choices, Family, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["MOBILENET_V3", "PROXYLESS", "Space", "largest", "layers"]

DEPTHS, KERNELS, EXPANSIONS = (2, 3, 4), (3, 5, 7), (3, 4, 6)
_SMALL_WIDTH = 0.25
_PER_UNIT = sum((len(KERNELS) * len(EXPANSIONS)) ** depth for depth in DEPTHS)


@dataclass(frozen=True, slots=True)
class Unit:
    """Blocks of one size: channels, stride of the first, activation, whether squeezed, whether the depth is open."""

    channels: int
    stride: int
    act: str
    squeezed: bool = False
    elastic: bool = True


@dataclass(frozen=True, slots=True)
class Space:
    """A supernet: stem and first block with their channels at width 1, units, last layers.

    ``last`` is (channels before pooling, channels after it, 0 for no such layer), ``epsilon`` that of batch
    normalisation.
    """

    stem: int
    first: int
    act: str
    first_act: str
    first_added: bool
    units: tuple[Unit, ...]
    last: tuple[int, int]
    width: float
    epsilon: float


MOBILENET = Space(
    stem=16, first=16, act="hardswish", first_act="relu", first_added=True,
    units=(
        Unit(24, 2, "relu"), Unit(40, 2, "relu", squeezed=True), Unit(80, 2, "hardswish"),
        Unit(112, 1, "hardswish", squeezed=True), Unit(160, 2, "hardswish", squeezed=True),
    ),
    last=(960, 1280), width=1.2, epsilon=1e-5,
)  # fmt: skip
PROXYLESS_NAS = Space(
    stem=32, first=16, act="relu6", first_act="relu6", first_added=False,
    units=(
        Unit(24, 2, "relu6"), Unit(40, 2, "relu6"), Unit(80, 2, "relu6"), Unit(96, 1, "relu6"), Unit(192, 2, "relu6"),
        Unit(320, 1, "relu6", elastic=False),
    ),
    last=(1280, 0), width=1.3, epsilon=1e-3,
)  # fmt: skip


def drawn(space: Space, draws: Draws) -> Choices:
    """A depth a unit, then window and expansion a block, all alike probable (the published sampler)."""
    depths = [draws.pick(DEPTHS) if unit.elastic else 1 for unit in space.units]
    return {"units": [[[draws.pick(KERNELS), draws.pick(EXPANSIONS)] for _ in range(depth)] for depth in depths]}


def largest(space: Space) -> Choices:
    """Depth 4, window 7, expansion 6 throughout."""
    return {"units": [[[max(KERNELS), max(EXPANSIONS)]] * (max(DEPTHS) if unit.elastic else 1) for unit in space.units]}


def block(before: int, unit: Unit, after: int, stride: int, choice: Sequence[int]) -> nn.Module:
    """An inverted residual block: expansion, depthwise, (squeeze and excitation,) projection."""
    from corpus.families.layers import chain, conv, divisible, residual, scale

    kernel, expansion = choice
    hidden = divisible(round(before * expansion))
    parts: dict[str, nn.Module] = {"expand": conv(before, hidden, act=unit.act)} if expansion > 1 else {}
    parts["depthwise"] = conv(hidden, hidden, kernel, stride, groups=hidden, act=unit.act)
    if unit.squeezed:
        parts["squeeze"] = scale(hidden, divisible(hidden // 4))
    parts["project"] = conv(hidden, after)
    body = chain(**parts)
    return residual(body) if stride == 1 and before == after else body


def layers(space: Space, choices: Choices, *, width: float, classes: int = 1000) -> nn.Module:
    """The subnet at a width."""
    from torch.nn import AdaptiveAvgPool2d, BatchNorm2d, Flatten, Linear

    from corpus.families.layers import chain, conv, divisible, residual

    stem, current = divisible(space.stem * width), divisible(space.first * width)
    first: nn.Module = chain(
        depthwise=conv(stem, stem, 3, groups=stem, act=space.first_act), project=conv(stem, current)
    )
    parts: dict[str, Any] = {"stem": conv(3, stem, 3, 2, act=space.act)}
    parts["first"] = residual(first) if space.first_added and stem == current else first
    for number, (unit, blocks) in enumerate(zip(space.units, choices["units"], strict=True)):
        after = divisible(unit.channels * width)
        for place, choice in enumerate(blocks):
            parts[f"unit{number}_block{place}"] = block(current, unit, after, 1 if place else unit.stride, choice)
            current = after
    before_pool, after_pool = (divisible(size * width) if size else 0 for size in space.last)
    parts["expand"] = conv(current, before_pool, act=space.act)
    parts["pool"] = AdaptiveAvgPool2d(1)
    if after_pool:
        parts["mix"] = conv(before_pool, after_pool, norm=False, act=space.act)
    network = chain(**parts, flatten=Flatten(), classifier=Linear(after_pool or before_pool, classes))
    for module in network.modules():
        if isinstance(module, BatchNorm2d):
            module.eps = space.epsilon
    return network


def family(name: str, title: str, space: Space, size: int) -> Family:
    """The table entry of a space."""

    def assemble(choices: Choices, small: bool) -> nn.Module:
        if small:
            return layers(space, choices, width=_SMALL_WIDTH, classes=10)
        return layers(space, choices, width=space.width)

    source = "arXiv 1908.09791, section 3.2; github.com/mit-han-lab/once-for-all"
    return Family(name, title, source, size, 64, 224, lambda draws: drawn(space, draws), compact, assemble)


MOBILENET_V3 = family("ofa_mbv3", "Once-for-All MobileNetV3", MOBILENET, _PER_UNIT**5)
PROXYLESS = family(
    "ofa_pn", "Once-for-All ProxylessNAS", PROXYLESS_NAS, _PER_UNIT**5 * len(KERNELS) * len(EXPANSIONS)
)  # fmt: skip
