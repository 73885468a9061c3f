"""What stands in for torchvision's operators, and what a script's process is made fit for."""

from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from corpus.catalogue import MODELS  # noqa: E402 - only where torch is
from corpus.preparation import nms  # noqa: E402 - the same


def greedy(boxes, scores, threshold):
    """Non-maximum suppression as its definition says: the best box, then all that do not overlap it too much."""
    kept, left = [], sorted(range(len(boxes)), key=lambda i: -scores[i])
    while left:
        best, *left = left
        kept.append(best)
        left = [i for i in left if overlap(boxes[best], boxes[i]) <= threshold]
    return kept


def overlap(a, b):
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.9])
def test_nms_keeps_what_its_definition_keeps(threshold):
    torch.manual_seed(1)
    for count in (1, 2, 17, 60):
        corners = torch.rand(count, 2, dtype=torch.float64)
        boxes = torch.cat([corners, corners + torch.rand(count, 2, dtype=torch.float64) / 2 + 0.01], dim=1)
        scores = torch.rand(count)
        assert nms(boxes, scores, threshold).tolist() == greedy(boxes.tolist(), scores.tolist(), threshold)


def test_nms_of_nothing():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)


def test_a_script_may_be_named_like_the_library_that_it_imports(tmp_path):
    code = (
        "import sys; sys.path[0] = sys.argv[1]; from corpus.preparation import prepare; prepare(); print(sys.path[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(MODELS / "timm")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() != str(MODELS / "timm")
