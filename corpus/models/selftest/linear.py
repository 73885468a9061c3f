# labels: name::linear author::selftest task::Computer_Vision test_group::small,selftest license::apache-2.0
"""One linear layer, the smallest model there is. Made for this project."""

import torch

torch.manual_seed(0)


class SmallModel(torch.nn.Module):
    """Features in, features out."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(input_size, output_size)

    def forward(self, x):
        return self.fc(x)


model = SmallModel(10, 5).eval()
model(torch.rand(1, 10))
