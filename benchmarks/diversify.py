"""`fuzz diversify`: what a concrete model costs, how many sizes a graph is found to have, and what is dropped."""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING

from figure import Figure, Scale, clock

import abstract.solver
from fuzz.diversify.replay import replay
from fuzz.diversify.run import Summary, concretes
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.opsets import mixed
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abstract.constraints import Constraint, Constraints
    from abstract.dims import Symbol

__all__ = ["cost", "questions", "vectors"]

_COUNT = 8
_TEN = mixed(Settings(nodes=(10, 10), bait=("all",)))
_DEFAULT = mixed(Settings(bait=("all",)))


def cost(scale: Scale) -> Iterator[Figure]:
    """CPU time of a concrete model of a 10-node case: replay, z3 and all checks, shared by the models of the case."""
    times = []
    with clock() as spent:
        for seed in range(24 if scale.quick else 200):
            case = generate_case(Seeded(seed), _TEN)
            runs = []
            for _ in range(3):
                start = time.process_time()
                graph = replay(case.record, case.model).graph
                made = sum(1 for _ in concretes(graph, Seeded(seed), _COUNT, Summary("")))
                runs.append((time.process_time() - start) / max(made, 1))
            if made:
                times.append(median(runs))
    detail = f"{len(times)} cases, {_COUNT} models each, z3 imported before"
    yield Figure("a concrete model, 10 nodes", round(median(times) * 1000, 2), "ms CPU", 10.0, cpu=spent.cpu,
                 detail=detail)  # fmt: skip
    yield Figure("the same, 95th percentile of cases", round(quantiles(times, n=20)[-1] * 1000, 2), "ms CPU")


def vectors(scale: Scale) -> Iterator[Figure]:
    """Default models, asked for 8 others each: how many distinct vectors of sizes are found, and what is dropped."""
    count = 24 if scale.quick else 200
    tally, found, models = Summary(""), 0, 0
    for seed in range(count):
        graph, _ = generate_graph(Seeded(seed), _DEFAULT)
        made = list(concretes(graph, Seeded(seed), _COUNT, tally))
        models += len(made)
        found += len({tuple(model.sizes.items()) for model in made})
    if models != found:
        raise AssertionError(f"{models} models of {found} vectors of sizes")
    dropped = "; ".join(f"{why} {number}" for why, number in sorted(tally.dropped.items()))
    yield Figure(f"distinct vectors of sizes of {count} default models, {_COUNT} asked for each", found, "",
                 detail=f"{tally.skipped.total()} models without a free size; {tally.unanswered} questions given up; "
                 f"by aim {dict(sorted(tally.aims.items()))}")  # fmt: skip
    yield Figure("sizes that satisfy all constraints and are dropped", tally.dropped.total(), "", detail=dropped)


def questions(scale: Scale) -> Iterator[Figure]:
    """How often the generator asks z3 itself, to move several free symbols at once."""
    asked = 0
    plain = abstract.solver.move_free

    def counted(store: Constraints, constraint: Constraint) -> dict[Symbol, int] | None:
        nonlocal asked
        asked += 1
        return plain(store, constraint)

    count, models = 100 if scale.quick else 1000, 0
    abstract.solver.move_free = counted
    try:
        for seed in range(count):
            try:
                generate_graph(Seeded(seed), _DEFAULT)
            except NothingFits:
                continue
            models += 1
    finally:
        abstract.solver.move_free = plain
    yield Figure(f"questions of the generator to z3, {models:,} default models", asked, "")
