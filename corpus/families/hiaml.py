"""HiAML: four stages, each of two copies of one of fourteen blocks.

Source: Mills et al., "GENNAPE: Towards Generalized Neural Architecture Performance Estimators", AAAI 2023
(arXiv 2211.17226), section "New families" and its supplement; github.com/Ascend-Research/GENNAPE,
model_src/search_space/hiaml_two_path (constants.py, operations.py, networks.py). 14^4 = 38,416 networks. A stem of 64
channels halves the size; the second and the fourth stage halve it again and double the channels.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from corpus.families.family import Choices, Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["BLOCKS", "FAMILY", "Vertex", "at", "layers"]


class Vertex(NamedTuple):
    """A vertex of a block: an operation, the vertices that it adds up (0 is the input), whether it keeps the form.

    The form is the input's size and channels. What reads the input of a block that halves the size does so, but for
    those that keep it.
    """

    operation: str
    sources: tuple[int, ...]
    keeps: bool = False


def _table(text: str) -> Mapping[str, tuple[Vertex, ...]]:
    """Lines of a name and vertices ``operation<sources``; the last is what the output adds up."""
    rows = (line.split() for line in text.strip().splitlines())
    return MappingProxyType({name: tuple(map(_vertex, vertices)) for name, *vertices in rows})


def _vertex(text: str) -> Vertex:
    operation, sources = text.split("<")
    return Vertex(operation.rstrip("*"), tuple(map(int, re.split(",", sources))), operation.endswith("*"))


BLOCKS = _table("""
    z    conv3x3<0 factorised<1 out<1,2
    a22  conv3x3<0 conv1x1<1 linear1x1<2 out<1,3
    b23  factorised<0 factorised<1 out<0,2
    j30  conv3x3<0 factorised<1 out<0,2
    g30  factorised<0 factorised<0,1 linear1x1<2 out<1,3
    r30  factorised<0 linear1x1<0,1 factorised<1 out<0,2,3
    l20  conv3x3<0 linear1x1<1 out<2
    t20  linear1x1<0 factorised<0 out<1,2
    t31  factorised<0 conv1x1<1 factorised<0,2 out<0,2,3
    src0 conv1x1<0 conv3x3<1 linear3x3<2 out<1,3
    src1 conv1x1<0 conv3x3*<0 linear3x3<2 out<1,3
    src3 linear1x1<0 conv1x1*<0 conv3x3<2 linear1x1<3 out<1,4
    src7 linear1x1<0 factorised<1 factorised<2 out<1,3
    src8 linear1x1<0 factorised<1 linear1x1<2 out<1,3
""")
"""The fourteen blocks in the published order.

A convolution has batch normalisation and ReLU6 behind it, a linear one normalisation alone, a factorised one is
1 by 3 and 3 by 1, each with both; the output has ReLU.
"""
STAGES, COPIES, STEM, REDUCTIONS = 4, 2, 64, (1, 3)
_SMALL_STEM = 16
SIZE = len(BLOCKS) ** STAGES


def at(number: int) -> Choices:
    """The network of a number: its digits to base 14, the first stage's the highest."""
    names = list(BLOCKS)
    return {"blocks": [names[number // len(names) ** place % len(names)] for place in reversed(range(STAGES))]}


def number(choices: Choices) -> int:
    """The number of a network."""
    total = 0
    for name in choices["blocks"]:
        total = total * len(BLOCKS) + list(BLOCKS).index(name)
    return total


def draw(draws: Draws) -> Choices:
    """Any network, all alike probable."""
    return at(draws.below(SIZE))


def block(name: str, before: int, after: int, stride: int) -> nn.Module:
    """The layers of a block."""
    from torch.nn import ReLU

    from corpus.families.layers import Step, Wired, conv

    vertices = BLOCKS[name]
    changes = stride > 1 or before != after
    raw = {0} | {place for place, vertex in enumerate(vertices, 1) if vertex.keeps}
    steps: list[Step] = []
    places = {0: 0}
    for place, (kind, sources, keeps) in enumerate(vertices, 1):
        reduces = not keeps and set(sources) <= raw and kind != "out"
        read = []
        for source in sources:
            if source == 0 and changes and not reduces and not keeps:
                steps.append(Step(f"project{place}", (0,), conv(before, after, 1, stride)))
                read.append(len(steps))
            else:
                read.append(places[source])
        wide = before if reduces or keeps else after
        layer = ReLU() if kind == "out" else operation(
            kind, wide, before if keeps else after, stride if reduces else 1
        )  # fmt: skip
        steps.append(Step(kind if kind == "out" else f"vertex{place}", read, layer))
        places[place] = len(steps)
    return Wired(steps)


def operation(kind: str, before: int, after: int, stride: int) -> nn.Module:
    """The layers of an operation."""
    from corpus.families.layers import chain, conv

    if kind == "factorised":
        return chain(a=conv(before, after, (1, 3), stride, act="relu6"), b=conv(after, after, (3, 1), act="relu6"))
    return conv(before, after, int(kind[-1]), stride, act="relu6" if kind.startswith("conv") else "")


def layers(choices: Choices, *, stem: int = STEM) -> nn.Module:
    """The network: stem, stages, classifier of ten classes."""
    from corpus.families.layers import chain, conv, head

    parts: dict[str, nn.Module] = {"stem": conv(3, stem, 3, 2, act="relu")}
    width = stem
    for stage, name in enumerate(choices["blocks"]):
        for copy in range(COPIES):
            reduces = stage in REDUCTIONS and copy == 0
            after = 2 * width if reduces else width
            parts[f"stage{stage}_block{copy}"] = block(name, width, after, 2 if reduces else 1)
            width = after
    return chain(**parts, head=head(width))


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with 16 channels in the stem."""
    return layers(choices, stem=_SMALL_STEM) if small else layers(choices)


FAMILY = Family(
    "hiaml", "HiAML", "arXiv 2211.17226; github.com/Ascend-Research/GENNAPE, search_space/hiaml_two_path", SIZE, 32, 32,
    draw, lambda choices: "+".join(choices["blocks"]), assemble, at=at, number=number,
)  # fmt: skip
