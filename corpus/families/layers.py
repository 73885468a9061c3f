"""The layers that all families are made of, and a module that wires them along a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Step", "Truncate", "Wired", "Zero", "chain", "conv", "divisible", "head", "pool", "residual", "scale"]

_ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish, "hardsigmoid": nn.Hardsigmoid,
}  # fmt: skip


class Step(NamedTuple):
    """One value of a `Wired` module: earlier values (by place), joined, then a layer.

    They are joined by ``add``, ``concat`` or ``multiply``, or are ``arguments`` of the layer. The module's own
    arguments are the first values. ``name`` is the layer's.
    """

    name: str
    sources: Sequence[int]
    layer: nn.Module | None = None
    join: str = "add"


class Wired(nn.Module):  # type: ignore[misc]  # torch has no types here
    """Layers along a graph; the last value is the output."""

    def __init__(self, steps: Sequence[Step], inputs: int = 1) -> None:
        super().__init__()
        self.inputs = inputs
        self.wiring = tuple((step.name if step.layer else "", tuple(step.sources), step.join) for step in steps)
        for step in steps:
            if step.layer is not None:
                self.add_module(step.name, step.layer)

    def forward(self, *arguments: Tensor) -> Tensor:
        """The last value, of as many arguments as it has inputs, each [N, C, H, W]."""
        values = list(arguments)
        for name, sources, how in self.wiring:
            read = [values[place] for place in sources]
            given = read if how == "arguments" else [_joined(read, how)]
            values.append(self.get_submodule(name)(*given) if name else given[0])
        return values[-1]

    def extra_repr(self) -> str:
        """The wiring, which no list of layers tells."""
        return "; ".join(f"{name or how}<-{','.join(map(str, sources))}" for name, sources, how in self.wiring)


def _joined(values: list[Tensor], how: str) -> Tensor:
    if len(values) == 1:
        return values[0]
    if how == "concat":
        return torch.cat(values, dim=1)
    total = values[0]
    for value in values[1:]:
        total = total * value if how == "multiply" else total + value
    return total


class Zero(nn.Module):  # type: ignore[misc]  # torch has no types here
    """The operation ``none``: zeros of the shape that it reads, computed from it as the published code does."""

    def forward(self, value: Tensor) -> Tensor:
        """[N, C, H, W] in and out."""
        return value * 0.0


class Truncate(nn.Module):  # type: ignore[misc]  # torch has no types here
    """The first channels alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, value: Tensor) -> Tensor:
        """[N, C, H, W] to [N, channels, H, W]."""
        return value[:, : self.channels]

    def extra_repr(self) -> str:
        """How many."""
        return str(self.channels)


def conv(  # noqa: PLR0913 - a layer has as many
    before: int, after: int, kernel: int | tuple[int, int] = 1, stride: int | tuple[int, int] = 1, *, act: str = "",
    first: str = "", groups: int = 1, dilation: int = 1, bias: bool = False, norm: bool = True,
) -> nn.Sequential:  # fmt: skip
    """A convolution that keeps the size but for its stride, with batch normalisation after it unless told otherwise.

    Args:
        before: channels that it reads.
        after: channels that it gives.
        kernel: its window; odd.
        stride: of both directions, or of each.
        act: activation at the end.
        first: activation at the beginning.
        groups: as the convolution has them.
        dilation: of its window.
        bias: whether it has one.
        norm: whether batch normalisation follows.
    """
    sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (sizes[0] // 2), dilation * (sizes[1] // 2))
    parts: list[nn.Module] = [_ACTIVATIONS[first]()] if first else []
    parts.append(nn.Conv2d(before, after, sizes, stride, padding, dilation, groups, bias))
    if norm:
        parts.append(nn.BatchNorm2d(after))
    if act:
        parts.append(_ACTIVATIONS[act]())
    return nn.Sequential(*parts)


def pool(kind: str, stride: int = 1, *, padded: bool = False) -> nn.Module:
    """``max`` or ``avg`` over 3 by 3; an average counts the padding only where ``padded`` says so."""
    if kind == "max":
        return nn.MaxPool2d(3, stride, 1)
    return nn.AvgPool2d(3, stride, 1, count_include_pad=padded)


def chain(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, under their names."""
    result = nn.Sequential()
    for name, layer in layers.items():
        result.add_module(name, layer)
    return result


def head(channels: int, classes: int = 10) -> nn.Sequential:
    """Global average pooling and a linear classifier: [N, C, H, W] to [N, classes]."""
    return chain(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=nn.Linear(channels, classes))


def residual(layer: nn.Module, shortcut: nn.Module | None = None, act: str = "") -> Wired:
    """A layer with what it reads, or a shortcut of it, added."""
    last = _ACTIVATIONS[act]() if act else None
    if shortcut is None:
        return Wired([Step("body", (0,), layer), Step("act", (0, 1), last)])
    return Wired([Step("body", (0,), layer), Step("shortcut", (0,), shortcut), Step("act", (1, 2), last)])


def scale(channels: int, hidden: int) -> Wired:
    """Squeeze and excitation (Hu et al. 2018) as MobileNetV3 has it: two biased 1 by 1 convolutions, a hard sigmoid."""
    gate = chain(
        squeeze=nn.AdaptiveAvgPool2d(1), reduce=nn.Conv2d(channels, hidden, 1), act=nn.ReLU(),
        expand=nn.Conv2d(hidden, channels, 1), gate=nn.Hardsigmoid(),
    )  # fmt: skip
    return Wired([Step("gate", (0,), gate), Step("", (0, 1), None, "multiply")])


def divisible(value: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` that is nearest to a number of channels, never less than 0.9 of it.

    Source: the rule of MobileNet's reference implementation (tensorflow/models, research/slim/nets/mobilenet).
    """
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest
