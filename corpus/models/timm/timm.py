# labels: author::timm task::Computer_Vision test_group::large license::apache-2.0
"""Image networks of timm: https://huggingface.co/docs/timm (https://github.com/huggingface/pytorch-image-models).

    python timm.py --model resnet18

The table beside this file names all that the library registers. Those of test_group::small are the smallest of each
family; they take the smallest image that the network allows. The others, and all with `--full`, take one of the
size that they were trained for.
"""

from corpus.preparation import prepare

prepare()

import timm
import torch

from corpus.parameters import member, parse

NAMES = ("model", "batch_size", "num_channels", "height", "width", "pretrained", "full")
family = {"family": __file__, "default": "resnet18"}
name, *_ = parse(NAMES, **family)
own = timm.get_pretrained_cfg(name).input_size
name, batch_size, num_channels, height, width, pretrained, full = parse(
    NAMES, standard={"height": own[1], "width": own[2]}, **family
)
row = member(__file__, name)
torch.manual_seed(0)
options = {} if full or row is None else dict(row.build)
model = timm.create_model(name, pretrained=pretrained, in_chans=num_channels, **options).eval()
model(torch.rand(batch_size, num_channels, height, width))
