"""For small devices: C code for a model, and inference engines of phones."""

from __future__ import annotations

from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, THREADS

__all__ = ["ROWS"]

# MNN holds each float in float32 and each integer beyond 8 bits in int32, and so leaves casts between them out.
_MNN = Numerics(excess_half_precision=True, narrow_int64=True, narrow_double=True)

ROWS = (
    Entry(
        name="emx-onnx-cgen",
        module="backends.emx",
        distributions=("emx-onnx-cgen",),
        requirements=("emx-onnx-cgen==1.4.0", "onnx==1.23.2"),
        options=(
            Option("opt", r"[0-3sg]", "0, 1, 2, 3, s or g", "optimisation level of the C compiler (2)"),
            Option("restrict", r"yes|no", "yes or no", "promise the C compiler that no arrays overlap (yes)"),
            Option(
                "sanitize",
                r"none|undefined|address",
                "none, undefined or address",
                "what the C code is checked for as it runs (none)",
            ),
        ),
        # Sums of float16 are float, but for CumSum's and Softmax's; each node's result is stored.
        numerics=Numerics(half_accumulator=True, half_steps=True),
        knobs=(
            Knob("opt", ("0", "1"), "optimisations of the C compiler above that level"),
            Knob("restrict", ("no",), "what the C compiler makes of arrays that do not overlap"),
        ),
        lacks=("functions", "defaults", "passing", "containers"),
    ),
    Entry(
        name="mnn",
        module="backends.mnn",
        distributions=("mnn",),
        requirements=("mnn==3.6.1", "onnx==1.23.2"),
        options=(
            Option("opt", r"[0-2]", "0, 1 or 2", "optimisation level of the converter (1)"),
            Option("precision", r"high|normal|low", "high, normal or low", "precision of the backend (high)"),
            THREADS,
        ),
        numerics=_MNN,
        relaxed=(("precision", "low", replace(_MNN, float_as="bfloat16")),),
        knobs=(Knob("opt", ("0",), "the converter's rewrites"),),
        lacks=("functions", "defaults", "containers"),
    ),
    Entry(
        name="ncnn",
        module="backends.ncnn",
        distributions=("ncnn",),
        requirements=("ncnn==1.0.20261020", "onnx==1.23.2", "pnnx==20261020"),
        options=(
            Option("opt", r"[12]", "1 or 2", "optimisation level of pnnx (2)"),
            Option("precision", r"f32|f16|bf16", "f32, f16 or bf16", "what ncnn stores and computes in (f32)"),
            Option("winograd", r"yes|no", "yes or no", "Winograd's convolutions (no)"),
            Option("disable", PASSES, "packing_layout, sgemm_convolution or both joined by +", "switches to turn off"),
            THREADS,
        ),
        numerics=Numerics(),
        relaxed=(
            ("precision", "f16", Numerics(float_as="float16", winograd=6)),
            ("precision", "bf16", Numerics(float_as="bfloat16", winograd=6)),
            ("winograd", "yes", Numerics(winograd=6)),
        ),
        knobs=(
            Knob("opt", ("1",), "rewrites of pnnx above that level"),
            Knob("disable", ("packing_layout", "sgemm_convolution"), "the switches named"),
        ),
        # It asks for torch, which only its Python package uses.
        bare=("pnnx==20261020",),
        ranks=(1, 4),
        constant_data=False,
        lacks=("functions", "defaults", "passing", "containers"),
    ),
)
