"""Pairs of an operator and a type of which null runs have no outputs, with the reason."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNDRAWN"]

_WHOLE = "int32 int64 uint32 uint64"
_NARROWEST = "float4e2m1 int4 uint4 int2 uint2"
_PACKED = "how types narrower than a byte are packed is nowhere stated (hazard bit-cast-below-a-byte)"
_TEXT = "what text stands where nothing is, is nowhere stated"
_UNSIGNED = "ONNX Runtime's only kernel is of int16, and nothing says of which type unsigned products are"
_SAVED = "for training: nothing says what is saved, and kernels of inference leave it unwritten"
_CACHED = "quantised caches are not covered (docs/notes/contrib.md): a model with one is undecidable"
_COMPLEX = "sums of complex numbers and of text are nowhere defined"

_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("BitCast", "input", _NARROWEST, _PACKED),
    ("BitCast", "output", _NARROWEST, _PACKED),
    ("Pad", "axes", "int32", "ONNX's shape inference reads int64 alone, and its checker refuses it (docs/disputes.md)"),
    ("CenterCropPad", "shape", "int32", "ONNX's function body takes int64 alone (docs/disputes.md)"),
    ("Trilu", "input", "string", _TEXT),
    ("ReduceMean ReduceL2", "data", _WHOLE, "what an integer mean or root rounds to is nowhere stated (hazard H6.4)"),
    ("MeanVarianceNormalization", "X", "double float16 bfloat16",
     "ONNX's function body has float alone, and its checker refuses the others (docs/disputes.md)"),
    ("NonZero", "X", "string", "which text is zero is nowhere stated"),
    ("Col2Im", "input", "bool string complex64 complex128", _COMPLEX),
    ("QuantizeLinear", "y_scale", "int32", "how a number is divided by an integer scale is nowhere stated"),
    ("Attention", "attn_mask", "int8 int16 int32 int64 uint8 uint16 uint32 uint64",
     "the text has masks of flags, and those of the query's type that are added"),
    ("com.microsoft.FusedGemm", "A", _WHOLE, "its activations are those of floats"),
    ("SimplifiedLayerNormalization", "inv_std_var", "float double", _SAVED),
    ("com.microsoft.SkipLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization", "mean", "float", _SAVED),
    ("com.microsoft.MatMulInteger16", "A", "uint16", _UNSIGNED),
    ("com.microsoft.MatMulInteger16", "B", "uint16", _UNSIGNED),
    ("com.microsoft.MatMulInteger16", "Y", "uint32", _UNSIGNED),
    ("com.microsoft.MatMulNBits", "g_idx", "int32", "orders of groups are not covered (docs/notes/contrib.md)"),
    ("com.microsoft.MultiHeadAttention", "qk", "float float16 bfloat16", "given by kernels of decoding alone"),
    ("com.microsoft.GroupQueryAttention", "past_key", "float8e4m3fn int8 uint8", _CACHED),
    ("com.microsoft.GroupQueryAttention", "k_scale", "float", _CACHED),
    ("com.microsoft.GroupQueryAttention", "position_ids", "int64",
     "positions that do not follow from the lengths are not covered"),
)  # fmt: skip
UNDRAWN: Mapping[tuple[str, str, str], str] = MappingProxyType({
    (operator, operand, dtype): reason
    for operators, operand, dtypes, reason in _ROWS for operator in operators.split() for dtype in dtypes.split()
})  # fmt: skip
"""By operator, operand and type."""
