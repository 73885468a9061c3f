"""Concrete models of any graph: the strict checker passes them, ONNX Runtime runs them, their sizes differ."""

from __future__ import annotations

from dataclasses import replace

import onnx
import onnx.checker
import onnx.shape_inference
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backends.tensor import Tensor, to_numpy
from fuzz.diversify.run import Summary, concretes
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_demands, joint_opset, joint_support

STATE = onnxruntime.capi.onnxruntime_pybind11_state
# What ONNX Runtime says where it refuses a valid model: docs/disputes.md; of a type that numpy lacks; of a node that it
# put in itself (ReorderOutput).
KNOWN = (
    "No corresponding Numpy type", "can't be converted to MLDataType", "The only subscript labels allowed",
    "Non per-tensor quantization", "zero point must", "must be a scalar or 1D tensor of size 1", "Input X must be 4D",
    "Only N can be zero", "NumDimensions() == 4", "size_ % 2 == 1",
    "hidden_size", "invalid channel count",
)  # fmt: skip

TARGETS = ("onnxruntime",)
PLAIN = Settings(nodes=(1, 8), opset=joint_opset(TARGETS) or 21, targets=TARGETS)
SUPPORTED = joint_demands(TARGETS, PLAIN)


def loaded(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def fed(value):
    return to_numpy(value) if isinstance(value, Tensor) else value


def passes(model):
    proto = onnx.ModelProto.FromString(model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)


@pytest.mark.untraced
@hypothesis_settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_every_concrete_model_is_valid_and_loads(seed, other):
    graph, _ = generate_graph(Seeded(seed), SUPPORTED, joint_support(TARGETS))
    tally = Summary("root")
    found = list(concretes(graph, Seeded(other), 3, tally))
    vectors = [tuple(model.sizes.items()) for model in found]
    assert len(set(vectors)) == len(vectors)
    for model in found:
        passes(model.made.model)
        try:
            session = loaded(model.made.model)
            results = session.run(None, {name: fed(v) for name, v in model.made.data_set.inputs.items()})
        except STATE.NotImplemented:
            continue  # it lacks the kernel
        except (STATE.Fail, STATE.InvalidArgument, STATE.InvalidGraph, RuntimeError) as refusal:
            if any(words in str(refusal) for words in KNOWN):
                continue
            raise
        for result, due in zip(results, model.made.data_set.outputs.values(), strict=True):
            if isinstance(due, Tensor):
                assert tuple(result.shape) == due.shape
    reasons = {"a constraint does not hold at the sizes that the solver gave", "ONNX's checker refuses it"}
    assert not reasons & set(tally.dropped)


@pytest.mark.untraced
@hypothesis_settings(max_examples=30)
@given(st.integers(0, 2**31), st.booleans())
def test_every_concrete_model_of_all_operators_is_valid(seed, dynamic):
    graph, _ = generate_graph(Seeded(seed), Settings(nodes=(1, 8), dynamic=dynamic))
    before = [(v.name, v.array.shape) for v in (*graph.inputs, *graph.initializers)]
    for model in concretes(graph, Seeded(seed), 3, Summary("root")):
        passes(model.made.model)
    assert [(v.name, v.array.shape) for v in (*graph.inputs, *graph.initializers)] == before


@pytest.mark.parametrize("nodes", [4])
def test_no_tensor_has_more_elements_than_asked_for(nodes):
    settings = replace(SUPPORTED, nodes=(nodes, nodes))
    for seed in range(8):
        graph, _ = generate_graph(Seeded(seed), settings, joint_support(TARGETS))
        for model in concretes(graph, Seeded(seed), 4, Summary("root"), most=64):
            for value in (*model.made.data_set.inputs.values(), *model.made.data_set.outputs.values()):
                assert not isinstance(value, Tensor) or to_numpy(value).size <= 64
