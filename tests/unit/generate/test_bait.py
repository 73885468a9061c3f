"""Fusion bait: every pattern can be placed, each kind of near-miss is one thing off, all or nothing enters."""

from __future__ import annotations

import ast
from dataclasses import replace

import numpy as np
import onnx
import pytest

from abstract.graph import Origin
from abstract.program import parse as parse_model
from abstract.reference import interpret
from abstract.schema import newest_opset
from fuzz.generate.bait import PATTERNS, chosen
from fuzz.generate.bait.miss import MISSES, misses, other_types
from fuzz.generate.bait.pattern import Rewriter, pattern
from fuzz.generate.bait.place import plant
from fuzz.generate.bait.program import Leaf, Let, Literal, Ref, parse
from fuzz.generate.bait.share import Bait
from fuzz.generate.builder import Builder
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.emit import emit
from fuzz.generate.graph import generate_graph
from fuzz.generate.plan import draw_plan, menu, patterns
from fuzz.generate.run import generate_case
from fuzz.generate.settings import DEFAULT_DTYPES, Settings

NEWEST = Settings(opset=newest_opset(), dtypes=(*DEFAULT_DTYPES, "bfloat16"))


def planted(row, seed, *, near=0.0, settings=NEWEST, dtypes=()):
    """A builder with one instance of a row, or None where this seed cannot place it."""
    choices = Seeded(seed)
    chosen_types = replace(settings, dtypes=dtypes) if dtypes else settings
    builder = Builder(choices, draw_plan(choices, chosen_types, menu(settings), None))
    bait = Bait((row,), 1.0, near, frozenset(settings.dtypes), whole=True)
    with np.errstate(all="ignore"):
        return (builder, bait.planted[0]) if plant(builder, bait, 0) else None


def model_of(builder):
    graph = builder.graph
    graph.outputs = [v for node in graph.nodes for v in node.outputs if v.uses == 0]
    return emit(graph, dynamic=False).model


def operators(builder):
    return [node.operator for node in builder.graph.nodes]


class TestTables:
    def test_there_are_more_than_enough_and_each_says_who_rewrites_it(self):
        assert all(row.rewriters and row.theme for row in PATTERNS.values())
        assert all(r.compiler == r.compiler.lower() and r.name for row in PATTERNS.values() for r in row.rewriters)

    @pytest.mark.untraced
    @pytest.mark.parametrize("name", list(PATTERNS))
    def test_a_pattern_is_placed_whole_valid_and_finite(self, name):
        row = PATTERNS[name]
        found = [made for seed in range(10) if (made := planted(row, seed, dtypes=("bool", "int64", *row.types)))]
        assert len(found) >= 2, f"{name} can hardly be placed"
        builder, instance = found[0]
        assert instance.pattern == name
        assert not instance.miss
        wanted = [step.operator for step in row.program.calls]
        assert [o for o in operators(builder) if o in wanted][-1] == wanted[-1]
        assert len(operators(builder)) >= len(wanted)
        model = model_of(builder)
        onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
        result = interpret(parse_model(onnx.load_from_string(model)), {v.name: v.array for v in builder.graph.inputs})
        for value in builder.graph.outputs:
            if value.type.dtype.is_float:
                assert np.all(np.isfinite(result[value.name].value))


class TestText:
    def test_a_nested_call_comes_first_and_names_are_bound_once(self):
        (inner, outer) = parse("Mul(x, Sigmoid(x))").calls
        assert (inner.operator, inner.arguments) == ("Sigmoid", (Leaf("x"),))
        assert outer.arguments == (Ref("x"), Ref(inner.targets[0]))

    def test_upper_case_is_constant_numbers_are_literals_and_brackets_are_shapes(self):
        (step,) = parse("Conv(x[n, 4], W, [1.5], ..., group=2)").calls
        x, w, literal = step.arguments
        assert (x.constant, w.constant, literal) == (False, True, Literal([1.5]))
        assert [ast.unparse(size) for size in x.shape] == ["n", "4"]
        assert step.rest
        assert list(step.attributes) == ["group"]

    def test_a_statement_may_declare_an_operand_or_name_a_number(self):
        program = parse("x[..., k]; p = shuffled(x); Transpose(x, perm=p)")
        leaf, number = program.steps[:2]
        assert isinstance(leaf, Let)
        assert leaf.value.shape[0] is ...
        assert number.name == "p"

    @pytest.mark.parametrize("text", ["x + 1", "Add(f(x), 1)", "Relu(x); Relu(x[n])", "for x in y: pass",
                                      "Add(Relu(x), int8(x))"])
    def test_what_is_no_pattern_is_refused(self, text):
        with pytest.raises(SyntaxError):
            parse(text)


class TestInstances:
    def test_sizes_of_one_name_are_equal(self):
        builder, _ = planted(pattern("p", "Add(MatMul(x[m, k], W[k, n]), B[n])", "c R"), 1)
        matmul, add = builder.graph.nodes
        (m, k), (also_k, n) = (v.array.shape for v in matmul.inputs)
        assert k == also_k
        assert add.inputs[1].array.shape == (n,)
        assert add.outputs[0].array.shape == (m, n)
        assert [v.origin for v in matmul.inputs] == [Origin.INPUT, Origin.INITIALIZER]

    def test_an_operand_may_say_its_type_and_a_scale_is_small_and_positive(self):
        row = pattern("p", "DequantizeLinear(int8(W[k, n]), scale(S[n]), int8(z[n]), axis=1)", "c R", ("float",))
        for seed in range(12):
            builder, _ = planted(row, seed)
            weight, scale, zero = builder.graph.nodes[-1].inputs
            assert [v.type.dtype.name for v in (weight, scale, zero)] == ["int8", "float", "int8"]
            assert [v.origin for v in (weight, scale)] == [Origin.INITIALIZER] * 2
            assert weight.array.shape[1:] == scale.array.shape == zero.array.shape
            assert scale.array.min() >= 2.0**-8
            assert scale.array.max() <= 0.25

    def test_it_joins_what_the_model_has(self):
        row = pattern("p", "Relu(Abs(x[n, c]))", "c R", ("float",))
        choices = Seeded(4)
        builder = Builder(choices, draw_plan(choices, NEWEST, menu(NEWEST), None))
        bait = Bait((row,), 1.0, 0.0, frozenset(NEWEST.dtypes), whole=True)
        for _ in range(8):
            plant(builder, bait, 0)
        assert len(builder.graph.inputs) < len(bait.planted)

    def test_a_literal_has_the_type_of_what_stands_beside_it(self):
        made = [planted(pattern("p", "Mul(x, 0.5)", "c R"), seed) for seed in range(12)]
        for builder, _ in filter(None, made):
            x, half = builder.graph.nodes[-1].inputs
            assert half.type == replace(x.type, shape=())
            assert half.array == 0.5

    def test_nothing_enters_where_one_call_does_not_fit(self):
        row = pattern("p", "Relu(Abs(x[n, 3])); Concat(x, [[1.0]], axis=1)", "c R", ("float",))
        for seed in range(5):
            choices = Seeded(seed)
            builder = Builder(choices, draw_plan(choices, NEWEST, menu(NEWEST), None))
            bait = Bait((row,), 1.0, 0.0, frozenset(NEWEST.dtypes), whole=True)
            if not plant(builder, bait, 0):
                assert not builder.graph.nodes
                assert not builder.graph.inputs
                assert not builder.values

    def test_it_is_left_out_where_it_needs_more_nodes_than_there_are(self):
        row, choices = PATTERNS["gelu-erf"], Seeded(0)
        builder = Builder(choices, draw_plan(choices, NEWEST, menu(NEWEST), None))
        bait = Bait((row,), 1.0, 0.0, frozenset(NEWEST.dtypes))
        assert not plant(builder, bait, 3)


class TestNearMisses:
    @pytest.mark.untraced
    @pytest.mark.parametrize("kind", list(MISSES))
    def test_each_kind_has_patterns_that_it_can_be_done_to(self, kind):
        rows = [row for row in PATTERNS.values() if kind in misses(row)][:40]
        reached = 0
        for seed, row in enumerate(rows * 4):
            miss = MISSES[kind]
            site = miss.sites(row.program)[0]
            changed = miss.apply(row.program, site, lambda n, seed=seed: seed % n)
            assert kind == "type" or changed != row.program
            made = _with_miss(row, kind, seed)
            if made is not None:
                onnx.checker.check_model(onnx.load_from_string(model_of(made)), full_check=True)
                reached += 1
            if reached == 4:
                break
        assert reached == 4

    @pytest.mark.parametrize("name", ["pad-average-pool-padded", "softmax-upcast"])
    def test_another_operator_has_none_of_the_attributes_that_it_lacks(self, name):
        program = PATTERNS[name].program
        miss = MISSES["operator"]
        for site in miss.sites(program):
            for which in range(3):
                call = miss.apply(program, site, lambda n, which=which: which % n).calls[site[0]]
                schema = onnx.defs.get_schema(call.operator)
                assert set(call.attributes) <= {*schema.attributes, *(formal.name for formal in schema.inputs)}

    def test_a_cast_goes_to_types_of_the_version(self):
        settings = Settings(nodes=(4, 6), opset=13, bait=("cast-same",))
        codes = set()
        for seed in range(60):
            for node in onnx.load_from_string(generate_case(Seeded(seed), settings).model).graph.node:
                codes.update(a.i for a in node.attribute if node.op_type == "Cast" and a.name == "to")
        assert len(codes) > 3
        assert max(codes) <= onnx.TensorProto.BFLOAT16

    def test_a_second_consumer_and_an_exposed_value(self):
        row = PATTERNS["gelu-quick"]
        builder = _with_miss(row, "consumer", 0)
        assert len(builder.graph.nodes) >= 4
        settings = replace(NEWEST, nodes=(8, 8), bait=("gelu-quick",), dtypes=("float",))
        for seed in range(30):
            graph, plan = generate_graph(Seeded(seed), settings)
            for instance in plan.bait.planted:
                assert (instance.miss == "output") == bool(instance.exposed)
                assert all(v in graph.outputs for v in instance.exposed)

    def test_a_scale_or_zero_point_stays_the_scalar_that_it_must_be(self):
        program = PATTERNS["clip-quantised"].program
        assert not MISSES["rank"].sites(program)
        (site,) = MISSES["rank"].sites(PATTERNS["softplus"].program)
        assert PATTERNS["softplus"].program.calls[site[0]].operator == "Add"

    def test_the_types_that_a_rewrite_was_not_made_for(self):
        assert "int32" in other_types(PATTERNS["gelu-erf"])
        assert "float" not in other_types(PATTERNS["gelu-erf"])


def _with_miss(row, kind, seed):
    """A builder with an instance of a row that has this near-miss, or None."""
    for attempt in range(60):
        made = planted(row, 1000 * seed + attempt, near=1.0, dtypes=NEWEST.dtypes)
        if made is not None and made[1].miss == kind:
            return made[0]
    return None


class TestChoice:
    def test_by_name_by_theme_and_all(self):
        names = menu(NEWEST)
        assert [row.name for row in chosen(("gelu-erf",), names, 21)] == ["gelu-erf"]
        assert {row.theme for row in chosen(("linear",), names, 21)} == {"linear"}
        assert len(chosen(("all",), names, newest_opset())) == len(PATTERNS)

    def test_what_an_opset_or_the_operators_lack_is_left_out(self):
        assert "gelu-operator-bias" not in {row.name for row in chosen(("all",), menu(Settings(opset=19)), 19)}
        assert {row.name for row in chosen(("all",), ("Relu",), 21)} == {"relu-relu"}

    def test_an_unknown_name_is_refused_with_what_is_like_it(self):
        with pytest.raises(ValueError, match=r"unknown bait .gelu_erf. .did you mean gelu-erf"):
            chosen(("gelu_erf",), (), 21)
        with pytest.raises(ValueError, match="unknown bait 'zzz'; `fuzz bait`"):
            chosen(("zzz",), (), 21)

    def test_targets_get_what_they_run(self):
        def supports(operator, first, second=""):
            return operator != "Erf"

        rows = patterns(replace(NEWEST, bait=("all",)), supports)
        assert rows
        assert not any("Erf" in row.operators for row in rows)
        with pytest.raises(ValueError, match="no pattern of gelu-erf can be made"):
            patterns(replace(NEWEST, bait=("gelu-erf",)), supports)

    def test_no_bait_leaves_every_decision_as_it_was(self):
        with_none = generate_case(Seeded(3), Settings())
        assert "bait" not in with_none.record
        assert generate_graph(Seeded(3), Settings())[1].bait is None

    def test_models_differ_in_how_much_they_get(self):
        settings = Settings(nodes=(12, 12), bait=("all",))
        counts = []
        for seed in range(40):
            _, plan = generate_graph(Seeded(seed), settings)
            counts.append(len(plan.bait.planted) if plan.bait is not None else 0)
        assert counts.count(0) >= 8
        assert max(counts) >= 3

    def test_the_same_choices_give_the_same_bytes_and_the_record_says_what_was_placed(self):
        settings = Settings(nodes=(15, 15), bait=("all",), dynamic=None)
        for seed in range(12):
            first = generate_case(Seeded(seed), settings)
            again = generate_case(Replayed(first.record["choices"]), Settings.from_json(settings.to_json()))
            assert again.model == first.model
            assert again.record.get("bait") == first.record.get("bait")
            for instance in first.record.get("bait", ()):
                assert set(instance) == {"pattern", "near_miss", "at"}
                names = {o for node in onnx.load_from_string(first.model).graph.node for o in node.output}
                assert instance["at"] in names


def test_a_row_reads_its_columns():
    row = pattern("p", "Relu(x)", "tvm FuseOps, onnxruntime FuseReluClip", ("float",))
    assert row.rewriters == (Rewriter("tvm", "FuseOps"), Rewriter("onnxruntime", "FuseReluClip"))
    assert row.to_json()["operators"] == ["Relu"]
