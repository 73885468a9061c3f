# labels: name::wav2vec2 author::huggingface_pytorch task::Audio test_group::small,turnkey license::apache-2.0
"""https://huggingface.co/docs/transformers/en/model_doc/wav2vec2"""

from corpus.preparation import prepare

prepare()

import torch
import transformers

from corpus.parameters import parse

torch.manual_seed(0)

# Parsing command-line arguments
batch_size, max_audio_seq_length, full = parse(["batch_size", "max_audio_seq_length", "full"])

# Model and input configurations
small = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
config = transformers.Wav2Vec2Config(**({} if full else small))
model = transformers.Wav2Vec2Model(config).eval()
inputs = {"input_values": torch.rand(batch_size, max_audio_seq_length)}

# Call model
model(**inputs)
