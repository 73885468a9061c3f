"""Compilers behind TensorFlow: its own front ends read no ONNX, so a converter stands before each."""

from __future__ import annotations

from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, THREADS

__all__ = ["ROWS"]

# XLA computes 16-bit floats in float32 where it fuses; TensorFlow's own kernels accumulate some in 16 bits. Both flush
# subnormals.
_TENSORFLOW = Numerics(flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True)

ROWS = (
    Entry(
        name="xla",
        module="backends.xla",
        distributions=("tensorflow-cpu", "tensorflow"),
        requirements=("tensorflow-cpu==2.21.0", "onnx==1.23.2"),
        options=(
            Option("mode", r"jit|graph|eager", "jit, graph or eager", "XLA, TensorFlow, or each operator (jit)"),
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "XLA's backend optimisation level (3)"),
            Option("disable", PASSES, "pass names joined by +", "HLO passes to leave out"),
            Option("grappler", PASSES, "off, or parts joined by +", "what TensorFlow's graph optimiser leaves out"),
            THREADS,
        ),
        devices=("cpu", "cuda"),
        device_distributions=(("cuda", "tensorflow"),),
        environment=(("TF_CPP_MIN_LOG_LEVEL", "3"),),
        numerics=_TENSORFLOW,
        relaxed=(("@", "cuda", replace(_TENSORFLOW, tf32=True, winograd=4)),),
        knobs=(
            Knob("mode", ("graph", "eager"), "all of XLA; with eager all that reaches across operators"),
            Knob("opt", ("0", "1", "2"), "LLVM's optimisations above that level"),
            Knob("disable", (), "the HLO passes named"),
            Knob("grappler", ("off",), "TensorFlow's own graph optimiser, which mode=graph runs through"),
        ),
        # XLA reads its flags once a process, and TensorFlow is set up before it computes.
        once=("mode", "opt", "disable", "grappler"),
        # Its own requirements name TensorFlow Addons, which is gone; backends/onnx_tf_shim.py has what it uses of it.
        bare=("onnx-tf==1.10.0",),
        lacks=("functions", "defaults", "containers"),
    ),
    Entry(
        name="litert",
        module="backends.litert",
        distributions=("onnx2tf",),
        # It pins what it needs, down to numpy: in an environment of its own.
        requirements=("onnx2tf==1.29.24",),
        options=(
            Option("kernels", r"xnnpack|builtin|reference", "xnnpack, builtin or reference", "what computes (xnnpack)"),
            THREADS,
        ),
        environment=(("TF_CPP_MIN_LOG_LEVEL", "3"), ("CUDA_VISIBLE_DEVICES", "")),
        numerics=_TENSORFLOW,
        knobs=(Knob("kernels", ("builtin", "reference"), "XNNPACK's kernels; with reference all that is tuned"),),
        needs_input=True,
        constant_data=False,
        computed_weights=False,
        lacks=("containers",),
    ),
)
