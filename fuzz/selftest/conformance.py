"""The reference on ONNX's own tests: does it give the outputs that they expect, within the bounds that it claims?"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from abstract.fallback import draws
from abstract.hazards import BY_ID, Says
from abstract.hazards.detection import Trace
from abstract.program import parse, to_carrier
from backends.tensor import Tensor, to_numpy
from corpus.onnx_tests import DISPUTES, OperatorTest, model_tests, operator_tests
from fuzz.judge.compare import Comparison, compare
from fuzz.judge.judge import reference_values
from fuzz.judge.verdict import Word
from fuzz.pool import process_pool
from fuzz.signature import signature
from fuzz.values import decode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from abstract.reference import Bounded
    from backends.tensor import Value

__all__ = ["Conformance", "Result", "Tested", "conform", "conformance"]

_CHUNK = 32


class Result(enum.StrEnum):
    """What becomes of a test.

    ``pass``: the reference gives what the test expects. ``random``: what they differ in is random by the specification.
    ``dispute``: they differ, and a row of ``DISPUTES`` says why the test is at fault. ``fail``: anything else.
    """

    PASSED = "pass"
    RANDOM = "random"
    DISPUTED = "dispute"
    FAILED = "fail"


@dataclass(frozen=True, slots=True)
class Tested:
    """One test. ``unbounded``: of some output nothing can be said, it is merely near to what is expected."""

    name: str
    result: Result
    unbounded: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class Conformance:
    """All tests, in the order of their names."""

    tested: tuple[Tested, ...]

    def of(self, result: Result) -> tuple[Tested, ...]:
        """The tests that have a result."""
        return tuple(one for one in self.tested if one.result is result)

    def to_json(self) -> dict[str, Any]:
        """The keys of ``fuzz selftest --reference --json``."""
        counts = Counter(one.result for one in self.tested)
        return {
            "tests": len(self.tested),
            **{result.value: counts[result] for result in Result},
            "unbounded": sum(one.unbounded for one in self.tested),
            "listed": [asdict(one) for one in self.tested if one.result is not Result.PASSED],
        }


def conform(test: OperatorTest) -> Tested:
    """Run the reference on one test and judge the outputs that the test expects."""
    try:
        model = onnx.ModelProto.FromString(test.model)
        ports = signature(test.model)
        given = zip((*ports.inputs, *ports.defaults), test.inputs, strict=False)
        inputs = {port.name: decode_value(data, port.type) for port, data in given}
        expected = [decode_value(data, port.type) for port, data in zip(ports.outputs, test.outputs, strict=True)]
        trace = Trace()
        values = reference_values(parse(model), inputs, trace=trace)
        known = [_defined(port.name, values[port.name], trace) for port in ports.outputs]
    except Exception as error:  # noqa: BLE001 - whatever the reference raises is what the test is there to show
        return _differing(test.name, f"{type(error).__name__}: {error}".strip().split("\n", 1)[0])
    unbounded = any(not reference.shaped or compare(v, reference).word is Word.UNDECIDABLE
                    for v, reference in zip(expected, known, strict=True))  # fmt: skip
    for port, value, reference in zip(ports.outputs, expected, known, strict=True):
        found = compare(value, _tolerated(value, reference, test))
        if found.word is Word.OK:
            continue
        if draws(model) and compare(value, reference).word in (Word.OK, Word.UNDECIDABLE):
            return Tested(test.name, Result.RANDOM, unbounded)
        return _differing(test.name, f"{port.name}: {_told(found)}", unbounded=unbounded)
    if test.name in DISPUTES:
        return Tested(test.name, Result.FAILED, unbounded, "it passes, so its row in the table of disputes is stale")
    return Tested(test.name, Result.PASSED, unbounded)


def _defined(name: str, value: Bounded, trace: Trace) -> Bounded:
    """An output with its rules' own bound where a hazard reaches it of which the text says what is due.

    Those are left unjudged since implementations follow older texts; ONNX's tests come with the newest one.
    """
    masked = trace.masked.get(name)
    if not value.shaped or masked is None or name not in trace.ruled:
        return value
    bound = trace.ruled[name]
    for hazard, reached in masked.items():
        if BY_ID[hazard].says is not Says.DEFINED:
            bound = np.where(reached, np.inf, bound)
    return replace(value, bound=bound)


def _differing(name: str, message: str, *, unbounded: bool = False) -> Tested:
    dispute = DISPUTES.get(name)
    if dispute is None:
        return Tested(name, Result.FAILED, unbounded, message)
    return Tested(name, Result.DISPUTED, unbounded, f"{message}; {dispute}")


def _told(found: Comparison) -> str:
    if found.message:
        return found.message
    return f"{found.actual} is expected at {list(found.index or ())}, the reference has {found.expected}" + (
        f" ± {found.bound:.3g}" if found.bound else ""
    )


def _tolerated(expected: Value, reference: Bounded, test: OperatorTest) -> Bounded:
    """The reference with the test's own tolerance where its bound says nothing: there it has to be near as well."""
    if not isinstance(expected, Tensor) or not isinstance(reference.value, np.ndarray):
        return replace(reference, bound=0.0, shaped=True)
    bound = np.asarray(reference.bound, np.float64)
    if np.isfinite(bound).all() or expected.element_type == "string" or expected.shape != reference.value.shape:
        return replace(reference, shaped=True)
    relative = test.rtol if reference.dtype is None else max(test.rtol, 4 * reference.dtype.unit)
    value = to_numpy(expected)
    size = np.abs(value if reference.dtype is None else to_carrier(value, reference.dtype))
    near = np.where(np.isfinite(size), test.atol + relative * size, 0.0) if value.dtype.kind not in "iub" else 0.0
    return replace(reference, bound=np.where(np.isfinite(bound), bound, near), shaped=True)


def _chunk(tests: Sequence[OperatorTest]) -> list[Tested]:
    return [conform(test) for test in tests]


def conformance(
    pattern: str = "*", *, jobs: int = 1, progress: Callable[[int], None] = lambda _: None
) -> Conformance:
    """Run the reference on ONNX's own tests, those whose name matches a glob, on as many processes as asked."""
    tests = list(chain(operator_tests(pattern), model_tests(pattern)))
    chunks = [tests[i : i + _CHUNK] for i in range(0, len(tests), _CHUNK)]
    found: list[Tested] = []
    with process_pool(jobs) as pool:
        for part in pool.map(_chunk, chunks):
            found.extend(part)
            progress(len(part))
    return Conformance(tuple(sorted(found, key=lambda one: one.name)))
