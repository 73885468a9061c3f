# labels: name::vit author::huggingface_pytorch task::Computer_Vision test_group::small,turnkey license::apache-2.0
"""https://huggingface.co/docs/transformers/en/model_doc/vit"""

from corpus.preparation import prepare

prepare()

import torch
import transformers

from corpus.parameters import parse

torch.manual_seed(0)

# Parsing command-line arguments
batch_size, num_channels, height, width, full = parse(
    ["batch_size", "num_channels", "height", "width", "full"], small={"height": 64, "width": 64}
)

# Model and input configurations
small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
config = transformers.ViTConfig(image_size=(height, width), num_channels=num_channels, **({} if full else small))
model = transformers.ViTForImageClassification(config).eval()
inputs = {"pixel_values": torch.rand(batch_size, num_channels, height, width)}

# Call model
model(**inputs)
