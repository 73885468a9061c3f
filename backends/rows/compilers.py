"""Compilers: they generate code for a model."""

from __future__ import annotations

from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, RELOAD, THREADS

__all__ = ["ROWS"]

# XLA and IREE compute 16-bit floats in float32 where they fuse, and flush subnormals on a CPU.
_FLUSHING = Numerics(flush_subnormals=True, excess_half_precision=True, half_accumulator=True, half_steps=True)
# Those that are on at level 3, in the order of the pipeline.
_IREE_SWITCHES = (
    "global-optimization-opt-level", "opt-generalize-matmul", "opt-outer-dim-concat",
    "opt-aggressively-propagate-transposes", "opt-const-expr-hoisting", "opt-const-eval", "opt-strip-assertions",
    "dispatch-creation-opt-level", "dispatch-creation-fuse-multi-use", "dispatch-creation-enable-aggressive-fusion",
    "scheduling-optimize-bindings", "llvmcpu-mlir-opt-level", "llvmcpu-enable-ukernels",
    "llvmcpu-use-decompose-softmax-fuse", "llvmcpu-reassociate-fp-reductions", "llvmcpu-skip-intermediate-roundings",
)  # fmt: skip
_TVM = Numerics(excess_half_precision=True, half_accumulator=True, half_steps=True)
# Without one of these a Relu alone is refused, or kills the process.
_TVM_NEEDED = (
    "AttachGlobalSymbol", "CallTIRRewrite", "LegalizeOps", "LowerAllocTensor", "LowerRuntimeBuiltin",
    "s_tir.ConvertBlocksToOpaque", "s_tir.LowerOpaqueBlock", "tirx.FlattenBuffer", "tirx.MakePackedAPI",
)  # fmt: skip
# Relax's passes that keep the meaning, and that no pipeline of TVM's runs by itself.
_GRAPH_PASSES = (
    "AdjustMatmulOrder|CanonicalizeBindings|CombineParallelMatmul|DataflowUseInplaceCalls|DeadCodeElimination"
    "|EliminateCommonSubexpr|ExpandMatmulOfSum|FoldBatchnormToConv2D|FuseTransposeMatmul|OptimizeLayoutTransform"
    "|RemoveRedundantReshape|ReorderPermuteDimsAfterConcat|ReorderTakeAfterMatmul|TopologicalSort"
)

ROWS = (
    Entry(
        name="tvm",
        module="backends.tvm",
        distributions=("apache-tvm",),
        requirements=("apache-tvm==0.27.0.post1",),
        options=(
            Option(
                "pipeline", r"default|cpu|zero|unfused", "default, cpu, zero or unfused",
                "passes over the graph: tvm.compile's own, those for CPUs, with fusion, with folding alone (default)",
            ),
            Option(
                "with", rf"({_GRAPH_PASSES})(\+({_GRAPH_PASSES}))*",
                f"names of {_GRAPH_PASSES.replace('|', ', ')}, joined by +",
                "passes over the graph before those of the pipeline",
            ),
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "level of the pass context (3)"),
            Option("disable", PASSES, "pass names joined by +", "passes to leave out"),
            Option("exec_mode", r"bytecode|compiled", "bytecode or compiled", "how the Relax VM executes (bytecode)"),
            Option("call", r"direct|stateful", "direct or stateful", "how the Relax VM is called (direct)"),
            Option("memory", r"pooled|naive", "pooled or naive", "allocator of the Relax VM (pooled)"),
            Option("cpu", r"generic|native", "generic or native", "processor to generate code for (generic)"),
            RELOAD,
            THREADS,
        ),
        devices=("cpu", "cuda"),
        numerics=_TVM,
        relaxed=(("@", "cuda", replace(_TVM, flush_subnormals=True)),),
        knobs=(
            Knob("pipeline", ("unfused", "default"), "fusion", default="default"),
            Knob("opt", ("0", "1", "2"), "passes above that level"),
            Knob("disable", (), "the passes named"),
            Knob("memory", ("naive",), "the reuse of memory by a pool"),
        ),
        # It asks for 0.1.12 or newer, and a newer one lacks a function that it is linked to.
        older=(("0.26", ("apache-tvm-ffi==0.1.12",)),),
        needed=_TVM_NEEDED,
        lacks=("functions", "defaults", "containers"),
        refuses=("TopK.sorted=0",),
    ),
    Entry(
        name="jax",
        module="backends.jax",
        distributions=("jax",),
        requirements=("jax==0.10.2", "jaxlib==0.10.2", "onnx==1.23.2", "absl-py==2.5.1", "jaxonnxruntime==0.3.0"),
        options=(
            Option("mode", r"jit|eager", "jit or eager", "compile the whole, or each operator by itself (jit)"),
            Option("disable", PASSES, "pass names joined by +", "HLO passes to leave out"),
            THREADS,
        ),
        devices=("cpu", "cuda"),
        device_distributions=(("cuda", "jax-cuda12-plugin"),),
        environment=(("JAX_ENABLE_COMPILATION_CACHE", "false"),),
        numerics=replace(_FLUSHING, half_accumulator=False),
        relaxed=(
            # XLA takes float32 products in TF32 on a GPU unless told otherwise, and cuDNN's algorithms by their speed.
            ("@", "cuda", replace(_FLUSHING, tf32=True, winograd=4)),
            # What widens the accumulators is a pass that can be left out: float-normalization-bf16.
            ("disable", "*", _FLUSHING),
        ),
        knobs=(
            Knob("mode", ("eager",), "all that reaches across operators"),
            Knob("disable", (), "the HLO passes named"),
        ),
        lacks=("functions", "defaults", "containers"),
    ),
    Entry(
        name="iree",
        module="backends.iree",
        distributions=("iree-base-compiler",),
        requirements=("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", "onnx==1.23.2"),
        options=(
            Option("target", r"llvm-cpu|vmvx", "llvm-cpu or vmvx", "what it compiles for (llvm-cpu)"),
            Option("opt", r"[0-3]", "0, 1, 2 or 3", "optimisation level (3)"),
            Option("disable", PASSES, "switches joined by +", "switches to turn off: --iree-NAME=false"),
            THREADS,
        ),
        devices=("cpu", "cuda"),
        numerics=_FLUSHING,
        knobs=(
            Knob("opt", ("0", "1", "2"), "optimisations above that level"),
            Knob("disable", _IREE_SWITCHES, "the switches named"),
        ),
        lacks=("functions", "defaults", "containers"),
    ),
)
