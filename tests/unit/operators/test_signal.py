"""Fourier transforms, windows and the mel scale: against numpy, ONNX's evaluator and a runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from abstract.contract import PERMISSIVE
from abstract.dtypes import dtype
from abstract.operator import NotCovered, Run
from abstract.operators import TABLE
from abstract.program import parse
from abstract.reference import Float64
from fuzz.generate.single import single_operator_cases

TRANSFORMS = [("DFT", 17), ("DFT", 20), ("STFT", 17)]
WINDOWS = ["HannWindow", "HammingWindow", "BlackmanWindow"]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float64) / 4


def transform(x, opset=20, e=0.0, kind="double", **params):
    run = Run(params, (x,), (dtype(kind),), (dtype(kind),), Float64())
    y = TABLE["DFT"].evaluate(run)
    return y[0], TABLE["DFT"].error(run, y, (e,))[0]


def pairs(y):
    return np.stack([y.real, y.imag], axis=-1)


@pytest.mark.parametrize(("name", "opset"), [*TRANSFORMS, *((w, 17) for w in WINDOWS), ("MelWeightMatrix", 17)])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    # In double ONNX Runtime's inverse of lengths that are no power of two is float's (docs/disputes.md).
    if name != "DFT":
        laboratory.generated(name, opset, dtypes=("float", "int8", "int64"))
        return
    # Nor does it mirror bins of a real inverse whose length was given (docs/disputes.md).
    for trial in laboratory.trials(name, opset, 12, dtypes=("float16",)):
        (node,) = trial.graph.nodes
        if not ({"inverse", "onesided", "dft_length"} <= set(node.params)):
            laboratory.check_valid(trial)
            laboratory.check_values(trial, laboratory.run(trial, onnx_too=True))


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), TRANSFORMS)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    assert laboratory.at_other_sizes(name, opset) >= 5


@pytest.mark.parametrize(("name", "opset"), TRANSFORMS)
def test_errors_cover_every_move_of_the_inputs(laboratory, name, opset):
    assert laboratory.perturbed(name, opset, dtypes=("double",)) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), TRANSFORMS)
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, element_type):
    laboratory.recomputed(name, opset, (element_type,), 5)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("length", [None, 3, 9])
def test_it_is_numpy_s(n, inverse, length):
    x = numbers(2, n, 2)
    complex_ = x[..., 0] + 1j * x[..., 1]
    due = (np.fft.ifft if inverse else np.fft.fft)(complex_, length)
    more = {} if length is None else {"dft_length": length}
    y, bound = transform(x, inverse=inverse, **more)
    np.testing.assert_allclose(y, pairs(due), atol=1e-14)
    assert (np.abs(y - pairs(due)) <= bound).all()
    real, _ = transform(x[..., :1], inverse=inverse, **more)
    np.testing.assert_allclose(real, pairs((np.fft.ifft if inverse else np.fft.fft)(x[..., 0], length)), atol=1e-14)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("length", [None, 1, 4, 5, 12])
def test_one_sided_there_and_back(n, length):
    x = numbers(2, n, 2)
    more = {} if length is None else {"dft_length": length}
    y, _ = transform(x, inverse=1, onesided=1, **more)
    np.testing.assert_allclose(y[..., 0], np.fft.irfft(x[..., 0] + 1j * x[..., 1], length), atol=1e-14)
    z, _ = transform(x[..., :1], onesided=1, **more)
    np.testing.assert_allclose(z, pairs(np.fft.rfft(x[..., 0], length)), atol=1e-14)


@pytest.mark.parametrize("params", [{}, {"inverse": 1}, {"onesided": 1}, {"inverse": 1, "onesided": 1}])
def test_long_transforms_are_fast_ones(monkeypatch, params):
    x = numbers(2, 3, 7, 1 if params == {"onesided": 1} else 2)
    dense, bound = transform(x, axis=1, e=0.5, **params)
    monkeypatch.setattr("abstract.operators.signal._DENSE", 1)
    fast, wider = transform(x, axis=1, e=0.5, **params)
    np.testing.assert_allclose(fast, dense, atol=1e-13)
    assert (wider >= bound * (1 - 1e-12)).all()


def test_the_default_axis_is_that_of_the_version(laboratory):
    x = numbers(2, 3, 4, 2).astype(np.float32)
    for opset, axis in ((17, 1), (20, 2)):
        _, _, (value, _) = laboratory.by_hand("DFT", (x,), opset)
        due = np.fft.fft(x[..., 0] + 1j * x[..., 1], axis=axis)
        np.testing.assert_allclose(value, pairs(due), atol=1e-5)


def test_lengths_that_are_no_power_of_two_may_be_convolutions():
    """An impulse makes no rounding in a sum; the chirp algorithm spreads it over all of its transforms."""
    x = np.zeros((1, 7, 2))
    x[0, 0, 0] = 1.0
    seven, eight = (transform(x[:, :n], kind="float")[1].max() for n in (7, 4))
    assert seven > 3 * eight > 0


@pytest.mark.parametrize(
    ("x", "params"),
    [
        (numbers(2, 3, 2), {"axis": 2}),
        (numbers(2, 3, 2), {"onesided": 1}),
        (numbers(2, 3, 1), {"onesided": 1, "inverse": 1}),
        (numbers(2, 3, 3), {}),
        (numbers(2, 1, 2), {"onesided": 1, "inverse": 1}),
    ],
)
def test_what_the_text_does_not_allow_is_left_to_onnx(x, params):
    with pytest.raises(NotCovered):
        transform(x, **params)


def test_frames_by_hand(laboratory):
    x, window = numbers(2, 9, 1).astype(np.float32), numbers(4, seed=1).astype(np.float32)
    step = np.array(2, np.int64)
    for inputs, size in (((x, step, window), 4), ((x, step, None, np.array(5, np.int64)), 5), ((x, step), 9)):
        _, _, (value, bound) = laboratory.by_hand("STFT", inputs, 17)
        taps = window if len(inputs) == 3 else np.ones(size)
        due = [np.fft.rfft(x[:, at : at + size, 0] * taps) for at in range(0, 10 - size, 2)]
        np.testing.assert_allclose(value, pairs(np.stack(due, axis=1)), atol=1e-6)
        assert np.isfinite(bound).all()


def test_a_window_longer_than_the_signal_is_left_to_onnx():
    run = Run({"frame_step": 1}, (numbers(1, 3, 1), numbers(4)), (dtype("float"),) * 2, (dtype("float"),), Float64())
    with pytest.raises(NotCovered):
        TABLE["STFT"].evaluate(run)


# -- windows -------------------------------------------------------------------------------------------------


def window(name, size, kind="float", **params):
    run = Run({"size": size, **params}, (), (), (dtype(kind),), Float64())
    y = TABLE[name].evaluate(run)
    return y[0], TABLE[name].error(run, y, ())[0]


@pytest.mark.parametrize("name", WINDOWS)
def test_a_symmetric_window_is_a_periodic_one_and_one_more(name):
    np.testing.assert_allclose(window(name, 8)[0], window(name, 9, periodic=0)[0][:-1], atol=1e-15)


def test_their_ends_and_peaks():
    ends = [window(name, 5, periodic=0)[0][[0, 2]] for name in WINDOWS]
    np.testing.assert_allclose(ends, [[0, 1], [4 / 46, 1], [0, 1]], atol=1e-15)


@pytest.mark.parametrize("name", WINDOWS)
def test_the_peak_of_integers_alone_is_open(name):
    y, bound = window(name, 8, "int32")
    assert y.dtype == np.int64
    assert bound.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]


def test_a_window_of_double_is_computed_in_float():
    assert window("HannWindow", 8, "double")[1].max() > 1e-6 > window("HannWindow", 8, "float")[1].min() / 10


# -- mel scale -----------------------------------------------------------------------------------------------


def weights(lower, upper, rate=8192, length=16, bands=4, edge="float", e=0.0):
    params = {"num_mel_bins": bands, "dft_length": length}
    given = tuple(np.array(v) for v in (rate, float(lower), float(upper)))
    run = Run(params, given, (dtype("int64"), dtype(edge), dtype(edge)), (dtype("float"),), Float64())
    y = TABLE["MelWeightMatrix"].evaluate(run)
    return y[0], TABLE["MelWeightMatrix"].error(run, y, (0.0, e, 0.0))[0]


def test_it_is_that_of_onnx_s_own_test(laboratory):
    inputs = (*map(np.int64, (8, 16, 8192)), *map(np.float32, (0, 4096)))
    _, _, (value, bound) = laboratory.by_hand("MelWeightMatrix", inputs, 17)
    assert value.shape == (9, 8)
    assert value.max(axis=0).tolist() == [1] * 8
    assert np.isfinite(bound).all()


def test_a_band_on_a_step_is_open():
    """At 512 hertz lies frequency 1 + 1/16 of 16; at 8192 / 17 frequency 1 itself, or next to it."""
    assert np.isfinite(weights(512, 4000)[1]).all()
    bound = weights(8192 / 17, 4000)[1]
    assert np.isinf(bound[:, 0]).all()
    assert np.isfinite(bound[:, 1:]).all()
    assert np.isfinite(weights(0, 4000)[1]).all()
    assert np.isinf(weights(512, 4000, e=1.0)[1])


def test_frequencies_beyond_the_spectrum_are_left_to_onnx():
    with pytest.raises(NotCovered):
        weights(0, 20000)


def test_edges_of_half_types_are_looser():
    tight, loose = (np.isinf(np.asarray(weights(520, 4000, edge=kind)[1])).sum() for kind in ("float", "bfloat16"))
    assert tight <= loose


def test_a_float32_step_sharpens_half_windows():
    run = Run({"size": 8}, (), (), (dtype("float16"),), Float64())
    y = TABLE["HannWindow"].evaluate(run)
    narrow = TABLE["HannWindow"].error(run, y, ())[0].max()
    wide = TABLE["HannWindow"].error(replace(run, contract=replace(PERMISSIVE, half_steps=False)), y, ())[0].max()
    assert narrow > 1000 * wide


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize("name", ["HannWindow", "MelWeightMatrix"])
def test_sizes_are_of_both_types(name, kind):
    cases = single_operator_cases(name, kind, 21, 2)
    assert cases
    for case in cases:
        program = parse(onnx.ModelProto.FromString(case.model))
        (node,) = (step.node for step in program.steps if step.node.op_type == name)
        assert program.dtypes[node.input[0]].name == kind
