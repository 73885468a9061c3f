"""Configurations made small: what each kind of number becomes, what hangs together."""

from __future__ import annotations

import pytest

from corpus.shrinking import WAYS, shrink

LLAMA = {
    "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "use_cache": True, "bos_token_id": 1, "pad_token_id": None,
    "layer_types": ["full", "full", "sliding", *["full"] * 29], "id2label": {0: "A", 1: "B"},
}  # fmt: skip


def test_a_language_model():
    small = shrink(LLAMA, "small", 32)
    assert small == {
        "model_type": "llama", "vocab_size": 1024, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "use_cache": False, "bos_token_id": 1,
        "pad_token_id": None, "layer_types": ["full", "sliding"], "id2label": {0: "A", 1: "B"},
    }  # fmt: skip


def test_dividing_keeps_the_factors_between_widths():
    divided = shrink(LLAMA, "divided", 32)
    assert (divided["hidden_size"], divided["head_dim"], divided["num_attention_heads"]) == (512, 16, 32)


def test_shallow_and_published_keep_widths():
    assert shrink(LLAMA, "shallow", 32)["hidden_size"] == 4096
    assert shrink(LLAMA, "shallow", 32)["num_hidden_layers"] == 2
    published = shrink(LLAMA, "published", 32)
    assert published == LLAMA | {"use_cache": False}


def test_heads_of_keys_that_are_grouped_stay_so():
    assert shrink(LLAMA | {"num_key_value_heads": 8}, "small", 32)["num_key_value_heads"] == 2


def test_images_stages_and_what_lies_within():
    config = {
        "vision_config": {"image_size": 224, "patch_size": 16, "num_channels": 3, "out_features": ["stage12"]},
        "embed_dims": [64, 128, 256], "depths": [2, 2, 18], "conv_kernel": [10, 3, 3],
    }  # fmt: skip
    assert shrink(config, "small", 32) == {
        "vision_config": {"image_size": 32, "patch_size": 16, "num_channels": 3},
        "embed_dims": [8, 16, 32], "depths": [2, 2, 2], "conv_kernel": [10, 3, 3],
    }  # fmt: skip


def test_no_more_experts_are_chosen_than_there_are():
    small = shrink({"num_local_experts": 64, "num_experts_per_tok": 8}, "small", 32)
    assert small == {"num_local_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize("way", WAYS)
def test_the_given_configuration_stays_as_it_is(way):
    before = repr(LLAMA)
    shrink(LLAMA, way, 32)
    assert repr(LLAMA) == before


def test_a_list_of_kinds_that_alone_tells_the_number_of_layers_keeps_one_of_each():
    kinds = ["linear_attention", "moe", "linear_attention", "full_attention"]
    assert shrink({"layers_block_type": kinds}, "small", 32) == {
        "layers_block_type": ["linear_attention", "moe", "full_attention"]
    }
    assert shrink({"layers_block_type": kinds}, "published", 32) == {"layers_block_type": kinds}
    assert shrink({"num_layers_per_stack": 16}, "small", 32) == {"num_layers_per_stack": 2}
