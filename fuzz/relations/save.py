"""A model against itself, saved in another form and loaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx.external_data_helper import set_external_data

from backends.tensor import from_numpy
from fuzz.relations.site import Site, drawer
from fuzz.relations.variant import Variant

if TYPE_CHECKING:
    from fuzz.relations.variant import Original

__all__ = ["READS_EXTERNAL_DATA", "with_external_data"]

READS_EXTERNAL_DATA = frozenset({"onnxruntime"})
"""Backends that read external data themselves; the others are handed it by their workers."""

_FILE = "weights.bin"
_PAGE = 4096


def with_external_data(original: Original, seed: int) -> Variant | None:
    """Every initializer that carries data lies in a file; None where there is none.

    What decides shapes (axes, target shapes) stays in the model: shape inference does not look into files.
    """
    model = onnx.ModelProto()
    model.CopyFrom(original.base.model)
    align = (1, _PAGE)[drawer(seed, original.case, "external-data")(2)]
    wanted = Site(original.base, drawer()).data_constants()
    data = bytearray()
    count = 0
    for tensor in model.graph.initializer:
        if tensor.name not in wanted or tensor.data_type == onnx.TensorProto.STRING or 0 in tensor.dims:
            continue
        content = from_numpy(onnx.numpy_helper.to_array(tensor)).data
        data.extend(bytes(-len(data) % align))
        kept = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=content)
        tensor.CopyFrom(kept)
        set_external_data(tensor, _FILE, offset=len(data), length=len(content))
        tensor.ClearField("raw_data")
        data.extend(content)
        count += 1
    if not count:
        return None
    how = "one after the other" if align == 1 else f"at multiples of {align} bytes"
    return Variant(
        "save:external-data", f"{count} initializers in a file, {how}", model.SerializeToString(deterministic=True),
        original.whole(), original.same_outputs(), exact=True, files={_FILE: bytes(data)},
        plain=original.base.model.SerializeToString(deterministic=True), backends=READS_EXTERNAL_DATA,
    )  # fmt: skip
