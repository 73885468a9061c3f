"""The frame of graph-to-graph tools: a tool rewrites a model, a plain runtime runs what came of it.

The plain runtime (ONNX Runtime at graph level 0, or ONNX's evaluator) has faults of its own. It runs the model as it
was too, first, so that none of them is blamed on the tool; `docs/notes/graph-tools.md` says how that is judged.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.checker

from backends.claims import claims, contradiction, exposing
from backends.external import read_model
from backends.protocol import (
    BackendError,
    InvalidCase,
    OutOfMemory,
    Rejected,
    Stage,
    Unsupported,
    Words,
    heard,
)
from backends.signature import alike, changed, left, lost
from backends.tensor import Tensor, TensorError, Value, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.protocol import Backend, Compiled

__all__ = ["Made", "Rewriter"]

_RUNTIMES: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType({
    "onnxruntime": ("ONNX Runtime at level 0", {"opt": "0"}),
    "reference": ("ONNX's evaluator", {}),
})  # fmt: skip
"""The plain runtimes: modules of this package, what they are called, their options."""

_OTHER: Mapping[str, str] = MappingProxyType({"onnxruntime": "reference", "reference": "onnxruntime"})
_FAILURES = (BackendError, MemoryError, TensorError)
_UNITS = 16.0  # of the largest number: results that differ by so little need no other opinion
_PRECISION: Mapping[str, float] = MappingProxyType(
    {"float": 2.0**-24, "double": 2.0**-53, "float16": 2.0**-11, "bfloat16": 2.0**-8}
)
_LARGEST = 1 << 20  # bytes of inputs for which another runtime is asked: ONNX's evaluator is slow


@dataclass(frozen=True, slots=True)
class Made:
    """What a tool made where it is no ONNX model: the file, what to call it, its inputs and outputs unknown."""

    content: bytes
    name: str


def _backend(runtime: str) -> Backend:
    try:
        found: Backend = importlib.import_module(f"backends.{runtime}").BACKEND
    except ImportError as problem:
        hint = f"pip install {runtime}, or set runtime=reference" if runtime != "reference" else "pip install onnx"
        raise ImportError(f"the plain runtime {runtime} cannot be loaded ({problem}): {hint}") from problem
    return found


def _never(_options: Mapping[str, str]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Rewriter:
    """A graph-to-graph tool as a backend.

    Attributes:
        name: what the registry calls it.
        rewrite: makes another model of a parsed one, whose external data is inside; it may change and return its
            argument. What it raises is the tool's own answer.
        words: how the tool says that it lacks something.
        runtime: the backend of a plain runtime by its name.
        passes: the names that its option `disable` knows.
        claims: whether the types and shapes of values are what the tool makes: then they are checked.
        prunes: whether it removes inputs that no output needs, and means to.
        renames: whether it says that under these options inputs and outputs change.
    """

    name: str
    rewrite: Callable[[Any, Mapping[str, str]], Any]
    words: Words
    runtime: Callable[[str], Backend] = _backend
    passes: Callable[[], Sequence[str]] = tuple
    claims: bool = False
    prunes: bool = False
    renames: Callable[[Mapping[str, str]], bool] = _never

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Rewritten:
        """Have the tool rewrite the model; then the plain runtime reads the model as it was, and the new one."""
        original = read_model(model, folder)
        with heard(self.words):
            made = self.rewrite(read_model(model, folder), options)
            file = made if isinstance(made, Made) else Made(made.SerializeToString(deterministic=True), "")
        positions = None if isinstance(made, Made) else self._positions(original, made, options)
        return _Rewritten(self, options.get("runtime", "onnxruntime"), (model, folder), file, positions, enter)

    def _positions(self, original: Any, made: Any, options: Mapping[str, str]) -> list[int] | None:
        """Which inputs the rewritten model takes, None for all. Raises for other changes of the signature."""
        if calls := lost(original, made):
            raise Rejected(f"{self.name} drops the function {calls}, and leaves calls of it")
        change = changed(original, made)
        if not change or (self.renames(options) and alike(original, made)):
            return None
        if self.prunes and (positions := left(original, made)) is not None:
            return positions
        if self.renames(options):
            raise Unsupported(f"{self.name} changes the model's signature, as it says that it does: {change}")
        raise Rejected(f"{self.name} changes the model's signature: {change}")


class _Rewritten:
    """Both models on the plain runtime."""

    def __init__(
        self, tool: Rewriter, runtime: str, original: tuple[bytes, str | None], made: Made,
        positions: list[int] | None, enter: Callable[[Stage], None],
    ) -> None:  # fmt: skip
        self._tool = tool
        self._runtime = runtime
        self._original = original
        self._called = _RUNTIMES[runtime][0]
        self._made = made
        self._positions = positions
        self._enter = enter
        enter(Stage.PLAIN)
        try:
            self._plain = self._compile(runtime, *original)
        except _FAILURES as problem:
            raise self._unknown(problem) from problem
        enter(Stage.COMPILE)
        self._problem: BackendError | None = None
        self._transformed: Compiled | None = None
        try:
            self._transformed = self._compile(runtime, made.content, None)
        except BackendError as problem:
            # Whose fault that is may hang on the inputs.
            self._problem = problem
            if not isinstance(problem, Unsupported) and (fault := _invalid(made)):
                raise self._rejected(problem, fault) from problem

    def untransformed(self, inputs: Sequence[Value]) -> list[Value]:
        self._enter(Stage.PLAIN)
        try:
            outputs = self._plain.run(inputs)
        except _FAILURES as problem:
            raise self._unknown(problem) from problem
        self._enter(Stage.RUN)
        return outputs

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        try:
            if self._transformed is None:
                raise self._problem or Rejected("")
            outputs = self._transformed.run(self._taken(inputs))
        except BackendError as problem:
            raise self._refused(problem, inputs) from problem
        except InvalidCase as problem:
            self.untransformed(inputs)
            raise Rejected(f"{self._tool.name} changes the model's signature: of what it made, {problem}") from problem
        if self._tool.claims and (fault := self._contradicted(inputs)):
            raise Rejected(f"{self._tool.name} claims that {fault}")
        return outputs

    def elsewhere(
        self, inputs: Sequence[Value], outputs: Sequence[Value], untransformed: Sequence[Value]
    ) -> list[Value]:
        # A runtime that takes an invalid model for what was meant is no witness.
        if all(map(_close, outputs, untransformed)) or _invalid(self._made):
            return []
        self._enter(Stage.PLAIN)
        found = self._other(inputs)
        self._enter(Stage.RUN)
        return found

    def artefacts(self) -> Mapping[str, bytes]:
        return {self._made.name or "transformed.onnx": self._made.content}

    def _contradicted(self, inputs: Sequence[Value]) -> str:
        """What the tool claims of a value that is not so, in words; what one runtime alone contradicts is no fault."""
        made = onnx.load_model_from_string(self._made.content)
        claimed = claims(made)
        exposed = exposing(self._original[0], [claim.name for claim in claimed])
        self._enter(Stage.PLAIN)
        try:
            faults = []
            for runtime in (self._runtime, _OTHER[self._runtime]):
                values = self._compile(runtime, exposed, self._original[1]).run(inputs)
                faults.append(contradiction(claimed, made, inputs, values))
                if not faults[-1]:
                    break
        except (*_FAILURES, InvalidCase, ImportError):
            return ""
        finally:
            self._enter(Stage.RUN)
        return faults[0] if all(fault == faults[0] for fault in faults) else ""

    def _compile(self, runtime: str, model: bytes, folder: str | None) -> Compiled:
        return self._tool.runtime(runtime).compile(model, folder, _RUNTIMES[runtime][1], lambda _stage: None)

    def _other(self, inputs: Sequence[Value]) -> list[Value]:
        """What the other runtime computes from the rewritten model; empty where it cannot, or would take long."""
        if self._made.name or sum(_elements(value) for value in inputs) > _LARGEST:
            return []
        try:
            return self._compile(_OTHER[self._runtime], self._made.content, None).run(self._taken(inputs))
        except (*_FAILURES, InvalidCase, ImportError):
            return []

    def _taken(self, inputs: Sequence[Value]) -> Sequence[Value]:
        """Of the inputs those that the rewritten model takes."""
        return inputs if self._positions is None else [inputs[position] for position in self._positions]

    def _refused(self, problem: BackendError, inputs: Sequence[Value]) -> BackendError:
        """Whose fault it is that the plain runtime refuses the rewritten model: the tool's only if nothing else is."""
        plain = self.untransformed(inputs)
        if isinstance(problem, OutOfMemory):
            return problem
        if isinstance(problem, Unsupported):
            return Unsupported(f"{self._called} lacks what the transformed model needs: {problem}")
        fault = _invalid(self._made)
        if not fault:
            self._enter(Stage.PLAIN)
            other = self._other(inputs)
            self._enter(Stage.RUN)
            if len(other) == len(plain) and all(map(_close, other, plain)):
                called = _RUNTIMES[_OTHER[self._runtime]][0]
                text = f"{self._called} refuses the transformed model, but onnx.checker accepts it and {called} runs it"
                return Unsupported(f"{text}: {problem}")
        return self._rejected(problem, fault)

    def _rejected(self, problem: BackendError, fault: str) -> Rejected:
        checker = f"onnx.checker objects too: {fault}" if fault else "onnx.checker accepts it"
        text = f"{self._called} runs the model as it was, and refuses what {self._tool.name} made of it"
        return Rejected(f"{text}: {problem} [{checker}]")

    def _unknown(self, problem: BaseException) -> Unsupported:
        return Unsupported(f"{self._called} cannot run the untransformed model either: {problem}")


def _invalid(made: Made) -> str:
    """What onnx.checker says of the rewritten model, in one line; empty where it accepts it, or cannot read it."""
    if made.name:
        return ""
    try:
        onnx.checker.check_model(onnx.load_model_from_string(made.content), full_check=True)
    except Exception as problem:  # noqa: BLE001 - whatever the checker raises is its opinion
        return " ".join(str(problem).split())[:300]
    return ""


def _elements(value: Value) -> int:
    if isinstance(value, list):
        return sum(map(_elements, value))
    return len(value.data) if value is not None else 0


def _close(one: Value, other: Value) -> bool:
    """Whether two values are equal but for some roundings of the largest number in them."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if one == other or not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one == other
    if (one.element_type, one.shape) != (other.element_type, other.shape) or one.element_type not in _PRECISION:
        return False
    mine, theirs = (to_numpy(value).astype(np.float64) for value in (one, other))
    numbers = np.isfinite(mine) & np.isfinite(theirs)
    if not np.array_equal(mine[~numbers], theirs[~numbers], equal_nan=True):
        return False
    scale = np.abs(theirs[numbers]).max(initial=0.0)
    allowed = _UNITS * _PRECISION[one.element_type] * scale
    return bool(np.abs(mine[numbers] - theirs[numbers]).max(initial=0.0) <= allowed)
