"""Control flow, sequences and optionals as they are generated: valid, right on a runtime, and of every form."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from abstract.constraints import Infeasible
from abstract.dtypes import dtype
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import interpret
from backends.tensor import to_numpy
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings
from fuzz.selftest.run import carried
from fuzz.traits import TRAITS, View

PLAIN = ("Add", "Relu", "Less", "Concat", "Mul", "Sigmoid", "Gather", "MatMul", "Cast", "ReduceSum", "Shape")
CONTROL = ("If", "Loop", "Scan", "SequenceMap")
HOLDING = (
    "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceErase", "SplitToSequence", "SequenceAt",
    "SequenceLength", "ConcatFromSequence", "Optional", "OptionalHasElement", "OptionalGetElement",
)  # fmt: skip
COMMON = ("float", "int32", "int64", "bool")
SETTINGS = Settings(nodes=(3, 12), operators=(*CONTROL, *HOLDING, *PLAIN), dtypes=COMMON, dynamic=None)
SEEDS = range(100)


@pytest.fixture(scope="module")
def cases():
    return [generate_case(Seeded(seed), SETTINGS) for seed in SEEDS]


def bodies(graph):
    """Every node of a model, those inside of bodies too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from bodies(attribute.g)


def parts(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


def test_every_model_passes_the_strict_checker(cases):
    for case in cases:
        onnx.checker.check_model(onnx.ModelProto.FromString(case.model), full_check=True)


def test_bodies_lie_in_bodies():
    nested = 0
    for seed in range(60):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(2, 5), operators=("Loop", "If", "Add"), dtypes=COMMON))
        nested += sum(bool(inner.bodies) for node in graph.nodes for body in node.bodies for inner in body.nodes)
    assert nested >= 5


def test_every_operator_is_there_and_bodies_read_from_outside(cases):
    count = Counter()
    captured = 0
    for case in cases:
        graph = onnx.ModelProto.FromString(case.model).graph
        count.update(node.op_type for node in bodies(graph))
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    own = {i.name for i in attribute.g.input} | {t.name for t in attribute.g.initializer}
                    own |= {o for n in attribute.g.node for o in n.output}
                    captured += any(i and i not in own for n in attribute.g.node for i in n.input)
    assert set(CONTROL + HOLDING) <= set(count)
    assert captured >= 20


def test_a_runtime_gives_what_the_reference_gives(cases):
    judged = 0
    for case in cases:
        try:
            running = session(case.model)
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
            continue
        graph = onnx.ModelProto.FromString(case.model).graph
        program = parse(onnx.ModelProto.FromString(case.model))
        for data_set in case.data_sets:
            feeds = {n: to_numpy(t).astype(program.dtypes[n].carrier) for n, t in data_set.inputs.items()}
            # What comes out of a sequence is rounded: a tie with what went in is open then, and no longer certain.
            held = any(node.op_type in HOLDING for node in bodies(graph))
            values = interpret(program, feeds, strict=not held)
            outputs = running.run(None, {n: to_numpy(t) for n, t in data_set.inputs.items()})
            for (name, stored), output in zip(data_set.outputs.items(), outputs, strict=True):
                bounds = values[name].parts or (values[name].bound,) * len(parts(stored))
                given = output if isinstance(stored, list) else [output]
                for tensor, array, bound in zip(parts(stored), given, bounds, strict=False):
                    expected = to_numpy(tensor)
                    assert np.shape(array) == expected.shape
                    assert np.all(np.abs(np.asarray(array, float) - expected) <= np.asarray(bound) + 1e-5)
                    judged += 1
    assert judged > 150


def test_a_record_gives_the_same_model(cases):
    for case in cases[:20]:
        record = json.loads(json.dumps(case.record))
        again = generate_case(Replayed(record["choices"]), Settings.from_json(record["settings"]))
        assert again.model == case.model


def loops(settings):
    for seed in range(150):
        graph, _ = generate_graph(Seeded(seed), settings)
        yield from (node for node in graph.nodes if node.operator == "Loop")


def test_loops_of_every_form():
    """With a number of trips, a condition, both, or one that the body gives; with states and collected values."""
    forms = Counter()
    for node in loops(Settings(nodes=(2, 5), operators=("Loop", "Add", "Relu", "Cast"), dtypes=COMMON)):
        limit, condition, *states = node.inputs
        body = node.params["body"]
        forms["limit", limit is not None] += 1
        forms["condition", condition is not None] += 1
        forms["states", len(states)] += 1
        forms["collected", len(node.outputs) - len(states)] += 1
        ending = body.nodes[[n.outputs[0] for n in body.nodes].index(body.outputs[0])]
        forms[ending.operator] += 1
        for value in node.outputs[len(states) :]:
            forms["trips", value.array.shape[0]] += 1
        assert len({v.name for v in body.outputs}) == len(body.outputs)
    wanted = {("limit", True), ("limit", False), ("condition", True), ("condition", False), "Less", "Identity"}
    wanted |= {(name, k) for name in ("states", "collected") for k in range(3)} | {("trips", k) for k in (1, 2, 3)}
    assert wanted <= set(forms)


def test_branches_may_have_other_sizes():
    found = 0
    for seed in range(150):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(3, 6), operators=("If", *PLAIN), dtypes=COMMON))
        for node in graph.nodes:
            if node.operator == "If":
                pairs = zip(node.params["then_branch"].outputs, node.params["else_branch"].outputs, strict=True)
                found += sum(a.array.shape != b.array.shape for a, b in pairs)
    assert found >= 3


def test_scans_in_both_directions_and_along_every_axis():
    seen = Counter()
    for seed in range(200):
        graph, _ = generate_graph(Seeded(seed), Settings(nodes=(2, 5), operators=("Scan", *PLAIN), dtypes=COMMON))
        for node in graph.nodes:
            if node.operator == "Scan":
                seen.update(name for name in node.params if name != "body")
    names = {"scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"}
    assert names <= set(seen)


def test_what_a_loop_does_after_its_first_trip_is_checked():
    """A state that doubles leaves its type: the loop ends before that, or its place is refused."""
    for node in loops(Settings(nodes=(2, 5), operators=("Loop", "Mul", "Add"), dtypes=("int8", "int64", "bool"))):
        for value in node.outputs:
            if value.type.dtype is dtype("int8"):
                assert not value.array.size or (value.array.min() >= -128 and value.array.max() <= 127)


def test_a_body_needs_somebody_who_runs_it():
    from abstract.operator import Run
    from abstract.reference import Float64

    run = Run({"then_branch": None}, (np.array(1, bool),), (None,), (), Float64())
    with pytest.raises(ValueError, match="nothing here runs bodies"):
        TABLE["If"].evaluate(run)


def test_bodies_are_not_put_into_one_another_without_end():
    from abstract.schema import signature
    from fuzz.generate.builder import Builder
    from fuzz.generate.plan import draw_plan, menu
    from fuzz.generate.scope import Scope

    choices = Seeded(0)
    builder = Builder(choices, draw_plan(choices, SETTINGS, menu(SETTINGS), None))
    for _ in range(2):
        builder = Builder(choices, builder.plan, builder)
    with pytest.raises(Infeasible, match="2 deep"):
        Scope(builder, signature("If", 21), "If").body()


def test_some_loops_are_not_entered_and_give_their_states_as_they_were():
    settings = Settings(nodes=(2, 3), operators=("Loop", "Add", "Relu"), dtypes=("float", "int64", "bool"))
    found = 0
    for seed in range(250):
        case = generate_case(Seeded(seed), settings)
        if TRAITS["Loop that is not entered"](View(onnx.ModelProto.FromString(case.model))):
            found += 1
            program = parse(onnx.ModelProto.FromString(case.model))
            values = interpret(program, carried(program, case.data_sets[0].inputs))
            for step in program.steps:
                operands = [None if name is None else values[name].value for name in step.inputs]
                given = operands[:2] if step.node.op_type == "Loop" else [None, None]
                if any(x is not None and not x for x in given):
                    assert len(step.outputs) == len(operands) - 2
                    for name, before in zip(step.outputs, operands[2:], strict=True):
                        np.testing.assert_array_equal(values[name].value, before)
    assert found >= 3
