"""`fuzz gen`: are the models valid, and what does one cost."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.checker
import onnx.shape_inference
from figure import Figure, Scale, clock, cpu_medians

from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import interpret
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fuzz.generate.run import Generated

__all__ = ["cost", "growth", "validity"]

_MIXED = Settings(nodes=(1, 40), dynamic=None)


def validity(scale: Scale) -> Iterator[Figure]:
    """Seeds 0-999, 1-40 nodes, static and dynamic: the checker's opinion, and the values."""
    count = 100 if scale.quick else 1000
    invalid, infinite, nodes, dynamic = [], [], 0, 0
    operators: set[str] = set()
    with clock() as spent:
        for seed in range(count):
            made = generate_case(Seeded(seed), _MIXED)
            nodes += made.nodes
            dynamic += bool(made.record["open"])
            problem = _problem(made)
            if problem:
                invalid.append(f"seed {seed}: {problem}")
            if not _finite(made):
                infinite.append(seed)
            operators.update(node.op_type for node in onnx.ModelProto.FromString(made.model).graph.node)
    detail = f"{count:,} seeds, {nodes:,} nodes, {dynamic} dynamic, {len(operators)} of {len(TABLE)} operators"
    yield Figure("models that the strict checker refuses", len(invalid), "", 0, cpu=spent.cpu,
                 detail="; ".join([detail, *invalid[:3]]))  # fmt: skip
    yield Figure("models with NaN or Inf in a reference value", len(infinite), "", 0,
                 detail=f"seeds {infinite[:5]}" if infinite else "")  # fmt: skip


def _problem(made: Generated) -> str:
    """What ONNX's checker and its shape inference (strict, with data propagation) have against a model."""
    model = onnx.ModelProto.FromString(made.model)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return str(error).strip().splitlines()[0]
    return ""


def _finite(made: Generated) -> bool:
    program = parse(onnx.ModelProto.FromString(made.model))
    for data_set in made.data_sets:
        for bounded in interpret(program, carried(program, data_set.inputs)).values():
            value = np.asarray(bounded.value)
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                return False
    return True


def _ten(dynamic: bool) -> Settings:
    return Settings(nodes=(10, 10), dynamic=dynamic)


def cost(scale: Scale) -> Iterator[Figure]:
    """CPU time of one 10-node case: the graph with its witness, the model's bytes, the tensors."""
    seeds = range(60 if scale.quick else 400)
    for name, dynamic in (("static", False), ("dynamic", True)):
        settings = _ten(dynamic)
        with clock() as spent:
            whole = median(cpu_medians(seeds, lambda seed, s=settings: generate_case(Seeded(seed), s)))
            graph = median(cpu_medians(seeds, lambda seed, s=settings: generate_graph(Seeded(seed), s)))
        yield Figure(
            f"generation with witness, 10 nodes, {name}", round(whole * 1000, 3), "ms CPU", None if dynamic else 2.0,
            cpu=spent.cpu, detail=f"of which graph and witness {graph * 1000:.2f} ms"
            + ("; with two more data sets" if dynamic else ""),
        )  # fmt: skip


def growth(scale: Scale) -> Iterator[Figure]:
    """The cost of a node in a large model against one in a small model."""
    small = _per_node(10, range(100 if scale.quick else 400))
    large = _per_node(1000, range(2 if scale.quick else 8))
    yield Figure(
        "generation: cost a node, 1,000 nodes against 10", round(large / small, 3), "times", 1.3,
        detail=f"{large * 1e6:.0f} µs against {small * 1e6:.0f} µs CPU a node",
    )  # fmt: skip


def _per_node(nodes: int, seeds: range) -> float:
    settings = Settings(nodes=(nodes, nodes))
    generate_case(Seeded(0), settings)
    made = 0
    start = time.process_time()
    for seed in seeds:
        made += generate_case(Seeded(seed), settings).nodes
    return (time.process_time() - start) / made
