"""`fuzz gen`: are the models valid, and what does one cost."""

from __future__ import annotations

import time
from collections import Counter
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
from fuzz.generate.opsets import mixed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abstract.graph import Graph, Value
    from fuzz.generate.run import Generated

__all__ = ["cost", "diversity", "growth", "problem", "validity"]

_MIXED = mixed(Settings(nodes=(1, 40), dynamic=None, bait=("all",), structure=("all",)))


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
            refused = problem(made)
            if refused:
                invalid.append(f"seed {seed}: {refused}")
            if not _finite(made):
                infinite.append(seed)
            operators.update(node.op_type for node in onnx.ModelProto.FromString(made.model).graph.node)
    detail = f"{count:,} seeds, {nodes:,} nodes, {dynamic} dynamic, {len(operators)} of {len(TABLE)} operators"
    yield Figure("models that the strict checker refuses", len(invalid), "", 0, cpu=spent.cpu,
                 detail="; ".join([detail, *invalid[:3]]))  # fmt: skip
    yield Figure("models with NaN or Inf in a reference value", len(infinite), "", 0,
                 detail=f"seeds {infinite[:5]}" if infinite else "")  # fmt: skip


def problem(made: Generated) -> str:
    """What ONNX's checker and its shape inference (strict, with data propagation) have against a model."""
    model = onnx.ModelProto.FromString(made.model)
    foreign = any(used.domain == "com.microsoft" for used in model.opset_import)
    try:
        # Inference knows nothing of other domains, and EyeLike after them ends the process (docs/disputes.md).
        onnx.checker.check_model(model, full_check=not foreign)
        if foreign:
            return ""
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
    """What `fuzz gen --nodes 10` makes."""
    return mixed(Settings(nodes=(10, 10), dynamic=dynamic, bait=("all",), structure=("all",)))


def cost(scale: Scale) -> Iterator[Figure]:
    """CPU time of one 10-node case: the graph with its witness, the model's bytes, the tensors."""
    seeds = range(60 if scale.quick else 400)
    for name, dynamic in (("static", False), ("dynamic", True)):
        settings = _ten(dynamic)
        with clock() as spent:
            each = sorted(cpu_medians(seeds, lambda seed, s=settings: generate_case(Seeded(seed), s)))
            whole, slow = median(each), each[len(each) * 95 // 100]
            graph = median(cpu_medians(seeds, lambda seed, s=settings: generate_graph(Seeded(seed), s)))
        yield Figure(
            f"generation with witness, 10 nodes, {name}", round(whole * 1000, 3), "ms CPU", None if dynamic else 2.0,
            cpu=spent.cpu, detail=f"of which graph and witness {graph * 1000:.2f} ms"
            + ("; with more data sets" if dynamic else ""),
        )  # fmt: skip
        yield Figure(f"the same, {name}: 95th percentile over the median", round(slow / whole, 2), "times", 3.0)


def diversity(scale: Scale) -> Iterator[Figure]:
    """What 1,000 default models of 10 nodes hold."""
    count = 100 if scale.quick else 1000
    edges: set[tuple[str, str]] = set()
    types: set[str] = set()
    models: Counter[str] = Counter()
    with clock() as spent:
        for seed in range(count):
            graph, _ = generate_graph(Seeded(seed), _ten(dynamic=False))
            models.update(_walk(graph, {}, edges, types))
    rarest = min(models, key=lambda name: models[name])
    yield Figure(f"distinct operators in {count:,} models of 10 nodes", len(models), "", 190, "at_least", spent.cpu)
    yield Figure("element types", len(types), "", 15, "at_least")
    yield Figure("distinct edges from producer to consumer", len(edges), "", 5000, "at_least")
    yield Figure("models with the rarest operator", 100 * models[rarest] / count, "%", 0.1, "at_least", detail=rarest)


def _walk(graph: Graph, producers: dict[Value, str], edges: set[tuple[str, str]], types: set[str]) -> set[str]:
    """The operators of a graph and of the bodies in it; their edges and element types are added."""
    found = set()
    for node in graph.nodes:
        found.add(node.operator)
        for value in node.inputs:
            if value is not None:
                types.add(value.type.dtype.name)
                if value in producers:
                    edges.add((producers[value], node.operator))
        for value in node.outputs:
            types.add(value.type.dtype.name)
            producers[value] = node.operator
        for body in node.bodies:
            found |= _walk(body, producers, edges, types)
    return found


def growth(scale: Scale) -> Iterator[Figure]:
    """The cost of a node in a large model against one in a small model."""
    small = _per_node(10, range(100 if scale.quick else 400))
    large = _per_node(2000, range(1 if scale.quick else 6))
    yield Figure(
        "generation: cost a node, 2,000 nodes against 10", round(large / small, 3), "times", 1.3,
        detail=f"{large * 1e6:.0f} µs against {small * 1e6:.0f} µs CPU a node",
    )  # fmt: skip


def _per_node(nodes: int, seeds: range) -> float:
    settings = mixed(Settings(nodes=(nodes, nodes)))
    generate_case(Seeded(0), settings)
    made = 0
    start = time.process_time()
    for seed in seeds:
        made += generate_case(Seeded(seed), settings).nodes
    return (time.process_time() - start) / made
