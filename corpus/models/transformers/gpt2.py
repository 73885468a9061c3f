# labels: name::gpt2 author::huggingface_pytorch task::Generative_AI test_group::small,turnkey license::apache-2.0
"""https://huggingface.co/docs/transformers/en/model_doc/gpt2"""

from corpus.preparation import prepare

prepare()

import torch
import transformers

from corpus.parameters import parse

torch.manual_seed(0)

# Parsing command-line arguments
batch_size, max_seq_length, full = parse(["batch_size", "max_seq_length", "full"])

# Model and input configurations
small = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 1024, "bos_token_id": 1, "eos_token_id": 1}
config = transformers.GPT2Config(use_cache=False, **({} if full else small))
model = transformers.GPT2LMHeadModel(config).eval()
inputs = {"input_ids": torch.ones(batch_size, max_seq_length, dtype=torch.long)}

# Call model
model(**inputs)
