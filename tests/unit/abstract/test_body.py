"""Control flow and functions, interpreted node by node: values, bounds, and how much work they may do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from abstract import reference
from abstract.body import TooLarge, Work
from abstract.bounded import Bounded
from abstract.dtypes import dtype
from abstract.program import parse
from abstract.reference import interpret


def run(text, opset=21, domains="", **feeds):
    """Interpret a model in ONNX's text form."""
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}{domains}]> {text}')
    program = parse(onnx.ModelProto.FromString(model.SerializeToString()))
    inputs = {n: np.asarray(a).astype(program.dtypes[n].carrier) for n, a in feeds.items()}
    return interpret(program, inputs)


IF = """g (bool c, float[2] x) => (float[2] y) {
    y = If (c) <then_branch = t () => (float[2] p) { p = Exp(x) }, else_branch = e () => (float[2] q) { q = Neg(x) }>
}"""


class TestIf:
    @pytest.mark.parametrize(("flag", "expected"), [(True, [np.e, np.e**2]), (False, [-1, -2])])
    def test_the_branch_that_is_taken(self, flag, expected):
        y = run(IF, c=flag, x=[1, 2])["y"]
        np.testing.assert_allclose(y.value, expected, rtol=1e-12)
        assert y.shaped

    def test_a_branch_has_the_bounds_of_its_nodes(self):
        """No coarse tolerance: what moves is exact, and Exp has a grant of its own."""
        assert run(IF, c=False, x=[1, 2])["y"].bound == 0.0
        assert 0 < np.max(run(IF, c=True, x=[1, 2])["y"].bound) < 1e-5

    def test_a_condition_that_errs_leaves_nothing_sure(self):
        text = IF.replace("bool c, ", "float z, float w, ")
        text = text.replace("y = If", "e = Exp(z) f = Exp(w) c = Less(e, f) y = If")
        y = run(text, z=0.0, w=0.0, x=[1, 2])["y"]
        assert not y.shaped
        assert np.isinf(y.bound)


LOOP = """g ({inputs}) => (float[2] y) {{
    y = Loop ({operands}) <body = b (int64 i, bool go, float[2] s) => (bool on, float[2] t) {{
        on = {on}
        t = Add(s, x)
    }}>
}}"""


class TestLoop:
    def text(self, operands="m, , x", on="Identity(go)", inputs="int64 m, float[2] x"):
        return LOOP.format(operands=operands, on=on, inputs=inputs)

    def test_a_state_carries_its_bound(self):
        few, many = (run(self.text(), m=m, x=[1.5, 2.5])["y"] for m in (2, 20))
        np.testing.assert_array_equal(many.value, [31.5, 52.5])
        assert np.max(few.bound) < np.max(many.bound) < 1e-4

    def test_no_trips_give_the_state_that_came(self):
        y = run(self.text(), m=0, x=[1.5, 2.5])["y"]
        assert (y.value.tolist(), y.bound) == ([1.5, 2.5], 0.0)

    def test_the_condition_ends_it(self):
        text = self.text("m, c, x", "Less(i, two)", "int64 m, bool c, int64 two, float[2] x")
        y = run(text, m=10, c=True, two=2, x=[1, 2])["y"]
        assert y.value.tolist() == [4, 8]
        assert y.shaped
        assert run(text, m=10, c=False, two=2, x=[1, 2])["y"].value.tolist() == [1, 2]

    def test_without_a_condition_what_the_body_says_is_ignored_by_the_text_alone(self):
        text = self.text("m, , x", "Less(i, two)", "int64 m, int64 two, float[2] x")
        y = run(text, m=4, two=2, x=[1, 2])["y"]
        assert y.value.tolist() == [5, 10]
        assert not y.shaped

    def test_without_any_end_the_body_decides(self):
        text = self.text(", , x", "Less(i, two)", "int64 two, float[2] x")
        y = run(text, two=2, x=[1, 2])["y"]
        assert y.value.tolist() == [4, 8]
        assert not y.shaped

    def test_a_condition_that_errs_leaves_nothing_sure(self):
        text = self.text("m, c, x", "Less(e, f)", "int64 m, bool c, float z, float w, float[2] x")
        text = text.replace("on = ", "e = Exp(z) f = Exp(w) on = ")
        y = run(text, m=3, c=True, z=0.0, w=1e-8, x=[1, 2])["y"]
        assert not y.shaped

    def test_a_number_of_trips_that_errs_leaves_nothing_sure(self):
        text = """g (float z, float[2] x) => (float[2] y) {
            r = Exp(z) m = Cast<to = 7>(r)
            y = Loop (m, , x) <body = b (int64 i, bool go, float[2] s) => (bool on, float[2] t) {
                on = Identity(go) t = Add(s, x)
            }>
        }"""
        assert not run(text, z=0.0, x=[1, 2])["y"].shaped

    def test_loops_within_loops_and_initializers_in_bodies(self):
        text = """g (int64 m, float[2] x) => (float[2] y) {
            y = Loop (m, , x) <body = b (int64 i, bool go, float[2] s) => (bool on, float[2] t)
            <int64 three = {3}> {
                on = Identity(go)
                t = Loop (three, , s) <body = c (int64 j, bool go2, float[2] u) => (bool on2, float[2] v)
                <float one = {1}> {
                    on2 = Identity(go2) v = Add(u, one)
                }>
            }>
        }"""
        assert run(text, m=2, x=[0, 1])["y"].value.tolist() == [6, 7]

    def test_work_is_counted_and_bounded(self, monkeypatch):
        monkeypatch.setattr(reference, "Work", lambda: Work(1000))
        run(self.text(), m=400, x=[1, 2])
        with pytest.raises(TooLarge, match="more than 1,000 nodes"):
            run(self.text(), m=10**9, x=[1, 2])

    def test_large_tensors_are_more_work(self):
        work = Work(limit=100)
        work.spend(Bounded(np.zeros(64 * 1024), 0.0, dtype("float")))
        with pytest.raises(TooLarge):
            work.spend(Bounded(np.zeros(64 * 1024), 0.0, dtype("float")))


SCANS = """g (int64 m, float[2] x) => (float[?,2] y) {{
    y = Loop (m, ) <body = b (int64 i, bool go) => (bool on, {output} t) {{
        on = Identity(go) t = Exp(x)
    }}>
}}"""


class TestScanOutputs:
    def test_they_are_stacked_with_their_bounds(self):
        y = run(SCANS.format(output="float[2]"), m=3, x=[0, 1])["y"]
        np.testing.assert_allclose(y.value, [[1, np.e]] * 3)
        assert y.bound.shape == (3, 2)

    def test_of_no_trip_they_have_the_shape_that_the_body_declares(self):
        y = run(SCANS.format(output="float[2]"), m=0, x=[0, 1])["y"]
        assert (y.value.shape, y.dtype) == ((0, 2), dtype("float"))

    @pytest.mark.parametrize("output", ["float[n]", "float"])
    def test_of_no_trip_and_no_declared_shape_there_are_none(self, output):
        if output == "float":
            assert run(SCANS.format(output=output), m=0, x=[0, 1])["y"].value.shape == (0,)
        else:
            with pytest.raises(ValueError, match="no shape"):
                run(SCANS.format(output=output), m=0, x=[0, 1])

    def test_sequences_are_not_stacked(self):
        text = SCANS.format(output="seq(float[2])").replace("t = Exp(x)", "t = SequenceConstruct(x)")
        with pytest.raises(ValueError, match="tensors alone"):
            run(text, m=1, x=[0, 1])


SCAN = """g (float[2] s, float[3,2] x) => (float[2] y, float[?,?] z) {{
    y, z = Scan <num_scan_inputs = 1 {attributes}, body = b (float[2] a, float{size} e) => (float[2] c, float[2] d) {{
        {term} c = Add(a, f) d = Identity(c)
    }}> (s, x)
}}"""


class TestScan:
    X = ((1, 2), (3, 4), (5, 6))

    def test_forward(self):
        values = run(SCAN.format(attributes="", size="[2]", term="f = Identity(e)"), s=[0, 0], x=self.X)
        assert values["y"].value.tolist() == [9, 12]
        assert values["z"].value.tolist() == [[1, 2], [4, 6], [9, 12]]
        assert np.max(values["z"].bound) > 0

    def test_backward_along_other_axes(self):
        attributes = (
            ", scan_input_directions = [1], scan_output_directions = [1], scan_input_axes = [1], scan_output_axes = [1]"
        )
        text = SCAN.format(attributes=attributes, size="[3]", term="f = ReduceSum(e)")
        values = run(text, s=[0, 0], x=self.X)
        # The slices are [2, 4, 6], then [1, 3, 5]; what is made last comes first.
        assert values["y"].value.tolist() == [21, 21]
        assert values["z"].value.tolist() == [[21, 12], [21, 12]]

    def test_before_opset_9_there_is_a_batch_of_sequences_of_several_lengths(self):
        text = """g (int64[2] n, float[2,1] s, float[2,3,1] x) => (float[2,1] y, float[2,3,1] z) {
            y, z = Scan <num_scan_inputs = 1, body = b (float[1] a, float[1] e) => (float[1] c, float[1] d) {
                c = Add(a, e) d = Identity(c)
            }> (n, s, x)
        }"""
        values = run(text, opset=8, n=[3, 1], s=[[0], [10]], x=[[[1], [2], [3]], [[4], [5], [6]]])
        assert values["y"].value.tolist() == [[6], [14]]
        assert values["z"].value.tolist() == [[[1], [3], [6]], [[14], [0], [0]]]


FUNCTIONS = """g (float[2] x, float[2] w) => (float[2] y) {{ y = own.F {call} }}
<domain: "own", opset_import: ["" : 21, "own" : 1]>
F {formal} (a, b) => (c) {{ {body} }}"""


class TestFunctions:
    def call(self, call, formal, body):
        text = FUNCTIONS.format(call=call, formal=f"<{formal}>" if formal else "", body=body)
        return run(text, domains=', "own" : 1', x=[-1, 2], w=[10, 20])["y"]

    def test_attributes_are_those_of_the_call(self):
        y = self.call("<alpha = 0.5>(x, w)", "alpha", "c = LeakyRelu <alpha : float = @alpha> (a)")
        assert y.value.tolist() == [-0.5, 2]

    def test_or_the_functions_defaults(self):
        y = self.call("(x, w)", "alpha : float = 0.25", "c = LeakyRelu <alpha : float = @alpha> (a)")
        assert y.value.tolist() == [-0.25, 2]

    def test_or_the_operators(self):
        y = self.call("(x, w)", "alpha", "c = LeakyRelu <alpha : float = @alpha> (a)")
        np.testing.assert_allclose(y.value, [-0.01, 2], rtol=1e-6)

    def test_what_is_not_given_is_absent_inside(self):
        assert self.call("(x)", "", "c = Clip(a, b)").value.tolist() == [-1, 2]
        assert self.call("(x)", "", "z = Constant <value_float = 0.0> () c = Clip(a, z, b)").value.tolist() == [0, 2]

    def test_attributes_reach_into_the_bodies_of_control_flow(self):
        body = """t = Constant <value_int = 1> () q = Cast <to = 9> (t)
            c = If (q) <then_branch = p () => (k) { k = LeakyRelu <alpha : float = @alpha> (a) },
                        else_branch = r () => (l) { l = Identity(b) }>"""
        assert self.call("<alpha = 0.5>(x, w)", "alpha", body).value.tolist() == [-0.5, 2]

    def test_names_inside_are_its_own(self):
        """``x`` of the graph is not ``x`` of the function."""
        text = """g (float[2] x, float[2] w) => (float[2] y) { y = own.F (w) }
        <domain: "own", opset_import: ["" : 21]>
        F (x) => (c) { c = Neg(x) }"""
        assert run(text, domains=', "own" : 1', x=[1, 2], w=[10, 20])["y"].value.tolist() == [-10, -20]


class TestWhatFollows:
    """Nobody declares the types of what a function or a body gives; what reads it has its row all the same."""

    def test_a_function(self):
        """ONNX's own operator takes the greatest over two axes, whatever the rank."""
        text = """g (float[2, 3, 4] x) => (float[2, 3, 1] y) { v = own.F (x) w = Relu (v) y = GlobalMaxPool (w) }
        <domain: "own", opset_import: ["" : 21]>
        F (a) => (c) { c = Neg (a) }"""
        x = np.arange(24).reshape(2, 3, 4) - 12
        y = run(text, domains=', "own" : 1', x=x)["y"]
        np.testing.assert_array_equal(y.value, np.maximum(-x, 0).max(axis=2, keepdims=True))
        assert y.bound == 0.0

    def test_a_branch(self):
        text = IF.replace("y = If", "v = If").replace("q = Neg(x) }>", "q = Neg(x) }> y = Exp(v)")
        after = run(text, c=False, x=[1, 2])["y"]
        plain = run("g (float[2] x) => (float[2] y) { v = Neg(x) y = Exp(v) }", x=[1, 2])["y"]
        np.testing.assert_array_equal(after.value, plain.value)
        np.testing.assert_array_equal(after.bound, plain.bound)

    def test_a_parameter_stays_one(self):
        text = """g (float[2, 3] x, int64[1] s) => (float[6] y) { v = own.F (x) t = Identity (s) y = Reshape (v, t) }
        <domain: "own", opset_import: ["" : 21]>
        F (a) => (c) { c = Neg (a) }"""
        y = run(text, domains=', "own" : 1', x=np.arange(6).reshape(2, 3), s=[6])["y"]
        assert y.value.tolist() == [0, -1, -2, -3, -4, -5]
        assert y.bound == 0.0


def test_what_a_loop_collects_has_the_type_that_its_body_gives():
    """Its formal is one for all: the type of the first operand says nothing of the outputs."""
    y = run("""g (bool[2] x) => (float[1] y) <bool first = {0}> {
        state, rows = Scan <num_scan_inputs = 1, body = b (bool s, bool e) => (bool t, float f) {
            t = Or (s, e)
            f = Cast <to = 1> (t)
        }> (first, x)
        axes = Constant <value_ints = [0]> ()
        y = ReduceSum (rows, axes)
    }""", x=[False, True])["y"]  # fmt: skip
    assert y.value == [1.0]
    assert y.dtype is dtype("float")
    assert 0 < y.bound < 1e-6


MAP = """g (float[2] x, float[2] z) => (float[2] y) {
    s = SequenceConstruct (x, z)
    m = SequenceMap (s, z) <body = b (float[2] e, float[2] o) => (float[2] f) {
        p = Exp (e)
        q = Add (p, o)
        f = Sub (q, x)
    }>
    at = Constant <value_int = 1> ()
    y = SequenceAt (m, at)
}"""


def test_a_body_is_run_for_each_part_with_what_it_reads_from_outside():
    y = run(MAP, x=[1, 2], z=[3, 4])["y"]
    np.testing.assert_allclose(y.value, np.add(np.exp([3, 4]), 2), rtol=1e-6)
    assert np.all((y.bound > 0) & (y.bound < 1e-4))


def test_what_is_no_sequence_is_not_gone_over():
    with pytest.raises(ValueError, match="goes over a sequence"):
        run(MAP.replace("SequenceMap (s, z)", "SequenceMap (x, z)"), x=[1, 2], z=[3, 4])
