"""Once-for-All ResNet-50: the subnets of the ResNet-50D supernet.

Source: github.com/mit-han-lab/once-for-all, ofa_resnets.py and the table of its README (ofa_resnet50: depth 0, 1, 2,
width 0.65, 0.8, 1.0, expansion 0.2, 0.25, 0.35); Cai et al., arXiv 1908.09791. Bottleneck blocks (He et al. 2016, with
stem and pooled shortcut of the D variant, He et al. 2019), 2 to 4, 2 to 4, 4 to 6 and 2 to 4 of them. A width is
chosen for the stem's middle, the stem's end and each stage, an expansion for each block; the residual convolution of
the stem may be left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.families.family import Choices, Family, compact

if TYPE_CHECKING:
    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["FAMILY", "layers", "uniform"]

BASE_DEPTHS, DEPTHS = (2, 2, 4, 2), (0, 1, 2)
WIDTHS, EXPANSIONS = (0.65, 0.8, 1.0), (0.2, 0.25, 0.35)
STEM, CHANNELS, STRIDES = 64, (256, 512, 1024, 2048), (1, 2, 2, 2)
_SMALL = 0.125

SIZE = 2 * 2 * len(WIDTHS) ** 5
"""Two stems, two widths of the stem's middle that differ (0.65 and 0.8 give 24 channels both), five other widths."""
for _depth in BASE_DEPTHS:
    SIZE *= sum(len(EXPANSIONS) ** (_depth + more) for more in DEPTHS)


def draw(draws: Draws) -> Choices:
    """Stem, widths, depths and expansions, all alike probable (the published sampler)."""
    return {
        "stem": draws.below(2) == 1,
        "widths": [draws.pick(WIDTHS) for _ in range(2 + len(CHANNELS))],
        "stages": [
            [draws.pick(EXPANSIONS) for _ in range(depth + draws.pick(DEPTHS))] for depth in BASE_DEPTHS
        ],
    }  # fmt: skip


def canonical(choices: Choices) -> str:
    """The choices with the one width that changes nothing in the place of its equal."""
    middle, *others = choices["widths"]
    return compact({**choices, "widths": [max(middle, WIDTHS[1]), *others]})


def uniform(depth: int, expansion: float, width: float) -> Choices:
    """The same depth, expansion and width throughout, with the whole stem."""
    return {
        "stem": True, "widths": [width] * (2 + len(CHANNELS)),
        "stages": [[expansion] * (base + depth) for base in BASE_DEPTHS],
    }  # fmt: skip


def block(before: int, after: int, hidden: int, stride: int) -> nn.Module:
    """A bottleneck; the shortcut of a block that changes size or channels is pooled and projected."""
    from torch.nn import AvgPool2d, Identity

    from corpus.families.layers import chain, conv, residual

    body = chain(
        a=conv(before, hidden, act="relu"), b=conv(hidden, hidden, 3, stride, act="relu"), c=conv(hidden, after)
    )
    if stride == 1 and before == after:
        return residual(body, act="relu")
    pool = AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else Identity()
    return residual(body, chain(pool=pool, conv=conv(before, after)), act="relu")


def layers(choices: Choices, *, scale: float = 1.0, classes: int = 1000) -> nn.Module:
    """The subnet; ``scale`` makes all of its channels fewer."""
    from torch.nn import MaxPool2d

    from corpus.families.layers import chain, conv, divisible, head, residual

    middle, end, *stages = choices["widths"]
    inner = divisible(divisible(STEM * scale * middle) // 2)
    current = divisible(STEM * scale * end)
    parts: dict[str, Any] = {"stem0": conv(3, inner, 3, 2, act="relu")}
    if choices["stem"]:
        parts["stem1"] = residual(conv(inner, inner, 3, act="relu"))
    parts |= {"stem2": conv(inner, current, 3, act="relu"), "pool": MaxPool2d(3, 2, 1)}
    for stage, (width, expansions) in enumerate(zip(stages, choices["stages"], strict=True)):
        after = divisible(CHANNELS[stage] * scale * width)
        for place, expansion in enumerate(expansions):
            hidden = divisible(round(after * expansion))
            stride = 1 if place else STRIDES[stage]
            parts[f"stage{stage}_block{place}"] = block(current, after, hidden, stride)
            current = after
    return chain(**parts, head=head(current, classes))


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with an eighth of the channels."""
    return layers(choices, scale=_SMALL, classes=10) if small else layers(choices)


FAMILY = Family(
    "ofa_resnet", "Once-for-All ResNet-50", "arXiv 1908.09791; github.com/mit-han-lab/once-for-all, ofa_resnets.py",
    SIZE, 64, 224, draw, canonical, assemble,
)  # fmt: skip
