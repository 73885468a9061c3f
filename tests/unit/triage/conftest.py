"""What the tests of reduction share: models as text, a laboratory without processes, predicates in Python."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import parser

from backends.protocol import Outcome
from backends.tensor import from_numpy
from fuzz.execute.attempt import Attempt
from fuzz.judge.verdict import Word
from fuzz.triage.assessment import invalid
from fuzz.triage.candidate import Candidate
from fuzz.triage.laboratory import Laboratory
from fuzz.triage.observation import Observation
from fuzz.triage.predicate import Predicate
from fuzz.triage.reduction import reduce_case
from fuzz.triage.search import Search
from fuzz.triage.signature import Signature

BAD = Signature(Word.REJECTED, "compile", message="bad")


def text(body, functions="", opsets='"" : 21'):
    return parser.parse_model(f"<ir_version: 10, opset_import: [{opsets}]> {body} {functions}")


def candidate(body, *feeds, functions="", opsets='"" : 21'):
    """A candidate of a model in text form; a feed is a list of arrays, or of lists of arrays for sequences."""
    proto = text(body, functions, opsets) if isinstance(body, str) else body
    names = [info.name for info in proto.graph.input]
    rows = [{n: _value(v) for n, v in zip(names, feed, strict=True)} for feed in feeds or [[]]]
    return Candidate(proto.SerializeToString(deterministic=True), tuple(rows))


def _value(given):
    return [_value(part) for part in given] if isinstance(given, list) else from_numpy(np.asarray(given))


class Inline(Laboratory):
    """Parses models where it is."""

    def apart(self, function, /, *arguments):
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - as in a process apart
            return None


class Asked(Predicate):
    """Says what a function of the parsed model (and the inputs) says: True for bad, or a signature of its own."""

    target = "toy"

    def __init__(self, bad, said="", wrong_at=""):
        self.bad, self.said, self.wrong_at = bad, said, wrong_at
        self.heading = {"toy": 1}
        self.asked = []
        self.renewed = 0
        self.seconds = None

    def examine(self, candidate, apart):
        if apart(invalid, candidate.model):
            return Observation(Signature(Word.ERROR, message="invalid"), fit=False, problem="invalid")
        self.asked.append(candidate)
        found = self.bad(candidate.proto(), candidate.feeds)
        signature = found if isinstance(found, Signature) else BAD if found else Signature(Word.OK)
        return Observation(signature, said=self.said)

    def run(self, model, sets):
        del model, sets
        return Attempt(Outcome.ERROR, None, "", "", 0.0, 0.0, ())

    def renew(self):
        self.renewed += 1

    def hasten(self, seconds):
        self.seconds = seconds

    def stop(self):
        pass


@pytest.fixture
def search():
    """A search over a case with a predicate in Python."""
    opened = []

    def make(case, bad, said="", **settings):
        laboratory = Inline(Asked(bad, said), **settings)
        opened.append(laboratory.__enter__())
        return Search(laboratory, case, laboratory.observe(case))

    yield make
    for laboratory in opened:
        laboratory.__exit__(None, None, None)


@pytest.fixture
def reduced(search):
    """The operators of what a case is reduced to."""

    def run(case, bad, said="", **settings):
        begun = search(case, bad, said)
        assert begun.first_seen.finding
        return reduce_case(begun.laboratory, case, begun.first_seen, **settings)

    return run


def operators(proto):
    return [node.op_type for node in (proto.proto() if isinstance(proto, Candidate) else proto).graph.node]


def has(*wanted):
    """Whether a model has all of these operators, in bodies too."""
    from backends.graph import graphs

    return lambda proto, _: set(wanted) <= {node.op_type for graph in graphs(proto.graph) for node in graph.node}


def feeding(first, second):
    """Whether one operator's result goes into another."""

    def bad(proto, _):
        made = {name for node in proto.graph.node if node.op_type == first for name in node.output}
        return any(node.op_type == second and made & set(node.input) for node in proto.graph.node)

    return bad


CHAIN = """g (float[2, 3] x) => (float[2, 3] y, float[2, 3] z) {
    a = Relu (x)  b = Neg (a)  c = Abs (b)  d = Exp (c)  e = Tanh (d)  f = Sqrt (e)  y = Neg (f)  z = Add (b, y) }"""
ROW = [np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)]


def check(case):
    onnx.checker.check_model(case.proto(), full_check=True)
