"""Configurations of transformers made small: the same architecture, few layers, narrow.

A configuration is a tree of names and numbers, and each of some six hundred types has its own names. What a number is
follows from its name; the first rule of the table whose pattern is found in it counts. A way of shrinking says what is
done with each kind. The ways are tried in turn, since no one of them suits all: where widths hang together by
factors that no rule knows, dividing all of them by the same number keeps those, and setting each to the same one does
not.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["WAYS", "kind_of", "shrink"]

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple((kind, re.compile(pattern)) for kind, pattern in (
    ("kept", r"^(id2label|label2id|transformers_version|type_vocab_size|num_labels|dtype|architectures)$"),
    ("layers", r"^num_layers_per_stack$"),
    ("vocabulary", r"vocab(ulary)?_size$|codebook_size$|^num_embeddings$|^n_vocab$|num_vq_classes|^n_codes"),
    ("token", r"token_(id|index)s?$|_token$|^(pad|bos|eos|unk|sep|cls|mask)_idx$|^image_soft_token|_id$"),
    ("kept", r"feat_extract|kernel|stride|padding|dilation|groups?_size|ratio|factor|merge_size"),
    ("channels", r"(in|num|image|input|n|color)_?channels$"),
    ("groups", r"^(n_group|topk_group)$|num_(conv_)?groups|ngroups|n_groups"),
    ("pattern", r"^layers_block_type$"),
    ("positions", r"position|max_seq|max_len|context_length|seq_length|seq_len|max_source|max_target|n_ctx"),
    ("image", r"image_size$|img_size$|^input_size$|crop_size"),
    ("kept", r"patch|mel_bins|num_mel|feature_size|window|temporal|num_frames|sampling|hop|fft|conv|k$|_per_"),
    ("sections", r"mrope_section|axes_dim"),
    ("key_heads", r"key_value_heads|kv_heads|num_kv|multi_query_group"),
    ("head_width", r"head_(dim|size|width)$|_head_dim|d_kv$|attention_head_dim|kv_channels|rope_dim$"),
    ("heads", r"heads?$|n_head|head_count|num_heads"),
    ("experts", r"experts$|num_expert|moe_num|n_routed|num_local_experts"),
    ("layers", r"layers?$|n_layer|depths?$|blocks?$|num_block|layer_count|num_stages_|loops"),
    ("intermediate", r"intermediate|ffn|inner|feed_?forward|mlp_dim|mlp_size|fc_|d_ff|n_inner"),
    ("width", r"(size|dims?|embd|model|channels|sizes|features|units|filters)$|hidden|state|embed|width"),
    ("queries", r"num_queries|num_query|latents|num_proposals|num_slots"),
))  # fmt: skip
"""What a number is, by what its name holds."""

# "pattern": a list of kinds whose length is the number of layers, which is told nowhere else; one of each kind is left.

_DERIVED = {"out_features", "out_indices", "_out_features", "_out_indices", "stage_names", "per_layer_config"}
"""What follows from the number of stages or layers."""

_UNSET = {"prediction_length": 8, "vocab_size": 1024}
"""What some types have no default of, and cannot be built without."""

_PLENTY = 512
"""Positions that are kept: more than any standard text has tokens."""


def _least(limit: int) -> Callable[[int], int]:
    return lambda value: min(value, limit)


def _divided(value: int) -> int:
    """An eighth, where that leaves something and no fraction."""
    return value // 8 if value >= 64 and value % 8 == 0 else value


_COMMON: Mapping[str, Callable[[int], int]] = MappingProxyType({
    "vocabulary": _least(1024), "layers": _least(2), "experts": _least(4), "positions": _least(_PLENTY),
    "queries": _least(16), "channels": lambda value: value if value <= 4 else 32,
})  # fmt: skip
_SMALL = {
    **_COMMON, "width": _least(32), "intermediate": _least(64), "heads": _least(4), "key_heads": _least(2),
    "head_width": _least(8), "groups": _least(1),
}  # fmt: skip
_DIVIDED = {**_COMMON, "channels": _divided, "width": _divided, "intermediate": _divided, "head_width": _divided}

WAYS: Mapping[str, Mapping[str, Callable[[int], int]]] = MappingProxyType(
    {
        "small": MappingProxyType(_SMALL),
        "divided": MappingProxyType(_DIVIDED),
        "shallow": _COMMON,
        "published": MappingProxyType({}),
    }
)
"""What is done with each kind of number, by the name of the way, in the order in which they are worth trying."""


def shrink(config: Mapping[str, Any], way: str, image: int) -> dict[str, Any]:
    """A configuration as small as a way makes it; `config` is what ``to_dict()`` gives.

    Args:
        config: names and values, with others inside of them.
        way: one of `WAYS`.
        image: rows and columns of an image, in place of those of the configuration.
    """
    shrunk = _mapping(config, WAYS[way], image)
    if WAYS[way]:
        _consistent(shrunk)
    return shrunk


def _mapping(config: Mapping[str, Any], way: Mapping[str, Callable[[int], int]], image: int) -> dict[str, Any]:
    layers = {value for name, value in config.items() if _is_int(value) and kind_of(name) == "layers"}
    found: dict[str, Any] = {}
    for name, value in config.items():
        kind = kind_of(name)
        if name in _DERIVED and way:
            continue
        if isinstance(value, dict):
            found[name] = _mapping(value, way, image)
        elif isinstance(value, (list, tuple)):
            found[name] = _listed(kind, list(value), way, layers, image)
        elif name == "use_cache":
            found[name] = False  # a cache is neither a tensor nor an output that anybody compares
        elif value is None and name in _UNSET:
            found[name] = _UNSET[name]
        else:
            found[name] = _number(kind, value, way, image)
    # As many as there are of the others, where they are not grouped.
    heads = {value: found[name] for name, value in config.items() if _is_int(value) and kind_of(name) == "heads"}
    for name, value in config.items():
        if kind_of(name) == "key_heads" and value in heads:
            found[name] = heads[value]
    return found


def _number(kind: str, value: Any, way: Mapping[str, Callable[[int], int]], image: int) -> Any:
    if not _is_int(value) or value <= 0:
        return value
    if kind == "image" and way:
        return min(value, image)
    if kind == "token" and way:
        # Below the vocabulary, and as distinct as they were as long as they lie near each other.
        return value if value < 1024 else 1000 - value % 500
    change = way.get(kind)
    return value if change is None else change(value)


def _listed(
    kind: str, values: list[Any], way: Mapping[str, Callable[[int], int]], layers: set[int], image: int
) -> list[Any]:
    """A list: one element a layer is cut with the layers; numbers one a stage shrink in proportion."""
    if any(isinstance(value, dict) for value in values):
        return [_mapping(value, way, image) if isinstance(value, dict) else value for value in values]
    told = kind == "intermediate" or any(isinstance(value, (str, bool)) for value in values)
    if len(values) in layers and len(values) > 2 and told and "layers" in way:
        return _kinds_of_layers(values)
    if kind in {"kept", "pattern"}:
        return list(dict.fromkeys(values)) if kind == "pattern" and "layers" in way else values
    if kind == "sections" and "width" in way:
        total = 4 if way.get("head_width") is not _divided else sum(values) // 8
        rest = [max(1, value * total // sum(values)) for value in values[1:]]
        return [total - sum(rest), *rest]
    if kind in {"width", "channels"} and values and all(map(_is_int, values)) and "width" in way and max(values) > 64:
        return [max(8, value // 8) for value in values]
    return [_number(kind, value, way, image) for value in values]


def _kinds_of_layers(values: list[Any]) -> list[Any]:
    """Two elements for two layers: of two kinds, where there are two."""
    first = values[0]
    return [first, next((value for value in values if value != first), first)]


def _consistent(config: dict[str, Any]) -> None:
    """What must not exceed something else: experts chosen, key heads, padding in the vocabulary."""
    for value in config.values():
        if isinstance(value, dict):
            _consistent(value)
    experts = next((v for name, v in config.items() if _is_int(v) and v > 1 and kind_of(name) == "experts"), None)
    for name, value in config.items():
        if experts and _is_int(value) and re.search(r"per_tok|top_?k|_k$", name):
            config[name] = min(value, max(1, experts // 2))


def kind_of(name: Any) -> str:
    """What a number is; nothing that shrinks, where its name is none, as those of labels."""
    if not isinstance(name, str):
        return "kept"
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "kept")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
