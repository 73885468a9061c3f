"""Where ONNX's own reference operators do not do what the specification says: one table, each row with its source.

These run what neither the operator table nor ``abstract/body.py`` covers, whatever the depth. What has a row there
needs none here; docs/disputes.md lists those faults as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_loop import Loop as _Loop
from onnx.reference.ops.op_scatter_elements import ScatterElements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abstract.operator import Array

__all__ = ["CORRECTED", "CORRECTIONS", "Correction"]


@dataclass(frozen=True, slots=True)
class Correction:
    """One fault: what onnx 1.23 does in which versions of an operator, what the text says, where, and what does that.

    ``implementation`` is called what the operator is called: that is how ONNX's evaluator finds it.
    """

    operator: str
    versions: str
    does: str
    says: str
    source: str
    implementation: type[OpRun]


class Loop(_Loop):
    """Reached where ONNX's evaluator expands a function of its own: elsewhere ``abstract/body.py`` runs loops.

    Raises ValueError for scan outputs of no trip, whose shape the specification leaves open.
    """

    def _run(
        self, trips: Any = None, condition: Any = None, *state: Any, context: Mapping[str, Any] | None = None,
        body: Any = None, attributes: Mapping[str, Any] | None = None, bindings: Any = None,
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


class SequenceInsert(OpRun):
    """At any place from either end, the end itself included, and into a sequence without parts."""

    def _run(self, sequence: Any, tensor: Any, position: Any = None) -> tuple[Any, ...]:
        parts = list(sequence)
        place = len(parts) if position is None else int(np.asarray(position).item())
        parts.insert(place + len(parts) if place < 0 else place, tensor)
        return (parts,)


class Optional(OpRun):
    """The element itself, or None where there is none."""

    def _run(self, x: Any = None, **_type: Any) -> tuple[Any, ...]:
        return (x,)

    def _check_and_fix_outputs(self, res: tuple[Any, ...]) -> tuple[Any, ...]:
        return res


class Scatter(ScatterElements):
    """ScatterElements by its old name."""


class _Competing(OpRun):
    """An operator along an axis; below 13 on the whole input flattened to two axes before it (by default 1)."""

    def compete(self, x: Array) -> Array:
        """Its meaning along the last axis."""
        raise NotImplementedError

    def _run(self, x: Any, axis: int | None = None) -> tuple[Any, ...]:
        opset = self.run_params["opsets"][""]
        if opset >= 13:
            moved = np.moveaxis(x, -1 if axis is None else axis, -1)
            return (np.moveaxis(self.compete(moved), -1, -1 if axis is None else axis).astype(x.dtype),)
        # The attribute's default is that of the newest schema: what the node itself says counts.
        given = next((a.i for a in self.onnx_node.attribute if a.name == "axis"), 1)
        rows = prod(x.shape[: given if given >= 0 else given + x.ndim])
        flat = x.reshape(rows, x.size // rows if rows else 0)
        return (self.compete(flat).reshape(x.shape).astype(x.dtype),)


class Softmax(_Competing):
    """Exponentials over their sum."""

    def compete(self, x: Array) -> Array:
        """Along the last axis."""
        powers: Array = np.exp(x - x.max(axis=-1, keepdims=True, initial=-np.inf))
        result: Array = powers / powers.sum(axis=-1, keepdims=True)
        return result


class LogSoftmax(_Competing):
    """The logarithm of that."""

    def compete(self, x: Array) -> Array:
        """Along the last axis."""
        shifted: Array = x - x.max(axis=-1, keepdims=True, initial=-np.inf)
        result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return result


class Hardmax(_Competing):
    """1 at the first of the greatest elements."""

    def compete(self, x: Array) -> Array:
        """Along the last axis."""
        result = np.zeros_like(x)
        if x.size:
            np.put_along_axis(result, x.argmax(axis=-1)[..., None], 1, axis=-1)
        return result


def _flattening(operator: str, implementation: type[OpRun]) -> Correction:
    return Correction(
        operator, "1 to 12", "works along the one axis, by default the last, as from version 13 on",
        'the input "will be coerced into a 2D tensor with dimensions [a_0 * ... * a_{k-1}, a_k * ... * a_{n-1}]", '
        "k being the axis, by default 1",
        f"Changelog.md, {operator}-11", implementation,
    )  # fmt: skip


CORRECTIONS: tuple[Correction, ...] = (
    Correction(
        "Loop", "1 and later",
        "takes an absent condition for false; stacks scan outputs with vstack, which adds no axis to rank 2 and more, "
        "and two to scalars",
        'for ("", "") "for (int i=0; ; ++i)"; scan outputs are concatenated "along a new first axis"',
        "Operators.md, Loop", Loop,
    ),
    Correction(
        "Optional", "15", "gives a list that holds the element, which is a sequence",
        'an empty optional, "or a non-empty value containing the input element"',
        "Operators.md, Optional", Optional,
    ),
    Correction(
        "SequenceInsert", "11", "inserts in front where the position is the number of parts; fails where that is 0",
        'position: "Accepted range is in `[-n, n]`, where `n` is the number of tensors in \'input_sequence\'"',
        "Operators.md, SequenceInsert", SequenceInsert,
    ),
    Correction(
        "Scatter", "9 to 11", "is missing", '"Please use ScatterElements, which provides the same functionality"',
        "Changelog.md, Scatter-11", Scatter,
    ),
    _flattening("Softmax", Softmax), _flattening("LogSoftmax", LogSoftmax), _flattening("Hardmax", Hardmax),
)  # fmt: skip

CORRECTED: tuple[type[OpRun], ...] = tuple(row.implementation for row in CORRECTIONS)
