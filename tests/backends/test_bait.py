"""Bait is taken: ONNX Runtime rewrites the patterns as their rows say, and leaves near-misses alone."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from fuzz.generate.bait import PATTERNS
from fuzz.generate.bait.place import plant
from fuzz.generate.bait.share import Bait
from fuzz.generate.builder import Builder
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.plan import draw_plan, menu
from fuzz.generate.settings import Settings

SETTINGS = Settings(dtypes=("float", "bool"))

# The operator that the rewritten graph has, or with a minus that it no longer has.
REWRITTEN = {
    "matmul-add": "Gemm", "swish": "QuickGelu", "gelu-bias": "BiasGelu", "layer-normalization": "LayerNormalization",
    "matmul-scale": "FusedMatMul", "skip-layer-normalization": "SkipLayerNormalization", "conv-relu": "FusedConv",
    "conv-mul": "-Mul", "relu-clip": "-Relu", "pad-conv": "-Pad", "transpose-unary": "-Transpose",
    "gathers-split": "Split",
}  # fmt: skip


def instance(name, seed, *, near):
    """The near-miss and the model of one instance, or None where this seed cannot place it."""
    choices = Seeded(seed)
    builder = Builder(choices, draw_plan(choices, SETTINGS, menu(SETTINGS), None))
    bait = Bait((PATTERNS[name],), 1.0, near, frozenset(SETTINGS.dtypes), whole=True)
    with np.errstate(all="ignore"):
        if not plant(builder, bait, 0):
            return None
    exposed = bait.planted[0].exposed
    builder.graph.outputs = [v for node in builder.graph.nodes for v in node.outputs if v.uses == 0 or v in exposed]
    return bait.planted[0].miss, emit(builder.graph, dynamic=False).model


def taken(name, model, folder):
    """Whether ONNX Runtime's optimised graph is what the pattern's rewrite makes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node}
    wanted = REWRITTEN[name]
    return wanted[1:] not in operators if wanted.startswith("-") else wanted in operators


@pytest.mark.parametrize("name", list(REWRITTEN))
def test_the_pattern_is_rewritten(name, tmp_path):
    made = [found for seed in range(5) if (found := instance(name, seed, near=0.0))]
    assert made
    assert all(taken(name, model, tmp_path) for _, model in made)


def moves_nothing(model):
    """Whether a Transpose leaves all axes where they are: it is taken out before the pattern is looked for."""
    nodes = [node for node in onnx.load_from_string(model).graph.node if node.op_type == "Transpose"]
    return any(list(a.ints) == sorted(a.ints) for node in nodes for a in node.attribute if a.name == "perm")


@pytest.mark.parametrize("name", [name for name in REWRITTEN if name != "gathers-split"])
def test_with_a_second_consumer_or_a_transpose_inside_it_is_not(name, tmp_path):
    made = [found for seed in range(60) if (found := instance(name, seed, near=1.0))]
    blocked = [model for miss, model in made if miss in {"consumer", "transpose"} and not moves_nothing(model)][:4]
    assert len(blocked) >= 2
    assert not any(taken(name, model, tmp_path) for model in blocked)
