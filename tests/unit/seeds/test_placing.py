"""Windows in generated models: whole, valid, joined to what there is, changed, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from abstract.dtypes import BY_NAME
from abstract.graph import Origin, Value
from abstract.program import parse
from abstract.reference import interpret
from abstract.types import TensorType
from fuzz.case import find_cases
from fuzz.generate.builder import Builder
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.plan import draw_plan, menu
from fuzz.generate.run import generate_case, generate_cases
from fuzz.generate.settings import Settings
from fuzz.seeds.change import CHANGES, in_type, kin, varied
from fuzz.seeds.place import place_window
from fuzz.seeds.stock import Seeds, stamped, usable
from fuzz.seeds.window import Call, Operand, Window

GATED = Window(
    "gated", (Operand("float", ("a", "b"), "input"), Operand("float", ("b", "c"), "weight")),
    (Call("MatMul", (0, 1), {}), Call("Sigmoid", (2,), {}), Call("Mul", (2, 3), {})), (4,),
    ((64, 512, 128), (3, 4, 2), (2, 6, 5)), ("one",), 3,
)  # fmt: skip
HEADS = Window(
    "heads", (Operand("float", ("a", "b*c"), "input"),),
    (Call("Reshape", (0,), {"shape": ["a", "b", "c"]}), Call("Transpose", (1,), {"perm": [1, 0, 2]}),
     Call("Softmax", (2,), {"axis": -1})), (3,), ((8, 4, 8), (3, 2, 4)), ("two",), 1,
)  # fmt: skip
SCALED = Window(
    "scaled", (Operand("float", ("a",), "input", low=0.25, high=4.0), Operand("float", (), "constant", (0.5,))),
    (Call("Sqrt", (0,), {}), Call("Mul", (2, 1), {})), (3,), ((32,), (6,)), ("two",), 1,
)  # fmt: skip
FLOATS = Settings(dtypes=("float",))
WINDOWS = (GATED, HEADS, SCALED)


@pytest.fixture
def stock(tmp_path):
    """A file of windows, as settings name it."""
    path = tmp_path / "windows.jsonl"
    path.write_text("".join(window.to_json() + "\n" for window in WINDOWS), "utf-8")
    return stamped(str(path))


def built(window, seed, *, change=0.0, settings=FLOATS):
    builder = Builder(Seeded(seed), draw_plan(Seeded(seed), settings, menu(settings), None))
    seeds = Seeds((window.to_json(),), 1, change, frozenset(settings.dtypes), frozenset(menu(settings)))
    with np.errstate(all="ignore"):
        placed = place_window(builder, seeds)
    assert placed or change  # a change may have no place
    return builder, seeds


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.key)
def test_a_window_is_placed_whole(window):
    for seed in range(20):
        builder, seeds = built(window, seed)
        assert [node.operator for node in builder.graph.nodes] == [call.operator for call in window.calls]
        assert [placed.window for placed in seeds.placed] == [window.key]
        assert seeds.placed[0].change == ""


def test_sizes_stay_symbolic_and_tied():
    builder, _ = built(HEADS, 0)
    store = builder.graph.store
    rows, columns = map(store.resolve, builder.graph.nodes[0].inputs[0].type.shape)
    head, again, inner = map(store.resolve, builder.graph.nodes[1].outputs[0].type.shape)
    assert again == rows
    assert columns == head * inner
    assert rows.symbol is not None


def test_numbers_lie_where_the_window_is_defined():
    for seed in range(10):
        builder, _ = built(SCALED, seed)
        assert builder.graph.inputs[0].array.min() >= 0.25
        constant = next(v for v in builder.graph.initializers if not v.type.shape)
        assert constant.array == 0.5


def test_a_second_window_is_joined_to_the_first():
    settings = Settings(dtypes=("float",))
    joined = 0
    for seed in range(30):
        builder = Builder(Seeded(seed), draw_plan(Seeded(seed), settings, menu(settings), None))
        seeds = Seeds(tuple(w.to_json() for w in WINDOWS[:2]), 2, 0.0, frozenset(settings.dtypes), frozenset())
        with np.errstate(all="ignore"):
            while seeds.wanting:
                place_window(builder, seeds)
        first = {v for node in builder.graph.nodes[:3] for v in node.outputs}
        joined += any(v.uses > 1 or (v.uses and v is builder.graph.nodes[2].outputs[0]) for v in first)
    assert joined >= 10


def test_each_kind_of_change_is_made_and_said():
    told = set()
    settings = Settings(dtypes=("float", "double", "int32", "uint8", "int8"))
    for seed in range(60):
        window = WINDOWS[seed % 3]
        _, seeds = built(window, seed, change=1.0, settings=settings)
        told.update(said.partition(" ")[0] for placed in seeds.placed for said in placed.change.split("; "))
    assert told - {""} == set(CHANGES)


def test_an_operator_becomes_one_of_its_form():
    assert {"Sigmoid", "Softmax", "Clip", "Elu"} <= set(kin("Relu", 21, 1, 1))
    assert {"Sub", "Max", "Mean"} <= set(kin("Add", 21, 2, 1))
    assert "Equal" not in kin("Add", 21, 2, 1)  # it makes another type
    assert {"MaxPool", "LpPool"} == set(kin("AveragePool", 21, 1, 1))
    assert "LpPool" not in kin("MaxPool", 21, 1, 2)  # it has no second output
    assert kin("LayerNormalization", 21, 3, 1) == ()


def test_attributes_that_go_together_change_together():
    x = Value("x", TensorType(BY_NAME["float"], (4, 5, 6)), np.zeros((4, 5, 6)), Origin.INPUT, exact=True)
    whole = {"pads": (0, 1, 0, 0, 1, 0), "mode": b"constant"}
    seen = set()
    for seed in range(60):
        params, name = varied(Seeded(seed), 21, "Pad", (x,), whole, 1)
        seen.add(name)
        axes = params.get("axes")
        assert len(params["pads"]) == 2 * (3 if axes is None else len(axes))
    assert {"axes", "pads", "mode"} <= seen


PADDED = Window(
    "padded", (Operand("float", ("a", "b*c"), "input"),),
    (Call("Reshape", (0,), {"shape": ["a", "b", "c"]}), Call("Pad", (1,), {"pads": [0, 0, 1, 0, 0, 1]})), (2,),
    ((8, 4, 8), (3, 2, 4)), ("two",), 1,
)  # fmt: skip
PLACED = Window(
    "placed", (Operand("float", ("a", 1), "input"),),
    (Call("ConstantOfShape", (), {"input": ["a", 1], "value": {"tensor": 1, "dims": [1], "numbers": [0.5]}}),
     Call("Add", (0, 1), {})), (2,), ((8,), (3,)), ("two",), 1,
)  # fmt: skip


def test_pads_of_another_rank_are_no_window():
    for seed in range(60):
        builder, seeds = built(PADDED, seed, change=1.0)
        for node in builder.graph.nodes:
            if node.operator == "Pad" and "axes" not in node.params:
                assert len(node.params["pads"]) == 2 * node.inputs[0].type.rank
        assert seeds.placed


def test_operands_of_one_variable_keep_one_type():
    settings = Settings(dtypes=("float", "double"))
    for seed in range(40):
        builder, _ = built(PLACED, seed, change=1.0, settings=settings)
        for node in builder.graph.nodes:
            if node.operator == "Add":
                assert len({value.type.dtype for value in node.inputs}) == 1


def test_constants_take_the_type():
    numbers = np.array([-1.5, 0.1, 300.0])
    assert in_type(numbers, BY_NAME["uint8"]).tolist() == [0, 0, 255]
    assert in_type(numbers, BY_NAME["int32"]).tolist() == [-1, 0, 300]
    assert in_type(numbers, BY_NAME["bfloat16"])[1] == 0.10009765625


def test_a_quantised_call_stands_between_its_quantisers():
    found = 0
    for seed in range(200):
        builder, seeds = built(GATED, seed, change=1.0, settings=Settings(dtypes=("float", "uint8", "int8")))
        if "quantised MatMul" in seeds.placed[0].change:
            nodes = [node.operator for node in builder.graph.nodes]
            at = nodes.index("MatMul")
            assert nodes[at - 4 : at] == ["QuantizeLinear", "DequantizeLinear"] * 2
            assert nodes[at + 1 : at + 3] == ["QuantizeLinear", "DequantizeLinear"]
            found += 1
    assert found


def test_models_are_valid_and_come_out_as_the_graph_says(stock):
    settings = Settings(seeds=(stock,), nodes=(4, 12), structure=("all", "-functions"), bait=("all",))
    seen = set()
    for seed in range(40):
        made = generate_case(Seeded(seed), settings)
        model = onnx.ModelProto.FromString(made.model)
        onnx.checker.check_model(model, full_check=True)
        seen.update(placed["window"] for placed in made.record["windows"])
        program = parse(model)
        feed = {v.name: v.array for v in made.graph.inputs}
        values = interpret(program, {**feed, **{v.name: v.array for v in made.graph.defaults}})
        for value in made.graph.outputs:
            if isinstance(values[value.name].value, np.ndarray) and value.type.dtype.name in ("float", "double"):
                assert np.allclose(values[value.name].value, value.array, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert seen == {"gated", "heads", "scaled"}


def test_the_same_choices_give_the_same_bytes(stock):
    settings = Settings(seeds=(stock,), nodes=(4, 12), dynamic=None, mixed_opsets=True)
    for seed in range(10):
        made = generate_case(Seeded(seed), settings)
        again = generate_case(Replayed(made.record["choices"]), Settings.from_json(made.record["settings"]))
        assert (again.model, again.data_sets, again.record) == (made.model, made.data_sets, made.record)


def test_some_models_are_rewritten_and_mean_the_same(stock):
    settings = Settings(seeds=(stock,), nodes=(1, 4), dtypes=("float", "int64", "bool"))
    rewritten = 0
    for seed in range(60):
        made = generate_case(Seeded(seed), settings)
        if "rewrite" not in made.record:
            continue
        rewritten += 1
        model = onnx.ModelProto.FromString(made.model)
        onnx.checker.check_model(model, full_check=True)
        values = interpret(parse(model), {v.name: v.array for v in made.graph.inputs})
        for value in made.graph.outputs:
            if isinstance(values[value.name].value, np.ndarray):
                assert np.allclose(values[value.name].value, value.array, rtol=1e-6, atol=1e-6)
    assert rewritten >= 5


def test_without_seeds_nothing_is_drawn_for_them():
    plain = generate_case(Seeded(3), Settings())
    assert "windows" not in plain.record
    assert plain.record["settings"]["seeds"] == ()


def test_a_case_says_what_it_was_made_of(stock, tmp_path):
    generate_cases(tmp_path / "root", Settings(seeds=(stock,)), range(3))
    assert len(find_cases(tmp_path / "root")) == 3
    path = stock.partition("@")[0]
    usable.cache_clear()
    with pytest.raises(ValueError, match="no longer those"):
        stamped(f"{path}@000000000000")
    with pytest.raises(ValueError, match="fuzz corpus mine"):
        stamped(str(tmp_path / "none"))


def test_only_allowed_operators_are_placed(stock):
    assert len(usable((stock,), ("Sqrt", "Mul", "Add"))) == 1
    settings = replace(Settings(seeds=(stock,)), operators=("Sqrt", "Mul", "Add"))
    changed = ""
    for seed in range(40):
        made = generate_case(Seeded(seed), settings)
        assert {placed["window"] for placed in made.record["windows"]} <= {"scaled"}
        changed += "".join(placed["change"] for placed in made.record["windows"])
    assert "operator Mul=Add" in changed
    assert "Sqrt=" not in changed
    assert "quantised" not in changed
