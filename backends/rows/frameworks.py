"""Frameworks: a model becomes a program of theirs, which they run operator by operator or compile."""

from __future__ import annotations

import re
from dataclasses import replace

from backends.entry import Entry, Option
from backends.protocol import Knob, Numerics
from backends.rows.options import PASSES, THREADS
from backends.rows.tools import RUNTIME

__all__ = ["ROWS"]

# On a CPU, sums of 16-bit floats were exact wherever they were measured: docs/notes/contracts.md.
_TORCH = Numerics(excess_half_precision=True, half_steps=True)
_TORCH_EAGER = replace(_TORCH, excess_half_precision=False)
_TINYGRAD = Numerics(excess_half_precision=True, half_accumulator=True, half_steps=True)
# Functions become several operators, each rounded to its type by the plain runtime, or not.
_EXPORTED = Numerics(excess_half_precision=True, half_steps=True, half_accumulator=True)
# Settings of Inductor's that take one optimisation away.
_TORCH_SWITCHES = (
    "batch_fusion", "buffer_reuse", "comprehensive_padding", "constant_folding", "dead_code_elimination", "fusion",
    "index_propagation", "inplace_buffers", "joint_graph_passes", "layout_optimization", "loop_order", "lowerings",
    "online_softmax", "pattern_matcher", "post_grad_passes", "pre_grad_passes", "reorder_for_locality",
    "reorder_for_peak_memory", "split_cat", "split_reductions", "tail_vectorization", "tiling_heuristics",
    "vectorization",
)  # fmt: skip
# In the order in which the bisector asks about them. It counts CUDA's graphs too, of which a case has one.
_TORCH_COUNTED = (
    "aot_eager_decomp_partition.decomposition", "inductor.pre_grad_passes", "inductor.joint_graph_passes",
    "inductor.post_grad_passes", "inductor.lowerings",
)  # fmt: skip

ROWS = (
    Entry(
        name="torch",
        module="backends.torch",
        distributions=("torch",),
        requirements=("torch==2.13.0", "onnx==1.23.2"),
        options=(
            Option(
                "mode", r"inductor|aot_eager_decomp_partition|aot_eager|eager",
                "inductor, aot_eager_decomp_partition, aot_eager or eager", "what runs it (inductor)",
            ),
            Option("capture", r"folded|module", "folded or module", "torch.compile gets constants folded, or not"),
            Option("dynamic", r"auto|yes|no", "auto, yes or no", "compile for sizes that are not known (auto)"),
            Option("fullgraph", r"yes|no", "yes or no", "refuse what torch.compile cannot take whole (no)"),
            Option("freezing", r"yes|no", "yes or no", "take weights for constants (no)"),
            Option("casts", r"fused|kept", "fused or kept", "round 16-bit floats between fused operators (fused)"),
            Option("simd_bits", r"1|128|256|512", "1, 128, 256 or 512", "width of vectors; 1: none"),
            Option("disable", PASSES, "switches or passes joined by +", "optimisations to leave out"),
            Option(
                "limit", rf"({'|'.join(map(re.escape, _TORCH_COUNTED))})(\.\d{{1,6}})?",
                f"{', '.join(_TORCH_COUNTED[:-1])} or {_TORCH_COUNTED[-1]}, and .NUMBER",
                "how many applications are left, as torch.compile's bisector counts them",
            ),
            THREADS,
        ),
        devices=("cpu", "cuda"),
        # The wheels of torch that reach a GPU ask for this one, which Inductor generates code by.
        device_distributions=(("cuda", "triton"),),
        numerics=_TORCH,
        relaxed=(
            ("@", "cuda", replace(_TORCH, flush_subnormals=True, half_accumulator=True, winograd=4)),
            ("mode", "eager", _TORCH_EAGER),
            ("mode", "aot_eager", _TORCH_EAGER),
            ("mode", "aot_eager_decomp_partition", _TORCH_EAGER),
            ("casts", "kept", _TORCH_EAGER),
        ),
        knobs=(
            # Each leaves out more: the code generator, the decompositions and the partitioner, all of torch.compile.
            Knob("mode", ("aot_eager_decomp_partition", "aot_eager", "eager"), "Inductor, or all of torch.compile"),
            Knob("simd_bits", ("1",), "vector instructions of the generated code"),
            Knob("casts", ("kept",), "leaving out the rounding between fused operators"),
            Knob("disable", _TORCH_SWITCHES, "the switches and passes named"),
            Knob(
                "limit", _TORCH_COUNTED, "all but the first applications of one part of torch.compile",
                counted="TORCH_BISECT_BACKEND={backend} TORCH_BISECT_SUBSYSTEM={part} TORCH_BISECT_MAX={last}",
            ),
        ),
        # It asks for torchvision, of which there is none for most builds of torch.
        bare=("onnx2torch==1.5.15",),
        lacks=("functions", "defaults", "containers"),
    ),
    Entry(
        name="torch-export",
        module="backends.torch_export",
        distributions=("torch",),
        requirements=("torch==2.13.0", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.31.1"),
        options=(
            RUNTIME,
            Option("optimize", r"yes|no", "yes or no", "have ONNX Script optimise what was exported (yes)"),
            Option("strict", r"yes|no", "yes or no", "torch.export reads bytecode, or runs the module (no)"),
            Option("opset", r"1[89]|2[0-3]", "a number from 18 to 23", "the operator set to export to (18)"),
        ),
        numerics=_EXPORTED,
        knobs=(Knob("optimize", ("no",), "ONNX Script's optimizer"),),
        bare=("onnx2torch==1.5.15",),
        tool=True,
        lacks=("containers",),
    ),
    Entry(
        name="tinygrad",
        module="backends.tinygrad",
        distributions=("tinygrad",),
        requirements=("tinygrad==0.14.0", "onnx==1.23.2"),
        options=(
            Option("code", r"python|clang|llvm|x86", "python, clang, llvm or x86", "what kernels become (python)"),
            Option("opt", r"0|1", "0 or 1", "optimise kernels (1)"),
            Option("beam", r"[0-9]", "a digit", "kernels to try by the clock, 0: none (0)"),
            Option("jit", r"yes|no", "yes or no", "record a call and replay it (no)"),
            Option("disable", PASSES, "switches joined by +", "optimisations to leave out"),
        ),
        devices=("cpu", "cuda"),
        # No cache on disk, no compilers beside the worker, and a device for the import, which asks for one.
        environment=(
            ("CACHELEVEL", "0"), ("CCACHE", "0"), ("SCACHE", "0"), ("PARALLEL", "0"), ("NUM_CPU_THREADS", "1"),
            ("DEV", "PYTHON"),
        ),
        numerics=_TINYGRAD,
        relaxed=(("@", "cuda", replace(_TINYGRAD, flush_subnormals=True)),),
        knobs=(
            Knob("opt", ("0",), "optimisations of kernels"),
            Knob(
                "disable", ("kernel_optimizations", "locals", "memory_planner", "split_reduce", "tensor_cores"),
                "the switches named",
            ),
        ),
        lacks=("functions", "defaults", "containers"),
    ),
)
