"""What must be so before torchvision, timm, transformers or diffusers are imported.

Wheels of torchvision fit one build of torch each. One that does not fit cannot load its compiled operators, and fails
as it registers what they do to shapes, since they were never declared. Whatever imports torchvision then fails too, and
transformers and timm do that by themselves where they find it installed. Of the compiled operators the models here need
``nms`` alone: so two declarations are made, and ``nms`` gets a plain implementation.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib import util
from pathlib import Path
from socket import create_connection
from typing import TYPE_CHECKING
from urllib.request import getproxies

if TYPE_CHECKING:
    import torch

__all__ = ["ENVIRONMENT", "OFFLINE", "nms", "prepare"]

ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}
"""What keeps Hugging Face's libraries quiet."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""What keeps them from asking a network, on which they would wait."""

_MODELS = Path(__file__).parent / "models"
_PATIENCE = 5.0  # seconds for a connection
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def prepare(*, network: str = "") -> None:
    """Make this process fit to import the libraries of the corpus; what is so already stays.

    Args:
        network: the host that a script asks, where it does; when that cannot be reached, nothing waits for it.
    """
    for name, value in (ENVIRONMENT if network and _reachable(network) else ENVIRONMENT | OFFLINE).items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore")
    _hide_own_folder()
    if "torchvision" not in sys.modules and util.find_spec("torchvision") is not None:
        _declare_operators()


def _reachable(host: str) -> bool:
    """Whether a connection to a host can be made; with a proxy only that one knows."""
    if getproxies():
        return True
    try:
        create_connection((host, 443), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True


def _hide_own_folder() -> None:
    """Python looks for modules beside a script first, and would take timm/timm.py for timm."""
    if sys.path and sys.path[0] and Path(sys.path[0]).resolve().parent == _MODELS.resolve():
        del sys.path[0]


def _declare_operators() -> None:
    """Declare what torchvision registers more of, unless its own library does. Twice would be an error."""
    import torch

    spec = util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for library in sorted(Path(folder).glob("_C.*")):
            try:
                torch.ops.load_library(library)
            except OSError:
                continue
    if hasattr(torch.ops.torchvision, "nms"):
        return
    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", _SIGNATURE)
    torch.library.impl("torchvision::nms", "CPU", nms)


def nms(dets: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Which of the boxes remain, best first: none of them overlaps a better one by more than the threshold.

    Args:
        dets: corners (x1, y1, x2, y2), [n, 4].
        scores: how good each is, [n].
        iou_threshold: intersection over union, 0 to 1.
    """
    import torch

    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    overlap = shared > iou_threshold * (areas[:, None] + areas[None] - shared)
    rivals = overlap.triu(diagonal=1)
    # A box goes where a better one that stays overlaps it. Each round settles at least one more from the best on.
    kept = torch.ones_like(order, dtype=torch.bool)
    while not torch.equal(kept, left := ~(rivals & kept[:, None]).any(dim=0)):
        kept = left
    return order[kept]
