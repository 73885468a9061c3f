"""tract: an inference engine in Rust, on the CPU."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tract

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.layout import Layout, arranged
from backends.protocol import Stage, Unsupported, Words, heard
from backends.tensor import EXTENDED, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORDS = Words(
    unsupported=(
        r"Unimplemented\(",
        r"Unknown DatumType",
        r"unknown ONNX TensorProto\.DataType",
        r"graph input .* has no type value",  # of a sequence or an optional
        r"[Uu]nsupported",
        r"[Nn]ot (yet |currently )?(supported|implemented)",
        r"does not support",
        r"No serializer found",
        r"Undetermined symbol",  # a size that is an output
        r"(as|be|is) a const",
        r"not const\b",
        r"(must|to) be (constants?\b|a known scalar|determined)",
        r"[Ee]xpects?( a| all inputs to be)? constants?\b",
        r"shape input is variable",
        r"can not be typed",
        r"scale: None, sizes: None",  # neither of them is a constant
    )
)
_NOT_PASSED = EXTENDED | {"string", "complex64", "complex128"}


@dataclass(frozen=True, slots=True)
class Tract:
    """tract's ONNX front end and its runtime for the CPU, which computes on one thread."""

    name: str = "tract"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Runnable:
        """Read the file and infer its types, then declutter, optimise and plan."""
        parsed = read_model(model, folder)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place, "model.onnx")
            path.write_bytes(parsed.SerializeToString())
            with heard(WORDS):
                inferred = tract.onnx().load(path)
                inferred.analyse()
            enter(Stage.COMPILE)
            with heard(WORDS):
                typed = inferred.into_model()
                if options.get("reload") == "yes":
                    typed = _reloaded(typed, Path(place, "model.nnef.tar"))
                return _Runnable(typed, parsed.graph)


def _reloaded(model: Any, path: Path) -> Any:
    """The model written as NNEF with tract's extensions, and read again."""
    nnef = tract.nnef().with_onnx().with_tract_extra().with_tract_transformers()
    nnef.write_model_to_tar(model, path)
    return nnef.load(path)


class _Runnable:
    # Arrays are made contiguous, then copied.
    layouts = tuple(Layout)

    def __init__(self, model: Any, graph: Any) -> None:
        given = [port.name for port in required_inputs(graph)]
        names = [model.input_name(index) for index in range(model.input_count())]
        if not set(names) <= set(given):
            raise Unsupported("tract gave the inputs other names")
        self._required = len(given)
        self._positions = [given.index(name) for name in names]
        # A size that depends on a symbol has a type of tract's own, which its interface does not hand out.
        self._sizes = [fact.dump().lower().endswith("tdim") for fact in model.output_facts()]
        self._runnable = model.into_runnable()

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        # It reads as many pointers as the model has inputs, however many there are.
        given = taken(inputs, self._required)
        arguments = [_argument(given[position], layout) for position in self._positions]
        with heard(WORDS):
            results = self._runnable.run(arguments)
            return [_value(result, size) for result, size in zip(results, self._sizes, strict=True)]


def _argument(value: Value, layout: Layout | None) -> Any:
    if not isinstance(value, Tensor):
        raise Unsupported("sequences and optionals are no inputs of a tract model")
    if value.element_type in _NOT_PASSED:
        raise Unsupported(f"{value.element_type} tensors are not passed on by tract's Python interface")
    array = to_numpy(value)
    return array if layout is None else arranged(array, layout)


def _value(result: Any, is_size: bool) -> Value:
    return from_numpy((result.convert_to(tract.DatumType.I64) if is_size else result).to_numpy())


BACKEND = Tract()
