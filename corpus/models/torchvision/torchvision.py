# labels: author::torchvision task::Computer_Vision test_group::large license::bsd-3-clause
"""Segmentation, detection, video and optical flow of torchvision: https://pytorch.org/vision/stable/models.html

    python torchvision.py --model lraspp_mobilenet_v3_large

Its classification networks are in torch_hub/vision.py, as in TurnkeyML.
"""

from corpus.preparation import prepare

prepare()

import torch
import torchvision

from corpus.parameters import member, parse

# `prepare` has given nms an implementation where torchvision's own library does not load.
torchvision.ops.boxes._assert_has_ops = lambda: None  # noqa: SLF001

name, batch_size, num_channels, height, width, pretrained = parse(
    ["model", "batch_size", "num_channels", "height", "width", "pretrained"],
    family=__file__,
    default="lraspp_mobilenet_v3_large",
)
row = member(__file__, name)
torch.manual_seed(0)
options = {} if row is None else dict(row.build)
frames = options.pop("frames", 0)
weights = {"weights": "DEFAULT" if pretrained else None}
if torchvision.models.get_model_builder(name).__module__.split(".")[2] in {"segmentation", "detection"}:
    weights["weights_backbone"] = None
model = torchvision.models.get_model(name, **weights, **options).eval()
image = torch.rand(batch_size, num_channels, *[frames] * bool(frames), height, width)
if name.startswith("raft"):
    model(image, torch.rand_like(image))
else:
    model(list(image) if "rcnn" in name or "retina" in name or "ssd" in name or "fcos" in name else image)
