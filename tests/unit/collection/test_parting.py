"""Where eager PyTorch and the exported program part."""

from __future__ import annotations

import torch

from corpus.export import export
from corpus.parting import differ, first_parting


class Turncoat(torch.nn.Module):
    """Computes something else while it is exported."""

    def forward(self, x):
        return x * 2 if torch.compiler.is_exporting() else x * 3


class Pair(torch.nn.Module):
    """Returns what it computes first before what it computes last."""

    def forward(self, x):
        first = x.cos()
        return first, x.sin()


class Both(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.pair, self.last = Pair(), Turncoat()

    def forward(self, x):
        first, second = self.pair(x)
        return self.last(first + second)


def parting(net, *args):
    return first_parting(net, export(net, args, {}), args, {}, lambda: net(*args))


def test_the_first_module_that_differs_is_named():
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(Turncoat(), torch.nn.Tanh()))
    assert parting(net, torch.ones(2, 4)) == "1.0 (Turncoat)"


def test_a_module_that_returns_several_tensors_is_not_taken_for_its_last_one():
    assert parting(Both(), torch.ones(2, 4)) == "last (Turncoat)"


def test_where_nothing_differs_nothing_is_named():
    assert parting(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()), torch.ones(2, 4)) == ""


def test_rounding_is_no_difference_and_what_is_not_finite_is_one():
    one = torch.tensor([1.0, 2.0])
    assert not differ(one, one + 1e-6)
    assert differ(one, one + 0.01)
    assert differ(one, torch.tensor([1.0, float("inf")]))
    assert differ(one, torch.ones(3))
    assert differ(torch.tensor([1]), torch.tensor([2]))
    assert not differ(torch.tensor([float("nan")]), torch.tensor([float("nan")]))
