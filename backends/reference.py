"""ONNX's own reference evaluator, as it is: in the types that the model declares, with its known faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.reference import ReferenceEvaluator

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.layout import Layout, arranged
from backends.protocol import Unsupported, Words, heard
from backends.tensor import Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.protocol import Stage

WORDS = Words(
    unsupported=(
        r"NotImplementedError",
        r"RuntimeImplementationError",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"No (registered )?implementation",
        r"must be installed",
        r"only appl(y|ies) (on|to)",
    )
)


@dataclass(frozen=True, slots=True)
class Reference:
    """`onnx.reference.ReferenceEvaluator`."""

    name: str = "reference"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Evaluator:
        """Set up the evaluator; it reads and does not compile."""
        del options, enter
        parsed = read_model(model, folder)
        with heard(WORDS):
            return _Evaluator(ReferenceEvaluator(parsed), parsed.graph)


class _Evaluator:
    # It computes on numpy's arrays as they are; numpy takes them in any layout.
    layouts = tuple(Layout)

    def __init__(self, evaluator: Any, graph: Any) -> None:
        self._evaluator = evaluator
        required = [port.name for port in required_inputs(graph)]
        self._required = len(required)
        self._inputs = [*required, *(port.name for port in graph.input if port.name not in required)]

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        given = taken(inputs, self._required, len(self._inputs))
        feed = {name: _argument(value, layout) for name, value in zip(self._inputs, given, strict=False)}
        with heard(WORDS), np.errstate(all="ignore"):
            results = self._evaluator.run(None, feed)
        return [_value(result) for result in results]


def _argument(value: Value, layout: Layout | None) -> Any:
    if isinstance(value, Tensor):
        return to_numpy(value) if layout is None else arranged(to_numpy(value), layout)
    return value if value is None else [_argument(item, layout) for item in value]


def _value(result: Any) -> Value:
    if isinstance(result, list):
        return [_value(item) for item in result]
    if result is None:
        return None
    if isinstance(result, dict):
        raise Unsupported("maps are not passed on")
    return from_numpy(np.asarray(result))


BACKEND = Reference()
