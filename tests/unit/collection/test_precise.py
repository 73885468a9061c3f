"""A program in float64 and how far rounding may move it; nets that are dead."""

from __future__ import annotations

import math

import torch

from corpus.export import export, inputs_of
from corpus.precise import precise_outputs
from corpus.revive import is_dead, loudness, revive


def precise(module, *args, **kwargs):
    program = export(module.eval(), args, kwargs)
    return precise_outputs(program, [value for _, value in inputs_of(program, args, kwargs)])


class Compute(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def test_the_outputs_are_those_of_float64_and_float32_is_within_the_tolerance():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 8))
    x = torch.randn(4, 64)
    found = precise(net, x)
    wide = net.double()(x.double()).detach()
    assert torch.allclose(found.outputs[0], wide, rtol=1e-12, atol=1e-14)
    error = float((net.float()(x) - wide).detach().abs().max())
    assert 0 < error <= found.tolerances[0] < 1e-3 * float(wide.abs().max())


def test_what_is_exact_is_granted_a_few_units_alone():
    found = precise(Compute(lambda x: torch.relu(x).reshape(-1)), torch.arange(6.0).reshape(2, 3) - 2)
    assert found.outputs[0].tolist() == [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]
    assert found.tolerances[0] <= 8 * 2**-23 * 3


def test_a_whole_number_that_hangs_on_rounding_is_undecidable_and_one_that_does_not_is_exact():
    near = torch.full((4,), 1 / 3)
    found = precise(Compute(lambda x: ((x * 3 - 1) * 1e9).to(torch.int64)), near)
    assert found.tolerances == (math.inf,)
    assert precise(Compute(lambda x: (x > 0).to(torch.int64)), near).tolerances == (0.0,)


def test_casts_inside_of_a_model_do_not_make_it_float32_again():
    found = precise(Compute(lambda x: (x.float() / 3).to(torch.float32) * 3), torch.ones(2, dtype=torch.float16))
    assert found.outputs[0].dtype is torch.float64
    assert abs(float(found.outputs[0][0]) - 1.0) < 1e-15


def test_arguments_by_name_keep_their_names():
    class Named(torch.nn.Module):
        def forward(self, a, b):
            return a - 2 * b

    program = export(Named(), (), {"b": torch.ones(2), "a": torch.zeros(2)})
    named = inputs_of(program, (), {"b": torch.ones(2), "a": torch.zeros(2)})
    assert {name: float(value.sum()) for name, value in named} == {"a": 0.0, "b": 2.0}


def dead_net():
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1)
    net = torch.nn.Sequential(*layers)
    torch.nn.init.zeros_(net[3].weight)
    torch.nn.init.zeros_(net[3].bias)
    return net.eval()


def test_a_dead_net_comes_alive_the_same_way_each_time():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    sizes = []
    for _ in range(2):
        torch.manual_seed(5)
        net = dead_net()
        assert is_dead(net(x))
        state = torch.random.get_rng_state()
        assert len(revive(net, lambda net=net: net(x))) == 2
        assert torch.equal(torch.random.get_rng_state(), state)
        assert not net.training
        assert not net[1].training
        assert not is_dead(net(x))
        sizes.append(loudness(net(x)))
    assert sizes[0] == sizes[1]
    assert 0.01 < sizes[0][0] < 100


def test_whole_numbers_and_what_is_empty_are_not_dead():
    assert not is_dead((torch.zeros(3, dtype=torch.int64), torch.zeros(0), torch.ones(1)))
    assert is_dead({"y": torch.full((3,), 1e-9)})


def test_a_normalisation_without_enough_values_stays_as_it_was():
    norm = torch.nn.BatchNorm1d(2).eval()
    x = torch.zeros(1, 2)
    revive(norm, lambda: norm(x))
    assert norm.momentum == 0.1
    assert not norm.training


def test_what_chooses_among_equals_may_choose_any_of_them():
    tied, clear = torch.tensor([[3.0, 1.0, 3.0, 3.0]]), torch.tensor([[3.0, 1.0, 2.0, 4.0]])
    for choose in (lambda x: torch.topk(x, 2).indices, lambda x: torch.sort(x, dim=1)[1], lambda x: x.argsort(1)):
        assert precise(Compute(choose), tied).tolerances == (math.inf,)
        assert precise(Compute(choose), clear).tolerances == (0.0,)
    assert precise(Compute(lambda x: torch.sort(x, stable=True)[1]), tied).tolerances == (0.0,)
    assert precise(Compute(lambda x: torch.topk(x, 2, dim=0).values), tied.T).tolerances[0] < 1e-5
