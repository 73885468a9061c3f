"""The null executor: a model recomputed by legal means other than the reference's, in its declared types.

It runs the operators' own rules, but on arrays of the declared element types, with sums in other orders and other
accumulators, and with the last bits moved as far as each operator's grant in ``abstract/accuracy.py`` allows. Whatever
it gives is what some correct implementation could give, so the judge must not call it wrong.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from abstract.accuracy import in_type
from abstract.body import has_body, run_body
from abstract.dtypes import BY_NAME, DType
from abstract.fallback import Unrunnable, run_node
from abstract.operator import Array, NotCovered, Operator, Run, as_array
from abstract.program import Program, Step, late_types, parameter, typed
from abstract.reference import Bounded, wrapped
from fuzz.selftest.arithmetic import ORDERS, Ordered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["METHODS", "BrokenDown", "Method", "Rounding", "recompute"]

Rounding: TypeAlias = Literal["each", "once", "never"]


@dataclass(frozen=True, slots=True)
class Method:
    """One legal way to compute a model.

    ``rounding``: ``each`` operation inside an operator is rounded to the declared type; an operator is computed in the
    next wider type and rounded ``once``; or, for 16-bit floats, ``never`` (float32 from node to node, as runtimes do
    that insert casts around whole chains), wider types then being rounded once. ``noise`` moves each result as far as
    its operator's grant allows. ``flush``: what an operator rounds becomes 0 where it is subnormal.
    """

    name: str
    arithmetic: Ordered
    rounding: Rounding
    noise: bool = False
    flush: bool = False


METHODS: tuple[Method, ...] = (
    Method("sequential", Ordered(ORDERS["sequential"]), "each"),
    Method("sequential+noise", Ordered(ORDERS["sequential"]), "each", noise=True),
    Method("reversed", Ordered(ORDERS["reversed"], wide=True), "each"),
    Method("pairwise", Ordered(ORDERS["pairwise"], wide=True), "once"),
    Method("pairwise+noise", Ordered(ORDERS["pairwise"]), "once", noise=True),
    Method("blocked", Ordered(ORDERS["blocked"]), "each"),
    Method("flushed", Ordered(ORDERS["pairwise"]), "each", flush=True),
    Method("fused", Ordered(ORDERS["sequential"], wide=True, fused=True), "each"),
    Method("fused in 16 bits", Ordered(ORDERS["sequential"], fused=True), "each"),
    Method("excess", Ordered(ORDERS["blocked"]), "never"),
    Method("excess+noise", Ordered(ORDERS["reversed"]), "never", noise=True),
)
"""Both accumulators of 16-bit floats are here, every order, every rounding; see ``Method``."""

_EXACT = Ordered(ORDERS["pairwise"])
_BFLOAT16, _DOUBLE = BY_NAME["bfloat16"], BY_NAME["double"]
_WIDER: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {2: np.dtype(np.float32), 4: np.dtype(np.float64), 8: np.dtype(np.float64)}
)


class BrokenDown(ValueError):
    """A node that could not be recomputed; ``step`` is the one, or that of the model in whose body it is."""

    def __init__(self, step: Step, problem: str) -> None:
        super().__init__(problem)
        self.step = step


def recompute(
    program: Program, inputs: Mapping[str, Any], method: Method, seed: int
) -> Iterator[tuple[Step, str, DType | None, Any]]:
    """Run a model by one method; yields (step, name, element type, value) of every value that a node computes.

    ``inputs`` are in carrier types. Values are yielded in the declared types (integers in their carriers). ``seed``
    chooses the noise. Raises BrokenDown where a node cannot be run.
    """
    given = {**program.constants, **inputs}
    values: dict[str, Any] = {n: _held(v, program.dtypes.get(n), method) for n, v in given.items()}
    machine = _Machine(program, method, values)
    noise = _Noise(f"{seed}/{method.name}") if method.noise else None
    with np.errstate(all="ignore"):
        for step, name, dtype, value in machine.steps(noise):
            yield step, name, dtype, _declared(value, dtype)


def _held(value: Any, dtype: DType | None, method: Method) -> Any:
    """A value in the type in which this method keeps it between nodes."""
    if not isinstance(value, np.ndarray) or dtype is None:
        return value
    if not dtype.is_float:
        return wrapped(value.astype(dtype.carrier, copy=False), dtype)
    if method.rounding == "never" and dtype.bits == 16:
        return value.astype(np.float32)
    # numpy does not know bfloat16 and narrower types for floats: their numbers are kept, rounded, in float32.
    return value.astype(dtype.numpy).astype(np.float32) if dtype.extension else value.astype(dtype.numpy)


def _declared(value: Any, dtype: DType | None) -> Any:
    if not isinstance(value, np.ndarray) or dtype is None or not dtype.is_float:
        return value
    return value.astype(dtype.numpy)


_Result: TypeAlias = tuple[str, "DType | None", Any]
"""The name of a value, its element type, and the value as the method holds it."""


class _Machine:
    def __init__(self, program: Program, method: Method, values: dict[str, Any]) -> None:
        self.program = program
        self.method = method
        self.values = values
        self.dtypes: dict[str, DType | None] = {**program.dtypes}

    def steps(self, noise: _Noise | None) -> Iterator[tuple[Step, str, DType | None, Any]]:
        """Every step in turn; what it gives is added to the values."""
        for number, step in enumerate(self.program.steps):
            try:
                results = list(self.run(step, None if noise is None else noise.within(number)))
            except (IndexError, ValueError, Unrunnable) as error:
                raise BrokenDown(step, f"{type(error).__name__}: {error}") from error
            for name, dtype, value in results:
                if name:
                    self.values[name], self.dtypes[name] = value, dtype
                    yield step, name, dtype, value

    def run(self, step: Step, noise: _Noise | None) -> Iterator[_Result]:
        if step.row is None and (dtypes := late_types(step, self.dtypes.get)):
            step = typed(self.program, step, dtypes)
        if step.row is not None:
            try:
                return self._covered(step, step.row, noise)
            except NotCovered:
                pass
        if has_body(self.program, step.node):
            return self._bodied(step, noise)
        return self._fallback(step)

    def _covered(self, step: Step, row: Operator, noise: _Noise | None) -> Iterator[_Result]:
        late = {key: parameter(key, self._carried(name)) for key, name in step.late.items()}
        inputs = tuple(None if name is None else self.values[name] for name in step.inputs)
        if any(isinstance(x, list) for x in inputs):
            raise NotCovered(row.name)
        dtypes: Any = step.output_dtypes
        run = Run({**step.params, **late}, inputs, step.input_dtypes, dtypes, self.method.arithmetic)
        # Where the specification names the type of the statistics, narrower ones are not legal.
        if self.method.rounding != "each" or "stash_type" in run.params:
            run = replace(run, inputs=tuple(map(_widened, inputs)))
        elif any(d is not None and d.name == "bfloat16" for d in step.input_dtypes):
            run = replace(run, arithmetic=replace(self.method.arithmetic, narrow=_BFLOAT16.numpy))
        results = row.evaluate(run)
        if noise is not None and not row.exact:
            results = self._disturbed(row, run, results, noise)
        if self.method.flush and not row.exact:
            results = tuple(_flushed(np.asarray(y), d) for y, d in zip(results, dtypes, strict=False))
        return (
            (name, dtype, _held(as_array(result), dtype, self.method))
            for name, dtype, result in zip(step.outputs, dtypes, results, strict=False)
        )

    def _disturbed(self, row: Operator, run: Run, results: tuple[Array, ...], noise: _Noise) -> tuple[Array, ...]:
        """Float results moved inside their operator's grant, measured from its exact value on these operands."""
        inputs = tuple(map(_carrier, run.inputs, run.dtypes))
        exact = row.evaluate(replace(run, inputs=inputs, arithmetic=_EXACT))
        return tuple(
            noise.moved(row, np.asarray(y), np.asarray(z), dtype) if dtype.is_float else y
            for y, z, dtype in zip(results, exact, run.output_dtypes, strict=False)
        )

    def _carried(self, name: str) -> Array:
        dtype = self.dtypes.get(name)
        value = np.asarray(self.values[name])
        return value if dtype is None else value.astype(dtype.carrier)

    def _bodied(self, step: Step, noise: _Noise | None) -> Iterator[_Result]:
        """A node that stands for others: each of those by the same method, whatever the depth."""
        runs = count()

        def inside(body: Program, scope: dict[str, Bounded]) -> Mapping[str, Bounded]:
            machine = _Machine(body, self.method, {})
            machine.dtypes.update((n, v.dtype) for n, v in scope.items() if v.dtype is not None)
            for name, content in {**body.constants, **{n: v.value for n, v in scope.items()}}.items():
                machine.values[name] = _held(content, machine.dtypes.get(name), self.method)
            deque(machine.steps(None if noise is None else noise.within(next(runs))), maxlen=0)
            return machine.known()

        for name, bounded in zip(step.outputs, run_body(self.program, step, self.known(), inside), strict=False):
            value, dtype = bounded.value, bounded.dtype
            if isinstance(value, list) and dtype is not None:
                yield name, dtype, [np.asarray(part).astype(dtype.numpy) for part in value]
            else:
                yield name, dtype, _held(value, dtype, self.method)

    def known(self) -> dict[str, Bounded]:
        """Every value so far, without a doubt."""
        return {name: Bounded(value, 0.0, self.dtypes.get(name)) for name, value in self.values.items()}

    def _fallback(self, step: Step) -> Iterator[_Result]:
        known = {
            name: Bounded(self._carried(name) if isinstance(value, np.ndarray) else value, 0.0, self.dtypes.get(name))
            for name, value in self.values.items()
        }
        for name, bounded in zip(step.outputs, run_node(self.program.model, step, known), strict=False):
            yield name, bounded.dtype, _held(bounded.value, bounded.dtype, self.method)


def _flushed(y: Array, dtype: DType) -> Array:
    return np.where(np.abs(y) < dtype.smallest_normal, np.zeros_like(y), y) if dtype.is_float else y


def _widened(x: Array | None) -> Array | None:
    if x is None or not _is_float(x):
        return x
    return x.astype(_WIDER[x.dtype.itemsize])


def _carrier(x: Array | None, dtype: DType | None) -> Array | None:
    """Wide enough that what is computed from it is exact next to the type's own rounding."""
    if x is None or not _is_float(x):
        return x
    return x.astype(np.longdouble if dtype is _DOUBLE else np.float64)


def _is_float(x: Array) -> bool:
    return x.dtype.kind == "f"


class _Noise:
    """A stream of signs and sizes for one node, the same for the same seed everywhere (SHAKE-128, FIPS 202)."""

    def __init__(self, key: str) -> None:
        self._key = key

    def within(self, number: int) -> _Noise:
        """That of the node, or of the run of a body, that has this number."""
        return _Noise(f"{self._key}/{number}")

    def moved(self, row: Operator, y: Array, exact: Array, dtype: DType) -> Array:
        """``y`` moved at random inside what the grant allows about ``exact``; what would leave it stays.

        Half of all elements go to the edge of the grant, the others by -1, 0 or 1 unit in the last place.
        """
        if not y.size:
            return y
        grant = in_type(row.accuracy, dtype)
        exponent = np.frexp(np.maximum(np.abs(exact), dtype.smallest_normal))[1]
        spacing = np.ldexp(1.0, exponent - dtype.precision)
        reach = grant.ulps * spacing + grant.units * dtype.unit
        bits = np.frombuffer(hashlib.shake_128(self._key.encode()).digest(y.size), dtype=np.uint8).reshape(y.shape)
        near = y.astype(np.float64) + ((bits % 3).astype(np.float64) - 1) * spacing
        edge = exact + np.where(bits & 64, reach, -reach) * (1 - 2**-8)
        chosen = np.where(bits & 128, edge, near).astype(dtype.numpy)
        legal = np.abs(chosen.astype(np.float64) - exact) <= reach
        return np.where(legal, chosen, y.astype(dtype.numpy))
