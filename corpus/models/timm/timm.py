# labels: author::timm task::Computer_Vision test_group::large license::apache-2.0
"""Image networks of timm: https://huggingface.co/docs/timm (https://github.com/huggingface/pytorch-image-models).

    python timm.py --model resnet18

The table beside this file names all that the library registers. Those of test_group::small are the smallest of each
family; they take the smallest image that the network allows.
"""

from corpus.preparation import prepare

prepare()

import timm
import torch

from corpus.parameters import member, parse

name, batch_size, num_channels, height, width, pretrained, full = parse(
    ["model", "batch_size", "num_channels", "height", "width", "pretrained", "full"],
    family=__file__,
    default="resnet18",
)
row = member(__file__, name)
torch.manual_seed(0)
options = {} if full or row is None else dict(row.build)
model = timm.create_model(name, pretrained=pretrained, in_chans=num_channels, **options).eval()
model(torch.rand(batch_size, num_channels, height, width))
