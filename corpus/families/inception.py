"""Inception: four stages of equal blocks of parallel paths.

Source: Mills et al., "GENNAPE", AAAI 2023 (arXiv 2211.17226) and its supplement; github.com/Ascend-Research/GENNAPE,
model_src/search_space/inception (constants.py, arch_sampler.py, block.py, network.py, operations.py). A stage
repeats one block 2 to 6 times; all stages but the first halve the size and double the channels. A block has 1 to 4
paths that share its channels and are concatenated; a path has at least one of eight convolutions, at most one of four
supporting operations, and may have half or twice its channels inside. In all a block has at most 3, 4, 8 and 10
operations for 1, 2, 3 and 4 paths, a path of three or four at least 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.families.family import Choices, Family, compact
from corpus.families.two_path import operations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["CONVOLUTIONS", "FAMILY", "LEAST", "MOST", "SUPPORTS", "layers"]

CONVOLUTIONS = (
    "conv3x3", "inception_s3x3", "inception_p3x3", "depthwise3x3", "conv5x5", "depthwise5x5", "inception_s5x5",
    "inception_p5x5",
)  # fmt: skip
SUPPORTS = ("conv1x1", "avgpool3x3", "maxpool3x3", "double1x1")
CHANGERS = frozenset({*CONVOLUTIONS, "conv1x1", "double1x1"})
"""Operations that can change the number of channels."""
STAGES, BLOCKS = 4, (2, 6)
MOST: Mapping[int, int] = {1: 3, 2: 4, 3: 8, 4: 10}
"""Operations of a block, by its paths."""
LEAST: Mapping[int, int] = {1: 1, 2: 1, 3: 2, 4: 2}
"""Operations of a path, by how many paths there are."""
SHARES: Mapping[int, tuple[int, ...]] = {1: (4,), 2: (2, 2), 3: (2, 1, 1), 4: (1, 1, 1, 1)}
"""Quarters of the channels that paths have, in any order."""
STEM, LAST, NARROWEST = 32, 512, 16
_SMALL, _SMALL_BLOCKS = 4, 2


def draw(draws: Draws) -> Choices:
    """As the published sampler draws."""
    return {"stages": [{"blocks": draws.between(*BLOCKS), "paths": _paths(draws)} for _ in range(STAGES)]}


def _paths(draws: Draws) -> list[dict[str, Any]]:
    count = draws.between(1, 4)
    result: list[dict[str, Any]] = []
    left = MOST[count]
    for place, share in enumerate(draws.order(SHARES[count])):
        names = operations(
            draws, draws.between(LEAST[count], left - LEAST[count] * (count - place - 1)), CONVOLUTIONS, SUPPORTS
        )
        left -= len(names)
        # Halved in 3 of 10, doubled in 1 of 10: only where one operation can change the channels and another back.
        changes = sum(name in CHANGERS for name in names) > 1
        inside = (0.5, 0.5, 0.5, 1, 1, 1, 1, 1, 1, 2)[draws.below(10)] if changes else 1
        result.append({"operations": names, "quarters": share, "inside": inside})
    return result


def canonical(choices: Choices) -> str:
    """The choices with the paths of each block in one order, since concatenation's does not count as published."""
    stages = [{**stage, "paths": sorted(stage["paths"], key=compact)} for stage in choices["stages"]]
    return compact({"stages": stages})


def path(names: Sequence[str], widths: tuple[int, int, int], stride: int) -> nn.Module:
    """The layers of a path of ``widths`` channels before, inside and after it.

    The first operation that can changes the channels to those inside, the first convolution the size, the last
    operation that can changes the channels to those after.
    """
    from corpus.families.layers import chain

    before, inside, after = widths
    places = [place for place, name in enumerate(names) if name in CHANGERS]
    strided = next(place for place, name in enumerate(names) if name in CONVOLUTIONS)
    targets = {places[-1]: after, places[0]: inside}  # of one operation alone they are the same
    parts: dict[str, nn.Module] = {}
    width = before
    for place, name in enumerate(names):
        target = targets.get(place, width)
        parts[f"{place}_{name}"] = operation(name, width, target, stride if place == strided else 1)
        width = target
    return chain(**parts)


def operation(name: str, before: int, after: int, stride: int) -> nn.Module:
    """The layers of an operation; convolutions have a bias, batch normalisation and ReLU6, poolings normalisation."""
    from torch.nn import BatchNorm2d, Conv2d

    from corpus.families.layers import chain, conv, pool

    kernel = int(name[-1])
    if name.startswith("conv"):
        return conv(before, after, kernel, stride, act="relu6", bias=True)
    if name.startswith("double"):
        return chain(
            a=conv(before, after, kernel, act="relu6", bias=True),
            b=conv(after, after, kernel, stride, act="relu6", bias=True),
        )
    if name.startswith("depthwise"):
        wide = {} if before == after else {"pointwise": Conv2d(before, after, 1, bias=False)}
        return chain(**wide, depthwise=conv(after, after, kernel, stride, groups=after, act="relu6", bias=True))
    if name.startswith("inception_s"):
        return chain(
            a=conv(before, after, (1, kernel), (1, stride), act="relu6", bias=True),
            b=conv(after, after, (kernel, 1), (stride, 1), act="relu6", bias=True),
        )
    if name.startswith("inception_p"):
        return parallel(before, after, kernel, stride)
    return chain(pool=pool(name[:3], stride, padded=True), norm=BatchNorm2d(after))


def parallel(before: int, after: int, kernel: int, stride: int) -> nn.Module:
    """A 1 by k convolution and a k by 1 one beside it, each followed by the other where it is to halve the size."""
    from torch.nn import ReLU6

    from corpus.families.layers import Step, Wired, chain, conv

    row, column = (1, kernel), (kernel, 1)
    steps = []
    for name, first, second, half in (("a", row, column, after // 2), ("b", column, row, after - after // 2)):
        if stride == 1:
            body: nn.Module = conv(before, half, first, bias=True, act="relu6")
        else:
            body = chain(
                first=conv(before, half, first, _along(first, stride), bias=True),
                second=conv(half, half, second, _along(second, stride), bias=True, act="relu6"),
            )
        steps.append(Step(name, (0,), body))
    return Wired([*steps, Step("act", (1, 2), ReLU6(), "concat")])


def _along(kernel: tuple[int, int], stride: int) -> tuple[int, int]:
    """The stride in the direction in which a kernel lies."""
    return (stride if kernel[0] > 1 else 1, stride if kernel[1] > 1 else 1)


def block(paths: Sequence[Mapping[str, Any]], before: int, after: int, stride: int, narrowest: int) -> nn.Module:
    """The layers of a block: paths, a projection where their channels are not those of the block, its input added."""
    from corpus.families.layers import Step, Wired, conv, residual

    steps, total = [], 0
    for number, one in enumerate(paths):
        width = max(after * one["quarters"] // 4, narrowest)
        inside = max(int(width * one["inside"]), narrowest)
        steps.append(Step(f"path{number}", (0,), path(one["operations"], (before, inside, width), stride)))
        total += width
    project = None if total == after else conv(total, after, bias=True)
    body = Wired([*steps, Step("project", range(1, len(steps) + 1), project, "concat")])
    return residual(body) if stride == 1 and before == after else body


def layers(
    choices: Choices, *, stem: int = STEM, last: int = LAST, narrowest: int = NARROWEST, most: int = BLOCKS[1]
) -> nn.Module:
    """The network: stem, stages of at most so many blocks, a convolution, classifier of ten classes."""
    from corpus.families.layers import chain, conv, head

    parts: dict[str, nn.Module] = {"stem": conv(3, stem, 3, act="relu6", bias=True)}
    width = stem
    for number, stage in enumerate(choices["stages"]):
        for place in range(min(stage["blocks"], most)):
            reduces = number > 0 and place == 0
            after = 2 * width if reduces else width
            built = block(stage["paths"], width, after, 2 if reduces else 1, narrowest)
            parts[f"stage{number}_block{place}"] = built
            width = after
    return chain(**parts, post=conv(width, last, 3, act="relu6", bias=True), head=head(last))


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with a quarter of the channels and two blocks a stage."""
    if not small:
        return layers(choices)
    narrowest = NARROWEST // _SMALL
    return layers(choices, stem=STEM // _SMALL, last=LAST // _SMALL, narrowest=narrowest, most=_SMALL_BLOCKS)


FAMILY = Family(
    "inception", "Inception", "arXiv 2211.17226; github.com/Ascend-Research/GENNAPE, search_space/inception", None, 32,
    32, draw, canonical, assemble,
)  # fmt: skip
