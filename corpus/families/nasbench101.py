"""NAS-Bench-101: cells of up to 7 vertices and 9 edges.

Source: Ying, Klein, Christiansen, Real, Murphy, Hutter, "NAS-Bench-101: Towards Reproducible Neural Architecture
Search", ICML 2019 (arXiv 1902.09635), section 2 and its supplement S1; github.com/google-research/nasbench. A cell is a
directed acyclic graph; each vertex between input and output is a 3 by 3 or 1 by 1 convolution with batch normalisation
and ReLU, or a 3 by 3 max pooling. What enters a vertex is added, what enters the output is concatenated; the input is
projected wherever it is used. Three stacks of three cells stand behind a stem of 128 channels, which double as the
size halves between stacks. Cells that compute the same are one: 423,624 by the published hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import md5
from itertools import product
from typing import TYPE_CHECKING

from corpus.families.family import Choices, Family

if TYPE_CHECKING:
    from torch import nn

    from corpus.families.draws import Draws

__all__ = ["FAMILY", "OPERATIONS", "cells", "channels", "fingerprint", "layers", "pruned"]

OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""In the order by which the published hash numbers them."""
VERTICES, EDGES = 7, 9
STEM, STACKS, CELLS = 128, 3, 3
_SMALL_STEM, _SMALL_CELLS = 16, 1
Matrix = Sequence[Sequence[int]]


def draw(draws: Draws) -> Choices | None:
    """Seven vertices, each edge with a chance of a half, pruned, as in random search; None where that is no cell."""
    matrix = [[draws.below(2) if column > row else 0 for column in range(VERTICES)] for row in range(VERTICES)]
    operations = [draws.pick(OPERATIONS) for _ in range(VERTICES - 2)]
    cell = pruned(matrix, operations)
    return cell if cell and sum(map(sum, cell["matrix"])) <= EDGES else None


def pruned(matrix: Matrix, operations: Sequence[str]) -> Choices | None:
    """The cell without vertices that are on no way from input to output; None where there is no way."""
    size = len(matrix)
    forward, backward = {0}, {size - 1}
    for vertex in range(1, size):
        if any(matrix[source][vertex] for source in forward):
            forward.add(vertex)
    for vertex in range(size - 2, -1, -1):
        if any(matrix[vertex][target] for target in backward):
            backward.add(vertex)
    kept = sorted(forward & backward)
    if 0 not in kept or size - 1 not in kept:
        return None
    return {
        "matrix": [[int(matrix[row][column]) for column in kept] for row in kept],
        "operations": [operations[vertex - 1] for vertex in kept[1:-1]],
    }


def fingerprint(choices: Choices) -> str:
    """The published hash of a cell, the same for isomorphic ones: MD5 of vertices coloured by their neighbours.

    Source: section S1 of the supplement and graph_util.hash_module of google-research/nasbench.
    """
    matrix = choices["matrix"]
    size = len(matrix)
    kinds = [-1, *(OPERATIONS.index(name) for name in choices["operations"]), -2]
    colours = [_md5(str((sum(matrix[v]), sum(row[v] for row in matrix), kinds[v]))) for v in range(size)]
    ins = [[w for w in range(size) if matrix[w][v]] for v in range(size)]
    outs = [[w for w in range(size) if matrix[v][w]] for v in range(size)]
    for _ in range(size):
        colours = [
            _md5(
                f"{''.join(sorted(colours[w] for w in ins[v]))}|{''.join(sorted(colours[w] for w in outs[v]))}"
                f"|{colours[v]}"
            )
            for v in range(size)
        ]
    return _md5(str(sorted(colours)))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


def cells(vertices: int) -> Iterator[Choices]:
    """All labelled cells of so many vertices, isomorphic ones among them."""
    pairs = [(row, column) for column in range(vertices) for row in range(column)]
    for bits in range(2 ** len(pairs)):
        if bits.bit_count() > EDGES:
            continue
        edges = [pair for place, pair in enumerate(pairs) if bits >> place & 1]
        if len({row for row, _ in edges}) < vertices - 1 or len({column for _, column in edges}) < vertices - 1:
            continue
        chosen = set(edges)
        matrix = [[int((row, column) in chosen) for column in range(vertices)] for row in range(vertices)]
        for operations in product(OPERATIONS, repeat=vertices - 2):
            yield {"matrix": matrix, "operations": list(operations)}


def channels(before: int, after: int, matrix: Matrix) -> list[int]:
    """Channels of each vertex: those that reach the output share its channels, the others have what they feed.

    Source: section 2.2 of the paper ("the channel count of the output divided by the vertices that are concatenated");
    a remainder goes to the first of them.
    """
    last = len(matrix) - 1
    result = [0] * len(matrix)
    result[0], result[last] = before, after
    direct = [vertex for vertex in range(1, last) if matrix[vertex][last]]
    for place, vertex in enumerate(direct):
        result[vertex] = after // len(direct) + (place < after % len(direct))
    for vertex in range(last - 1, 0, -1):
        if not matrix[vertex][last]:
            result[vertex] = max(result[target] for target in range(vertex + 1, last) if matrix[vertex][target])
    return result


def cell(choices: Choices, before: int, after: int) -> nn.Module:
    """The layers of one cell."""
    from corpus.families.layers import Step, Truncate, Wired, conv

    matrix = choices["matrix"]
    last = len(matrix) - 1
    widths = channels(before, after, matrix)
    steps: list[Step] = []
    place = {0: 0}

    def add(step: Step) -> int:
        steps.append(step)
        return len(steps)

    def projected(name: str, width: int) -> int:
        return add(Step(name, (0,), conv(before, width, act="relu")))

    def truncated(source: int, vertex: int) -> int:
        if widths[source] == widths[vertex]:
            return place[source]
        return add(Step(f"truncate{source}_{vertex}", (place[source],), Truncate(widths[vertex])))

    for vertex in range(1, last):
        entering = [truncated(source, vertex) for source in range(1, vertex) if matrix[source][vertex]]
        if matrix[0][vertex]:
            entering.append(projected(f"projection{vertex}", widths[vertex]))
        layer = operation(choices["operations"][vertex - 1], widths[vertex])
        place[vertex] = add(Step(f"vertex{vertex}", entering, layer))
    direct = [place[vertex] for vertex in range(1, last) if matrix[vertex][last]]
    if direct:
        joined = add(Step("", direct, None, "concat"))
        if matrix[0][last]:
            add(Step("", (joined, projected("projection", after))))
    else:
        projected("projection", after)
    return Wired(steps)


def operation(name: str, width: int) -> nn.Module:
    """The layers of an operation."""
    from corpus.families.layers import conv, pool

    if name == "maxpool3x3":
        return pool("max")
    return conv(width, width, 3 if name.startswith("conv3x3") else 1, act="relu")


def layers(choices: Choices, *, stem: int = STEM, cells: int = CELLS) -> nn.Module:
    """The network: stem, stacks of cells with halvings between them, classifier of ten classes."""
    from torch.nn import MaxPool2d

    from corpus.families.layers import chain, conv, head

    parts: dict[str, nn.Module] = {"stem": conv(3, stem, 3, act="relu")}
    width = stem
    for stack in range(STACKS):
        after = width
        if stack:
            parts[f"halve{stack}"] = MaxPool2d(2, 2)
            after *= 2
        for number in range(cells):
            parts[f"stack{stack}_cell{number}"] = cell(choices, width, after)
            width = after
    return chain(**parts, head=head(width))


def assemble(choices: Choices, small: bool) -> nn.Module:
    """As published, or with 16 channels in the stem and one cell a stack."""
    return layers(choices, stem=_SMALL_STEM, cells=_SMALL_CELLS) if small else layers(choices)


FAMILY = Family(
    "nb101", "NAS-Bench-101", "arXiv 1902.09635, section 2; github.com/google-research/nasbench", 423_624, 32, 32,
    draw, fingerprint, assemble, digest=lambda text: text,
)  # fmt: skip
