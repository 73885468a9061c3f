"""NAS-Bench-201: cells of four nodes, each of the six edges between them one of five operations.

Source: Dong, Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020
(arXiv 2001.00326), section 2.1 and figure 1; github.com/D-X-Y/AutoDL-Projects. What enters a node is added. Three
stages of five cells with 16, 32 and 64 channels stand behind a 3 by 3 convolution, with a residual block that halves
the size between stages: 5^6 = 15,625 networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.families.family import Choices, Family

if TYPE_CHECKING:
    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["EDGES", "FAMILY", "OPERATIONS", "at", "layers", "parsed", "text"]

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From node to node, in the order of the published text form."""
CHANNELS, CELLS = 16, 5
_SMALL_CHANNELS, _SMALL_CELLS = 8, 1
SIZE = len(OPERATIONS) ** len(EDGES)


def at(number: int) -> Choices:
    """The cell of a number: its digits to base 5, the first edge's the highest."""
    digits = [number // len(OPERATIONS) ** place % len(OPERATIONS) for place in reversed(range(len(EDGES)))]
    return {"operations": [OPERATIONS[digit] for digit in digits]}


def number(choices: Choices) -> int:
    """The number of a cell. It is this project's, not the index of the benchmark's file, whose order is random."""
    total = 0
    for name in choices["operations"]:
        total = total * len(OPERATIONS) + OPERATIONS.index(name)
    return total


def draw(draws: Draws) -> Choices:
    """Any cell, all alike probable."""
    return at(draws.below(SIZE))


def text(choices: Choices) -> str:
    """The published text form: |nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|…|."""
    chosen = dict(zip(EDGES, choices["operations"], strict=True))
    nodes = ("|".join(f"{chosen[source, node]}~{source}" for source in range(node)) for node in (1, 2, 3))
    return "+".join(f"|{node}|" for node in nodes)


def parsed(text: str) -> Choices:
    """The cell of a text form. Raises ValueError where it is none."""
    names = [part.partition("~")[0] for part in text.replace("+", "").split("|") if part]
    if len(names) != len(EDGES) or not set(names) <= set(OPERATIONS):
        raise ValueError(f"{text!r} is no cell of NAS-Bench-201")
    return {"operations": names}


def cell(choices: Choices, width: int) -> nn.Module:
    """The layers of one cell."""
    from corpus.families.layers import Step, Wired

    steps: list[Step] = []
    nodes = {0: 0}
    chosen = dict(zip(EDGES, choices["operations"], strict=True))
    for node in (1, 2, 3):
        entering = []
        for source in range(node):
            layer = operation(chosen[source, node], width)
            if layer is None:
                entering.append(nodes[source])
                continue
            steps.append(Step(f"edge{source}_{node}", (nodes[source],), layer))
            entering.append(len(steps))
        steps.append(Step("", entering))
        nodes[node] = len(steps)
    return Wired(steps)


def operation(name: str, width: int) -> nn.Module | None:
    """The layers of an operation; None for the one that passes its input on."""
    from corpus.families.layers import Zero, conv, pool

    if name == "none":
        return Zero()
    if name == "skip_connect":
        return None
    return pool("avg") if name == "avg_pool_3x3" else conv(width, width, int(name[-1]), first="relu")


def layers(choices: Choices, *, width: int = CHANNELS, cells: int = CELLS) -> nn.Module:
    """The network: stem, three stages with residual blocks between them, classifier of ten classes."""
    from torch.nn import AvgPool2d, BatchNorm2d, Conv2d, ReLU

    from corpus.families.layers import chain, conv, head, residual

    parts: dict[str, nn.Module] = {"stem": conv(3, width, 3)}
    for stage in range(3):
        if stage:
            body = chain(a=conv(width, 2 * width, 3, 2, first="relu"), b=conv(2 * width, 2 * width, 3, first="relu"))
            shortcut = chain(pool=AvgPool2d(2, 2), conv=Conv2d(width, 2 * width, 1, bias=False))
            parts[f"reduce{stage}"] = residual(body, shortcut)
            width *= 2
        for place in range(cells):
            parts[f"stage{stage}_cell{place}"] = cell(choices, width)
    return chain(**parts, norm=BatchNorm2d(width), act=ReLU(), head=head(width))


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with 8 channels and one cell a stage."""
    return layers(choices, width=_SMALL_CHANNELS, cells=_SMALL_CELLS) if small else layers(choices)


FAMILY = Family(
    "nb201", "NAS-Bench-201", "arXiv 2001.00326, section 2.1; github.com/D-X-Y/AutoDL-Projects", SIZE, 32, 32,
    draw, text, assemble, at=at, number=number,
)  # fmt: skip
