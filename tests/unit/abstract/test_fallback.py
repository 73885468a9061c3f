"""What ONNX's own operators run: sequences keep the bounds of their elements, and nobody runs for ever."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from onnx import parser

from abstract import fallback
from abstract.effort import limited
from abstract.fallback import Unrunnable, draws
from abstract.program import parse
from abstract.reference import interpret


def run(body, opset=21, **inputs):
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {body}')
    program = parse(model)
    return interpret(program, {n: np.asarray(a).astype(program.dtypes[n].carrier) for n, a in inputs.items()})


class TestSequences:
    def test_elements_keep_their_bounds(self):
        values = run(
            """g (float[2] x, int64 i) => (float[2] y, float[2] z, float[4] c, seq(float[2]) s) {
                e = Exp(x) p = SequenceConstruct(x, e) s = SequenceInsert(p, x, i)
                y = SequenceAt(s, i) two = Constant<value_int = 2>() z = SequenceAt(s, two)
                c = ConcatFromSequence<axis = 0>(p)
            }""",
            x=[1, 2], i=0,
        )  # fmt: skip
        grant = np.max(values["e"].bound)
        assert np.max(values["y"].bound) == 0.0
        assert grant <= np.max(values["z"].bound) <= 3 * grant
        assert (values["c"].bound[:2] == 0).all()
        assert (values["c"].bound[2:] > 0).all()
        assert np.isinf(values["s"].bound)
        assert [bool(np.any(part)) for part in values["s"].parts] == [False, False, True]

    def test_those_of_exact_elements_are_exact(self):
        values = run("g (float[2] x) => (seq(float[2]) s) { s = SequenceConstruct(x, x) }", x=[1, 2])
        assert (values["s"].bound, len(values["s"].value)) == (0.0, 2)

    def test_a_place_that_errs_leaves_nothing_sure(self):
        values = run(
            """g (float[2] x, float z) => (float[2] y) {
                e = Exp(z) i = Cast<to = 7>(e) s = SequenceConstruct(x, x) y = SequenceAt(s, i)
            }""",
            x=[1, 2], z=0,
        )  # fmt: skip
        assert not values["y"].shaped

    def test_an_empty_optional_is_absent(self):
        values = run("g () => (optional(float[2]) o) { o = Optional<type = float[2]>() }")
        assert values["o"].value is None


class TestEffort:
    def test_an_operator_may_take_so_many_steps(self, monkeypatch, rowless):
        rowless("RoiAlign")
        monkeypatch.setattr(fallback, "limited", lambda: limited(500))
        with pytest.raises(Unrunnable, match="RoiAlign: Exhausted: it takes more than 500 steps"):
            run(
                """g (float[1,1,8,8] x, float[1,4] r, int64[1] b) => (float[1,1,4,4] y) {
                    y = RoiAlign<output_height = 4, output_width = 4, sampling_ratio = 2>(x, r, b)
                }""",
                x=np.zeros((1, 1, 8, 8)), r=[[0, 0, 4, 4]], b=[0],
            )  # fmt: skip

    def test_the_same_number_every_time(self, monkeypatch):
        def enough(steps):
            monkeypatch.setattr(fallback, "limited", lambda: limited(steps))
            try:
                run('g (float[2] x) => (float[2] y) { y = Einsum<equation = "...i->i">(x) }', x=[1, 2])
            except Unrunnable:
                return False
            return True

        least = next(steps for steps in range(1, 5000) if enough(steps))
        assert least > 10
        assert not enough(least - 1)
        assert enough(least)

    def test_a_tracer_that_was_there_comes_back(self):
        def tracer(*_):
            return None

        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            with limited():
                assert sys.gettrace() is not tracer
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)

    def test_trials_that_take_too_long_leave_the_value_open(self, monkeypatch):
        allowed = iter([10**7])
        monkeypatch.setattr(fallback, "limited", lambda: limited(next(allowed, 0)))
        values = run('g (float[2] x) => (float[2] y) { e = Exp(x) y = Einsum<equation = "...i->i">(e) }', x=[1, 2])
        assert not values["y"].shaped


def test_models_that_draw_random_numbers_are_told():
    text = '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) {{ y = {}(x) }}'
    assert draws(parser.parse_model(text.format("Bernoulli")))
    assert not draws(parser.parse_model(text.format("Neg")))


def test_the_steps_of_onnx_alone_are_counted():
    with limited(3):
        assert sum(i for i in range(100)) == 4950


def test_indices_into_an_output_of_another_size_are_open():
    """4 x 4 is what the kernel gives back; in 5 x 5 the same index is another place."""
    body = """g (float[1,1,2,2] x, int64[1,1,2,2] i, int64[4] s) => (float[1,1,?,?] y) {
        y = MaxUnpool<kernel_shape = [2, 2], strides = [2, 2]>(x, i, s)
    }"""
    feeds = {"x": [[[[5, 6], [7, 8]]]], "i": [[[[5, 7], [13, 15]]]]}
    assert np.isfinite(run(body, s=[1, 1, 4, 4], **feeds)["y"].bound).all()
    assert np.isinf(run(body, s=[1, 1, 5, 5], **feeds)["y"].bound).all()


def test_interpolated_integers_may_be_rounded_as_one_likes():
    body = """g (int32[1,1,2,2] x, int64[4] sizes) => (int32[1,1,4,4] y) {
        y = Resize<mode = "linear">(x, "", "", sizes)
    }"""
    body = body.replace('"", "", ', ", , ")
    values = run(body, x=[[[[0, 10], [5, 3]]]], sizes=[1, 1, 4, 4])
    assert (np.asarray(values["y"].bound) >= 1).all()
