"""Graph-to-graph tools: they rewrite a model, which a plain runtime executes."""

from __future__ import annotations

from backends.entry import Entry, Option
from backends.passes import load_passes
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES

__all__ = ["FUSE_AND_ELIMINATE", "OTHERS", "ROWS", "RULES", "RULES_BY_NAME", "SLIM_PATTERNS"]

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


def _names(backend: str) -> tuple[str, ...]:
    """The names of the table in backends/passes/."""
    table = load_passes(backend)
    return table.names if table is not None else ()


# ONNX Optimizer's passes that it does not run unless they are named.
OTHERS = (
    "adjust_add", "adjust_slice_and_matmul", "lift_lexical_references", "rename_input_output",
    "replace_einsum_with_matmul", "rewrite_input_dtype", "set_unique_name_for_nodes", "split_init", "split_predict",
)  # fmt: skip
_OPTIMIZER = _names("onnxoptimizer")
FUSE_AND_ELIMINATE = tuple(name for name in _OPTIMIZER if name not in OTHERS)
SLIM_PATTERNS = _names("onnxslim")
_SLIM_WORK = (
    "constant_folding", "dead_node_elimination", "graph_fusion", "subexpression_elimination", "weight_tying",
)  # fmt: skip
# The rules that ONNX Script's optimizer applies, and those that only go by their names.
RULES = _names("onnxscript")
RULES_BY_NAME = (
    "add_0_rule", "affine_conv_fusion_rule", "conv_affine_fusion_rule", "expand_before_binary_op_rules",
    "fuse_hardswish_rules", "gemm_to_matmul_add_rule", "matmul_add_to_gemm_rule", "mul_by_1_rule",
    "transpose_a_matmul_add_to_gemm_rule", "transpose_ab_matmul_add_to_gemm_rule",
    "transpose_b_matmul_add_to_gemm_rule",
)  # fmt: skip
_EVERY_RULE = tuple(name for name in RULES + RULES_BY_NAME if name != "add_0_and_mul_by_1")
_YES_NO = (r"yes|no", "yes or no")

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
                "passes", _one_or_more(_OPTIMIZER), "names of passes joined by +",
                "the passes to run (all that fuse or eliminate)",
            ),
            Option("disable", PASSES, "names of passes joined by +", "passes to leave out"),
            Option("fixed_point", r"yes|no", "yes or no", "repeat the passes until nothing changes (no)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(Knob("disable", FUSE_AND_ELIMINATE, "that pass"), Knob("fixed_point", ("no",), "all rounds but one")),
        tool=True,
        lacks=("containers",),
    ),
    Entry(
        name="onnxslim",
        module="backends.onnxslim",
        distributions=("onnxslim",),
        requirements=("onnxslim==0.1.98", _ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option("off", _one_or_more(_SLIM_WORK), f"some of {', '.join(_SLIM_WORK)}, by +", "work to leave out"),
            Option("disable", PASSES, "names of patterns joined by +", "fusions to leave out"),
            Option("inference", *_YES_NO, "infer shapes in between (yes)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(
            Knob("off", _SLIM_WORK, "that kind of work"),
            Knob("disable", SLIM_PATTERNS, "that fusion"),
            Knob("inference", ("no",), "shape inference"),
        ),
        tool=True,
        lacks=("defaults", "containers"),
    ),
    Entry(
        name="onnxscript",
        module="backends.onnxscript",
        distributions=("onnxscript",),
        requirements=("onnxscript==0.7.2", "onnx-ir==1.1.0", _ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option(
                "mode", r"optimize|rewrite|fold|inline", "optimize, rewrite, fold or inline",
                "the whole optimizer, or the rules, folding or inlining alone (optimize)",
            ),
            Option(
                "off", _one_or_more(("folding", "inference", "inlining")),
                "some of folding, inference and inlining, joined by +", "parts of the optimizer to leave out",
            ),
            Option("disable", PASSES, "names of rules joined by +", "rules to leave out"),
            Option(
                "rules", _one_or_more(_EVERY_RULE), "names of rules joined by +",
                "the rules of mode=rewrite (those that the optimizer applies)",
            ),
        ),
        # It folds constants by ONNX's evaluator.
        numerics=_NUMPY,
        knobs=(
            Knob("mode", ("rewrite", "fold", "inline"), "all but that"),
            Knob("off", ("folding", "inference", "inlining"), "that part"),
            Knob("disable", RULES, "that rule"),
        ),
        tool=True,
        lacks=("passing",),
    ),
    Entry(
        name="onnx-version-converter",
        module="backends.version_converter",
        distributions=("onnx",),
        requirements=(_ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option("to", r"[1-9]|[1-3]\d", "a number from 1 to 39", "the operator set's version to convert to (26)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        tool=True,
        lacks=("functions",),
    ),
    Entry(
        name="onnx-inliner",
        module="backends.inliner",
        distributions=("onnx",),
        requirements=(_ONNX, _ONNXRUNTIME),
        options=(RUNTIME, Option("schema", *_YES_NO, "inline functions of the standard too (no)")),
        numerics=_PLAIN,
        # A function of the standard becomes steps, each rounded to its type.
        relaxed=(("schema", "yes", _NUMPY), *_BY_RUNTIME),
        knobs=(Knob("schema", ("no",), "inlining of functions of the standard"),),
        tool=True,
    ),
    Entry(
        name="onnx-shape-inference",
        module="backends.shape_inference",
        distributions=("onnx",),
        requirements=(_ONNX, _ONNXRUNTIME),
        options=(
            RUNTIME,
            Option("strict", *_YES_NO, "refuse a model with a node whose shapes cannot be inferred (no)"),
            Option("data", *_YES_NO, "propagate the values of small integers as well (yes)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(Knob("data", ("no",), "propagation of values"),),
        tool=True,
    ),
    Entry(
        name="ort-symbolic-shapes",
        module="backends.symbolic_shapes",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        requirements=(_ONNXRUNTIME, _ONNX, "sympy==1.14.0"),
        options=(RUNTIME, Option("merge", *_YES_NO, "take symbols to be equal where broadcasting needs it (no)")),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        tool=True,
    ),
    Entry(
        name="ort-offline",
        module="backends.ort_offline",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        requirements=(_ONNXRUNTIME, _ONNX),
        options=(
            RUNTIME,
            Option(
                "level", r"off|basic|extended|layout|all", "off, basic, extended, layout or all",
                "graph optimisation level of what is saved (all)",
            ),
            Option("disable", PASSES, "optimizer names joined by +", "optimizers to leave out"),
            Option("format", r"onnx|ort", "onnx or ort", "the file's format: ONNX's, or ONNX Runtime's own (onnx)"),
        ),
        numerics=_PLAIN,
        relaxed=_BY_RUNTIME,
        knobs=(
            Knob("level", ("off", "basic", "extended", "layout"), "optimisations above that level"),
            Knob("disable", (), "the optimizers named"),
        ),
        tool=True,
    ),
    Entry(
        name="ort-transformers",
        module="backends.ort_transformers",
        distributions=("onnxruntime", "onnxruntime-gpu"),
        requirements=(_ONNXRUNTIME, _ONNX, "sympy==1.14.0"),
        options=(
            RUNTIME,
            Option(
                "model", r"bert|bart|clip|gpt2|phi|t5|unet|vae|vit",
                "bert, bart, clip, gpt2, phi, t5, unet, vae or vit",
                "the family whose fusions are tried (bert)",
            ),
        ),
        numerics=_PLAIN,
        tool=True,
    ),
)
