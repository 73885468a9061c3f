"""TensorRT: its parser, its builder and its engine, by NVIDIA's Python interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tensorrt as trt

from backends.cuda import load_cuda
from backends.external import read_model
from backends.tensorrt_engine import WORDS
from backends.tensorrt_program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.protocol import Stage

__all__ = ["BACKEND", "WORDS"]


@dataclass(frozen=True, slots=True)
class TensorRt:
    """TensorRT on the first GPU, in the types of the model, without TF32 unless the options say otherwise."""

    name: str = "tensorrt"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> Program:
        """Parse the model and build its engine; where sizes are open, that waits for the first inputs."""
        cuda = load_cuda()
        return Program(trt, cuda, read_model(model, folder), options, enter)


BACKEND = TensorRt()
