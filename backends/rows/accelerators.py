"""Compilers for one maker's accelerators: nothing of them runs without one."""

from __future__ import annotations

from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, RELOAD

__all__ = ["ROWS"]

# From NVIDIA's manuals, on no GPU: tactics are chosen by speed, Winograd's among them; double is computed in float.
_TENSORRT = Numerics(
    flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True, winograd=4,
    narrow_double=True, narrow_int64=True,
)  # fmt: skip

ROWS = (
    Entry(
        name="tensorrt",
        module="backends.tensorrt",
        distributions=("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
        requirements=("tensorrt",),
        options=(
            Option("opt", r"[0-5]", "0 to 5", "the builder's optimisation level (3)"),
            Option("tf32", r"yes|no", "yes or no", "whether float products may be rounded to TF32 (no)"),
            Option("precision", r"f16|bf16", "f16 or bf16", "what the builder may compute in (as the model says)"),
            Option("disable", PASSES, "names joined by +", "tactic sources to leave out, such as cublas+cudnn"),
            RELOAD,
        ),
        devices=("cuda",),
        numerics=_TENSORRT,
        relaxed=(
            ("precision", "f16", replace(_TENSORRT, float_as="float16", tf32=True)),
            ("precision", "bf16", replace(_TENSORRT, float_as="bfloat16", tf32=True)),
            ("tf32", "yes", replace(_TENSORRT, tf32=True)),
        ),
        knobs=(
            Knob("opt", ("0", "1", "2"), "optimisations above that level"),
            Knob("disable", (), "the tactic sources named"),
        ),
        lacks=("containers",),
    ),
)
