"""Runtimes: they execute a graph node by node with kernels of their own, after some rewriting."""

from __future__ import annotations

from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, RELOAD, THREADS

__all__ = ["ROWS"]

# How each may compute on a CPU was measured (docs/notes/contracts.md); what GPU libraries do stands in their manuals.
_ONNXRUNTIME = Numerics(excess_half_precision=True)
# cuDNN picks its algorithm by speed, Winograd's among them, and float32 products use TF32 unless told otherwise.
_ONNXRUNTIME_CUDA = Numerics(
    flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True, tf32=True, winograd=4
)
# TensorRT computes double in float, as its parser says; what it does not take, CUDA does.
_ONNXRUNTIME_TENSORRT = replace(_ONNXRUNTIME_CUDA, narrow_double=True)
# OpenVINO's CPU plugin computes double as float and holds int64 in 32 bits, whatever the hints say. It makes zeros of
# subnormal constants.
_OPENVINO = Numerics(flush_subnormals=True, excess_half_precision=True, narrow_int64=True, narrow_double=True)

ROWS = (
    Entry(
        name="onnxruntime",
        module="backends.onnxruntime",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        requirements=("onnxruntime==1.31.1",),
        options=(
            Option("opt", r"0|1|2|3|99", "0, 1, 2, 3 or 99", "graph optimisation level (99: all)"),
            Option("disable", PASSES, "optimizer names joined by +", "optimizers to leave out"),
            Option(
                "provider", r"cuda|tensorrt|nvtensorrtrtx", "cuda, tensorrt or nvtensorrtrtx",
                "what computes, on a GPU (the CPU)",
            ),
            RELOAD,
            THREADS,
        ),
        devices=("cpu", "cuda"),
        device_distributions=(("cuda", "onnxruntime-gpu"),),
        numerics=_ONNXRUNTIME,
        relaxed=(
            ("provider", "cuda", _ONNXRUNTIME_CUDA),
            ("provider", "tensorrt", _ONNXRUNTIME_TENSORRT),
            ("provider", "nvtensorrtrtx", _ONNXRUNTIME_TENSORRT),
            ("@", "cuda", _ONNXRUNTIME_CUDA),
        ),
        knobs=(
            Knob("opt", ("0", "1", "2"), "graph optimisations above that level"),
            Knob("disable", (), "the optimizers named"),
        ),
        # Built for numpy 1, and silent about it.
        older=(("1.19", ("numpy==1.26.4",)),),
    ),
    Entry(
        name="openvino",
        module="backends.openvino",
        distributions=("openvino",),
        requirements=("openvino==2026.4.1",),
        options=(
            Option("mode", r"accuracy|performance", "accuracy or performance", "execution mode (accuracy)"),
            Option("precision", r"f32|bf16|f16", "f32, bf16 or f16", "inference precision (f32)"),
            Option("disable", PASSES, "low_precision, snippets or both joined by +", "kinds of rewriting to leave out"),
            RELOAD,
            THREADS,
        ),
        numerics=_OPENVINO,
        relaxed=(
            ("precision", "f32", _OPENVINO),
            ("precision", "f16", replace(_OPENVINO, float_as="float16")),
            ("precision", "bf16", replace(_OPENVINO, float_as="bfloat16")),
            ("mode", "performance", replace(_OPENVINO, float_as="bfloat16")),
        ),
        knobs=(
            Knob("mode", ("accuracy",), "computing in a narrower type", default="accuracy"),
            Knob("precision", ("f32",), "computing in a narrower type", default="f32"),
            Knob("disable", ("low_precision", "snippets"), "that kind of rewriting"),
        ),
        lacks=("functions", "defaults", "containers"),
    ),
    Entry(
        name="tract",
        module="backends.tract",
        distributions=("tract",),
        requirements=("tract==0.23.9",),
        options=(RELOAD,),
        # A refusal is its own text, without the addresses of the Rust functions that it came through.
        environment=(("RUST_BACKTRACE", "0"), ("RUST_LIB_BACKTRACE", "0")),
        # Some sums of float16 are in float16 (a Conv with one axis, CumSum, ReduceSum over the first); casts round.
        numerics=Numerics(half_accumulator=True, half_steps=True),
        lacks=("functions", "defaults", "passing", "containers"),
    ),
    Entry(
        name="reference",
        module="backends.reference",
        distributions=("onnx",),
        requirements=("onnx==1.23.2",),
        # numpy: each operation in the declared type, functions composed of them.
        numerics=Numerics(half_accumulator=True, half_steps=True),
    ),
)
