"""Graph-to-graph tools: they rewrite a model, which a plain runtime executes."""

from __future__ import annotations

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES

__all__ = ["FUSE_AND_ELIMINATE", "OTHERS", "ROWS"]

_ONNX, _ONNXRUNTIME = "onnx==1.23.2", "onnxruntime==1.31.1"
RUNTIME = Option(
    "runtime", r"onnxruntime|reference", "onnxruntime or reference",
    "what executes the result: ONNX Runtime at graph level 0, or ONNX's evaluator (onnxruntime)",
)  # fmt: skip
# What ONNX Runtime does at level 0, and ONNX's evaluator; constants may be folded by the other of the two.
_PLAIN = Numerics(excess_half_precision=True)
_NUMPY = Numerics(excess_half_precision=True, half_accumulator=True, half_steps=True)
_BY_RUNTIME = (("runtime", "reference", _NUMPY),)


def _one_or_more(names: tuple[str, ...]) -> str:
    """The pattern of some of these names, joined by +."""
    one = "|".join(sorted(names))
    return rf"({one})(\+({one}))*"


FUSE_AND_ELIMINATE = (
    "eliminate_common_subexpression", "eliminate_consecutive_idempotent_ops", "eliminate_deadend",
    "eliminate_duplicate_initializer", "eliminate_identity", "eliminate_if_with_const_cond", "eliminate_nop_cast",
    "eliminate_nop_concat", "eliminate_nop_dropout", "eliminate_nop_expand", "eliminate_nop_flatten",
    "eliminate_nop_monotone_argmax", "eliminate_nop_pad", "eliminate_nop_reshape", "eliminate_nop_split",
    "eliminate_nop_transpose", "eliminate_nop_with_unit", "eliminate_shape_gather", "eliminate_shape_op",
    "eliminate_slice_after_shape", "eliminate_unused_initializer", "extract_constant_to_initializer",
    "fuse_add_bias_into_conv", "fuse_bn_into_conv", "fuse_concat_into_reshape", "fuse_consecutive_concats",
    "fuse_consecutive_log_softmax", "fuse_consecutive_reduce_unsqueeze", "fuse_consecutive_slices",
    "fuse_consecutive_squeezes", "fuse_consecutive_transposes", "fuse_consecutive_unsqueezes",
    "fuse_matmul_add_bias_into_gemm", "fuse_pad_into_conv", "fuse_pad_into_pool", "fuse_qkv",
    "fuse_transpose_into_gemm", "nop", "rewrite_where",
)  # fmt: skip
OTHERS = (
    "adjust_add", "adjust_slice_and_matmul", "lift_lexical_references", "rename_input_output",
    "replace_einsum_with_matmul", "rewrite_input_dtype", "set_unique_name_for_nodes", "split_init", "split_predict",
)  # fmt: skip

ROWS = (
    Entry(
        name="onnxsim",
        module="backends.onnxsim",
        distributions=("onnxsim",),
        requirements=("onnxsim==0.8.1", _ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option("disable", PASSES, "pass names joined by +", "ONNX Optimizer's passes to leave out"),
            Option(
                "off", _one_or_more(("optimization", "folding", "inference")),
                "some of optimization, folding and inference, joined by +", "kinds of work to leave out",
            ),
            Option("subgraphs", r"yes|no", "yes or no", "simplify bodies too (no)"),
            Option("inline", r"yes|no", "yes or no", "inline the model's own functions first (no)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(
            Knob("off", ("folding", "optimization", "inference"), "that kind of work"),
            Knob("disable", FUSE_AND_ELIMINATE, "that pass"),
        ),
        tool=True,
    ),
    Entry(
        name="onnxoptimizer",
        module="backends.onnxoptimizer",
        distributions=("onnxoptimizer",),
        requirements=("onnxoptimizer==0.4.2", _ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option(
                "passes", _one_or_more(FUSE_AND_ELIMINATE + OTHERS), "names of passes joined by +",
                "the passes to run (all that fuse or eliminate)",
            ),
            Option(
                "disable", _one_or_more(FUSE_AND_ELIMINATE + OTHERS), "names of passes joined by +",
                "passes to leave out",
            ),
            Option("fixed_point", r"yes|no", "yes or no", "repeat the passes until nothing changes (no)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(Knob("disable", FUSE_AND_ELIMINATE, "that pass"), Knob("fixed_point", ("no",), "all rounds but one")),
        tool=True,
    ),
)
