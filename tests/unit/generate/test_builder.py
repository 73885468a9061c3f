"""Growing a graph: all of a call enters it or nothing does; adapters reach any size; guards reach any domain."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import pytest

from abstract.constraints import Infeasible, at_least
from abstract.dtypes import dtype
from abstract.graph import Origin, Recipe, Value
from abstract.operator import Call, Domain, NotCovered, Run
from abstract.operators import TABLE
from abstract.reference import Float64
from abstract.schema import signature
from abstract.types import TensorType
from fuzz.generate.adapter import fit
from fuzz.generate.application import concrete, settle
from fuzz.generate.builder import Builder
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.emit import emit
from fuzz.generate.plan import Plan
from fuzz.generate.scope import Scope
from fuzz.generate.tensors import fill

ADAPTERS = ("Slice", "Pad", "Expand", "Reshape", "Clip", "Relu", "Concat")


def builder(operators=ADAPTERS, dtypes=("float",), opset=21, choices=None, **more):
    kinds = frozenset(map(dtype, dtypes))
    settings = {"rank": (0, 5), "fresh": 0.2, "initializer": 0.0, "adapters": True, "dynamic": False, **more}
    plan = Plan(5, operators, kinds, opset=opset, supports=None, **settings)
    return Builder(choices or Replayed([]), plan)


def given(made, array, kind="float", origin=Origin.INPUT):
    """A value that is in the graph already."""
    array = np.asarray(array, dtype(kind).carrier)
    recipe = Recipe("spread", 1, -1.0, 1.0) if array.dtype.kind == "f" else None
    value = made.placeholder(TensorType(dtype(kind), array.shape), array, origin, recipe)
    made.attempt("Relu", lambda _: Call((value,)))
    assert value in made.values
    return value


def valid(made):
    made.graph.outputs = [v for n in made.graph.nodes for v in n.outputs]
    model = onnx.ModelProto.FromString(emit(made.graph, dynamic=False).model)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


GUARDS = ("Sigmoid", "Tanh", "Sin", "Cos", "HardSigmoid", "Softsign", "Erf", "Abs", "Exp", "Softplus", "Cosh")
WAYS = ("Slice", "Pad", "Expand", "Tile", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "ReduceMax", "ReduceMin",
        "ReduceSum", "Relu")  # fmt: skip
SHAPES = [(), (1,), (6,), (3, 2), (2, 3), (1, 1), (5, 1), (2, 1, 4), (4, 4), (4, 7), (2, 2, 2, 2), (1, 9, 1, 2)]


class TestFit:
    @pytest.mark.parametrize(("have", "want"), list(itertools.product(SHAPES, SHAPES)), ids=str)
    def test_any_sizes_are_reached_from_any(self, have, want):
        made = builder()
        value = given(made, np.arange(np.prod(have)).reshape(have) + 1.0)
        fitted = []
        assert made.attempt("Relu", lambda _: Call((fitted.append(fit(made, value, want)) or fitted[0],)))
        assert fitted[0] is not None
        assert fitted[0].array.shape == want
        assert (fitted[0] is value) == (have == want)
        valid(made)

    @pytest.mark.parametrize("seed", range(10))
    def test_sizes_are_reached_by_any_of_the_ways(self, seed):
        made, failed = builder(operators=WAYS, choices=Seeded(seed)), 0
        for have, want in itertools.product(SHAPES, SHAPES):
            fitted = fit(made, given(made, np.arange(np.prod(have)).reshape(have) + 1.0), want)
            assert fitted is None or fitted.array.shape == want
            failed += fitted is None
        assert failed < len(SHAPES) ** 2 / 5  # those that come out constant

    def test_every_way_is_taken(self):
        taken = set()
        for seed in range(40):
            made = builder(operators=WAYS, choices=Seeded(seed))
            for have, want in itertools.product(SHAPES, SHAPES):
                fitted = partial(fit, made, given(made, np.arange(np.prod(have)).reshape(have) + 1.0), want)
                made.transact(lambda fitted=fitted: [v for v in (fitted(),) if v is not None])
            taken |= {node.operator for node in made.graph.nodes}
            if seed < 3:
                valid(made)
        assert taken == set(WAYS)

    def test_what_is_kept_is_what_was_there(self):
        made = builder()
        fitted = fit(made, given(made, [[1.0, 2.0], [3.0, 4.0]]), (1, 3))
        assert fitted.array.tolist() == [[1, 2, 0]]

    @pytest.mark.parametrize(("have", "want"), [((0, 2), (2,)), ((2,), (0,))])
    def test_not_from_or_to_nothing(self, have, want):
        made = builder()
        value = Value("x", TensorType(dtype("float"), have), np.zeros(have), Origin.INPUT, exact=True)
        assert fit(made, value, want) is None

    def test_not_without_the_operators(self):
        made = builder(operators=("Relu",))
        assert fit(made, given(made, [1.0, 2.0, 3.0]), (2,)) is None

    def test_not_on_types_that_the_plan_lacks(self):
        made = builder(dtypes=("double",))
        assert fit(made, given(made, [1.0, 2.0, 3.0]), (2,)) is None

    def test_what_failed_half_way_leaves_nothing_behind(self):
        made = builder(operators=("Relu", "Slice"))
        value = given(made, np.ones((4, 1)))
        nodes = len(made.graph.nodes)
        fitted = []
        assert made.attempt("Relu", lambda _: Call((fitted.append(fit(made, value, (2, 3))) or value,)))
        assert fitted == [None]
        assert [n.operator for n in made.graph.nodes[nodes:]] == ["Relu"]


class TestGuards:
    def scope(self, made, operator="Relu"):
        return Scope(made, signature(operator, made.plan.opset), operator)

    @pytest.mark.parametrize(
        ("domain", "array"),
        [
            (Domain(0.0), [-3.0, 2.0]),
            (Domain(-1.0, 1.0), [-3.0, 2.0]),
            (Domain(high=-2.0), [-3.0, 2.0]),
            (Domain(away=0.5), [0.0, 2.0]),
            (Domain(0.0, 4.0, 0.25), [-3.0, 9.0]),
        ],
        ids=str,
    )
    def test_a_value_outside_of_a_domain_is_clipped_into_it(self, domain, array):
        made = builder(choices=Replayed([999]))
        value = given(made, array)
        got = self.scope(made)._inside(value, domain)
        assert got is not None
        assert got is not value
        assert domain.low <= got.array.min()
        assert got.array.max() <= domain.high
        assert np.abs(got.array).min() >= domain.away

    @pytest.mark.parametrize(
        ("domain", "names"),
        [
            (Domain(2.0**-6), "Abs Exp Softplus Sigmoid Cosh Clip"),
            (Domain(-1.0, 1.0), "Sigmoid Tanh Sin Cos HardSigmoid Softsign Erf Clip"),
            (Domain(0.0), "Abs Relu Exp Softplus Sigmoid Cosh Clip"),
            (Domain(100.0), "Clip"),
        ],
        ids=str,
    )
    def test_an_operator_whose_range_lies_inside_is_a_guard(self, domain, names):
        taken = set()
        for seed in range(120):
            made = builder(operators=(*GUARDS, "Clip", "Relu"), choices=Seeded(seed))
            value = given(made, [-3.0, 2.0])
            made._nodes.clear()
            got = self.scope(made)._inside(value, domain)
            assert domain.admits(got)
            taken.add(made._nodes[-1].operator)
        assert taken == set(names.split())

    def test_a_guard_is_not_put_where_it_is_not_defined(self):
        for seed in range(40):
            made = builder(operators=(*GUARDS, "Clip", "Relu"), choices=Seeded(seed))
            value = Value("v", TensorType(dtype("float"), (2,)), np.array([-3e4, 2e4]), Origin.NODE, exact=True)
            with np.errstate(over="ignore"):
                self.scope(made)._inside(value, Domain(-1.0, 1.0))
            assert made._nodes[-1].operator not in {"Sin", "Cos"}

    def test_what_lies_inside_is_taken_as_it_is(self):
        made = builder()
        value = given(made, [0.5, 2.0])
        assert self.scope(made)._inside(value, Domain(0.0, 2.0, 0.5)) is value

    def test_an_inexact_value_keeps_a_margin(self):
        made = builder()
        value = Value("v", TensorType(dtype("float"), (2,)), np.array([1e-9, 2.0]), Origin.NODE, exact=False)
        assert not Domain(0.0).admits(value)
        value.exact = True
        assert Domain(0.0).admits(value)
        assert made.graph.nodes == []

    def test_an_index_that_another_rounding_moves_keeps_a_margin_of_1(self):
        value = Value("v", TensorType(dtype("int64"), (2,)), np.array([0, 1]), Origin.NODE, exact=False)
        assert not Domain(-2, 1).admits(value)
        assert Domain(-2, 2).admits(value)
        value.exact = True
        assert Domain(-2, 1).admits(value)

    def test_integers_are_not_clipped(self):
        made = builder(dtypes=("int32", "float"))
        value = Value("v", TensorType(dtype("int32"), (2,)), np.array([-1, 2]), Origin.NODE, exact=True)
        assert self.scope(made)._inside(value, Domain(0.0)) is None

    def test_no_guard_without_clip_or_adapters(self):
        for made in (builder(operators=("Relu",)), builder(adapters=False)):
            assert self.scope(made)._inside(given(made, [-3.0, 2.0]), Domain(0.0)) is None


class TestAttempt:
    def test_what_fails_leaves_no_trace(self):
        made = builder()
        value = given(made, [1.0, 2.0])
        before = (len(made.graph.nodes), len(made.values), len(made.graph.inputs), made.graph.store.mark())

        def propose(_sign):
            d = made.graph.store.fresh(3)
            made.dims.append(d)
            made.placeholder(TensorType(dtype("float"), (d,)), np.zeros(3), Origin.INPUT, None)
            made.apply("Relu", Call((value,)))
            raise Infeasible("no")

        assert not made.attempt("Relu", propose)
        assert (len(made.graph.nodes), len(made.values), len(made.graph.inputs), made.graph.store.mark()) == before
        assert made.dims == []
        assert made.attempt("Relu", lambda _: Call((value,)))
        assert made.graph.nodes[-1].outputs[0].name == f"v{before[1] + 1}"

    def test_not_covered_is_a_failure_other_errors_are_not(self):
        made = builder()

        def not_covered(_sign):
            raise NotCovered("no")

        def broken(_sign):
            raise ZeroDivisionError

        assert not made.attempt("Relu", not_covered)
        with pytest.raises(ZeroDivisionError):
            made.attempt("Relu", broken)

    def test_placeholders_that_nothing_reads_do_not_enter(self):
        made = builder()
        value = given(made, [1.0])

        def propose(_sign):
            made.placeholder(TensorType(dtype("float"), (2,)), np.zeros(2), Origin.INPUT, None)
            return Call((value,))

        assert made.attempt("Relu", propose)
        assert made.graph.inputs == [value]

    def test_uses_are_counted(self):
        made = builder()
        value = given(made, [1.0, 2.0])
        made.attempt("Concat", lambda _: Call((value, value), {"axis": 0}))
        assert value.uses == 3

    def test_what_is_not_defined_is_refused(self):
        made = builder(operators=("Log", "Sqrt", "Relu"))
        value = given(made, [-1.0, 2.0])
        with np.errstate(invalid="ignore"):
            assert not made.attempt("Sqrt", lambda _: Call((value,)))

    def test_what_leaves_the_range_is_refused(self):
        made = builder(operators=("Exp", "Relu"), dtypes=("float16",))
        value = given(made, [1.0, 9.0], "float16")
        assert not made.attempt("Exp", lambda _: Call((value,)))

    def test_integers_that_overflow_are_refused(self):
        made = builder(operators=("Add",), dtypes=("int8",))
        value = made.placeholder(TensorType(dtype("int8"), (1,)), np.array([100]), Origin.INPUT, None)
        assert not made.attempt("Add", lambda _: Call((value, value)))

    def test_large_results_are_refused(self):
        made = builder()
        value = given(made, np.ones((1,)))
        assert not made.attempt("Expand", lambda _: Call((value,), {"shape": (100_000,)}))

    def test_a_shape_rule_that_is_wrong_is_our_fault(self, monkeypatch):
        made = builder()
        value = given(made, [1.0])
        wrong = replace(TABLE["Relu"], shape=lambda t: ((t[0][0] + 1,),))
        monkeypatch.setattr("fuzz.generate.builder.TABLE", {**TABLE, "Relu": wrong})
        with pytest.raises(AssertionError, match="shape rule of Relu"):
            made.attempt("Relu", lambda _: Call((value,)))

    def test_no_decision_reads_a_last_bit(self):
        """Whether a tensor is constant costs a draw: two machines must agree on it."""
        records = []
        for last in (1.0, 1.0 + 2.0**-50, 1.0 - 2.0**-50):
            choices = Seeded(3)
            made = builder(choices=choices)
            array = np.array([1.0, 1.0, 1.0, 1.0, last])
            value = Value("v", TensorType(dtype("float"), (5,)), array, Origin.NODE, exact=False)
            try:
                made._examine(TABLE["Exp"], value)
                records.append((choices.record, True))
            except Infeasible:
                records.append((choices.record, False))
        assert records[0] == records[1] == records[2]
        assert records[0][0]

    @pytest.mark.parametrize("ceiling", [2048.0, -2048.0])
    def test_nor_one_at_the_end_of_the_range(self, ceiling):
        def accepted(end):
            made = builder(dtypes=("float16",))
            value = Value("v", TensorType(dtype("float16"), (2,)), np.array([0.0, end]), Origin.NODE, exact=False)
            try:
                made._examine(TABLE["Exp"], value)
            except Infeasible:
                return False
            return True

        assert accepted(ceiling) == accepted(np.nextafter(ceiling, 0)) == accepted(np.nextafter(ceiling, 2 * ceiling))

    def test_a_placeholder_is_drawn_again_where_its_size_moved(self):
        made = builder()
        store = made.graph.store

        def propose(_sign):
            d = store.fresh(3, low=1)
            recipe = Recipe("spread", 5, -1.0, 1.0)
            value = made.placeholder(
                TensorType(dtype("float"), (d,)), fill(recipe, (3,), dtype("float")), Origin.INPUT, recipe
            )
            assert value.range() != (0.0, 0.0)
            store.require(at_least(d, 5))
            return Call((value,))

        assert made.attempt("Relu", propose)
        (value,) = made.graph.inputs
        assert value.array.shape == (5,)
        assert value.range() == (value.array.min(), value.array.max())


def test_concrete_replaces_symbols_alone():
    made = builder()
    d = made.graph.store.fresh(4)
    assert concrete({"a": d + 1, "b": (d, 2), "c": b"x", "d": 1.5}, made.graph.store.value) == {
        "a": 5, "b": (4, 2), "c": b"x", "d": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [([1, 2, 3, 4], [1, 2, 3], "3 = 4"), ([2**62, 1], [2], "of constants that overflows")],
)
def test_constants_that_do_not_go_together_are_refused_and_leave_nothing(one, other, said):
    made = builder()
    values = [given(made, array, "int64", Origin.INITIALIZER) for array in (one, other)]
    nodes = len(made.graph.nodes)
    with pytest.raises(Infeasible, match=said):
        made.apply("Mul", Call(tuple(values)))
    assert not made.attempt("Mul", lambda _: Call(tuple(values)))
    assert len(made.graph.nodes) == nodes


class TestSettle:
    def test_attributes_are_held_in_float32(self):
        row, sign = TABLE["LeakyRelu"], signature("LeakyRelu", 21)
        assert settle({"alpha": 0.1}, row, sign, dtype("double")) == {"alpha": float(np.float32(0.1))}

    def test_inputs_in_the_type_of_the_operand(self):
        row, sign = TABLE["Clip"], signature("Clip", 21)
        for name in ("double", "float", "float16"):
            stored = float(np.asarray(0.1).astype(dtype(name).numpy))
            assert settle({"min": 0.1}, row, sign, dtype(name)) == {"min": stored}

    def test_integers_are_integers_of_their_type(self):
        row, sign = TABLE["Clip"], signature("Clip", 21)
        assert settle({"min": 3.0}, row, sign, dtype("uint64")) == {"min": 3}
        for bound in (-1.0, 0.5, 2.0**64):
            with pytest.raises(Infeasible, match="no min"):
                settle({"min": bound}, row, sign, dtype("uint64"))

    def test_what_is_no_float_stays(self):
        row, sign = TABLE["Gemm"], signature("Gemm", 21)
        assert settle({"transA": 1, "alpha": 0.5}, row, sign, dtype("float")) == {"transA": 1, "alpha": 0.5}


def test_numbers_that_may_differ_in_last_bits_are_not_ranked_where_they_are_equal():
    """Of equal sums one came out greater with another BLAS: the node was placed on one machine and not on the other."""
    x = np.array([[1.0, 1.0, 2.0]])
    kind = dtype("float")
    for name in ("TopK", "ArgMax", "ArgMin"):
        run = Run({"axis": -1}, (x,), (kind,), (kind,), Float64())
        defined = TABLE[name].defined
        assert defined(run)
        assert not defined(replace(run, exact=False))
        assert defined(replace(run, inputs=(x[:, 1:],), exact=False))
