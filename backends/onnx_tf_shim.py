"""onnx-tf as it was released, made to import beside packages of today.

onnx-tf 1.10 (2022) asks for three things that are gone: the tables of ``onnx.mapping``, of TensorFlow Addons the
function `hardmax`, of TensorFlow Probability the distribution `Bernoulli`. None of them is onnx-tf's own work, so
modules of those names that hold these alone stand in for what is missing while it is imported. Where the real ones are
installed they are used.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["import_onnx_tf"]


def import_onnx_tf() -> Any:
    """The module ``onnx_tf.backend``. Raises ImportError where TensorFlow or onnx-tf is missing."""
    if importlib.util.find_spec("onnx_tf") is None:
        raise ImportError("onnx-tf is not installed: pip install --no-deps onnx-tf==1.10.0")
    from onnx import helper

    made = [name for name, contents in _STAND_INS.items() if _stand_in(name, contents)]
    if "onnx.mapping" in made:
        # It is imported from here too.
        vars(helper)["mapping"] = sys.modules["onnx.mapping"]
    try:
        return importlib.import_module("onnx_tf.backend")
    finally:
        for name in made:
            del sys.modules[name]
        if "onnx.mapping" in made:
            del vars(helper)["mapping"]


def _stand_in(name: str, contents: Callable[[], Mapping[str, Any]]) -> bool:
    """Put a module of that name where imports look first, unless the real one can be found."""
    try:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return False
    except ModuleNotFoundError:  # of the package above it
        pass
    module = ModuleType(name)
    vars(module).update(contents())
    sys.modules[name] = module
    return True


def _mapping() -> Mapping[str, Any]:
    """The tables that `onnx.mapping` had until onnx 1.18, made from the functions that replaced them."""
    from onnx import TensorProto, helper

    numbers = [number for number in TensorProto.DataType.values() if number != TensorProto.UNDEFINED]
    stored = {number: helper.tensor_dtype_to_storage_tensor_dtype(number) for number in numbers}
    arrays = {number: helper.tensor_dtype_to_np_dtype(number) for number in numbers}
    return {
        "TENSOR_TYPE_TO_NP_TYPE": arrays,
        "TENSOR_TYPE_TO_STORAGE_TENSOR_TYPE": stored,
        "STORAGE_TENSOR_TYPE_TO_FIELD": {number: helper.tensor_dtype_to_field(number) for number in numbers},
        "NP_TYPE_TO_TENSOR_TYPE": {array: number for number, array in arrays.items()},
    }


def _seq2seq() -> Mapping[str, Any]:
    import tensorflow as tf

    def hardmax(logits: Any, name: str | None = None) -> Any:
        """One where the last axis has its first maximum, zero elsewhere."""
        return tf.one_hot(tf.argmax(logits, axis=-1), tf.shape(logits)[-1], dtype=logits.dtype, name=name)

    return {"hardmax": hardmax}


def _addons() -> Mapping[str, Any]:
    module = ModuleType("tensorflow_addons.seq2seq")
    vars(module).update(_seq2seq())
    return {"seq2seq": module}


def _probability() -> Mapping[str, Any]:
    module = ModuleType("tensorflow_probability.distributions")

    def bernoulli(**_: Any) -> Any:
        raise NotImplementedError("Bernoulli is not implemented without TensorFlow Probability")

    vars(module).update(Bernoulli=bernoulli)
    return {"distributions": module}


_STAND_INS: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "onnx.mapping": _mapping,
    "tensorflow_addons": _addons,
    "tensorflow_probability": _probability,
}
