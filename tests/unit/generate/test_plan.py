"""What settings allow, and the plan that a model draws from them."""

from __future__ import annotations

import json

import pytest

from abstract.dtypes import dtype
from abstract.operators import TABLE
from abstract.schema import newest_opset, signature
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.graph import NothingFits, generate_graph
from fuzz.generate.plan import draw_plan, menu
from fuzz.generate.settings import DEFAULT_DTYPES, Settings


class TestSettings:
    @pytest.mark.parametrize(
        "settings",
        [
            Settings(),
            Settings((3, 3), 17, ("Relu", "Add"), ("float",), (1, 2), dynamic=None, targets=("tvm",)),
            Settings(dynamic=True),
        ],
    )
    def test_they_survive_json(self, settings):
        assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings

    def test_default_types_exist(self):
        assert all(dtype(name) for name in DEFAULT_DTYPES)


class TestMenu:
    def test_all_of_the_table_that_exists_at_an_opset(self):
        assert "Gelu" not in menu(Settings(opset=19))
        assert "Gelu" in menu(Settings(opset=20))
        assert set(menu(Settings(opset=newest_opset()))) <= set(TABLE)
        assert len(menu(Settings(opset=13))) >= 60

    def test_named_operators_in_their_order(self):
        assert menu(Settings(operators=("Relu", "Abs"))) == ("Relu", "Abs")

    def test_every_operator_of_a_menu_has_a_schema(self):
        for opset in (13, 17, 21, newest_opset()):
            for name in menu(Settings(opset=opset)):
                assert signature(name, opset).since <= opset

    @pytest.mark.parametrize("opset", [12, 0, -1, newest_opset() + 1])
    def test_opsets_out_of_range(self, opset):
        with pytest.raises(
            ValueError, match=rf"^opset {opset} is out of range: choose one from 13 to {newest_opset()}$"
        ):
            menu(Settings(opset=opset))

    @pytest.mark.parametrize(("name", "meant"), [("Rely", "Relu"), ("relu", "Relu"), ("MaxPooling", "MaxPool")])
    def test_an_unknown_operator_with_what_was_meant(self, name, meant):
        with pytest.raises(ValueError, match=rf"unknown operator '{name}' \(did you mean {meant}\?\)"):
            menu(Settings(operators=(name,)))

    def test_an_unknown_operator_that_resembles_none(self):
        with pytest.raises(ValueError, match=r"unknown operator 'Zzzzzz'; the table has Abs, "):
            menu(Settings(operators=("Zzzzzz",)))

    def test_an_operator_that_is_not_there_yet(self):
        with pytest.raises(ValueError, match=r"none of Gelu exists at opset 13"):
            menu(Settings(opset=13, operators=("Gelu",)))

    def test_an_unknown_type(self):
        with pytest.raises(ValueError, match=r"unknown element type 'float32'; ONNX has float, double, "):
            menu(Settings(dtypes=("float32",)))

    @pytest.mark.parametrize("name", ["string", "complex64", "complex128"])
    def test_types_without_an_order_are_drawn_too(self, name):
        assert "Transpose" in menu(Settings(dtypes=(name,)))

    def test_messages_are_one_line(self):
        for settings in (Settings(opset=1), Settings(operators=("Rely",)), Settings(dtypes=("f",))):
            with pytest.raises(ValueError, match=r"^[^\n]+$"):
                menu(settings)


class TestPlan:
    def plan(self, seed=0, supports=None, **settings):
        chosen = Settings(**settings)
        return draw_plan(Seeded(seed), chosen, menu(chosen), supports)

    def test_nodes_lie_in_their_range(self):
        assert {self.plan(seed, nodes=(3, 5)).nodes for seed in range(40)} == {3, 4, 5}

    def test_named_operators_and_types_are_all_in(self):
        for seed in range(10):
            plan = self.plan(seed, operators=("Relu", "Abs", "Neg", "Add"), dtypes=("float16", "int8"))
            assert set(plan.operators) == {"Relu", "Abs", "Neg", "Add"}
            assert plan.dtypes == {dtype("float16"), dtype("int8")}

    def test_models_draw_subsets_of_their_own(self):
        subsets = {frozenset(self.plan(seed).operators) for seed in range(20)}
        assert len(subsets) > 10
        assert min(map(len, subsets)) < len(menu(Settings())) / 2

    def test_a_model_always_has_a_float_type(self):
        for seed in range(50):
            assert any(d.is_float for d in self.plan(seed).dtypes)

    def test_dynamic_is_as_asked(self):
        assert all(self.plan(seed, dynamic=True).dynamic for seed in range(10))
        assert not any(self.plan(seed).dynamic for seed in range(10))
        assert {self.plan(seed, dynamic=None).dynamic for seed in range(20)} == {True, False}

    def test_support_tables_restrict_the_first_input(self):
        def supports(name, first, _second=""):
            return (name, first) == ("Relu", "float")

        plan = self.plan(supports=supports, dtypes=("float", "double"))
        assert plan.allowed("Relu", signature("Relu", 21), "T") == (dtype("float"),)
        assert plan.allowed("Abs", signature("Abs", 21), "T") == ()

    def test_widening_gives_up_the_subset(self):
        plan = self.plan(operators=("Relu", "Abs", "Neg"), dtypes=("float16",))
        assert plan.allowed("Relu", signature("Relu", 21), "T") == (dtype("float16"),)
        plan.widen(("Add",), ("float", "double"))
        assert plan.operators == ("Add",)
        assert plan.allowed("Relu", signature("Relu", 21), "T") == (dtype("float"), dtype("double"))


class TestNothingFits:
    @pytest.mark.parametrize(
        "settings",
        [
            Settings(operators=("Not",), dtypes=("float",)),
            Settings(operators=("Conv",), rank=(0, 1), dtypes=("int8",)),
            Settings(operators=("Relu",), dtypes=("float",), targets=()),
        ],
    )
    def test_settings_that_leave_nothing(self, settings):
        supports = (lambda _name, _kind, _second="": False) if settings.operators == ("Relu",) else None
        with pytest.raises(NothingFits, match=r"allow more operators \(--ops\), types \(--dtypes\) or ranks"):
            generate_graph(Seeded(0), settings, supports)

    def test_the_least_of_all_choices_is_a_model(self):
        graph, _ = generate_graph(Replayed([]), Settings())
        assert graph.nodes
