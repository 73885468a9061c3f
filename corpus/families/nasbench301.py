"""NAS-Bench-301: the DARTS space, a normal and a reduction cell of four nodes with two inputs each.

Source: Zela, Siems, Zimmer, Lukasik, Keuper, Hutter, "Surrogate NAS Benchmarks: Going Beyond the Limited Search
Spaces of Tabular NAS Benchmarks", ICLR 2022 (arXiv 2008.09777), and configspace.json of github.com/automl/nasbench301;
Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search", ICLR 2019 (arXiv 1806.09055), sections 2.1 and 3;
github.com/quark0/darts. A cell reads the two cells before it; a node adds two operations on two different
values before it; the four nodes are concatenated. Operations that read an input of a reduction cell have stride 2.
Cells at one and two thirds of the depth are reduction cells and double the channels. A choice of inputs is one of 1, 3,
6 and 10 a node, of operations one of 7 for each of eight edges: (180 * 7^8)^2, more than 10^18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.families.family import Choices, Family, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["FAMILY", "OPERATIONS", "layers"]

OPERATIONS = (
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
NODES = 4
CHANNELS, CELLS, STEM = 36, 20, 3
_SMALL_CHANNELS, _SMALL_CELLS = 8, 3
SIZE = (1 * 3 * 6 * 10 * len(OPERATIONS) ** (2 * NODES)) ** 2


def draw(draws: Draws) -> Choices:
    """Two different inputs a node and an operation for each, all alike probable."""
    return {kind: [_edges(draws, node) for node in range(NODES)] for kind in ("normal", "reduce")}


def _edges(draws: Draws, node: int) -> list[list[Any]]:
    sources = sorted(draws.order(range(node + 2))[:2])
    return [[draws.pick(OPERATIONS), source] for source in sources]


def cell(edges: Sequence[Any], before: tuple[int, int], width: int, reduces: tuple[bool, bool]) -> nn.Module:
    """The layers of one cell.

    Args:
        edges: of each node its operations, each with the value that it reads.
        before: channels of the two cells before it.
        width: channels of a node.
        reduces: whether the cell before this one halved the size, and whether this one does.
    """
    from corpus.families.layers import Step, Wired, conv

    first = factorised(before[0], width) if reduces[0] else conv(before[0], width, first="relu")
    steps = [Step("preprocess0", (0,), first), Step("preprocess1", (1,), conv(before[1], width, first="relu"))]
    values = [2, 3]  # the places of what is preprocessed; a node's follow
    for node, entering in enumerate(edges):
        added = []
        for place, (name, source) in enumerate(entering):
            layer = operation(name, width, 2 if reduces[1] and source < 2 else 1)
            if layer is None:
                added.append(values[source])
                continue
            steps.append(Step(f"node{node}_{place}_{name}", (values[source],), layer))
            added.append(len(steps) + 1)
        steps.append(Step("", added))
        values.append(len(steps) + 1)
    return Wired([*steps, Step("", values[2:], None, "concat")], inputs=2)


def operation(name: str, width: int, stride: int) -> nn.Module | None:
    """The layers of an operation; None for the one that passes its input on."""
    from corpus.families.layers import pool

    if name == "skip_connect":
        return None if stride == 1 else factorised(width, width)
    kind, _, kernel = name.partition("_")
    size = int(kernel[-1])
    if kind in {"max", "avg"}:
        return pool(kind, stride)
    return separable(width, size, stride) if kind == "sep" else dilated(width, size, stride)


def separable(width: int, kernel: int, stride: int) -> nn.Module:
    """ReLU, depthwise, pointwise, normalisation, twice; the stride is the first's."""
    from corpus.families.layers import chain, conv

    return chain(**{
        f"{name}{turn}": layer
        for turn, step in ((1, stride), (2, 1))
        for name, layer in (
            ("depthwise", conv(width, width, kernel, step, first="relu", groups=width, norm=False)),
            ("pointwise", conv(width, width)),
        )
    })  # fmt: skip


def dilated(width: int, kernel: int, stride: int) -> nn.Module:
    """ReLU, depthwise with a dilation of 2, pointwise, normalisation."""
    from corpus.families.layers import chain, conv

    depthwise = conv(width, width, kernel, stride, first="relu", groups=width, dilation=2, norm=False)
    return chain(depthwise=depthwise, pointwise=conv(width, width))


def factorised(before: int, after: int) -> nn.Module:
    """ReLU, two 1 by 1 convolutions of stride 2, the second shifted by a pixel, concatenated, normalised."""
    from torch.nn import BatchNorm2d, Conv2d, ReLU, ZeroPad2d

    from corpus.families.layers import Step, Wired, chain

    shifted = chain(shift=ZeroPad2d((-1, 0, -1, 0)), conv=Conv2d(before, after // 2, 1, 2, bias=False))
    return Wired([
        Step("relu", (0,), ReLU()),
        Step("conv1", (1,), Conv2d(before, after // 2, 1, 2, bias=False)),
        Step("conv2", (1,), shifted),
        Step("norm", (2, 3), BatchNorm2d(after), "concat"),
    ])  # fmt: skip


def layers(choices: Choices, *, width: int = CHANNELS, cells: int = CELLS) -> nn.Module:
    """The network for 32 by 32 images: stem, cells, classifier of ten classes, without the auxiliary head."""
    from corpus.families.layers import Step, Wired, conv, head

    steps = [Step("stem", (0,), conv(3, STEM * width, 3))]
    before = (STEM * width, STEM * width)
    sources = (1, 1)
    halved = False
    for number in range(cells):
        reduces = number in {cells // 3, 2 * cells // 3}
        width *= 2 if reduces else 1
        layer = cell(choices["reduce" if reduces else "normal"], before, width, (halved, reduces))
        steps.append(Step(f"cell{number}", sources, layer, "arguments"))
        before, sources = (before[1], NODES * width), (sources[1], len(steps))
        halved = reduces
    return Wired([*steps, Step("head", (len(steps),), head(before[1]))])


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or three cells of 8 channels, of which two reduce."""
    return layers(choices, width=_SMALL_CHANNELS, cells=_SMALL_CELLS) if small else layers(choices)


FAMILY = Family(
    "nb301", "NAS-Bench-301 (DARTS)", "arXiv 2008.09777 and 1806.09055; github.com/automl/nasbench301",
    SIZE, 32, 32, draw, compact, assemble,
)  # fmt: skip
