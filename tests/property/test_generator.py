"""The generator under any decisions at all: a valid model with finite values, or word that nothing fits."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstract.dtypes import DTYPES, Kind
from abstract.program import parse
from abstract.reference import interpret
from abstract.schema import newest_opset
from backends.tensor import to_numpy
from fuzz.generate.choices import Replayed, Seeded
from fuzz.generate.graph import NothingFits
from fuzz.generate.plan import menu
from fuzz.generate.run import generate_case
from fuzz.generate.settings import DEFAULT_DTYPES, Settings

pytestmark = pytest.mark.untraced

NUMERIC = [d.name for d in DTYPES if d.kind not in {Kind.STRING, Kind.COMPLEX}]
# Most decisions have small ranges; what is out of range is clamped, so large numbers alone would say one thing.
NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, 12), st.integers(0, 999), st.integers(0, 2**32 - 1))
RECORDS = st.lists(NUMBERS, max_size=250)


@st.composite
def some_settings(draw):
    opset = draw(st.integers(13, newest_opset()))
    most = draw(st.integers(0, 5))
    operators = draw(
        st.one_of(
            st.just(()), st.lists(st.sampled_from(menu(Settings(opset=opset))), max_size=4, unique=True).map(tuple)
        )
    )
    dtypes = draw(
        st.one_of(
            st.just(DEFAULT_DTYPES), st.lists(st.sampled_from(NUMERIC), min_size=1, max_size=4, unique=True).map(tuple)
        )
    )
    nodes = draw(st.integers(1, 8))
    dynamic = draw(st.sampled_from([None, True, False]))
    return Settings((1, nodes), opset, operators, dtypes, (draw(st.integers(0, most)), most), dynamic=dynamic)


class Drawn:
    """Hypothesis itself as the source of decisions, as a user's own property tests would have it."""

    def __init__(self, data):
        self.data = data
        self.record = []

    def integer(self, low, high):
        self.record.append(self.data.draw(st.integers(low, high)))
        return self.record[-1]

    def repeat(self, step):
        while step() is not None:
            pass

    def together(self, decide):
        return decide()


def parts(content):
    """The tensors in a value: itself, the parts of a sequence, or none."""
    return content if isinstance(content, list) else [] if content is None else [content]


def examine(case):
    """Valid in the checker's eyes, and of known, finite values in the reference's, at every size."""
    proto = onnx.ModelProto.FromString(case.model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    program = parse(proto)
    for data_set in case.data_sets:
        feeds = {n: to_numpy(t).astype(program.dtypes[n].carrier) for n, t in data_set.inputs.items()}
        values = interpret(program, feeds, strict=True)
        for name, value in values.items():
            for array in map(np.asarray, parts(value.value)):
                if array.dtype.kind == "f":
                    assert np.isfinite(array).all(), name
                    assert not array.size or np.abs(array).max() <= value.dtype.maximum
            assert not np.isnan(value.bound).any(), name
        for name, stored in data_set.outputs.items():
            for tensor, array in zip(parts(stored), parts(values[name].value), strict=True):
                assert np.array_equal(to_numpy(tensor), np.asarray(array).astype(values[name].dtype.numpy))


@given(RECORDS, some_settings())
@settings(max_examples=120)
def test_any_list_of_decisions(record, chosen):
    try:
        case = generate_case(Replayed(record), chosen)
    except NothingFits:
        return
    examine(case)


@given(st.data(), some_settings())
@settings(max_examples=25)
def test_decisions_of_hypothesis(data, chosen):
    try:
        case = generate_case(Drawn(data), chosen)
    except NothingFits:
        return
    examine(case)


@given(RECORDS)
def test_what_was_decided_is_recorded_and_replays(record):
    case = generate_case(Replayed(record), Settings(nodes=(1, 6), dynamic=None))
    again = generate_case(
        Replayed(json.loads(json.dumps(case.record["choices"]))), Settings(nodes=(1, 6), dynamic=None)
    )
    assert again == case


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12))
@settings(max_examples=20)
def test_a_seed_gives_the_same_case_whatever_was_made_before(seeds):
    chosen = Settings(nodes=(1, 8), dynamic=None)
    made = [generate_case(Seeded(seed), chosen) for seed in seeds]
    for seed, case in zip(reversed(seeds), reversed(made), strict=True):
        assert generate_case(Seeded(seed), chosen) == case


@pytest.mark.parametrize("opset", [13, 14, 15])
def test_an_exponent_has_a_type_that_exponents_may_have(opset):
    chosen = Settings(nodes=(4, 4), opset=opset, operators=("Pow",), dtypes=("bfloat16", "float"))
    for seed in range(20):
        examine(generate_case(Seeded(seed), chosen))


@pytest.mark.parametrize("opset", range(13, newest_opset() + 1))
def test_every_opset(opset):
    for seed in range(4):
        examine(generate_case(Seeded(seed), Settings(nodes=(3, 8), opset=opset, dynamic=None)))
