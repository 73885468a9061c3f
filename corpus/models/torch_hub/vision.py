# labels: author::pytorch task::Computer_Vision test_group::large license::bsd-3-clause
"""Classification networks of https://pytorch.org/hub, repository pytorch/vision, built from torchvision itself.

    python vision.py --model resnet18

With `--pretrained` the hub gives the network and its published weights, for which it needs one.
"""

from corpus.preparation import prepare

prepare(network="download.pytorch.org")

import torch
import torchvision

from corpus.parameters import parse

name, batch_size, num_channels, height, width, pretrained = parse(
    ["model", "batch_size", "num_channels", "height", "width", "pretrained"],
    family=__file__,
    default="resnet18",
)
torch.manual_seed(0)
if pretrained:
    model = torch.hub.load(f"pytorch/vision:v{torchvision.__version__}", name, weights="DEFAULT").eval()
else:
    model = torchvision.models.get_model(name).eval()
model(torch.rand(batch_size, num_channels, height, width))
