"""Error bounds: whatever moves inside the intervals of the inputs stays inside the intervals of all that follows."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstract.bounded import Bounded
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Float64, _Machine, interpret
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.settings import Settings

OPERATORS = menu(Settings())


def bounded(program, inputs, reach):
    """Every value with its bound, where the float inputs err by ``reach`` (arrays by name)."""
    machine = _Machine(program, Float64(), 2**20)
    values = {n: Bounded(a, 0.0, program.dtypes[n]) for n, a in program.constants.items()}
    values |= {n: Bounded(a, reach.get(n, 0.0), program.dtypes[n]) for n, a in inputs.items()}
    with np.errstate(all="ignore"):
        for step in program.steps:
            results = zip(step.outputs, machine.run(step, values), strict=False)
            values |= {name: result for name, result in results if name}
    return values


def corners(shape, bits):
    """Where in its interval each element lies: an end, the middle or anywhere, from -1 to 1."""
    style = bits.integers(0, 4, shape)
    return np.choose(style, [np.full(shape, -1.0), np.full(shape, 1.0), np.zeros(shape), bits.uniform(-1, 1, shape)])


def escapes(program, inputs, reach, bits):
    """The names of the values that leave their intervals under one perturbation."""
    known = bounded(program, inputs, reach)
    moved = {n: np.asarray(a + reach[n] * corners(a.shape, bits)) if n in reach else a for n, a in inputs.items()}
    found = interpret(program, moved)
    for step in program.steps:
        for name in filter(None, step.outputs):
            before, after = np.asarray(known[name].value), np.asarray(found[name].value)
            bound = np.broadcast_to(known[name].bound, before.shape)
            if before.shape != after.shape:
                if not known[name].shaped or np.isinf(bound).all():
                    continue
                yield step.node.op_type, name, "shape", before.shape, after.shape
                continue
            judged = np.isfinite(bound)
            with np.errstate(all="ignore"):
                difference = np.abs(after.astype(np.float64) - before.astype(np.float64))
                # What float64 itself rounds on the way is none of the rules' business.
                slack = bound * 1e-6 + 2.0**-50 * (np.abs(before.astype(np.float64)) + bound)
            outside = judged & ~((difference <= bound + slack) | (after == before))
            if outside.any():
                place = np.unravel_index(int(np.argmax(outside)), outside.shape)
                yield step.node.op_type, name, before[place], after[place], bound[place]


def model(seed, chosen):
    graph, _ = generate_graph(Seeded(seed), chosen)
    program = parse(onnx.ModelProto.FromString(emit(graph, dynamic=False).model))
    return program, {v.name: v.array for v in graph.inputs}


def intervals(inputs, program, relative):
    return {n: np.abs(a) * relative for n, a in inputs.items() if program.dtypes[n].is_float}


@given(st.integers(0, 10**6), st.sampled_from([1e-8, 1e-6, 1e-3, 0.05]), st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_small_graphs_contain_every_perturbation(seed, relative, place):
    chosen = Settings(nodes=(2, 6), dtypes=("float", "double", "int32", "bool"), rank=(0, 3))
    program, inputs = model(seed, chosen)
    reach = intervals(inputs, program, relative)
    assert list(escapes(program, inputs, reach, np.random.default_rng(place))) == []


def of_operator(operator, seed):
    """A model of one or two nodes, on floats alone where that can be."""
    for dtypes in (("float",), ("float", "int64"), ("float", "int64", "bool", "uint8")):
        with suppress(NothingFits):
            return model(seed, Settings(nodes=(1, 2), operators=(operator,), dtypes=dtypes, rank=(0, 4)))
    raise NothingFits(operator)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_contains_every_perturbation(operator):
    assert operator in TABLE
    for seed in range(12):
        program, inputs = of_operator(operator, seed)
        # Weights are perturbed like inputs: errors of second operands have rules of their own.
        floats = {n: a for n, a in program.constants.items() if program.dtypes[n].is_float}
        for relative in (1e-7, 1e-2):
            reach = intervals({**inputs, **floats}, program, relative)
            found = list(escapes(program, {**inputs, **floats}, reach, np.random.default_rng(seed)))
            assert found == [], (operator, seed, relative)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_wider_inputs_never_make_a_narrower_output(seed):
    program, inputs = model(seed, Settings(nodes=(2, 6), dtypes=("float",), rank=(0, 3)))
    narrow = bounded(program, inputs, intervals(inputs, program, 1e-6))
    wide = bounded(program, inputs, intervals(inputs, program, 1e-4))
    for name, value in narrow.items():
        assert np.all(np.asarray(value.bound) <= np.asarray(wide[name].bound) * (1 + 1e-9)), name


@given(st.integers(0, 10**6), st.sampled_from(["float", "float16", "bfloat16"]))
@settings(max_examples=100)
def test_rounding_to_the_declared_type_at_every_node_stays_inside(seed, narrow):
    """A legal computation: each node's result rounded to its type before the next one reads it."""
    program, inputs = model(seed, Settings(nodes=(2, 8), dtypes=(narrow, "int32", "bool"), rank=(0, 3)))
    known = interpret(program, inputs)
    machine = _Machine(program, Float64(), 2**20)
    values = {n: Bounded(a, 0.0, program.dtypes[n]) for n, a in {**program.constants, **inputs}.items()}
    with np.errstate(all="ignore"):
        for step in program.steps:
            for name, result in zip(step.outputs, machine.run(step, values), strict=False):
                kind = result.dtype
                array = result.value.astype(kind.numpy).astype(kind.carrier) if kind.is_float else result.value
                values[name] = Bounded(array, 0.0, kind)
                before = known[name].value
                if before.shape != array.shape:
                    continue
                bound = np.broadcast_to(known[name].bound, before.shape)
                difference = np.abs(array.astype(np.float64) - before.astype(np.float64))
                assert np.all((difference <= bound) | ~np.isfinite(bound)), (step.node.op_type, name)
