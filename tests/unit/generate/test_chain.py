"""Shape parameters that the graph computes: every style says what the symbols say, at every size."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from abstract.dims import ceil_div, evaluate, floor_div
from abstract.dtypes import dtype
from abstract.graph import Graph, Node, Origin, Value
from abstract.program import parse
from abstract.reference import interpret
from abstract.types import TensorType
from fuzz.generate.chain import LINKS, draw_style
from fuzz.generate.choices import Seeded
from fuzz.generate.emit import emit
from fuzz.generate.plan import menu
from fuzz.generate.run import generate_case
from fuzz.generate.settings import Settings

SEEDS = range(1, 41)


def value(graph, name, shape, origin=Origin.INPUT):
    sizes = tuple(graph.store.value(d) for d in shape)
    made = Value(name, TensorType(dtype("float"), tuple(shape)), np.zeros(sizes), origin, exact=True)
    {Origin.INPUT: graph.inputs, Origin.INITIALIZER: graph.initializers, Origin.NODE: graph.outputs}[origin].append(
        made
    )
    return made


def filled(opset, dims, targets):
    """A graph of Expand nodes with these targets, beside an input of these dims."""
    graph = Graph(opset)
    symbols = [graph.store.fresh(n, low=1) for n in dims]
    x = value(graph, "x", symbols)
    y = value(graph, "y", symbols, Origin.NODE)
    graph.nodes.append(Node("Identity", (x,), (y,), {}))
    for i, target in enumerate(targets(*symbols)):
        out = value(graph, f"z{i}", target, Origin.NODE)
        graph.nodes.append(Node("Expand", (one(graph),), (out,), {"shape": target}))
    return graph, symbols


def one(graph):
    """A scalar, which Expand takes to any shape."""
    scalars = [v for v in graph.inputs if v.name == "one"]
    return scalars[0] if scalars else value(graph, "one", ())


def targets(a, b, c):
    return [
        (a,), (a, b, c), (c, a), (a * b, c), (a * b * c,), (2, a + 1, 3), (2 * a - 1, b), (floor_div(a, 2) + 1,),
        (ceil_div(a, 2), 4 * b), (a + b, a * c, 5, 6, b, c), (floor_div(a * b, 2) + c,), (7 * a + 2 * b - 1, b * c),
    ]  # fmt: skip


@pytest.mark.parametrize("opset", [13, 14, 15, 18, 21])
def test_every_style_computes_what_the_symbols_say(opset):
    for seed in SEEDS[:16] if opset == 21 else SEEDS[:5]:
        graph, symbols = filled(opset, (4, 3, 2), targets)
        emitted = emit(graph, dynamic=True, computed=seed)
        model = onnx.ModelProto.FromString(emitted.model)
        onnx.checker.check_model(model, full_check=True)
        assert [s.name for s in emitted.open] == ["d0", "d1", "d2"]
        assert emitted.nodes == len(model.graph.node) > len(graph.nodes)
        program = parse(model)
        for sizes in ((4, 3, 2), (1, 1, 1), (5, 2, 7)):
            held = dict(zip((s.symbol for s in symbols), sizes, strict=True))
            inputs = {"x": np.zeros(sizes, np.float32), "one": np.zeros((), np.float32)}
            expected = [tuple(evaluate(d, held.__getitem__) for d in v.type.shape) for v in graph.outputs]
            theirs = ReferenceEvaluator(model).run(None, inputs)
            assert [a.shape for a in theirs] == expected
            ours = interpret(program, {n: a.astype(np.float64) for n, a in inputs.items()})
            assert [ours[v.name].value.shape for v in graph.outputs] == expected
            assert not any(np.any(ours[v.name].bound) for v in graph.outputs)


def reshaped(opset):
    """A graph of Reshape nodes, whose targets hold parts and products of the operand's own shape."""
    graph = Graph(opset)
    a, b, c = (graph.store.fresh(n, low=1) for n in (4, 3, 2))
    x = value(graph, "x", (a, b, c))
    for i, target in enumerate([(a * b * c,), (a * b, c), (c * b, a), (b, c, a), (c, a, b, 1), (1, a, b, 1, c)]):
        graph.nodes.append(Node("Reshape", (x,), (value(graph, f"z{i}", target, Origin.NODE),), {"shape": target}))
    return graph


@pytest.mark.parametrize("opset", [13, 21])
def test_what_stands_in_the_operand(opset):
    for seed in SEEDS:
        graph = reshaped(opset)
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=seed).model)
        onnx.checker.check_model(model, full_check=True)
        theirs = ReferenceEvaluator(model).run(None, {"x": np.zeros((5, 7, 2), np.float32)})
        assert [a.shape for a in theirs] == [(70,), (35, 2), (14, 5), (7, 2, 5), (2, 5, 7, 1), (1, 5, 7, 1, 2)]


def test_styles_differ():
    used = set()
    texts = set()
    for seed in SEEDS:
        graph, _ = filled(21, (4, 3, 2), targets)
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=seed).model)
        used |= {n.op_type for n in onnx.ModelProto.FromString(emit(reshaped(21), dynamic=True, computed=seed).model)
                 .graph.node}  # fmt: skip
        used |= {node.op_type for node in model.graph.node}
        texts.add(tuple(node.op_type for node in model.graph.node))
    assert used >= {*LINKS, "Constant"}
    assert len(texts) > len(SEEDS) // 2


def test_one_shape_node_a_tensor_where_it_is_shared():
    shared, single = (next(s for s in SEEDS if draw_style(s).shared is wanted) for wanted in (True, False))
    counts = []
    for seed in (shared, single):
        graph, _ = filled(13, (4, 3, 2), targets)
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=seed).model)
        counts.append([n.input[0] for n in model.graph.node if n.op_type == "Shape"])
    assert len(set(counts[0])) == len(counts[0])
    assert len(set(counts[1])) < len(counts[1])


def test_the_same_seed_gives_the_same_bytes():
    first, second = (emit(filled(21, (4, 3, 2), targets)[0], dynamic=True, computed=5).model for _ in range(2))
    assert first == second


def test_without_a_style_the_sizes_are_constants():
    graph, _ = filled(21, (4, 3, 2), targets)
    emitted = emit(graph, dynamic=True)
    assert (emitted.open, emitted.nodes) == ([], len(graph.nodes))


def test_a_static_model_computes_nothing():
    graph, _ = filled(21, (4, 3, 2), targets)
    emitted = emit(graph, dynamic=False, computed=3)
    assert (emitted.open, emitted.nodes) == ([], len(graph.nodes))


def test_a_symbol_is_solved_for_where_only_a_line_of_it_stands():
    graph = Graph(21)
    a = graph.store.fresh(3, low=1)
    value(graph, "x", (3 * a + 2,))
    one = value(graph, "one", ())
    graph.nodes.append(Node("Expand", (one,), (value(graph, "z", (a, a * a), Origin.NODE),), {"shape": (a, a * a)}))
    for seed in SEEDS:
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=seed).model)
        (out,) = ReferenceEvaluator(model).run(None, {"x": np.zeros(17, np.float32), "one": np.float32(0)})
        assert out.shape == (5, 25)


def test_what_no_shape_tells_stays_a_constant():
    graph = Graph(21)
    a, b = graph.store.fresh(3, low=1), graph.store.fresh(2, low=1)
    value(graph, "x", (a * b,))
    one = value(graph, "one", ())
    graph.nodes.append(Node("Expand", (one,), (value(graph, "z", (a,), Origin.NODE),), {"shape": (a,)}))
    emitted = emit(graph, dynamic=True, computed=1)
    assert [s.name for s in emitted.open] == ["d1"]
    assert emitted.nodes == 1


def test_a_division_keeps_its_numerator_from_below_zero():
    graph, symbols = filled(21, (4, 3, 2), lambda a, b, _c: [(floor_div(a - b, 2) + 2,)])
    emit(graph, dynamic=True, computed=1)
    a = symbols[0].symbol
    assert graph.store.satisfied(lambda s: 3 if s == a else 2)
    assert not graph.store.satisfied(lambda s: 1 if s == a else 2)


def test_a_computed_target_of_reshape_may_mean_its_zeros():
    found = set()
    for seed in SEEDS:
        graph = Graph(21)
        a, b = graph.store.fresh(2, low=0), graph.store.fresh(3, low=0)
        x = value(graph, "x", (a, b))
        graph.nodes.append(Node("Reshape", (x,), (value(graph, "z", (b, a), Origin.NODE),), {"shape": (b, a)}))
        model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=seed).model)
        onnx.checker.check_model(model, full_check=True)
        node = model.graph.node[-1]
        found.add(tuple((i.name, i.i) for i in node.attribute))
        if node.attribute:
            (out,) = ReferenceEvaluator(model).run(None, {"x": np.zeros((0, 3), np.float32)})
            assert out.shape == (3, 0)
    assert found == {(), (("allowzero", 1),)}


@pytest.mark.untraced
@pytest.mark.parametrize("operator", ["Reshape", "Expand", "Slice", "Tile", "Pad", "ConstantOfShape", "Range",
                                      "Resize", "Split", "TopK", "OneHot", "CenterCropPad"])  # fmt: skip
def test_operators_take_computed_sizes(operator):
    """Some model of each operator has a parameter that a chain computes; all are valid and mean the same."""
    settings = Settings(nodes=(2, 3), operators=(*LINKS, operator), dynamic=True, dtypes=("float", "int64"))
    taken = 0
    for seed in range(400):
        made = generate_case(Seeded(seed), settings)
        model = onnx.ModelProto.FromString(made.model)
        computed = {n.output[0] for n in model.graph.node if n.output[0].startswith("s")}
        if not any(n.op_type == operator and computed & set(n.input) for n in model.graph.node):
            continue
        onnx.checker.check_model(model, full_check=True)
        assert made.nodes == len(model.graph.node)
        taken += 1
        if taken == 2:
            return
    assert taken


def test_chains_need_their_operators():
    """A model of given operators has no others."""
    settings = Settings(nodes=(4, 6), operators=("Reshape", "Expand", "Relu"), dynamic=True)
    for seed in range(40):
        model = onnx.ModelProto.FromString(generate_case(Seeded(seed), settings).model)
        assert {n.op_type for n in model.graph.node} <= set(settings.operators)
    assert set(LINKS) <= set(menu(Settings()))


def test_constants_of_chains_are_whole_numbers():
    graph, _ = filled(21, (4, 3, 2), targets)
    model = onnx.ModelProto.FromString(emit(graph, dynamic=True, computed=2).model)
    arrays = [numpy_helper.to_array(t) for t in model.graph.initializer]
    assert {a.dtype for a in arrays} <= {np.dtype(np.int64), np.dtype(np.int32)}
