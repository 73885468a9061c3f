"""Small configurations that differ as published checkpoints of one type do.

Depth, width, heads, the factor of the feed-forward layers, key heads, activation, patches and kernels, dropout,
epsilon, and the flags that say where a bias or a normalisation is. One decision holds in all parts of a configuration,
since widths of parts hang together. Not every variant can be built: whoever asks tries the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpus.shrinking import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corpus.families.draws import Draws

__all__ = ["Variant", "draw", "varied"]

_ACTIVATIONS = ("gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "tanh")
_FLAGS = re.compile(r"bias$|norm_first|norm_before|stable_layer_norm|normalize_before|scale_embedding|^final_norm|tie_")
_PATCHES = re.compile(r"^patch_size$")
_KERNELS = re.compile(r"^(conv_kernel_size|conv_depthwise_kernel_size|num_conv_pos_embeddings|kernel_size)$")


@dataclass(frozen=True, slots=True)
class Variant:
    """The decisions of one draw; None and 1 leave what they are about as it is."""

    layers: int
    width: int = 1
    feed_forward: int = 1
    fewer_heads: bool = False
    one_key_head: bool = False
    activation: str | None = None
    smaller_patches: bool = False
    smaller_kernels: bool = False
    dropout: float | None = None
    epsilon: float | None = None
    group_norm: str | None = None
    flags: tuple[bool, ...] = ()


def draw(draws: Draws) -> Variant:
    """A variant; about half of them keep the type's own activation, flags, dropout and epsilon."""
    return Variant(
        layers=draws.between(1, 4), width=draws.pick((1, 1, 2, 3)), feed_forward=draws.pick((1, 1, 2)),
        fewer_heads=draws.below(3) == 0, one_key_head=draws.below(4) == 0,
        activation=draws.pick((*([None] * len(_ACTIVATIONS)), *_ACTIVATIONS)),
        smaller_patches=draws.below(4) == 0, smaller_kernels=draws.below(4) == 0,
        dropout=draws.pick((None, None, 0.0, 0.05)), epsilon=draws.pick((None, None, None, 1e-5, 1e-6)),
        group_norm=draws.pick((None, None, "layer", "group")),
        flags=tuple(draws.below(8) == 0 for _ in range(8)),
    )  # fmt: skip


def varied(config: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """A configuration that `corpus.shrinking.shrink` made small, as a variant has it."""
    seen: list[str] = []
    return {name: _value(name, value, variant, seen) for name, value in config.items()}


def _value(name: str, value: Any, variant: Variant, seen: list[str]) -> Any:
    if isinstance(value, dict):
        return value if name in {"id2label", "label2id"} else varied(value, variant)
    if isinstance(value, bool):
        return _flag(name, value, variant, seen)
    if isinstance(value, str):
        return _text(name, value, variant)
    if isinstance(value, list):
        return _listed(name, value, variant)
    if isinstance(value, int | float):
        return _real(name, value, variant)
    return value


def _listed(name: str, values: list[Any], variant: Variant) -> list[Any]:
    kind = kind_of(name)
    if not values or not all(map(_is_size, values)):
        return values
    if kind == "layers":
        return [1 + (one + variant.layers + place) % 3 for place, one in enumerate(values)]
    return [one * variant.width for one in values] if kind in {"width", "channels"} else values


def _real(name: str, value: float, variant: Variant) -> float:
    if variant.epsilon is not None and not isinstance(value, int) and re.search(r"eps(ilon)?$", name):
        return variant.epsilon
    if variant.dropout is not None and "dropout" in name and 0 <= value < 1:
        return variant.dropout
    return _number(name, value, variant) if isinstance(value, int) else value


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _flag(name: str, value: bool, variant: Variant, seen: list[str]) -> bool:
    if not _FLAGS.search(name):
        return value
    seen.append(name)
    return value ^ (variant.flags[(len(seen) - 1) % len(variant.flags)] if variant.flags else False)


def _text(name: str, value: str, variant: Variant) -> str:
    if name == "feat_extract_norm" and variant.group_norm:
        return variant.group_norm
    if variant.activation and value in {*_ACTIVATIONS, "swish"} and "act" in name:
        return variant.activation
    return value


def _number(name: str, value: int, variant: Variant) -> int:
    if value <= 0:
        return value
    if _PATCHES.search(name) and variant.smaller_patches and value % 2 == 0:
        return value // 2
    if _KERNELS.search(name) and variant.smaller_kernels and value > 4:
        return value // 2 + (value // 2 + value) % 2
    kind = kind_of(name)
    changed = {
        "layers": variant.layers,
        "width": value * variant.width, "head_width": value * variant.width,
        "intermediate": value * variant.width * variant.feed_forward,
        "heads": value // 2 if variant.fewer_heads and value % 2 == 0 and value > 2 else value,
        "key_heads": 1 if variant.one_key_head else value,
    }  # fmt: skip
    return changed.get(kind, value)
