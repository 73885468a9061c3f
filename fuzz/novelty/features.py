"""From what a compiler shows to its coverage: short texts without names, sizes and addresses."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fuzz.novelty import programs
from fuzz.novelty.onnx_model import model_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["KINDS", "features_of"]

_LONGEST = 160
"""Characters of a feature: a fusion of forty operations is told from another one by the first twenty."""


def _text(read: Callable[[str], Iterator[str]]) -> Callable[[bytes], Iterator[str]]:
    return lambda content: read(content.decode("utf-8", "replace"))


KINDS: tuple[tuple[str, Callable[[bytes], Iterator[str]]], ...] = (
    ("passes.txt", _text(programs.pass_features)),  # ONNX Runtime, TVM
    ("*.onnx", model_features),  # ONNX Runtime and the graph-to-graph tools
    ("runtime.txt", _text(programs.layer_features)),  # OpenVINO
    ("bytecode.txt", _text(programs.bytecode_features)),  # TVM
    ("optimized*hlo.txt", _text(programs.hlo_features)),  # XLA by way of JAX and TensorFlow
    ("*dispatch_*.mlir", _text(programs.dispatch_features)),  # IREE
    ("optimized-*.txt", _text(programs.fx_features)),  # torch
    ("code-*.py", _text(programs.wrapper_features)),  # torch, Inductor
    ("kernel-*.txt", _text(programs.kernel_features)),  # tinygrad
    ("model.ncnn.param", _text(programs.ncnn_features)),
    ("model.json", _text(programs.mnn_features)),  # MNN
    ("operations.txt", _text(programs.operation_features)),  # LiteRT
    ("engine.json", _text(programs.engine_features)),  # TensorRT
    ("model.s", _text(programs.assembly_features)),  # emx-onnx-cgen
)
"""Kinds of artefacts by the names that backends give them. What a compiler was given says nothing of it: no row."""


def features_of(artefacts: Mapping[str, bytes]) -> frozenset[str]:
    """The coverage that a backend's artefacts show; what cannot be read shows nothing."""
    found: set[str] = set()
    for name, content in artefacts.items():
        for pattern, read in KINDS:
            if fnmatchcase(name, pattern):
                try:
                    found.update(feature[:_LONGEST] for feature in read(content))
                except (ValueError, KeyError, TypeError, AttributeError):  # of another release: no reason to stop
                    continue
    return frozenset(found)
