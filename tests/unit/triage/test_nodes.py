"""Which nodes are left."""

from __future__ import annotations

import numpy as np
import pytest

from fuzz.triage.candidate import size
from fuzz.triage.nodes import reduce_nodes
from fuzz.triage.reduction import reduce_case
from tests.unit.triage.conftest import BAD, CHAIN, ROW, candidate, check, feeding, has, operators


@pytest.mark.parametrize(
    ("operator", "said"), [("Exp", ""), ("Exp", "in Exp"), ("Relu", ""), ("Add", ""), ("Abs", "Abs")]
)
def test_one_node_is_left_where_one_is_at_fault(search, operator, said):
    begun = search(candidate(CHAIN, ROW), has(operator), said)
    reduce_nodes(begun)
    assert operators(begun.best) == [operator]
    check(begun.best)
    if said:
        assert len(begun.laboratory.predicate.asked) == 2


def test_a_cut_value_becomes_an_input_that_has_the_value(search):
    begun = search(candidate(CHAIN, ROW), has("Exp"))
    reduce_nodes(begun)
    ((value,),) = begun.best.values()
    assert np.allclose(np.frombuffer(value.data, np.float32), np.maximum(ROW[0], 0).ravel())


@pytest.mark.parametrize("pair", [("Exp", "Tanh"), ("Relu", "Neg"), ("Neg", "Add"), ("Sqrt", "Neg")])
def test_a_producer_and_its_consumer_are_left(search, pair):
    begun = search(candidate(CHAIN, ROW), feeding(*pair), f"cannot fuse {pair[1]}")
    reduce_nodes(begun)
    assert operators(begun.best) == list(pair)


def test_nodes_far_apart_are_found_without_a_hint(search):
    begun = search(candidate(CHAIN, ROW), has("Relu", "Exp", "Add"))
    reduce_nodes(begun)
    assert operators(begun.best) == ["Relu", "Exp", "Add"]
    assert begun.laboratory.executions < 40


def test_several_outputs_stay_where_the_fault_needs_them(search):
    begun = search(candidate(CHAIN, ROW), lambda proto, _: len(proto.graph.output) > 1)
    reduce_nodes(begun)
    assert len(begun.best.proto().graph.output) == 2
    assert size(begun.best) <= 3


def test_a_failing_case_that_needs_all_stays(search):
    case = candidate(CHAIN, ROW)
    begun = search(case, lambda proto, _: len(proto.graph.node) == 8 and len(proto.graph.output) == 2)
    reduce_nodes(begun)
    assert begun.best == case


def test_what_fails_in_another_way_is_put_aside_and_never_taken(search):
    other = type(BAD)("crash", "compile", frames=("f",))

    def bad(proto, _):
        names = operators(proto)
        return "Abs" in names if "Exp" in names or "Abs" not in names else other

    begun = search(candidate(CHAIN, ROW), bad)
    reduce_nodes(begun)
    assert operators(begun.best) == ["Abs", "Exp"]
    assert [operators(found) for found in begun.others.values()] == [["Abs"]]
    assert list(begun.others) == [other]


def test_workers_side_by_side_change_nothing(search):
    found = []
    for jobs in (1, 3):
        begun = search(candidate(CHAIN, ROW), feeding("Exp", "Tanh"), "Tanh", jobs=jobs)
        reduce_nodes(begun)
        found.append(begun.best)
    assert found[0] == found[1]


def test_shapes_that_were_computed_become_constants(search):
    body = """g (float[2, 3] x) => (float[3, 2] y) {
        s = Shape (x)  i = Constant <value_ints = [1, 0]> ()  t = Gather (s, i)  a = Exp (x)  y = Reshape (a, t) }"""
    begun = search(candidate(body, ROW), has("Reshape"))
    reduce_nodes(begun)
    proto = begun.best.proto()
    assert operators(proto) == ["Reshape"]
    assert [info.name for info in proto.graph.input] == ["a"]
    assert [list(tensor.dims) for tensor in proto.graph.initializer] == [[2]]


def test_what_the_reference_cannot_run_ends_what_can_be_cut(search):
    body = """g (float[3] x) => (float[3] y) { a = Relu (x)  b = Neg (a)  c = my.Odd (b)  d = Abs (c)  y = Exp (d) }"""
    case = candidate(body, [np.ones(3, np.float32)], opsets='"" : 21, "my" : 1')
    for operator, left in (("Neg", ["Neg"]), ("Odd", ["Odd", "Abs", "Exp"]), ("Exp", ["Odd", "Abs", "Exp"])):
        begun = search(case, lambda proto, _, operator=operator: operator in operators(proto))
        reduce_nodes(begun)
        assert operators(begun.best) == left


@pytest.mark.parametrize(("slow", "left"), [(("Exp",), ["Exp"]), (("Exp", "Tanh"), ["Exp", "Tanh"])])
def test_what_takes_too_long_is_looked_for_in_haste_and_checked_at_leisure(search, slow, left):
    """With little time whatever has an Exp is too slow; with all of it, what has all of these."""
    late = type(BAD)("timeout", "run")

    def bad(proto, _):
        wanted = slow if begun is None or begun.laboratory.predicate.seconds is None else ("Exp",)
        return late if set(wanted) <= set(operators(proto)) else False

    begun = None
    begun = search(candidate(CHAIN, ROW), bad)
    done = reduce_case(begun.laboratory, begun.best, begun.first_seen)
    assert (operators(done.case), done.repeats) == (left, True)
    assert begun.laboratory.predicate.seconds is None
