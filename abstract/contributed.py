"""Operators of domains other than ONNX's, as data: ONNX has no schema of them, so what they take is stated here.

They are those of ONNX Runtime's domain ``com.microsoft``, which its optimiser puts in place of what it fuses and which
exporters write (docs/ContribOperators.md of ONNX Runtime 1.31; the types are those of the registered schemas). An
operator is known by its qualified name, ``com.microsoft.Gelu``, as ONNX's text syntax writes it. All are of version 1.

A row says the operands, then the results: ``name:T``, ``name:T?`` where it may be left out, ``name:T**`` where it is
repeated, each of its own type. What stands after the colon is a type variable, or one element type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONTRIBUTED", "DOMAINS", "MICROSOFT", "Declared", "domain_of", "qualified", "unqualified"]

MICROSOFT = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a contributed operator takes: formals, the types of each variable, attributes with their defaults.

    ``attributes`` are those without a default.
    """

    inputs: str
    outputs: str
    types: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    attributes: str = ""


_EPSILON = 9.999999960041972e-13  # 1e-12 as float32 holds it
_FLOATS = {"T": "float float16 double bfloat16"}
_ATTENDED = {"T": "float float16 bfloat16", "M": "int32"}
_BYTES = {"T": "int8 uint8"}
_BINARY = ("A:T A_scale:float A_zero_point:T? B:T B_scale:float B_zero_point:T? C_scale:float C_zero_point:T?")
_NORMALIZED = {"T": "float float16 bfloat16", "U": "float"}

_ANY = "float float16 double int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string"

_OPERATORS: Mapping[str, Declared] = {
    "Gelu": Declared("X:T", "Y:T", _FLOATS),
    "BiasGelu": Declared("A:T B:T", "C:T", _FLOATS),
    "FastGelu": Declared("X:T bias:T?", "Y:T", _FLOATS),
    "QuickGelu": Declared("X:T", "Y:T", _FLOATS, {"alpha": 1.7020000219345093}),
    "FusedMatMul": Declared("A:T B:T", "Y:T", _FLOATS,
                            {"alpha": 1.0, "transA": 0, "transB": 0, "transBatchA": 0, "transBatchB": 0}),
    "SkipLayerNormalization": Declared(
        "input:T skip:T gamma:T beta:T? bias:T?", "output:T mean:U? inv_std_var:U? input_skip_bias_sum:T?",
        _NORMALIZED, {"epsilon": _EPSILON}),
    "SkipSimplifiedLayerNormalization": Declared(
        "input:T skip:T gamma:T bias:T?", "output:T mean:U? inv_std_var:U? input_skip_bias_sum:T?",
        _NORMALIZED, {"epsilon": _EPSILON}),
    "EmbedLayerNormalization": Declared(
        "input_ids:T1 segment_ids:T1? word_embedding:T position_embedding:T segment_embedding:T? gamma:T beta:T "
        "mask:T1? position_ids:T1?", "output:T mask_index:T1? embedding_sum:T?", {"T": "float float16", "T1": "int32"},
        {"epsilon": _EPSILON}, "mask_index_type"),
    "FusedConv": Declared("X:T W:T B:T? Z:T?", "Y:T", {"T": "float float16 double"},
                          {"auto_pad": b"NOTSET", "group": 1},
                          "activation activation_params dilations kernel_shape pads strides"),
    "FusedGemm": Declared("A:T B:T C:T?", "Y:T", {"T": "float float16 double int32 int64 uint32 uint64"},
                          {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0},
                          "activation activation_alpha activation_beta activation_gamma"),
    "QLinearAdd": Declared(_BINARY, "C:T", _BYTES),
    "QLinearMul": Declared(_BINARY, "C:T", _BYTES),
    "QLinearWhere": Declared("condition:B X:T x_scale:TF x_zero_point:T Y:T y_scale:TF y_zero_point:T z_scale:TF "
                             "z_zero_point:T", "Z:T", {"B": "bool", "TF": "float", **_BYTES}),
    "QLinearLeakyRelu": Declared("X:T X_scale:float X_zero_point:T? Y_scale:float Y_zero_point:T?", "Y:T", _BYTES,
                                 {"alpha": 0.009999999776482582}),
    "QLinearSigmoid": Declared("X:T X_scale:float X_zero_point:T? Y_scale:float Y_zero_point:T?", "Y:T", _BYTES),
    "QLinearSoftmax": Declared("X:T X_scale:float x_zero_point:T? y_scale:float y_zero_point:T", "Y:T", _BYTES,
                               {"axis": -1}, "opset"),
    "QLinearConcat": Declared("Y_scale:TF Y_zero_point:T8 inputs:TV**", "Y:T8",
                              {"T8": "int8 uint8", "TF": "float", "TV": "float int8 uint8"}, {}, "axis"),
    "QLinearAveragePool": Declared(
        "X:T x_scale:float x_zero_point:T? y_scale:float y_zero_point:T?", "Y:T", _BYTES,
        {"auto_pad": b"NOTSET", "ceil_mode": 0, "channels_last": 0, "count_include_pad": 0},
        "kernel_shape pads strides"),
    "QLinearGlobalAveragePool": Declared("X:T x_scale:float x_zero_point:T y_scale:float y_zero_point:T", "Y:T", _BYTES,
                                         {"channels_last": 0}),
    "NhwcMaxPool": Declared("x:T", "y:T", _BYTES, {"auto_pad": b"NOTSET", "ceil_mode": 0},
                            "dilations kernel_shape pads strides"),
    "MatMulInteger16": Declared("A:T1 B:T2", "Y:T3",
                                {"T1": "int16 uint16", "T2": "int16 uint16", "T3": "int32 uint32"}),
    "MatMulIntegerToFloat": Declared(
        "A:T1 B:T2 a_scale:T3 b_scale:T3 a_zero_point:T1? b_zero_point:T2? bias:T3?", "Y:T3",
        {"T1": "int8 uint8", "T2": "int8 uint8", "T3": "float float16"}),
    "DynamicQuantizeMatMul": Declared("A:T1 B:T2 b_scale:T1 b_zero_point:T2? bias:T1?", "Y:T1",
                                      {"T1": "float", "T2": "int8 uint8"}),
    "QGemm": Declared(
        "A:TA a_scale:T a_zero_point:TA B:TB b_scale:T b_zero_point:TB C:TC? y_scale:T? y_zero_point:TYZ?", "Y:TY",
        {"T": "float", "TA": "int8 uint8", "TB": "int8 uint8", "TC": "int32", "TYZ": "int8 uint8",
         "TY": "float int8 uint8"},
        {"alpha": 1.0, "transA": 0, "transB": 0}),
    "MatMulNBits": Declared(
        "A:T1 B:T2 scales:T1 zero_points:T3? g_idx:T4? bias:T1?", "Y:T1",
        {"T1": "float float16 bfloat16", "T2": "uint8", "T3": "float float16 bfloat16 uint8", "T4": "int32"},
        {"accuracy_level": 0, "bits": 4, "weight_prepacked": 0}, "K N block_size"),
    "Attention": Declared(
        "input:T weights:T bias:T? mask_index:M? past:T? attention_bias:T? past_sequence_length:M?",
        "output:T present:T?", _ATTENDED, {"unidirectional": 0},
        "do_rotary mask_filter_value num_heads past_present_share_buffer qkv_hidden_sizes rotary_embedding_dim scale"),
    "MultiHeadAttention": Declared(
        "query:T key:T? value:T? bias:T? key_padding_mask:M? attention_bias:T? past_key:T? past_value:T? "
        "past_sequence_length:M? cache_indirection:M?", "output:T present_key:T? present_value:T? qk:QK?",
        {**_ATTENDED, "QK": "float float16 bfloat16"}, {"unidirectional": 0}, "mask_filter_value num_heads scale"),
    "GroupQueryAttention": Declared(
        "query:T key:T? value:T? past_key:T_CACHE? past_value:T_CACHE? seqlens_k:M total_sequence_length:M "
        "cos_cache:T? sin_cache:T? position_ids:int64? attention_bias:T? head_sink:T? k_scale:T_KV_SCALE? "
        "v_scale:T_KV_SCALE? q_norm_weight:T? k_norm_weight:T?",
        "output:T present_key:T_CACHE? present_value:T_CACHE? output_qk:T?",
        {**_ATTENDED, "T_CACHE": "float float16 bfloat16 uint8 int8 float8e4m3fn", "T_KV_SCALE": "float"},
        {"causal": 1, "k_quant_type": b"NONE", "local_window_size": -1, "qk_norm_epsilon": 9.999999974752427e-07,
         "qk_output": 0, "sliding_window_cache": 0, "smooth_softmax": -1, "v_quant_type": b"NONE"},
        "do_rotary kv_cache_bit_width kv_num_heads num_heads rotary_interleaved scale softcap"),
    "RotaryEmbedding": Declared(
        "input:T position_ids:M cos_cache:T sin_cache:T", "output:T", {"T": "float float16 bfloat16", "M": "int64"}, {},
        "interleaved is_packed_batching num_heads rotary_embedding_dim scale"),
    "QuantizeLinear": Declared("x:T1 y_scale:T1 y_zero_point:T2?", "y:T2",
                               {"T1": "float float16", "T2": "int8 uint8 int16 uint16 int4 uint4"}, {}, "axis"),
    "DequantizeLinear": Declared("x:T1 x_scale:T2 x_zero_point:T1?", "y:T2",
                                 {"T1": "int8 uint8 int16 uint16 int32 int4 uint4", "T2": "float float16"}, {}, "axis"),
    "Trilu": Declared("X:T k:int64?", "Y:T",
                      {"T": "float float16 double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool"},
                      {"upper": 1}),
    "ExpandDims": Declared(
        "X:T axis:int32", "Y:T", {"T": "float float16 double int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool "
                                       "string complex64 complex128"}),
    "Pad": Declared("data:T pads:int64 value:T?", "output:T", {"T": "float float16 double"}, {"mode": b"constant"}),
    "GatherND": Declared("data:T indices:Tind", "output:T",
                         {"T": f"{_ANY} complex64 complex128", "Tind": "int32 int64"}),
    "Range": Declared("start:T limit:T delta:T?", "Y:T", {"T": "float double int16 int32 int64"}),
    "UnfoldTensor": Declared("input:T", "output:T", {"T": f"{_ANY} bfloat16 complex64 complex128"},
                             {"dim": -1, "step": 1}, "size"),
    "QLinearConv": Declared(
        "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float y_zero_point:T3 B:T4?",
        "y:T3", {"T1": "int8 uint8", "T2": "int8 uint8", "T3": "int8 uint8", "T4": "int32"},
        {"auto_pad": b"NOTSET", "channels_last": 0, "group": 1}, "dilations kernel_shape pads strides"),
    "TransposeMatMul": Declared("A:T B:T", "Y:T", _FLOATS, {"alpha": 1.0, "transA": 0, "transB": 0}),
}  # fmt: skip

_STRAYED: Mapping[str, Declared] = {
    "SimplifiedLayerNormalization": Declared(
        "X:T scale:V", "Y:V inv_std_var:U?", {**_FLOATS, "U": "float double", "V": _FLOATS["T"]},
        {"axis": -1, "epsilon": 9.999999747378752e-06, "stash_type": 1}),
}  # fmt: skip
"""What ONNX Runtime registers in ONNX's own domain, where ONNX's checker refuses it."""

CONTRIBUTED: Mapping[str, Declared] = MappingProxyType(
    {**{f"{MICROSOFT}.{name}": row for name, row in _OPERATORS.items()}, **_STRAYED}
)
"""What is declared of each operator, by its qualified name."""

DOMAINS: tuple[str, ...] = (MICROSOFT,)
"""The domains that have operators here."""


def qualified(domain: str, operator: str) -> str:
    """The name by which the project knows an operator of a domain."""
    return f"{domain}.{operator}" if domain and domain != "ai.onnx" else operator


def unqualified(name: str) -> tuple[str, str]:
    """The domain (empty for ONNX's own) and the operator that a node of this name has."""
    domain, _, operator = name.rpartition(".")
    return domain, operator


def domain_of(name: str) -> str:
    """The domain by which an operator is asked for: empty for ONNX's own, "(none)" where its name alone brings it."""
    return "(none)" if name in _STRAYED else unqualified(name)[0]
