# labels: name::bert author::huggingface_pytorch task::NLP test_group::small,turnkey license::apache-2.0
"""https://huggingface.co/docs/transformers/en/model_doc/bert"""

from corpus.preparation import prepare

prepare()

import torch
import transformers

from corpus.parameters import parse

torch.manual_seed(0)

# Parsing command-line arguments
batch_size, max_seq_length, full = parse(["batch_size", "max_seq_length", "full"])

# Model and input configurations
small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
config = transformers.BertConfig(**({} if full else {**small, "vocab_size": 1024}))
model = transformers.BertModel(config).eval()
inputs = {
    "input_ids": torch.ones(batch_size, max_seq_length, dtype=torch.long),
    "attention_mask": torch.ones(batch_size, max_seq_length, dtype=torch.float),
}

# Call model
model(**inputs)
