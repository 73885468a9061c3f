"""ONNX Runtime."""

from __future__ import annotations

import ctypes
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from backends.external import read_model
from backends.graph import small_model, taken
from backends.layout import Layout, arranged
from backends.protocol import Unsupported, Words, heard
from backends.providers import chosen, grant
from backends.tensor import EXTENDED, ONNX_NUMBERS, Tensor, Value, from_numpy, to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.protocol import Stage

WORDS = Words(
    unsupported=(
        r"NOT_IMPLEMENTED",
        r"is not a registered function/op",
        r"Unsupported model IR version",
        r"Unrecognized attribute",
        r"Failed to construct locale",
        r"under development and support for this is limited",
        r"[Nn]ot (yet |currently )?(supported|implemented|registered)",
        r"does not support",
        r"[Uu]nsupported (data )?type",
        r"Unsupported value attribute datatype",
        r"Only 4-D or 5-D tensor is supported",
        r"mode only supports:",
        r"Only support GridSample Cubic mode in 4-D",
        r"DeformConvValidateAndParse Input X must be 4D",
    )
)
# Types that numpy has itself; values of all others are handed over as raw bytes.
_DIRECT = frozenset(
    f"tensor({name})"
    for name in ONNX_NUMBERS
    if name not in EXTENDED and not name.startswith("complex")
)
# Older releases look for external data in the working directory only, whatever the settings say.
_KNOWS_FOLDER = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2]) >= (1, 21)
_NAMES = {number: name for name, number in ONNX_NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """ONNX Runtime's session, one thread unless the options say otherwise."""

    name: str = "onnxruntime"

    def compile(
        self, model: bytes, folder: str | None, options: Mapping[str, str], enter: Callable[[Stage], None]
    ) -> _Session:
        """Make a session; ONNX Runtime does not tell reading from compiling, so all is the import stage."""
        del enter
        if options.get("reload") != "yes":
            return _Session(session(model, folder, options), _Source(model, folder, options))
        with tempfile.TemporaryDirectory() as place:
            saved = str(Path(place, "optimised.onnx"))
            if folder is not None and b"location" in model:
                model = _whole(model, folder)  # what is saved goes on to refer to files, which are not in that place
            session(model, folder, options, saved)
            # What has been optimised is loaded as it is: a second pass over it would hide what the file lacks.
            loaded = session(Path(saved).read_bytes(), place, {**options, "opt": "0"})
            return _Session(loaded, _Source(model, folder, options))

    def passes(self) -> list[str]:
        """The names that `disable` knows: the transformers that run for a small model, and the rules in two of them."""
        model = small_model().SerializeToString()
        journal = _journal(lambda: session(model, None, {}, severity=_INFORMATION))
        return sorted({name for name, _ in journal if not name.endswith("_RuleBasedTransformer")} | set(_RULES))


_INFORMATION = 1  # severity from which ONNX Runtime tells of its optimizers
# ONNX Runtime tells of all its rewrite rules as one transformer a level; each can be left out by its own name. Without
# these no such transformer is left.
_RULES = (
    "CastElimination", "ClipQuantRewrite", "ConvAddFusion", "ConvBNFusion", "ConvMulFusion", "DivMulFusion",
    "EliminateDropout", "EliminateIdentity", "EliminateSlice", "ExpandElimination", "FuseReluClip", "GemmSumFusion",
    "GemmTransposeFusion", "LabelEncoderFusion", "MatMul_BatchNormalization_Fusion", "NoopElimination",
    "NotWhereFusion", "Pad_Fusion", "PreShapeNodeElimination", "ReluQuantRewrite", "UnsqueezeElimination",
)  # fmt: skip


def _journal(work: Callable[[], Any]) -> list[tuple[str, bool]]:
    """What ONNX Runtime tells of its optimizers while work is done: the name of each, and whether it changed the graph.

    It writes to standard error alone, which goes to a file meanwhile.
    """
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            work()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        told = file.read().decode("utf-8", "replace")
    return [(name, changed == "1") for name, changed in re.findall(r"GraphTransformer (\S+) modified: ([01])", told)]


@dataclass(frozen=True, slots=True)
class _Source:
    """What a session is made of."""

    model: bytes
    folder: str | None
    options: Mapping[str, str]


def session(
    model: bytes, folder: str | None, options: Mapping[str, str], saved: str = "", severity: int = 3
) -> Any:
    """A session; with ``saved`` the optimised graph goes into that file, which is in ONNX Runtime's format if ``.ort``.

    It tells what is at least that severe. Raises a refusal, or RuntimeError where a provider cannot be loaded.
    """
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = severity
    settings.intra_op_num_threads = int(options.get("threads", "1"))
    settings.inter_op_num_threads = 1
    level = int(options.get("opt", "99"))
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    if saved:
        settings.optimized_model_filepath = saved
        settings.add_session_config_entry("session.save_model_format", "ORT" if saved.endswith(".ort") else "ONNX")
    if folder is not None and not _KNOWS_FOLDER and b"location" in model:
        model = _whole(model, folder)
    elif folder is not None:
        settings.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    disabled = options.get("disable", "")
    given = grant(onnxruntime, settings, chosen(options))
    with heard(WORDS):
        made = onnxruntime.InferenceSession(
            model,
            settings,
            disabled_optimizers=disabled.split("+") if disabled else None,
            **given,
        )
    # Where a provider cannot be loaded, ONNX Runtime goes on without it and only warns.
    if missing := {name for name, _ in given.get("providers", ())} - set(made.get_providers()):
        raise RuntimeError(f"ONNX Runtime cannot load {', '.join(sorted(missing))} here")
    return made


def _whole(model: bytes, folder: str) -> bytes:
    """The model with its external data inside."""
    serialized: bytes = read_model(model, folder).SerializeToString()
    return serialized


def _has_raw(arguments: Sequence[Any]) -> bool:
    kinds = (argument.type for argument in arguments)
    return any(kind.startswith("tensor(") and kind not in _DIRECT for kind in kinds)


class _Session:
    # Session.run reads arrays where they lie and copies those that are not contiguous; so no `shifted`.
    layouts = (Layout.OFFSET, Layout.STRIDED, Layout.TRANSPOSED)

    def __init__(self, session: Any, source: _Source) -> None:
        self._session = session
        self._source = source
        arguments = session.get_inputs()
        self._required = len(arguments)
        # A data set may go on with values for inputs that have a default.
        defaults = session.get_overridable_initializers()
        self._inputs = [argument.name for argument in (*arguments, *defaults)]
        self._outputs = [argument.name for argument in session.get_outputs()]
        self._raw = _has_raw((*arguments, *session.get_outputs()))
        self._raw_defaults = _has_raw(defaults)

    def _is_raw(self, inputs: Sequence[Value]) -> bool:
        """Whether what goes in or comes out has types that numpy lacks."""
        return self._raw or (self._raw_defaults and len(inputs) > self._required)

    def run(self, inputs: Sequence[Value]) -> list[Value]:
        if self._is_raw(inputs):
            return self._run_raw(inputs)
        feed = {name: _argument(value) for name, value in self._named(inputs)}
        with heard(WORDS):
            results = self._session.run(self._outputs, feed)
        return [_value(result) for result in results]

    def run_arranged(self, inputs: Sequence[Value], layout: Layout) -> list[Value]:
        if self._is_raw(inputs):
            raise Unsupported("values of types that numpy lacks are copied into memory of ONNX Runtime's own")
        feed = {name: _arranged(value, layout) for name, value in self._named(inputs)}
        with heard(WORDS):
            results = self._session.run(self._outputs, feed)
        return [_value(result) for result in results]

    def bind(self, like: Sequence[Value]) -> _Binding:
        return _Binding(self._session, self._outputs, like, self._named)

    def artefacts(self) -> dict[str, bytes]:
        """The optimizers that changed the graph, in their order, and the graph that they left."""
        source = self._source
        with tempfile.TemporaryDirectory() as place:
            saved = Path(place, "optimised.onnx")
            journal = _journal(
                lambda: session(source.model, source.folder, source.options, str(saved), severity=_INFORMATION)
            )
            passes = "".join(f"{name}\n" for name, changed in journal if changed)
            return {"passes.txt": passes.encode(), "optimised.onnx": saved.read_bytes()}

    def _named(self, inputs: Sequence[Value]) -> list[tuple[str, Value]]:
        return list(zip(self._inputs, taken(inputs, self._required, len(self._inputs)), strict=False))

    def _run_raw(self, inputs: Sequence[Value]) -> list[Value]:
        feed = {name: _handle(value) for name, value in self._named(inputs)}
        with heard(WORDS):
            results = self._session.run_with_ort_values(self._outputs, feed)
        return [_read(result) for result in results]


class _Binding:
    """An IOBinding whose outputs are handles of ours, bound once."""

    def __init__(
        self, session: Any, names: Sequence[str], like: Sequence[Value],
        named: Callable[[Sequence[Value]], list[tuple[str, Value]]],
    ) -> None:  # fmt: skip
        self._session = session
        self._named = named
        self._handles = [_buffer(value) for value in like]
        self._binding = session.io_binding()
        with heard(WORDS):
            for name, handle in zip(names, self._handles, strict=True):
                self._binding.bind_ortvalue_output(name, handle)

    def run(self, inputs: Sequence[Value], fill: int | None) -> list[Value]:
        feed = [(name, _handle(value)) for name, value in self._named(inputs)]
        if fill is not None:
            for handle in self._handles:
                ctypes.memset(handle.data_ptr(), fill, handle.tensor_size_in_bytes())
        with heard(WORDS):
            self._binding.clear_binding_inputs()
            for name, handle in feed:
                self._binding.bind_ortvalue_input(name, handle)
            self._session.run_with_iobinding(self._binding)
        return [_read(handle) for handle in self._handles]


def _buffer(value: Value) -> Any:
    if not isinstance(value, Tensor) or value.element_type == "string":
        raise Unsupported("only outputs of numbers can be bound to buffers")
    return _handle(value)


def _arranged(value: Value, layout: Layout) -> Any:
    return arranged(to_numpy(value), layout) if isinstance(value, Tensor) else _argument(value)


def _argument(value: Value) -> Any:
    if isinstance(value, Tensor):
        return to_numpy(value)
    return value if value is None else [_argument(item) for item in value]


def _value(result: Any) -> Value:
    if isinstance(result, list):
        if any(isinstance(item, dict) for item in result):
            raise Unsupported("maps are not passed on")
        return [_value(item) for item in result]
    if result is not None and not hasattr(result, "dtype"):
        # A graph's output that is a Constant with `sparse_value`; the text has a dense tensor there.
        raise Unsupported("sparse tensors are not passed on")
    return None if result is None else from_numpy(result)


def _handle(value: Value) -> Any:
    """An OrtValue with the tensor's bytes, for types that numpy lacks."""
    if not isinstance(value, Tensor):
        raise Unsupported("sequences beside types that numpy lacks are not passed on")
    if value.element_type == "string":
        raise Unsupported("strings beside types that numpy lacks are not passed on")
    with heard(WORDS):
        handle = onnxruntime.OrtValue.ortvalue_from_shape_and_type(value.shape, ONNX_NUMBERS[value.element_type])
    if handle.tensor_size_in_bytes() != len(value.data):
        raise ValueError(f"ONNX Runtime keeps a {value.element_type} tensor in another size than ONNX")
    if value.data:
        ctypes.memmove(handle.data_ptr(), value.data, len(value.data))
    return handle


def _read(handle: Any) -> Value:
    if not handle.is_tensor():
        raise Unsupported("sequences beside types that numpy lacks are not passed on")
    element_type = _NAMES[handle.element_type()]
    if element_type == "string":
        return from_numpy(handle.numpy())
    size = handle.tensor_size_in_bytes()
    data = ctypes.string_at(handle.data_ptr(), size) if size else b""
    return Tensor(element_type, tuple(handle.shape()), data)


BACKEND = OnnxRuntime()
