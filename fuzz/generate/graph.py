"""From choices to a graph: draw a plan, call operators until it is met, choose the outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abstract.constraints import Infeasible
from abstract.operators import TABLE
from abstract.schema import signature
from fuzz.generate.bait.place import plant
from fuzz.generate.builder import Builder
from fuzz.generate.containers import add_containers
from fuzz.generate.opsets import draw_opset
from fuzz.generate.plan import Plan, Supports, draw_plan, menu
from fuzz.generate.ports import add_ports
from fuzz.generate.scope import Scope
from fuzz.generate.topology import PARTS
from fuzz.seeds.place import place_window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.graph import Graph, Node, Value
    from abstract.operator import Call
    from abstract.schema import Signature
    from fuzz.generate.choices import Choices
    from fuzz.generate.settings import Settings

__all__ = ["NothingFits", "generate_graph", "grow"]

_ROUNDS = 4  # a model of one node may need some until one takes an input
_TURNS = 2  # turns of nodes for one of a window, while there are windows to place
_TRIES = 12  # attempts a node; a model that runs out of luck stays smaller than planned


class NothingFits(Exception):
    """No operator could be placed with these settings."""


def generate_graph(choices: Choices, settings: Settings, supports: Supports | None = None) -> tuple[Graph, Plan]:
    """A graph with its witness: valid, defined on its values, and the same for the same choices.

    Raises NothingFits where the settings leave no operator that can be called, ValueError where they make no sense.
    """
    rests = settings.rests
    settings = replace(settings, rests=())  # what is worked out for settings is kept, and rests change for ever
    if settings.mixed_opsets:
        settings = draw_opset(choices, settings)
    names = menu(settings)
    plan = choices.together(lambda: draw_plan(choices, replace(settings, rests=rests), names, supports))
    builder = Builder(choices, plan, grow=grow)
    with np.errstate(all="ignore"):
        # What a function gives outside its domain is looked at afterwards, and refused.
        if "containers" in plan.structure:
            add_containers(builder, names)
        grow(builder, plan.nodes, plan.operators)
        for number in range(_ROUNDS + 1):
            if _complete(builder):
                break
            if number == _ROUNDS and not plan.wake():
                break
            # The model's own subset had no operator for its own types, or none that takes an input: let it have all.
            plan.widen([n for n in names if plan.runs(n, signature(n, settings.opset))] or names, settings.dtypes)
            grow(builder, len(builder.graph.nodes) + plan.nodes, plan.operators)
    if not _complete(builder):
        raise NothingFits("no operator fits these settings: allow more operators (--ops), types (--dtypes) or ranks")
    _choose_outputs(builder)
    if plan.structure:
        with np.errstate(all="ignore"):
            add_ports(builder)
    return builder.graph, plan


def _complete(builder: Builder) -> bool:
    graph = builder.graph
    return bool(graph.nodes) and (bool(graph.inputs) or not builder.plan.needs_input)


def grow(builder: Builder, nodes: int, operators: Sequence[str], tries: int = _TRIES) -> None:
    """Call operators until the graph has so many nodes; so many attempts a node may fail."""
    failures, last = 0, len(operators) - 1
    bait = builder.plan.bait if builder.outer is None else None
    seeds = builder.plan.seeds if builder.outer is None else None
    choices, made = builder.choices, builder.graph.nodes
    size = max(nodes // 3, 2) if builder.outer is None and builder.plan.topology == PARTS else nodes
    end = len(made) + size

    def step() -> int | None:
        nonlocal failures, end, nodes
        wanting = seeds is not None and seeds.wanting
        if (len(made) >= nodes and not wanting) or failures >= tries * (nodes + 2):
            return None
        if len(made) >= end:
            builder.part()
            end += size
        if seeds is not None and wanting and (len(made) >= nodes or not choices.integer(0, _TURNS)):
            before = len(made)
            failures += not place_window(builder, seeds)
            nodes, end = nodes + len(made) - before, end + len(made) - before
        elif bait is not None and choices.integer(0, 999) < bait.chance * 1000:
            failures += not plant(builder, bait, nodes - len(made))
        else:
            name = operators[choices.integer(0, last)]
            failures += not choices.together(lambda: builder.attempt(name, _proposal(builder, name)))
        return len(made)

    choices.repeat(step)


def _proposal(builder: Builder, name: str) -> Callable[[Signature], Call]:
    def propose(sign: Signature) -> Call:
        if not builder.plan.runs(name, sign):
            raise Infeasible(f"the targets do not run {name}")
        return TABLE[name].propose(Scope(builder, sign, name))

    return propose


def _choose_outputs(builder: Builder) -> None:
    """Every value that nothing reads, and now and then one that something does."""
    graph = builder.graph
    for node in graph.nodes[:]:
        if len(node.outputs) > 1:
            graph.omitted.update(_left_out(builder, node))
    computed: list[Value] = [v for node in graph.nodes for v in node.outputs if v not in graph.omitted]
    graph.outputs = [v for v in computed if v.uses == 0]
    inner = [v for v in computed if v.uses]
    if inner and builder.choices.integer(0, 3) == 0:
        graph.outputs.append(inner[builder.choices.integer(0, len(inner) - 1)])
    if builder.plan.bait is not None:
        exposed = [v for planted in builder.plan.bait.planted for v in planted.exposed]
        graph.outputs.extend(v for v in exposed if v not in graph.outputs)
    if builder.plan.seeds is not None:
        shown = [v for placed in builder.plan.seeds.placed for v in placed.exposed]
        graph.outputs.extend(v for v in shown if v not in graph.outputs and v not in graph.omitted)



def _left_out(builder: Builder, node: Node) -> list[Value]:
    """What the call left out; else of the optional outputs that nothing reads about half, where another remains."""
    if node.absent is not None:
        return [node.outputs[position] for position in sorted(node.absent)]
    formals = signature(node.operator, builder.plan.opset).outputs
    unread = [
        value for position, value in enumerate(node.outputs)
        if value.uses == 0 and position < len(formals) and formals[position].optional
    ]  # fmt: skip
    chosen = [value for value in unread if builder.choices.integer(0, 1)]
    return chosen if len(chosen) < len(node.outputs) else chosen[1:]
