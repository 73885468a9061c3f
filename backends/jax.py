"""JAX: jaxonnxruntime makes a JAX function of the model, XLA compiles it whole, or operator by operator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jaxonnxruntime
import numpy as np
from jaxonnxruntime.call_onnx import call_onnx_model

from backends.external import read_model
from backends.graph import required_inputs, taken
from backends.hlo_passes import hlo_passes
from backends.layout import Layout, arranged
from backends.protocol import Stage, Unsupported, Words, heard
from backends.tensor import Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORDS = Words(unsupported=(r"NotImplementedError", r"must have static", r"only support\b", r"is not implement yet"))
# Where in which file each instruction comes from: paths of this machine.
_SOURCES = re.compile(r"^FileNames\n.*?\n\n\n?(?=%|ENTRY)", re.DOTALL | re.MULTILINE)
_METADATA = re.compile(r", metadata=\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Jax:
    """jaxonnxruntime on JAX's CPU or CUDA backend, in the types of the model (64 bits too)."""

    name: str = "jax"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Function:
        """Parse the model. The rest waits for inputs, whose values the importer takes for those of all runs."""
        jax.config.update("jax_enable_x64", val=True)
        jax.config.update("jax_platforms", options.get("device", "cpu"))
        jaxonnxruntime.config.update("jaxort_only_allow_initializers_as_static_args", val=False)
        parsed = read_model(model, folder)
        return _Function(parsed, dict(options), enter)

    def passes(self) -> list[str]:
        """The names that `disable` knows: what XLA runs over a small program."""
        return hlo_passes(_PROGRAM)


_PROGRAM = """
import jax
jax.jit(lambda x: jax.numpy.tanh(x) @ x.T + jax.numpy.sort(x)).lower(jax.numpy.ones((4, 4))).compile()
"""


class _Function:
    # Arrays of numpy's are copied into buffers of JAX's own.
    layouts = tuple(Layout)

    def __init__(self, model: Any, options: Mapping[str, str], enter: Callable[[Stage], None]) -> None:
        self._model = model
        self._options = options
        self._enter = enter
        self._names = [port.name for port in required_inputs(model.graph)]
        self._imported: tuple[list[Tensor], Callable[[Any], Any]] | None = None
        self._stages: tuple[Any, Any] | None = None

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        return self._run(inputs, None)

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        return self._run(inputs, layout)

    def artefacts(self) -> dict[str, bytes]:
        """What the last data set was compiled to, under jit: the program that XLA was given, and what it made of it."""
        if self._stages is None:
            return {}
        lowered, compiled = self._stages
        optimized = _METADATA.sub("", _SOURCES.sub("", compiled.as_text()))
        return {"stablehlo.mlir": lowered.as_text().encode(), "optimized.hlo.txt": optimized.encode()}

    def _run(self, inputs: Sequence[Value], layout: Layout | None) -> list[Value]:
        tensors = [_tensor(value) for value in taken(inputs, len(self._names))]
        arrays = [to_numpy(tensor) for tensor in tensors]
        if layout is not None:
            arrays = [arranged(array, layout) for array in arrays]
        feed = dict(zip(self._names, arrays, strict=True))
        if self._imported is None or self._imported[0] != tensors:
            self._imported = tensors, self._import(feed)
        with heard(WORDS):
            results = [jax.tree.map(np.asarray, result) for result in self._imported[1](feed)]
        return [_value(result) for result in results]

    def _import(self, feed: Mapping[str, Any]) -> Callable[[Any], Any]:
        """A function made for these inputs: not only their shapes, any of their values may be a constant in it."""
        self._enter(Stage.IMPORT)
        with heard(WORDS):
            traced, parameters = call_onnx_model(self._model, jax.tree.map(jax.numpy.asarray, dict(feed)))

        def call(inputs: Any) -> Any:
            return traced(parameters, inputs)

        self._enter(Stage.COMPILE)
        if self._options.get("mode", "jit") == "jit":
            with heard(WORDS):
                lowered = jax.jit(call).lower(dict(feed))
                compiled: Callable[[Any], Any] = lowered.compile(compiler_options=_settings(self._options))
                self._stages = lowered, compiled
        else:

            def compiled(inputs: Any) -> Any:
                return call(jax.tree.map(jax.numpy.asarray, inputs))

        self._enter(Stage.RUN)
        return compiled


def _settings(options: Mapping[str, str]) -> dict[str, Any]:
    """XLA's own options."""
    settings: dict[str, Any] = {}
    if "disable" in options:
        settings["xla_disable_hlo_passes"] = options["disable"].replace("+", ",")
    return settings


def _tensor(value: Value) -> Tensor:
    if not isinstance(value, Tensor) or value.element_type == "string":
        raise Unsupported("JAX has arrays of numbers only")
    return value


def _value(result: Any) -> Value:
    if isinstance(result, (list, tuple)):
        return [_value(item) for item in result]
    return None if result is None else from_numpy(np.asarray(result))


BACKEND = Jax()
