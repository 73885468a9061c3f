# labels: name::parametrised author::selftest task::NLP test_group::small,selftest license::apache-2.0
"""A model that takes standard arguments: how many texts, and how long. Made for this project."""

import torch

from corpus.parameters import parse

torch.manual_seed(0)

batch_size, max_seq_length = parse(["batch_size", "max_seq_length"])


class Tagger(torch.nn.Module):
    """Tokens in, a score of each of four tags for each of them out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(100, 16)
        self.layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens)))


model = Tagger().eval()
model(torch.arange(batch_size * max_seq_length).reshape(batch_size, max_seq_length) % 100)
