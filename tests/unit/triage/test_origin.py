"""Where a wrong answer begins, on a target that runs where the test is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from backends.protocol import Outcome
from backends.tensor import from_numpy, to_numpy
from fuzz.execute.attempt import Attempt
from fuzz.triage.assessment import assess, know
from fuzz.triage.candidate import Candidate
from fuzz.triage.nodes import reduce_nodes
from fuzz.triage.observation import Observation
from fuzz.triage.origin import first_wrong
from fuzz.triage.search import Search
from fuzz.triage.signature import Signature, signature_of
from tests.unit.triage.conftest import CHAIN, ROW, Asked, Inline, candidate, operators


class Off(Asked):
    """The reference, but for one operator, whose results are one too large."""

    def __init__(self, operator, fails=()):
        super().__init__(None)
        self.operator, self.fails = operator, fails

    def run(self, model, sets):
        proto = onnx.ModelProto.FromString(model)
        if self.fails and set(self.fails) <= set(operators(proto)):
            return Attempt(Outcome.UNSUPPORTED, None, "too many outputs", "", 0.0, 0.0, ())
        names = [info.name for info in proto.graph.input]
        made = {name for node in proto.graph.node if node.op_type == self.operator for name in node.output}
        outputs = []
        for values in sets:
            known = know(Candidate(model, (dict(zip(names, values, strict=True)),))).values[0]
            ends = [info.name for info in proto.graph.output]
            outputs.append(tuple(_more(known[n]) if made and (n in made or n == ends[-1]) else known[n] for n in ends))
        return Attempt(Outcome.OK, None, "", "", 0.0, 0.0, tuple(outputs))

    def examine(self, candidate, apart):
        del apart
        self.asked.append(candidate)
        attempt = self.run(candidate.model, candidate.values())
        if attempt.outcome is not Outcome.OK:
            return Observation(Signature("unsupported"))
        verdict = assess(candidate, "onnxruntime", attempt, {}).verdict
        return Observation(signature_of(verdict, attempt), verdict=verdict)


def _more(value):
    return from_numpy(to_numpy(value) + np.float32(1))


@pytest.mark.parametrize(("operator", "first"), [("Exp", "d"), ("Relu", "a"), ("Cos", "")])
def test_the_first_wrong_value(operator, first):
    with Inline(Off(operator)) as laboratory:
        assert first_wrong(laboratory, candidate(CHAIN, ROW)) == first


def test_nothing_is_said_where_the_exposed_model_does_not_run():
    with Inline(Off("Exp", fails=("Exp",))) as laboratory:
        assert first_wrong(laboratory, candidate(CHAIN, ROW)) == ""


def test_the_node_of_the_first_wrong_value_is_tried_first():
    with Inline(Off("Exp")) as laboratory:
        case = candidate(CHAIN, ROW)
        search = Search(laboratory, case, laboratory.observe(case))
        assert search.wanted == Signature("wrong", symptom="value")
        reduce_nodes(search)
    assert operators(search.best) == ["Exp"]
    assert len(laboratory.predicate.asked) == 2
