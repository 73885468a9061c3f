"""Where ONNX's own reference operators do not do what the specification says: each corrected, with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_loop import Loop as _Loop
from onnx.reference.ops.op_scatter_elements import ScatterElements

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CORRECTED"]


class Loop(_Loop):
    """An absent condition is true, and scan outputs of any rank are stacked on a new first axis.

    ONNX, Operators.md, Loop: ``input ("", "") for (int i=0; ; ++i) { cond = ... // Note this value is ignored }``, and
    "scan_outputs ... each the concatenation of the values of the specified output value along a new first axis".
    onnx 1.23 takes an absent condition for false and stacks with ``vstack``, which adds no axis to rank 2 and more, and
    two to scalars. Raises ValueError for scan outputs of no trip, whose shape the specification leaves open.
    """

    def _run(
        self, trips: Any, condition: Any, *state: Any, context: Mapping[str, Any] | None = None, body: Any = None,
        attributes: Mapping[str, Any] | None = None, bindings: Any = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        del body
        own: Any = self  # its body and what runs it are set by onnx at run time
        names = own.body.input_names
        scanned: list[list[Any]] = [[] for _ in range(self.K)]
        going, trip = condition is None or bool(np.all(condition)), 0
        while going and (trips is None or trip < int(np.asarray(trips).item())):
            carried = dict(zip(names[2:], state, strict=False))
            counters = {names[0]: np.array(trip, np.int64), names[1]: np.array(going)}
            inputs = {**(context or {}), **carried, **counters}
            results = own._run_body(inputs, attributes=attributes, bindings=bindings)  # noqa: SLF001 - its own
            going, state = bool(np.all(results[0])), tuple(results[1 : 1 + self.N])
            for values, value in zip(scanned, results[1 + self.N :], strict=True):
                values.append(value)
            trip += 1
        outputs: tuple[Any, ...] = self._check_and_fix_outputs((*state, *(np.stack(values) for values in scanned)))
        return outputs


class Optional(OpRun):
    """The element itself, or None where there is none.

    ONNX, Operators.md, Optional: "Constructs an optional-type value containing either an empty optional of a certain
    type specified by the attribute, or a non-empty value containing the input element." onnx 1.23 gives a list of one
    element, which is a sequence.
    """

    def _run(self, x: Any = None, **_type: Any) -> tuple[Any, ...]:
        return (x,)

    def _check_and_fix_outputs(self, res: tuple[Any, ...]) -> tuple[Any, ...]:
        return res


class Scatter(ScatterElements):
    """ScatterElements by its old name, which onnx 1.23 lacks.

    ONNX, Changelog.md, Scatter-11: "This operator is deprecated. Please use ScatterElements, which provides the same
    functionality."
    """


CORRECTED: tuple[type[OpRun], ...] = (Loop, Optional, Scatter)
