# labels: author::various task::Computer_Vision test_group::sample
"""Networks of neural architecture search: https://github.com/Ascend-Research/GENNAPE lists the spaces.

    python nas_families.py --model nb201_9328

Where each space is published stands in corpus/families. The table beside this file names the first hundred of each that
seed 0 draws. They take small images and have few channels and cells; with `--full` they are as published.
"""

import torch

from corpus.families.table import family
from corpus.parameters import member, parse

name, full = parse(("model", "full"), family=__file__, default="nb201_9328")
torch.manual_seed(0)
build = member(__file__, name).build
space = family(build["family"])
architecture = space.sample(0, build["index"])
if architecture.name != name:
    raise SystemExit(f"{name} is now {architecture.name}: write the table anew (benchmarks/campaign_families.py table)")
model, image = space.build(architecture, small=not full)
model(image)
