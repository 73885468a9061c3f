"""Where bugs of each backend are reported, and the headings that its form for them has.

The headings are those of the projects' own templates for issues (``.github/ISSUE_TEMPLATE`` of each repository, looked
up in November 2026); where a project has none, they are those of its latest issues. Behind each heading stand the
names of what goes there: ``PARTS`` in ``fuzz.repro.notes``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TRACKERS", "Tracker", "tracker_of"]


@dataclass(frozen=True, slots=True)
class Tracker:
    """A project's tracker: its address, how titles begin, and the headings of its form with what goes there."""

    name: str
    address: str
    sections: tuple[tuple[str, str], ...]
    title: str = ""


_ALL = "summary model inputs expected got"
_WHERE = "versions platform"

_ONNXRUNTIME = Tracker(
    "ONNX Runtime", "https://github.com/microsoft/onnxruntime/issues/new/choose",
    (
        ("### Describe the issue", f"{_ALL} ruled_out"), ("### To reproduce", "command script"),
        ("### Urgency", "urgency"), ("### Platform", "system"), ("### OS Version", "release"),
        ("### ONNX Runtime Installation", "released"), ("### ONNX Runtime Version or Commit ID", "version"),
        ("### ONNX Runtime API", "python_api"), ("### Architecture", "machine"), ("### Execution Provider", "device"),
        ("### Execution Provider Library Version", "versions"),
    ),
)  # fmt: skip
_TVM = Tracker(
    "TVM", "https://github.com/apache/tvm/issues/new/choose",
    (
        ("### Expected behavior", "summary model inputs expected"), ("### Actual behavior", "got ruled_out"),
        ("### Environment", _WHERE), ("### Steps to reproduce", "command script"), ("### Triage", "triage"),
    ),
    "[Bug] ",
)  # fmt: skip
_PYTORCH = Tracker(
    "PyTorch", "https://github.com/pytorch/pytorch/issues/new/choose",
    (
        ("### 🐛 Describe the bug", f"{_ALL} ruled_out command script fuzzer"), ("### Error logs", "log"),
        ("### Versions", f"{_WHERE} collect_env"),
    ),
)  # fmt: skip
_OPENVINO = Tracker(
    "OpenVINO", "https://github.com/openvinotoolkit/openvino/issues/new/choose",
    (
        ("### OpenVINO Version", "version"), ("### Operating System", "platform"),
        ("### Device used for inference", "device"), ("### Framework", "framework"), ("### Model used", "model"),
        ("### Issue description", "summary inputs expected got ruled_out"),
        ("### Step by step reproduction", "command script"), ("### Relevant log output", "log"),
        ("### Issue submission checklist", "checklist"),
    ),
    "[Bug]: ",
)  # fmt: skip
_IREE = Tracker(
    "IREE", "https://github.com/iree-org/iree/issues/new/choose",
    (
        ("### What happened?", f"{_ALL} log"), ("### Steps to reproduce your issue", "command script"),
        ("### What component(s) does this issue relate to?", "component"), ("### Version information", _WHERE),
        ("### Additional context", "ruled_out"),
    ),
)  # fmt: skip
_JAX = Tracker(
    "JAX", "https://github.com/jax-ml/jax/issues/new/choose",
    (
        ("### Description", f"{_ALL} ruled_out command script"),
        ("### What jax/jaxlib version are you using?", "versions"),
        ("### Which accelerator(s) are you using?", "device"),
        ("### Additional System Info", "platform"),
    ),
    "BUG: ",
)  # fmt: skip
_JAXONNXRUNTIME = Tracker(
    "jaxonnxruntime", "https://github.com/google/jaxonnxruntime/issues/new",
    (
        ("### Describe the bug", _ALL), ("### To reproduce", "command script"), ("### Versions", _WHERE),
        ("### Additional context", "ruled_out"),
    ),
)  # fmt: skip
_TENSORFLOW = Tracker(
    "TensorFlow", "https://github.com/tensorflow/tensorflow/issues/new/choose",
    (
        ("### Issue type", "bug"), ("### Have you reproduced the bug with TensorFlow Nightly?", "nightly"),
        ("### Source", "binary"), ("### TensorFlow version", "version"), ("### Custom code", "yes"),
        ("### OS platform and distribution", "platform"), ("### Python version", "python"),
        ("### Current behavior?", f"{_ALL} ruled_out"),
        ("### Standalone code to reproduce the issue", "command script"), ("### Relevant log output", "log"),
    ),
)  # fmt: skip
_ONNX_TF = Tracker(
    "onnx-tf", "https://github.com/onnx/onnx-tensorflow/issues/new/choose",
    (
        ("**Describe the bug**", f"{_ALL}"), ("**To Reproduce**", "command script"), ("**ONNX Model File**", "files"),
        ("**Python, ONNX, ONNX-TF, Tensorflow version**", "versions"), ("**Additional context**", "ruled_out platform"),
    ),
)  # fmt: skip
_ONNX2TF = Tracker(
    "onnx2tf", "https://github.com/PINTO0309/onnx2tf/issues/new/choose",
    (
        ("### Issue Type", "others"), ("### onnx2tf version number", "version"), ("### Download URL for ONNX", "files"),
        ("### Parameter Replacement JSON", "nothing"), ("### Description", f"{_ALL} ruled_out command script {_WHERE}"),
    ),
)  # fmt: skip
_ONNXSIM = Tracker(
    "onnxsim", "https://github.com/onnxsim/onnxsim/issues/new/choose",
    (
        ("**Describe the bug**", "summary inputs expected got ruled_out"), ("**Model**", "model files"),
        ("**To reproduce**", "command script"), ("**Environment**", _WHERE),
    ),
    "[BUG] ",
)  # fmt: skip
_ONNXSLIM = Tracker(
    "OnnxSlim", "https://github.com/inisis/OnnxSlim/issues/new/choose",
    (
        ("**Describe the bug**", "summary model inputs got"), ("**To Reproduce**", "command script"),
        ("**Expected behavior**", "expected"), ("**Environment:**", _WHERE), ("**Additional context**", "ruled_out"),
    ),
)  # fmt: skip
_ONNXOPTIMIZER = Tracker(
    "ONNX Optimizer", "https://github.com/onnx/optimizer/issues/new",
    (
        ("**Issue**", "summary model inputs"), ("**Environment**", _WHERE), ("**Repro steps**", "command script"),
        ("**Expected**", "expected"), ("**Observed**", "got ruled_out"),
    ),
    "[BUG] ",
)  # fmt: skip
_ONNXSCRIPT = Tracker(
    "ONNX Script", "https://github.com/microsoft/onnxscript/issues/new",
    (
        ("### Description", _ALL), ("### To reproduce", "command script"), ("### Ruled out", "ruled_out"),
        ("### Versions of relevant packages", _WHERE),
    ),
)  # fmt: skip
_ONNX = Tracker(
    "ONNX", "https://github.com/onnx/onnx/issues/new/choose",
    (
        ("### Is the issue related to model conversion?", "checked"),
        ("### Describe the bug", "summary model inputs got"),
        ("### System information", _WHERE), ("### Reproduction instructions", "command script"),
        ("### Expected behavior", "expected"), ("### Notes", "ruled_out"),
    ),
    "[BUG] ",
)  # fmt: skip
_MNN = Tracker(
    "MNN", "https://github.com/alibaba/MNN/issues/new",
    (
        (
            (
                "# 平台(如果交叉编译请再附上交叉编译目标平台):\n"
                "# Platform(Include target platform as well if cross-compiling):"
            ),
            "platform",
        ),
        ("# Github版本:\n# Github Version:", "version"), ("# 编译方式:\n# Compiling Method", "wheel"),
        ("# 编译日志:\n# Build Log:", "log"), ("# Description", f"{_ALL} ruled_out command script versions"),
    ),
)  # fmt: skip
_NCNN = Tracker(
    "ncnn", "https://github.com/Tencent/ncnn/issues/new/choose",
    (
        ("## error log | 日志或报错信息 | ログ", f"{_ALL} log"),
        ("## context | 编译/运行环境 | バックグラウンド", _WHERE),
        ("## how to reproduce | 复现步骤 | 再現方法", "command script"), ("## more | 其他 | その他", "ruled_out"),
    ),
)  # fmt: skip


def _plain(name: str, address: str) -> Tracker:
    """The form for a project that has none: what any maintainer asks for."""
    return Tracker(
        name, address,
        (
            ("### Description", _ALL), ("### Reproduction", "command script"), ("### Environment", _WHERE),
            ("### Additional information", "ruled_out"),
        ),
    )  # fmt: skip


_TRACT = _plain("tract", "https://github.com/sonos/tract/issues/new")
_TINYGRAD = _plain("tinygrad", "https://github.com/tinygrad/tinygrad/issues/new")
_ONNX2TORCH = _plain("onnx2torch", "https://github.com/ENOT-AutoDL/onnx2torch/issues/new")
_EMX = _plain("emx-onnx-cgen", "https://github.com/emmtrix/emx-onnx-cgen/issues/new")
_TENSORRT = _plain("TensorRT", "https://github.com/NVIDIA/TensorRT/issues/new/choose")

TRACKERS: Mapping[str, Tracker] = MappingProxyType({
    "onnxruntime": _ONNXRUNTIME, "ort-offline": _ONNXRUNTIME, "ort-symbolic-shapes": _ONNXRUNTIME,
    "ort-transformers": _ONNXRUNTIME, "openvino": _OPENVINO, "tvm": _TVM, "torch": _PYTORCH, "torch-export": _PYTORCH,
    "jax": _JAX, "iree": _IREE, "xla": _TENSORFLOW, "litert": _ONNX2TF, "tract": _TRACT, "tinygrad": _TINYGRAD,
    "mnn": _MNN, "ncnn": _NCNN, "emx-onnx-cgen": _EMX, "tensorrt": _TENSORRT, "onnxsim": _ONNXSIM,
    "onnxslim": _ONNXSLIM, "onnxoptimizer": _ONNXOPTIMIZER, "onnxscript": _ONNXSCRIPT, "reference": _ONNX,
    "onnx-version-converter": _ONNX, "onnx-inliner": _ONNX, "onnx-shape-inference": _ONNX,
})  # fmt: skip
"""By the registry's names of backends."""

_CONVERTERS: Mapping[str, tuple[tuple[str, str], Tracker]] = MappingProxyType({
    "torch": (("mode", "eager"), _ONNX2TORCH), "jax": (("mode", "eager"), _JAXONNXRUNTIME),
    "xla": (("mode", "eager"), _ONNX_TF),
})  # fmt: skip
"""Backends behind a converter: what fails without the compiler as well is the converter's, whose tracker it is."""


def tracker_of(backend: str, options: Mapping[str, str], failing: frozenset[tuple[str, str]]) -> Tracker:
    """Where a finding is reported. ``failing`` are the options with which it fails as well. Others get a plain form."""
    if backend in _CONVERTERS:
        plain, converter = _CONVERTERS[backend]
        if plain in failing or plain in options.items():
            return converter
    return TRACKERS.get(backend) or _plain(backend, "")
