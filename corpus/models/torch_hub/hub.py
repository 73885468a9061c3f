# labels: author::torch_hub task::Computer_Vision test_group::large license::apache-2.0
"""Networks of other repositories of https://pytorch.org/hub.

    python hub.py --model resnest50

The table beside this file names each one's repository and, where timm or torchvision has the same network, its name
there: such a network is built from these, without a network connection. The others, and all with `--pretrained`, are
loaded by torch.hub from GitHub.
"""

from corpus.preparation import prepare

prepare(network="github.com")

import sys

import torch

from corpus.parameters import member, parse

name, batch_size, num_channels, height, width, pretrained = parse(
    ["model", "batch_size", "num_channels", "height", "width", "pretrained"],
    family=__file__,
    default="resnest50",
)
build = member(__file__, name).build
torch.manual_seed(0)
if pretrained or not ("timm" in build or "torchvision" in build):
    try:
        model = torch.hub.load(build["repository"], build["entry"], pretrained=pretrained, trust_repo=True)
    except (OSError, RuntimeError) as problem:
        sys.exit(f"hub.py: {name} is loaded from github.com/{build['repository']}: {problem}")
elif "timm" in build:
    import timm

    model = timm.create_model(build["timm"], in_chans=num_channels)
else:
    import torchvision

    model = torchvision.models.get_model(build["torchvision"])
model.eval()(torch.rand(batch_size, num_channels, height, width))
