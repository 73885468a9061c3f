"""The reference: a model interpreted node by node in float64, with a bound on each element's legal error.

The model is never re-typed: integers keep their width (they wrap), explicit casts and quantisation happen, and each
float is checked against the range of its declared type. What lies in [value - bound, value + bound] is a legal answer
of some correct implementation; a bound of inf says that nothing can be said of the element.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from abstract.accuracy import in_type
from abstract.body import TooLarge, Work, has_body, run_body
from abstract.bounded import Bounded
from abstract.constraints import Constraints, Infeasible
from abstract.contract import PERMISSIVE, TF32_UNIT, Contract
from abstract.dims import product
from abstract.dtypes import BY_NAME
from abstract.error import is_exact, own_unit
from abstract.extended import AVAILABLE, admits, narrowed, outward, widened
from abstract.fallback import Unrunnable, run_node
from abstract.hazards.detection import Trace, Watch, site
from abstract.nonfinite import certain as certain_specials
from abstract.operator import Arithmetic, Array, Bound, NotCovered, Operator, Run, Typing, as_array
from abstract.program import Program, Step, late_types, parameter, typed
from abstract.types import Parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from abstract.bounded import Content
    from abstract.dtypes import DType

__all__ = ["Bounded", "Float64", "TooLarge", "Undefined", "finish", "interpret", "wrapped"]


class Undefined(ValueError):
    """An operator is not defined on the values that it gets, or an integer leaves its type."""


class Float64:
    """The reference's own arithmetic: numpy's pairwise sums and matmul."""

    def sum(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        """Sum over axes."""
        result: Array = np.sum(x, axis=axes, keepdims=keepdims)
        return result

    def dot(self, a: Array, b: Array) -> Array:
        """Matrix product."""
        result: Array = np.matmul(a, b)
        return result


_DOUBLE = BY_NAME["double"]

_SUBNORMALS = frozenset({"float", "double", "bfloat16"})
"""Types whose subnormals a backend may read as zero: conversions from and to float16 do not."""

_WRAPPING = frozenset({"BitShift", "Cast", "CastLike"})
"""Rows of which the specification says that the bits beyond an integer's width are lost."""

_BROKEN = (ArithmeticError, IndexError, ValueError)
"""What rules raise where operands do not fit, or nothing can be computed."""


def wrapped(y: Array, dtype: DType) -> Array:
    """Integers brought into the declared width, two's complement: what every implementation does on overflow."""
    if not dtype.is_integer or y.dtype != dtype.carrier or dtype.bits == 64 or y.size == 0:
        return y
    if y.min() >= dtype.minimum and y.max() <= dtype.maximum:
        return y
    span = 1 << dtype.bits
    return (y - dtype.minimum) % span + dtype.minimum


def _overflows(y: Array, dtype: DType, *, moved: bool) -> bool:
    """Whether an integer leaves its type, or what float64 counts; what is only moved may have every number."""
    most = dtype.maximum if moved else min(dtype.maximum, 2**53)
    return dtype.is_integer and y.size > 0 and bool(y.min() < dtype.minimum or y.max() > most)


def _least(row: Operator, dtype: DType, contract: Contract) -> float:
    """The absolute error that is granted to each rounded result: it, or a step on the way, may be flushed to zero.

    Where 16-bit types are computed in float32, only their spacing counts: it has no subnormals of theirs.
    """
    narrow = contract.step(dtype) is dtype and (contract.flush_subnormals or row.accuracy.composed)
    if dtype.name in _SUBNORMALS or narrow:
        return 4 * dtype.smallest_normal
    return 8 * dtype.unit * dtype.smallest_normal


def finish(
    row: Operator, y: Array, dtype: DType, bound: Bound, contract: Contract = PERMISSIVE, *, extended: bool = False
) -> Bound:
    """The bound of an output once its own rounding is added and its declared range is checked."""
    if not dtype.is_float:
        return _unwrapped(y, dtype, bound)
    if dtype.minimum > 0 and y.size and y.min() < dtype.minimum:
        # A type without a zero: what stands where one is due (Pad) is open.
        return np.where(y < dtype.minimum, np.inf, bound)
    carried = bound
    if not row.exact:
        grant = in_type(row.accuracy, dtype, contract)
        unit = own_unit(dtype, extended=extended)
        # Relative to the value that is rounded, which may be as large as |y| + bound.
        relative = 2 * grant.ulps * unit
        bound = bound * (1 + relative) + np.abs(y) * relative + (grant.units * unit + _least(row, dtype, contract))
    elif is_exact(bound):
        return 0.0
    reach = np.abs(y) + bound
    if y.size and not float(reach.max()) <= dtype.maximum:
        # An infinity that no error of the operands can move (a mask of -inf, say) is not rounded.
        bound = np.where(np.isinf(y), carried, np.where(reach <= dtype.maximum, bound, np.inf))
    return bound


def _flushed(x: Array, dtype: DType, contract: Contract) -> Bound:
    """What is lost of values that are read as zero because they are subnormal."""
    if dtype.name not in _SUBNORMALS or not contract.flush_subnormals:
        return 0.0
    size = np.abs(x)
    tiny = (size > 0) & (size < dtype.smallest_normal)
    return np.where(tiny, size, 0.0) if tiny.any() else 0.0


def _sure(results: list[Bounded], certain: Iterable[Array | None]) -> list[Bounded]:
    """Results without doubt where every legal computation gives NaN, or the same infinity."""
    settled = []
    for made, sure in zip(results, certain, strict=True):
        if sure is None or not made.shaped:
            settled.append(made)
            continue
        bound = np.where(sure, 0.0, made.bound)
        settled.append(replace(made, bound=bound if bound.any() else 0.0))
    return settled


def _unwrapped(y: Array, dtype: DType, bound: Bound) -> Bound:
    """An inexact integer near an end of its type may wrap to anything."""
    if is_exact(bound) or not dtype.is_integer:
        return bound
    inside = (y - bound >= dtype.minimum) & (y + bound <= dtype.maximum)
    return bound if inside.all() else np.where(inside, bound, np.inf)


def interpret(  # noqa: PLR0913 - each has a default that most callers keep
    program: Program, inputs: Mapping[str, Content], *, arithmetic: Arithmetic | None = None, limit: int = 2**28,
    contract: Contract = PERMISSIVE, strict: bool = False, trace: Trace | None = None, extended: bool = False,
) -> dict[str, Bounded]:  # fmt: skip
    """Every value of the model, by name, on these inputs (carrier types; lists for sequences).

    ``limit`` is the largest number of elements a tensor may have: TooLarge is raised before memory is asked for.
    ``contract`` says what a legal computation may do: the bounds are those of that contract.
    ``strict`` asks for Undefined where an operator's row says that it is not defined on its values, as the generator
    does when it places a node; otherwise the bounds say so. ``trace`` is told which hazards arise.
    ``extended`` computes what is double in a longer type, where the machine has one (``abstract/extended.py``): values
    of type double come back in that type, with sharper bounds.

    Raises Hazardous where a node cannot be computed at all, since the specification leaves it open.
    """
    machine = _Machine(program, arithmetic or Float64(), limit, contract, strict, trace, extended=extended)
    values = {
        name: machine.given(content, program.dtypes.get(name))
        for source in (program.constants, inputs)
        for name, content in source.items()
    }
    with np.errstate(all="ignore"):
        for step in program.steps:
            results = zip(step.outputs, machine.run(step, values), strict=False)
            values.update((name, result) for name, result in results if name)
    return values


def _plain(value: Any) -> Array:
    """A parameter's value as double, for Python's own numbers are no longer than that."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype == np.longdouble else array


def _held(contract: Contract, program: Program) -> dict[DType, DType]:
    """The types of a program that a contract lets a target hold in narrower ones."""
    declared = set(program.dtypes.values())
    return {wide: own for wide, own in contract.held.items() if wide in declared}


class _Machine:
    def __init__(
        self, program: Program, arithmetic: Arithmetic, limit: int, contract: Contract = PERMISSIVE,
        strict: bool = False, trace: Trace | None = None, *, extended: bool = False,
    ) -> None:  # fmt: skip
        self.program = program
        self.arithmetic = arithmetic
        self.limit = limit
        self.contract = contract
        self.held = _held(contract, program)
        self.constants = set(program.constants)
        self.extended = extended and AVAILABLE and _DOUBLE in set(program.dtypes.values()) and _DOUBLE not in self.held
        self.strict = strict
        self.trace = trace
        self.work = Work()

    def given(self, content: Content, dtype: DType | None) -> Bounded:
        """An input or a constant."""
        return Bounded(self.carried(content, dtype), self.stored(content, dtype), dtype)

    def carried(self, content: Content, dtype: DType | None) -> Content:
        """A value in the type that carries it from node to node."""
        return widened(content) if self.extended and dtype is _DOUBLE else content

    def stored(self, content: Content, dtype: DType | None) -> Bound:
        """What an input or constant loses where its type is held in a narrower one, or subnormals are read as zero."""
        if dtype is None or not isinstance(content, np.ndarray):
            return 0.0
        narrow = self.held.get(dtype)
        if narrow is None:
            return _flushed(content, dtype, self.contract)
        if narrow.is_float:
            # What becomes of an infinity is not known then: the bound is NaN.
            with np.errstate(over="ignore", invalid="ignore"):
                loss = np.abs(content - content.astype(narrow.numpy))
            return self._settle(content, narrow, np.maximum(loss, _flushed(content, narrow, self.contract)))
        return self._settle(content, narrow, 0.0)

    def run(self, step: Step, values: Mapping[str, Bounded]) -> Iterable[Bounded]:
        if step.row is None and (dtypes := late_types(step, lambda name: values[name].dtype)):
            step = typed(self.program, step, dtypes)
        if step.row is not None:
            watch = Watch(step, self.trace)
            try:
                return watch.settled(self._covered(step, step.row, values, watch))
            except NotCovered:
                pass
            except _BROKEN as problem:
                if isinstance(problem, Undefined) or not watch.found:
                    raise
                raise watch.stopped(str(problem)) from problem
        return self._fallback(step, values)

    def _covered(
        self, step: Step, row: Operator, values: Mapping[str, Bounded], watch: Watch
    ) -> Iterable[Bounded]:
        operands = [None if name is None else values[name] for name in step.inputs]
        params = step.params
        certain = all(o is None or o.shaped for o in operands)
        if step.late:
            late = {key: values[name] for key, name in step.late.items()}
            certain = certain and all(is_exact(v.bound) for v in late.values())
            params = {**params, **{k: parameter(k, _plain(v.value)) for k, v in late.items()}}
        if any(o is not None and not isinstance(o.value, np.ndarray) for o in operands):
            raise NotCovered(row.name)
        arrays: tuple[Any, ...] = tuple(None if o is None else o.value for o in operands)
        errors: tuple[Bound, ...] = tuple(0.0 if o is None else o.bound for o in operands)
        dtypes = tuple(None if o is None else o.dtype for o in operands)
        outputs: tuple[Any, ...] = step.output_dtypes
        extended = self.extended and any(d is _DOUBLE for d in dtypes)
        constants = self._constants(step)
        exact = not self.strict or all(map(is_exact, errors))
        run = Run(params, arrays, dtypes, outputs, self.arithmetic, self.contract, constants, extended, exact=exact)
        run = watch.before(run)
        elements = self._check_size(step, row, params, arrays, dtypes)
        if extended and not admits(row.name, elements):
            pairs = [(x, e) if x is None else narrowed(x, e) for x, e in zip(run.inputs, errors, strict=True)]
            run, errors = replace(run, inputs=tuple(x for x, _ in pairs), extended=False), tuple(e for _, e in pairs)
        if self.strict and row.defined is not None and not row.defined(run):
            raise Undefined(f"{row.name} is not defined there")
        raw = row.evaluate(run)
        if self.strict and any(
            _overflows(np.asarray(a), d, moved=row.exact) for a, d in zip(raw, outputs, strict=False)
        ):
            raise Undefined(f"{row.name} overflows")
        y = tuple(wrapped(as_array(a), d) for a, d in zip(raw, outputs, strict=False))
        if row.name not in _WRAPPING:
            watch.wrapped(raw, y, outputs)
        watch.after(run, y)
        if self.strict and watch.avoided:
            raise Undefined(f"{row.name}: {watch.avoided}")
        if self.held:
            run = replace(
                run,
                dtypes=tuple(None if d is None else self.held.get(d, d) for d in dtypes),
                output_dtypes=tuple(self.held.get(d, d) for d in outputs),
            )
        bounds = row.error(run, y, errors)
        results = [self._bounded(row, run, a, d, b, certain) for a, d, b in zip(y, outputs, bounds, strict=False)]
        results = _sure(results, certain_specials(row.name, run, y, errors, bounds))
        if self.trace is not None:
            self.trace.overflow(step.outputs, bounds, results)
        return results

    def _constants(self, step: Step) -> frozenset[int]:
        """The positions of the operands that a compiler knows; where it knows all, it knows the results as well."""
        known = frozenset(i for i, name in enumerate(step.inputs) if name is not None and name in self.constants)
        if len(known) == sum(name is not None for name in step.inputs):
            self.constants.update(step.outputs)
        return known

    def _bounded(
        self, row: Operator, run: Run, y: Array, dtype: DType, bound: Bound, certain: bool
    ) -> Bounded:
        own = self.held.get(dtype, dtype)
        if not certain or (isinstance(bound, float) and isnan(bound)):
            return Bounded(y, np.inf, dtype, shaped=False)
        bound = self._settle(y, own, finish(row, y, own, bound, self.contract, extended=run.extended))
        if not self.extended:
            return Bounded(y, bound, dtype)
        if dtype is not _DOUBLE:
            y, bound = narrowed(y, bound)
        return Bounded(self.carried(y, dtype), outward(bound), dtype)

    def _settle(self, y: Array, dtype: DType, bound: Bound) -> Bound:
        """NaN means unknown; so does an integer outside the type that it is held in."""
        if dtype.is_integer and self.held and y.size and not (
            y.min() >= dtype.minimum and y.max() <= dtype.maximum
        ):  # fmt: skip
            return np.where((y >= dtype.minimum) & (y <= dtype.maximum), bound, np.inf)
        if isinstance(bound, float):
            return bound
        unclear = np.isnan(bound)
        return np.where(unclear, np.inf, bound) if unclear.any() else bound

    def _check_size(
        self, step: Step, row: Operator, params: Mapping[str, Any], arrays: tuple[Any, ...], dtypes: tuple[Any, ...]
    ) -> int:
        """How many elements operands and outputs have, as the shape rule says before the outputs are made.

        Broadcasting and padding can blow up too: TooLarge beyond the limit.
        """
        shapes = tuple(None if a is None else a.shape for a in arrays)
        typing = Typing(params, shapes, dtypes, len(step.outputs), Constraints())
        try:
            sizes = row.shape(typing)
        except Infeasible as broken:
            raise ValueError(f"{row.name}: the node does not fit its inputs ({broken})") from broken
        elements = sum(a.size for a in arrays if a is not None) if self.extended else 0
        for shape in sizes:
            if isinstance(shape, Parts):
                continue
            count = product([1 if dim is None else dim for dim in shape])
            if isinstance(count, int):
                if count > self.limit:
                    raise TooLarge(f"{row.name} would make a tensor of {count} elements")
                elements += count
        return elements

    @property
    def _operand_unit(self) -> float:
        """What the operands of a node without rules may lose: it may be a contraction (Einsum, Attention, LSTM)."""
        return TF32_UNIT if self.contract.tf32 else 0.0

    def _fallback(self, step: Step, values: Mapping[str, Bounded]) -> Iterable[Bounded]:
        results = self._unruled(step, values)
        return map(self._widened, results) if self.extended else results

    def _widened(self, made: Bounded) -> Bounded:
        return replace(made, value=self.carried(made.value, made.dtype))

    def _unruled(self, step: Step, values: Mapping[str, Bounded]) -> Iterable[Bounded]:
        watch = Watch(step, self.trace)
        if not watch:
            return self._rowless(step, values)
        run = site(step, values, self.arithmetic)
        watch.before(run)
        try:
            results = list(self._rowless(step, values))
        except (Unrunnable, *_BROKEN) as problem:
            if not watch.found:
                raise
            raise watch.stopped(str(problem)) from problem
        dtypes: tuple[Any, ...] = tuple(result.dtype for result in results)
        y: tuple[Any, ...] = tuple(result.value for result in results)
        watch.after(replace(run, output_dtypes=dtypes), y)
        return watch.settled(results)

    def _rowless(self, step: Step, values: Mapping[str, Bounded]) -> Iterable[Bounded]:
        if has_body(self.program, step.node):
            return run_body(self.program, step, values, self._inside)
        return run_node(self.program.model, step, values, self.held, self._operand_unit)

    def _inside(self, body: Program, values: dict[str, Bounded]) -> Mapping[str, Bounded]:
        """A body's values, interpreted as the model's are."""
        machine = copy(self)
        machine.program = body
        machine.held = _held(self.contract, body)
        known = self.constants
        if body.arguments is not None:  # a function has names of its own
            known = {formal for formal, name in body.arguments.items() if name in known}
        machine.constants = known | set(body.constants)
        for name, content in body.constants.items():
            own = body.dtypes.get(name)
            values.setdefault(name, machine.given(content, own))
        for step in body.steps:
            for name, result in zip(step.outputs, machine.run(step, values), strict=False):
                self.work.spend(result)
                if name:
                    values[name] = result
        self.constants.update(name for inner, name in body.results.items() if inner in machine.constants)
        return values
