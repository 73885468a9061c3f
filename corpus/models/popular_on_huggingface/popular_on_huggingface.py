# labels: author::huggingface task::NLP test_group::network
"""Much downloaded repositories of https://huggingface.co/models, by their names there.

    python popular_on_huggingface.py --model google-bert/bert-base-uncased
    python popular_on_huggingface.py --model google-bert/bert-base-uncased --weights ~/models

Each is built from its published configuration, at its real size, with random weights; `--pretrained` takes the
published ones. What it needs comes from the network, or from DIR/AUTHOR/NAME, where `--weights DIR` names a folder that
holds copies of the repositories.
"""

from corpus.preparation import prepare

prepare(network="huggingface.co")

import sys

import torch
import transformers

from corpus.inputs import Sizes, make, search
from corpus.parameters import parse

name, batch_size, max_seq_length, max_audio_seq_length, num_channels, height, width, pretrained, weights = parse(
    ["model", "batch_size", "max_seq_length", "max_audio_seq_length", "num_channels", "height", "width", "pretrained",
     "weights"],
    family=__file__,
    default="google-bert/bert-base-uncased",
)  # fmt: skip
source = name if weights is None else str(weights.expanduser() / name)
torch.manual_seed(0)
try:
    config = transformers.AutoConfig.from_pretrained(source, local_files_only=weights is not None)
    model = transformers.AutoModel.from_pretrained(source, config=config) if pretrained else None
except OSError:
    sys.exit(
        f"popular_on_huggingface.py: {name} is "
        + ("not to be had: it needs a network, or --weights DIR with a copy in DIR/" if weights is None else "not in ")
        + (name if weights is None else source)
    )
model = (model or transformers.AutoModel.from_config(config)).eval()
sizes = Sizes(batch_size, max_seq_length, max_audio_seq_length, num_channels, height, width)
rule = search(model, sizes).rule
torch.manual_seed(0)
model(**make(rule, sizes, config))
