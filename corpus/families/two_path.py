"""Two-Path: two chains of blocks beside each other, concatenated at the end.

Source: Mills et al., "GENNAPE", AAAI 2023 (arXiv 2211.17226) and its supplement; github.com/Ascend-Research/GENNAPE,
model_src/search_space/hiaml_two_path (constants.py, arch_samplers.py, blocks.py, networks.py). A path has 2 to 4
blocks, two of which halve the size and double the channels; a block has 1 to 3 operations one after the other, at least
one of eight convolutions, at most one of five supporting operations. The first convolution of a block changes size and
channels; a block that changes neither adds its input.
"""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING, Any

from corpus.families.family import Choices, Family, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["CONVOLUTIONS", "FAMILY", "SUPPORTS", "layers", "operations"]

CONVOLUTIONS = (
    "conv3x3", "double3x3", "conv5x5", "bottleneck-r2-k3", "bottleneck-r4-k3", "bottleneck-e2-k3", "inception_s3x3",
    "inception_s5x5",
)  # fmt: skip
SUPPORTS = ("conv1x1", "bottleneck-r2-k1", "bottleneck-e2-k1", "avgpool3x3", "maxpool3x3")
OPERATIONS, BLOCKS, REDUCTIONS = (1, 3), (2, 4), 2
STEM, LAST = 32, 512
_SMALL = 4


def _blocks() -> int:
    """How many blocks there are: words of convolutions, of which one letter may be a supporting operation."""
    return sum(
        len(CONVOLUTIONS) ** length + length * len(SUPPORTS) * len(CONVOLUTIONS) ** (length - 1) * (length > 1)
        for length in range(OPERATIONS[0], OPERATIONS[1] + 1)
    )


SIZE = sum(comb(length, REDUCTIONS) * _blocks() ** length for length in range(BLOCKS[0], BLOCKS[1] + 1)) ** 2


def draw(draws: Draws) -> Choices:
    """Lengths, operations and places of reductions as the published sampler draws them."""
    return {"paths": [_path(draws), _path(draws)]}


def _path(draws: Draws) -> dict[str, Any]:
    length = draws.between(*BLOCKS)
    blocks = [operations(draws, draws.between(*OPERATIONS), CONVOLUTIONS, SUPPORTS) for _ in range(length)]
    return {"blocks": blocks, "reductions": sorted(draws.order(range(length))[:REDUCTIONS])}


def operations(draws: Draws, count: int, convolutions: Sequence[str], supports: Sequence[str]) -> list[str]:
    """So many operations: a convolution, then any (at most one that supports), in a random order."""
    found = [draws.pick(convolutions)]
    supported = False
    for _ in range(count - 1):
        supporting = draws.below(len(convolutions) + len(supports)) >= len(convolutions) and not supported
        supported = supported or supporting
        found.append(draws.pick(supports if supporting else convolutions))
    return draws.order(found)


def block(names: Sequence[str], before: int, after: int, stride: int) -> nn.Module:
    """The layers of a block."""
    from corpus.families.layers import chain, residual

    first = next(place for place, name in enumerate(names) if name in CONVOLUTIONS)
    parts: dict[str, nn.Module] = {}
    width = before
    for place, name in enumerate(names):
        step, wide = (stride, after) if place == first else (1, width)
        parts[f"{place}_{name.replace('-', '_')}"] = operation(name, width, wide, step)
        width = wide
    body = chain(**parts)
    return residual(body) if stride == 1 and before == after else body


def operation(name: str, before: int, after: int, stride: int) -> nn.Module:
    """The layers of an operation; a convolution has batch normalisation and ReLU6 behind it, a pooling the former."""
    from torch.nn import BatchNorm2d

    from corpus.families.layers import chain, conv, pool

    kernel = int(name[-1])
    if name.startswith("conv"):
        return conv(before, after, kernel, stride, act="relu6")
    if name.startswith("double"):
        return chain(a=conv(before, before, kernel, stride, act="relu6"), b=conv(before, after, kernel, act="relu6"))
    if name.startswith("inception_s"):
        return chain(
            a=conv(before, after, (1, kernel), stride, act="relu6"), b=conv(after, after, (kernel, 1), act="relu6")
        )
    if name.endswith("pool3x3"):
        return chain(pool=pool(name[:3], stride, padded=True), norm=BatchNorm2d(after))
    ratio = int(name.split("-")[1][1:])
    hidden = before * ratio if "-e" in name else max(1, before // ratio)
    return chain(a=conv(before, hidden, kernel, stride, act="relu6"), b=conv(hidden, after, kernel, act="relu6"))


def layers(choices: Choices, *, stem: int = STEM, last: int = LAST) -> nn.Module:
    """The network: stem, which halves the size, two paths, a convolution, classifier of ten classes."""
    from corpus.families.layers import Step, Wired, chain, conv, head

    steps = [Step("stem", (0,), chain(a=conv(3, stem, 3, act="relu6"), b=conv(stem, stem, 3, 2, act="relu6")))]
    for number, path in enumerate(choices["paths"]):
        width, parts = stem, {}
        for place, names in enumerate(path["blocks"]):
            reduces = place in path["reductions"]
            after = 2 * width if reduces else width
            parts[f"block{place}"] = block(names, width, after, 2 if reduces else 1)
            width = after
        steps.append(Step(f"path{number}", (1,), chain(**parts)))
    joined = 2 * stem * 2**REDUCTIONS
    tail = chain(post=conv(joined, last, 3, act="relu6"), head=head(last))
    return Wired([*steps, Step("tail", (2, 3), tail, "concat")])


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with a quarter of the channels."""
    return layers(choices, stem=STEM // _SMALL, last=LAST // _SMALL) if small else layers(choices)


FAMILY = Family(
    "two_path", "Two-Path", "arXiv 2211.17226; github.com/Ascend-Research/GENNAPE, search_space/hiaml_two_path", SIZE,
    32, 32, draw, compact, assemble,
)  # fmt: skip
