"""Arrays and models as Python text that gives them back to the last bit, or None where no readable text does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx.printer

from backends.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["array_text", "model_text", "number_text"]

_ELEMENTS = 64
"""The most elements that an array in a script may have."""
_NODES = 3
_WIDTH = 100
_LANGUAGE = {"np": np, "ml_dtypes": ml_dtypes}


def number_text(number: Any) -> str:
    """A number of Python's or numpy's as it is written in a script."""
    if isinstance(number, str):
        return repr(number)
    plain = number.item() if isinstance(number, np.generic) else number
    return repr(plain).replace("nan", "np.nan").replace("inf", "np.inf")


def array_text(array: np.ndarray[Any, Any], indent: int = 0) -> str | None:
    """``np.array(...)`` of an array, None where it is long or its bytes do not come back."""
    name = array.dtype.name
    if array.size > _ELEMENTS:
        return None
    behind, plain = "", array
    if hasattr(ml_dtypes, name):
        behind, plain = f".astype(ml_dtypes.{name})", array.astype(np.float32)
    kind = "object" if plain.dtype.kind == "O" else f"np.{'bool_' if plain.dtype.kind == 'b' else plain.dtype.name}"
    if not array.size:
        text = f"np.zeros({array.shape}, {kind}){behind}"
    else:
        text = f"np.array({_nested(_shortest(plain))}, {kind}){behind}"
    if len(text) + indent > _WIDTH:
        text = _wrapped(text, indent)
    found = eval(text, dict(_LANGUAGE))  # noqa: S307 - what has just been written here, to see that it means the array
    same = found.dtype == array.dtype and found.shape == array.shape
    if same and array.dtype.kind == "O":
        return text if found.tolist() == array.tolist() else None
    return text if same and found.tobytes() == np.ascontiguousarray(array).tobytes() else None


def _shortest(array: np.ndarray[Any, Any]) -> Any:
    """Nested lists; of floats the numbers with as few digits as their type needs."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return np.array([float(str(number)) for number in array.reshape(-1)]).reshape(array.shape).tolist()
    return array.tolist()


def _nested(items: Any) -> str:
    if isinstance(items, list):
        return f"[{', '.join(map(_nested, items))}]"
    return number_text(items)


def _wrapped(text: str, indent: int) -> str:
    """Broken behind commas, so that no line is much longer than ``_WIDTH``."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and indent + len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = "    "
        line += word if line in {"", "    "} else f" {word}"
    return ("\n" + " " * indent).join((*lines, line))


def model_text(model: onnx.ModelProto) -> tuple[str, Sequence[tuple[str, str]]] | None:
    """A small model in ONNX's text form, and initializers (name, array) that this form cannot tell.

    None where the model has more than three nodes, long constants, or does not come back from its text.
    """
    plain = _plain(model)
    if sum(len(graph.node) for graph in graphs(plain.graph)) > _NODES or plain.functions:
        return None
    text = _printed(plain)
    if text is not None:
        return text, ()
    bare, apart = _copy(plain), []
    for tensor in plain.graph.initializer:
        written = array_text(onnx.numpy_helper.to_array(tensor))
        if written is None:
            return None
        apart.append((tensor.name, written))
    del bare.graph.initializer[:]
    text = _printed(bare)
    return (text, apart) if text is not None else None


def _printed(model: onnx.ModelProto) -> str | None:
    """The text of a model; None where it is not the model, or could not stand in a script as it is."""
    constants = [*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute if a.HasField("t"))]
    if any(np.prod(tensor.dims, dtype=np.int64) > _ELEMENTS for tensor in constants):
        return None
    try:
        text: str = onnx.printer.to_text(model)
        read = onnx.parser.parse_model(text)
    except Exception:  # noqa: BLE001 - what ONNX cannot print or parse goes into a file
        return None
    if '"""' in text or "\\" in text:
        return None
    if _plain(read).SerializeToString(deterministic=True) != model.SerializeToString(deterministic=True):
        return None
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made


def _plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without who made it, each constant in the one form that numpy's arrays are written in."""
    made = _copy(model)
    for field in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        made.ClearField(field)
    del made.metadata_props[:]
    for graph in graphs(made.graph):
        graph.ClearField("doc_string")
        for tensor in graph.initializer:
            _normal(tensor)
        for node in graph.node:
            node.ClearField("doc_string")
            for attribute in node.attribute:
                attribute.ClearField("doc_string")
                if attribute.HasField("t"):
                    _normal(attribute.t)
    return made


def _normal(tensor: onnx.TensorProto) -> None:
    name = tensor.name
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), name))
