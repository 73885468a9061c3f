# labels: author::huggingface_pytorch task::NLP test_group::large license::apache-2.0
"""The types of models of transformers: https://huggingface.co/docs/transformers.

    python transformers.py --model bert

Each is the base model of its type with random weights, its default configuration made small; `--full` leaves it as
published. The table beside this file names the types, how each is made small, and what its inputs are.
"""

from corpus.preparation import prepare

prepare()

import torch
import transformers

from corpus.inputs import Sizes, make, search
from corpus.parameters import member, parse
from corpus.shrinking import shrink

name, batch_size, max_seq_length, max_audio_seq_length, num_channels, height, width, full = parse(
    ["model", "batch_size", "max_seq_length", "max_audio_seq_length", "num_channels", "height", "width", "full"],
    small={"height": 32, "width": 32},
    family=__file__,
    default="bert",
)
row = member(__file__, name)
build = row.build if row else {}
torch.manual_seed(0)

kind = transformers.CONFIG_MAPPING[name]
way = "published" if full else build.get("config", "small")
config = kind.from_dict(shrink(kind().to_dict(), way, height))
model = transformers.AutoModel.from_config(config).eval()
# The kernel that mixtures of experts run by default has no translation to ONNX.
model.set_experts_implementation("batched_mm")

sizes = Sizes(batch_size, max_seq_length, max_audio_seq_length, num_channels, height, width)
torch.manual_seed(0)
rule = build.get("inputs") or search(model, sizes).rule
torch.manual_seed(0)
model(**make(rule, sizes, config))
