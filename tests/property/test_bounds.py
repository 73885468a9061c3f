"""Error bounds: whatever moves inside the intervals of the inputs stays inside the intervals of all that follows."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstract.bounded import Bounded
from abstract.capture import captured
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Float64, _Machine, interpret
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import menu
from fuzz.generate.settings import Settings

pytestmark = pytest.mark.untraced

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


def as_it_is(value, dtype):
    del dtype
    return value


def recomputed(program, inputs, known, held=as_it_is):
    """Every value on other inputs, by name; ``held`` is what becomes of it before the next node reads it.

    A node may break down only where the shape of an operand was not sure. What follows from that is left out.
    """
    machine = _Machine(program, Float64(), 2**20)
    values = {n: Bounded(a, 0.0, program.dtypes[n]) for n, a in {**program.constants, **inputs}.items()}
    with np.errstate(all="ignore"):
        for step in program.steps:
            read = [name for name in (*step.node.input, *captured(step.node)) if name in known]
            if not all(name in values for name in read):
                continue
            try:
                results = list(machine.run(step, values))
            except ValueError:
                if all(known[name].shaped for name in read):
                    raise
                continue
            for name, result in zip(step.outputs, results, strict=False):
                if name:
                    values[name] = Bounded(held(result.value, result.dtype), 0.0, result.dtype)
    return values


def outside(known, after, *, computed=True):
    """The first element of a value that is not in its interval, as text; None where there is none.

    Of sequences each part is asked; where not even the shape is sure, nothing is known. What float64 itself rounds on
    the way is none of the rules' business: it is granted to what is ``computed`` in it.
    """
    before = known.value
    if not known.shaped:
        return None
    if not (isinstance(before, list) or isinstance(after, list)):
        return outside_array(np.asarray(before), known.bound, np.asarray(after), computed=computed)
    if not (isinstance(before, list) and isinstance(after, list) and len(before) == len(after)):
        return f"{after} and not {before}"
    bounds = known.parts or (known.bound,) * len(before)
    parts = zip(before, bounds, after, strict=True)
    told = (outside(Bounded(x, e, known.dtype), y, computed=computed) for x, e, y in parts)
    return next(filter(None, told), None)


def outside_array(before, bound, after, *, computed):
    """As ``outside``, for one tensor."""
    if before.shape != after.shape:
        return f"shape {after.shape} and not {before.shape}"
    bound = np.broadcast_to(np.asarray(bound, np.float64), before.shape)
    same = after == before
    if before.dtype.kind in "OUS":
        escaped = ~same & np.isfinite(bound)
    else:
        wide = np.complex128 if before.dtype.kind == "c" else np.float64
        before, after = before.astype(wide), after.astype(wide)
        with np.errstate(all="ignore"):
            slack = bound * 1e-6 + 2.0**-50 * (np.where(np.isfinite(before), np.abs(before), 0.0) + bound)
            limit = bound + slack if computed else bound
            escaped = np.isfinite(bound) & ~((np.abs(after - before) <= limit) | same)
    if not escaped.any():
        return None
    place = np.unravel_index(int(np.argmax(escaped)), escaped.shape)
    return f"{after[place]} and not {before[place]} ± {bound[place]}"


def shifted(array, by, most):
    """A tensor moved within its interval, and within its type: the largest number has no neighbour above."""
    with np.errstate(over="ignore"):
        return np.asarray(np.clip(array + by, -most, most))


def escapes(program, inputs, reach, bits):
    """The names of the values that leave their intervals under one perturbation."""
    known = bounded(program, inputs, reach)
    kinds = program.dtypes
    moved = {
        n: shifted(a, reach[n] * corners(a.shape, bits), kinds[n].maximum) if n in reach else a
        for n, a in inputs.items()
    }
    found = recomputed(program, moved, known)
    for step in program.steps:
        for name in filter(None, step.outputs):
            if name in found and (what := outside(known[name], found[name].value)):
                yield step.node.op_type, name, what


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
    wider = (("float", "int64", "bool", other) for other in ("uint8", "string"))
    for dtypes in (("float",), ("float", "int64"), *wider):
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

    def rounded(value, kind):
        if isinstance(value, list):
            return [rounded(part, kind) for part in value]
        return value.astype(kind.numpy).astype(kind.carrier) if kind is not None and kind.is_float else value

    found = recomputed(program, inputs, known, rounded)
    for step in program.steps:
        for name in filter(None, step.outputs):
            if name in found:
                what = outside(known[name], found[name].value, computed=False)
                assert what is None, (step.node.op_type, name, what)
