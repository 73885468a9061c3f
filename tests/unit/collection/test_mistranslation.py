"""The node at which an ONNX model parts from the program that it was exported from."""

from __future__ import annotations

import onnx
import torch

from corpus.export import converted, export, inputs_of
from corpus.mistranslation import first_mistranslation
from corpus.places import place_of


def both(net, *args):
    exported = export(net.eval(), args, {})
    program, model = converted(exported)
    return program, model, inputs_of(exported, args, {})


NET = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Sigmoid()))


def test_the_first_node_that_computes_something_else_is_named_with_its_module():
    program, model, given = both(NET, torch.rand(2, 4))
    assert first_mistranslation(program, model, given) == ""
    (node,) = [node for node in model.graph.node if node.op_type == "Tanh"]
    node.op_type = "Sin"
    assert first_mistranslation(program, model, given) == "tanh (Sin, aten.tanh.default) in 1.0 (Tanh)"


def test_whole_numbers_and_choices_are_held_against_each_other_too():
    class Largest(torch.nn.Module):
        def forward(self, x):
            return torch.topk(x, 2, dim=1).indices

    program, model, given = both(Largest(), torch.tensor([[3, 1, 2]]))
    assert first_mistranslation(program, model, given) == ""


def test_a_node_of_which_nothing_is_noted_is_told_by_its_value_and_operator():
    assert place_of(onnx.helper.make_node("Relu", ["x"], ["y"]), "y") == "y (Relu)"
