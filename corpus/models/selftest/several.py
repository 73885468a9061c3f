# labels: name::several author::selftest task::Computer_Vision test_group::small,selftest license::apache-2.0
"""Three calls of two models in one script, one of them inside the other. Made for this project."""

import torch

torch.manual_seed(0)


class Convolution(torch.nn.Module):
    """An image in, features of it out."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, image):
        return torch.relu(self.norm(self.convolution(image))).mean(dim=(2, 3))


class Classifier(torch.nn.Module):
    """An image in, ten scores out."""

    def __init__(self, features: torch.nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = torch.nn.Linear(8, 10)

    def forward(self, image):
        return self.head(self.features(image))


convolution = Convolution().eval()
classifier = Classifier(convolution).eval()
convolution(torch.rand(1, 3, 16, 16))
classifier(torch.rand(1, 3, 16, 16))
# The same model on a larger image.
classifier(torch.rand(1, 3, 24, 24))
