"""The fp64 reference with its error bound: what it costs."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import onnx
from figure import Figure, Scale, clock, cpu_medians

from abstract.program import Program, parse
from abstract.reference import interpret
from fuzz.generate.choices import Seeded
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cost", "growth"]

Case = tuple[bytes, Program, dict[str, Any]]


def _case(seed: int, nodes: int) -> Case:
    made = generate_case(Seeded(seed), Settings(nodes=(nodes, nodes)))
    program = parse(onnx.ModelProto.FromString(made.model))
    return made.model, program, carried(program, made.data_sets[0].inputs)


def _run(case: Case) -> None:
    interpret(case[1], case[2], extended=True)


def _parse(case: Case) -> None:
    parse(onnx.ModelProto.FromString(case[0]))


def cost(scale: Scale) -> Iterator[Figure]:
    """CPU time of the reference and its bound for one 10-node case, from the model's bytes."""
    cases = [_case(seed, 10) for seed in range(60 if scale.quick else 400)]
    with clock() as spent:
        running, parsing = median(cpu_medians(cases, _run)), median(cpu_medians(cases, _parse))
    yield Figure(
        "fp64 reference and bound, 10 nodes", round((running + parsing) * 1000, 3), "ms CPU", 3.0, cpu=spent.cpu,
        detail=f"of which reading the model {parsing * 1000:.2f} ms",
    )  # fmt: skip


def growth(scale: Scale) -> Iterator[Figure]:
    """The cost of a node in a large model against one in a small model."""
    small = _per_node([_case(seed, 10) for seed in range(100 if scale.quick else 400)])
    large = _per_node([_case(seed, 1000) for seed in range(2 if scale.quick else 8)])
    yield Figure(
        "reference: cost a node, 1,000 nodes against 10", round(large / small, 3), "times", 1.3,
        detail=f"{large * 1e6:.0f} µs against {small * 1e6:.0f} µs CPU a node",
    )  # fmt: skip


def _per_node(cases: list[Case]) -> float:
    for case in cases[:3]:
        _run(case)
    start = time.process_time()
    for case in cases:
        _parse(case)
        _run(case)
    return (time.process_time() - start) / sum(len(program.steps) for _, program, _ in cases)
