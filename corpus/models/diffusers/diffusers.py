# labels: author::diffusers task::Generative_AI test_group::small license::apache-2.0
"""The networks of diffusion pipelines: https://huggingface.co/docs/diffusers.

    python diffusers.py --model unet_stable_diffusion

UNets, variational autoencoders, ControlNets, transformers and text encoders, with random weights. The table beside
this file says of each its class, a small configuration, and the sizes of its inputs: `b` stands for the batch, `h` and
`w` for the image, `s` for the text.
"""

from corpus.preparation import prepare

prepare()

from importlib import import_module

import torch

from corpus.parameters import member, parse

name, batch_size, max_seq_length, height, width = parse(
    ["model", "batch_size", "max_seq_length", "height", "width"],
    small={"height": 64, "width": 64, "max_seq_length": 16},
    family=__file__,
    default="unet_stable_diffusion",
)
build = member(__file__, name).build
sizes = {"b": batch_size, "h": height, "w": width, "s": max_seq_length}


def value(text: str) -> torch.Tensor | int:
    """A tensor of `float b 4 h/8 w/8`, `long b s`, or such; `int 2` is no tensor but that number."""
    kind, *words = text.split()
    if kind == "int":
        return int(words[0])
    shape = []
    for word in words:
        of, _, part = word.partition("/")
        shape.append((sizes[of] if of in sizes else int(of)) // int(part or 1))
    if kind == "long":
        return torch.arange(max(1, torch.Size(shape).numel())).reshape(shape) % 100
    return torch.ones(shape, dtype=torch.bool) if kind == "bool" else torch.rand(shape)


library = import_module(build.get("library", "diffusers"))
kind = getattr(library, build["class"])
options = build["config"]
torch.manual_seed(0)
model = (kind(kind.config_class(**options)) if "library" in build else kind(**options)).eval()
torch.manual_seed(0)
model(**{name: value(text) for name, text in build["inputs"].items()})
