"""Every detector: an example in which its hazard arises, with what it reaches, and one in which it does not."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from abstract.dtypes import dtype
from abstract.hazards import BY_ID, HAZARDS
from abstract.hazards.arithmetic import NARROW_OVERFLOW, WIDE_OVERFLOW
from abstract.hazards.detection import Trace
from abstract.program import parse
from abstract.reference import interpret

NAN, INF = np.nan, np.inf
OFF, ON = np.array([False, True])


def f(*values):
    return np.array(values, np.float32)


def d(*values):
    return np.array(values, np.float64)


def i(*values):
    return np.array(values, np.int64)


def w(*values):
    return np.array(values, np.int32)


def u8(*values):
    return np.array(values, np.uint8)


def strings(*values):
    return np.array(values, object)


def zeros(*shape):
    return np.zeros(shape, np.float32)


def ramp(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


FLOAT, INT32, STRING, E8M0 = (dtype(name).code for name in ("float", "int32", "string", "float8e8m0"))
BOX = f([0, 0, 1, 1], [2, 2, 3, 3])[None]
MASK = np.array([[True, True], [False, False]])


def body(nodes=None):
    """A Loop body that collects its counter, and goes on for as long as the condition that it gets."""
    ports = [helper.make_tensor_value_info("n", 7, []), helper.make_tensor_value_info("c", 9, [])]
    nodes = nodes or [helper.make_node("Identity", ["c"], ["go"])]
    results = [helper.make_tensor_value_info("go", 9, []), helper.make_tensor_value_info("v", 7, [])]
    return helper.make_graph([*nodes, helper.make_node("Identity", ["n"], ["v"])], "body", ports, results)


def endless():
    """A Loop body that leaves at once: runtimes heed its condition, the text does not."""
    return body([helper.make_node("Constant", [], ["go"], value=onnx.numpy_helper.from_array(np.array(OFF)))])


def scanned():
    x, y = helper.make_tensor_value_info("x", 1, []), helper.make_tensor_value_info("y", 1, [])
    return helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "body", [x], [y])


# A bitmap of one pixel, uncompressed, 24 bits.
PICTURE = bytes.fromhex("424d3a000000000000003600000028000000010000000100000001001800" + "00" * 24 + "10203000")
LSTM = {"hidden_size": 2}
CELL = (zeros(1, 1, 1), zeros(1, 4, 1), zeros(1, 4, 1), None, None, None)
RNN = (ramp(3, 2, 1), zeros(1, 2, 1), zeros(1, 2, 2), None)
POOL = {"kernel_shape": [2], "strides": [2]}
LATE = {"kernel_shape": [2], "strides": [3], "pads": [0, 1], "ceil_mode": 1}
ROI = {"output_height": 1, "output_width": 1, "sampling_ratio": 1}
BATCH = (f(1, 1), f(0, 0), f(0, 0))

# id, operator, opset, (inputs, attributes) that bring it about, (inputs, attributes) that do not, elements reached
NGRAMS = {"mode": "TFIDF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0, "ngram_counts": [0],
          "ngram_indexes": [1, 0], "pool_int64s": [1, 2]}  # fmt: skip
_TABLES = (f([1, 2], [3, 5], [6, 4]), f([1, 3], [0, 2]), None, f(1, 1), f(0, 0))

EXAMPLES = [
    ("cast-out-of-range", "Cast", 13, ((f(1, 3e9, NAN, -INF),), {"to": INT32}), ((f(1, 2**31 - 256),), {"to": INT32}),
     [0, 1, 1, 1]),
    ("early-cast-out-of-range", "Cast", 9, ((f(1, 3e9),), {"to": INT32}), ((f(1, 2),), {"to": INT32}), [0, 1]),
    ("cast-negative-to-float8e8m0", "Cast", 24, ((f(2, -2, -0.0),), {"to": E8M0}), ((f(2, 1),), {"to": E8M0}),
     [0, 1, 1]),
    ("cast-fraction-to-int4", "Cast", 21, ((f(2, 0.5, -1.75),), {"to": dtype("int4").code}),
     ((f(2, 0.5),), {"to": dtype("int8").code}), [0, 1, 1]),
    ("cast-small-to-float8e8m0", "Cast", 24, ((f(2, 0, 1e-40),), {"to": E8M0}), ((f(2, 1e-37),), {"to": E8M0}),
     [0, 1, 1]),
    ("cast-nan-to-float4", "Cast", 23, ((f(2, NAN, INF),), {"to": dtype("float4e2m1").code}),
     ((f(2, NAN),), {"to": dtype("float8e5m2").code}), [0, 1, 0]),
    ("cast-of-text", "Cast", 13, ((strings("1", "2.5"),), {"to": INT32}), ((strings("1", "2"),), {"to": INT32}), None),
    ("cast-to-text", "Cast", 13, ((f(1, 2),), {"to": STRING}), ((i(1, 2),), {"to": STRING}), [1, 1]),
    ("bit-cast-of-zero", "BitCast", 26, ((f(-0.0, 1, 0),), {"to": INT32}), ((f(-0.0, 1, 0),), {"to": FLOAT}),
     [1, 0, 1]),
    ("bit-cast-below-a-byte", "BitCast", 26, ((np.array([1, 2], ml_dtypes.int4),), {"to": dtype("uint4").code}),
     ((f(1, 2),), {"to": INT32}), [1, 1]),
    ("quantise-integer-scale", "QuantizeLinear", 19, ((w(7), np.int32(2), np.uint8(0)), {}),
     ((f(7), np.float32(2), np.uint8(0)), {}), [1]),
    ("quantise-float-zero-point", "QuantizeLinear", 19,
     ((f([1], [2]), f(1, 1), np.array([0, 1], ml_dtypes.float8_e5m2)), {"axis": 0}),
     ((f([1], [2]), f(1, 1), np.array([0, 0], ml_dtypes.float8_e5m2)), {"axis": 0}), [[0], [1]]),
    ("quantise-scale", "QuantizeLinear", 13, ((f([1], [2]), f(1, 0), u8(0, 0)), {"axis": 0}),
     ((f([1], [2]), f(1, 2), u8(0, 0)), {"axis": 0}), [[0], [1]]),
    ("dequantise-scale", "DequantizeLinear", 13, ((u8([1], [2]), f(1, 0)), {"axis": 0}),
     ((u8([1], [2]), f(1, 2)), {"axis": 0}), [[0], [1]]),
    ("requantise-scale", "QLinearMatMul", 13, ((u8([1]), f(1), u8(0), u8([1]), f(1), u8(0), f(0), u8(0)), {}),
     ((u8([1]), f(1), u8(0), u8([1]), f(1), u8(0), f(0.5), u8(0)), {}), [[1]]),
    ("quantise-not-finite", "QuantizeLinear", 13, ((f(1, NAN, INF), np.float32(1), np.uint8(0)), {}),
     ((f(1, 2), np.float32(1), np.uint8(0)), {}), [0, 1, 1]),
    ("dequantise-int32-zero-point", "DequantizeLinear", 19, ((w(1, 2), np.float32(1), np.int32(3)), {}),
     ((w(1, 2), np.float32(1), np.int32(0)), {}), [1, 1]),
    ("dynamic-quantise-zeros", "DynamicQuantizeLinear", 13, ((f(0, 0),), {}), ((f(0, 1),), {}), [1, 1]),
    ("long-integer-sum", "MatMulInteger", 13, ((np.zeros((1, 40000), np.uint8), np.zeros((40000, 1), np.uint8)), {}),
     ((u8([1, 2]), u8([1], [2])), {}), [[1]]),
    ("narrow-integer-overflow", "Add", 13, ((u8(250, 1), u8(10, 1)), {}), ((u8(1, 1), u8(10, 1)), {}), [1, 0]),
    ("wide-integer-overflow", "Add", 13, ((w(2**31 - 1, 1), w(1, 1)), {}), ((w(1, 1), w(1, 1)), {}), [0, 0]),
    ("integer-division-by-zero", "Div", 13, ((w(6, 6), w(0, 2)), {}), ((f(6, 6), f(0, 2)), {}), [1, 0]),
    ("integer-modulo-by-zero", "Mod", 13, ((u8(6, 6), u8(0, 4)), {}), ((u8(6, 6), u8(1, 4)), {}), [1, 0]),
    ("least-integer-by-minus-one", "Div", 13, ((w(-(2**31), 4), w(-1, -1)), {}), ((w(-5, 4), w(-1, -1)), {}), [1, 0]),
    ("float-modulo-pole", "Mod", 10, ((f(1, 2), f(0, 2)), {"fmod": 1}), ((f(1, 2), f(1, 2)), {"fmod": 1}), [1, 0]),
    ("power-corner", "Pow", 15, ((f(0, -2, -2, INF), f(-1, 0.5, 3, 2)), {}), ((f(2, -2), f(0.5, 3)), {}), [1, 1, 0, 1]),
    ("integer-power", "Pow", 15, ((w(2, 2, 9), w(-1, 3, 11)), {}), ((w(2, 2), w(2, 3)), {}), [1, 0, 1]),
    ("shift-beyond-width", "BitShift", 13, ((u8(1, 1), u8(8, 7)), {"direction": "LEFT"}),
     ((u8(1, 1), u8(0, 7)), {"direction": "LEFT"}), [1, 0]),
    ("nan-in-extremum", "Min", 13, ((f([1], [NAN]), f(1, NAN)), {}), ((f(INF, 1), f(1, 1)), {}), [[0, 1], [1, 1]]),
    ("nan-in-extremum", "Max", 13, ((f(NAN, 1), f(1, 1)), {}), ((f(INF, 1), f(1, 1)), {}), [1, 0]),
    ("nan-in-clamp", "ThresholdedRelu", 13, ((f(NAN, 1),), {}), ((f(INF, 1),), {}), [1, 0]),
    ("nan-in-clamp", "Clip", 13, ((f(1, 2), np.float32(NAN)), {}), ((f(1, 2), np.float32(INF)), {}), [1, 1]),
    ("nan-in-clamp", "HardSwish", 14, ((f(1, -INF),), {}), ((f(1, 2),), {}), [0, 1]),
    ("nan-in-clamp", "PRelu", 6, ((f([[NAN, 1]], [[1, 1]])[None], f(1, NAN)), {}), ((f([1])[None], f(1)), {}), None),
    ("nan-in-clamp", "Relu", 6, ((f(NAN, 1),), {}), ((f(-INF, 1),), {}), [1, 0]),
    ("nan-in-sign", "Sign", 13, ((f(NAN, 1),), {}), ((f(INF, 1),), {}), [1, 0]),
    ("clip-crossed", "Clip", 11, ((f(1, 2), np.float32(3), np.float32(2)), {}),
     ((f(1, 2), np.float32(1), np.float32(2)), {}), [1, 1]),
    ("inverse-outside-domain", "Asin", 13, ((f(1.5, 1, -2),), {}), ((f(1, -1),), {}), [1, 0, 1]),
    ("atanh-pole", "Atanh", 13, ((f(1, 0.5),), {}), ((f(0.5),), {}), [1, 0]),
    ("acosh-outside-domain", "Acosh", 13, ((f(0.5, 2),), {}), ((f(1, INF),), {}), [1, 0]),
    ("logarithm-outside-domain", "Log", 13, ((f(0, -1, 1),), {}), ((f(1, INF),), {}), [1, 1, 0]),
    ("reciprocal-of-zero", "Reciprocal", 13, ((f(0, 1),), {}), ((f(2, 1),), {}), [1, 0]),
    ("large-angle", "Sin", 13, ((f(1e5, 1),), {}), ((f(1e4, 1),), {}), [1, 0]),
    ("gather-out-of-range", "Gather", 13, ((f(1, 2), i(2, 0, -3)), {}), ((f(1, 2), i(1, -2)), {}), [1, 0, 1]),
    ("gather-elements-out-of-range", "GatherElements", 13, ((f(1, 2), i(2, 0)), {}), ((f(1, 2), i(1, -2)), {}), [1, 0]),
    ("gather-nd-out-of-range", "GatherND", 13, ((ramp(2, 2), i([2], [0])), {}), ((ramp(2, 2), i([-2], [1])), {}),
     [[1, 1], [0, 0]]),
    ("embedding-out-of-range", "com.microsoft.EmbedLayerNormalization", 13,
     ((w([0, 3]), None, *_TABLES), {}), ((w([0, 2]), None, *_TABLES), {}), None),
    ("embedding-mask-gaps", "com.microsoft.EmbedLayerNormalization", 13,
     ((w([0, 1]), None, *_TABLES, w([0, 1])), {"outputs": 2}), ((w([0, 1]), None, *_TABLES, w([1, 0])), {"outputs": 2}),
     [[[0, 0], [0, 0]]]),
    ("scatter-out-of-range", "ScatterElements", 18, ((f(1, 2), i(2), f(9)), {}), ((f(1, 2), i(1), f(9)), {}), [1, 1]),
    ("scatter-nd-out-of-range", "ScatterND", 18, ((f(1, 2), i([2]), f(9)), {}), ((f(1, 2), i([1]), f(9)), {}), [1, 1]),
    ("scatter-duplicate", "ScatterElements", 18, ((f(1, 2, 3), i(1, -2), f(9, 8)), {}),
     ((f(1, 2, 3), i(1, 1), f(9, 8)), {"reduction": "add"}), [0, 1, 0]),
    ("early-scatter-duplicate", "ScatterElements", 13, ((f(1, 2, 3), i(1, 1), f(9, 8)), {}),
     ((f(1, 2, 3), i(1, 0), f(9, 8)), {}), [0, 1, 0]),
    ("scatter-nd-duplicate", "ScatterND", 13, ((ramp(3, 2), i([0], [0]), ramp(2, 2)), {}),
     ((ramp(3, 2), i([0], [1]), ramp(2, 2)), {}), [[1, 1], [0, 0], [0, 0]]),
    ("scatter-nan-extremum", "ScatterElements", 18, ((f(1, 2), i(1), f(NAN)), {"reduction": "max"}),
     ((f(1, 2), i(1), f(3)), {"reduction": "max"}), [0, 1]),
    ("tensor-scatter-overrun", "TensorScatter", 24, ((zeros(1, 3, 1), zeros(1, 2, 1), i(2)), {}),
     ((zeros(1, 3, 1), zeros(1, 2, 1), i(1)), {}), None),
    ("nonzero-of-scalar", "NonZero", 13, ((np.float32(1),), {}), ((f(1),), {}), None),
    ("compress-too-long", "Compress", 11, ((f(1), np.array([True, True])), {}), ((f(1), np.array([True])), {}), None),
    ("sequence-position", "SequenceAt", 13, (([f(1)], i(1).reshape(())), {}), (([f(1)], i(-1).reshape(())), {}), None),
    ("insert-position", "SequenceInsert", 13, (([f(1)], f(2), np.int64(2)), {}), (([f(1)], f(2), np.int64(1)), {}),
     None),
    ("reverse-sequence-length", "ReverseSequence", 13, ((ramp(2, 2), i(0, 2)), {}), ((ramp(2, 2), i(1, 2)), {}), None),
    ("top-k-unsorted", "TopK", 11, ((f(1, 2, 3), i(2)), {"sorted": 0}), ((f(1, 2, 3), i(1)), {"sorted": 0}), [1, 1]),
    ("top-k-nan", "TopK", 13, ((f([1, NAN], [1, 2]), i(1)), {}), ((f([1, 2]), i(1)), {}), [[1], [0]]),
    ("top-k-zeros", "TopK", 13, ((f(0, 0), i(1)), {"outputs": 2}), ((f(0, 1), i(1)), {"outputs": 2}), [0]),
    ("arg-tie", "ArgMax", 11, ((f([2, 1], [2, 3]),), {}), ((f([2, 1], [1, 3]),), {}), [[1, 0]]),
    ("arg-nan", "ArgMin", 13, ((f([NAN, 1], [2, 3]),), {"keepdims": 0}), ((f([2, 1], [1, 3]),), {}), [1, 0]),
    ("arg-zeros", "ArgMax", 13, ((f([0, 0], [-1, 0]),), {"axis": 1}), ((f([0, 0], [1, 2]),), {"axis": 0}), [[1], [0]]),
    ("arg-empty", "ArgMax", 13, ((zeros(0, 2),), {}), ((zeros(2, 0),), {}), None),
    ("hardmax-nan", "Hardmax", 13, ((f([NAN, 1], [1, 2]),), {}), ((f([1, 2]),), {}), [[1, 1], [0, 0]]),
    ("boxes-alike", "NonMaxSuppression", 11, ((BOX, f([0.5, 0.5])[None], i(5), f(0.5)), {}),
     ((BOX, f([0.5, 0.6])[None], i(5), f(0.5)), {}), None),
    ("boxes-order", "NonMaxSuppression", 11, ((BOX, f([0.5, 0.6], [0.3, 0.4])[None], i(5), f(0.5)), {}),
     ((BOX, f([0.5, 0.6])[None], i(5), f(0.5)), {}), None),
    ("unique-zeros", "Unique", 11, ((f(0, 1, -0.0),), {}), ((f(-0.0, 1, -0.0),), {}), None),
    ("unique-nan", "Unique", 11, ((f(1, NAN),), {}), ((f(1, 1),), {}), None),
    ("slice-odd-end", "Slice", 11, ((f(1, 2, 3), i(2), i(-9), i(0), i(-1)), {}),
     ((f(1, 2, 3), i(0), i(2), i(0), i(1)), {}), None),
    ("slice-step-zero", "Slice", 13, ((f(1, 2), i(0), i(2), i(0), i(0)), {}),
     ((f(1, 2), i(0), i(2), i(0), i(1)), {}), None),
    ("repeated-axis", "Pad", 18, ((ramp(2, 2), i(1, 1, 0, 0), None, i(0, -2)), {}),
     ((ramp(2, 2), i(1, 1, 0, 0), None, i(0, -1)), {}), None),
    ("repeated-slice-axis", "Slice", 13, ((ramp(2, 2), i(0, 0), i(1, 1), i(0, -2)), {}),
     ((ramp(2, 2), i(0, 0), i(1, 1), i(0, -1)), {}), None),
    ("reshape-unknown-of-nothing", "Reshape", 14, ((zeros(0, 2), i(0, -1)), {}), ((zeros(0, 2), i(-1, 2)), {}), None),
    ("early-reshape-unknown-of-nothing", "Reshape", 13, ((zeros(0, 2), i(0, -1)), {}),
     ((ramp(3, 2), i(-1, 2)), {}), None),
    ("expand-to-nothing", "Expand", 13, ((zeros(1), i(0)), {}), ((zeros(1), i(2)), {}), None),
    ("pad-too-wide", "Pad", 13, ((f(1, 2), i(3, 1)), {"mode": "reflect"}), ((f(1, 2), i(1, 1)), {"mode": "reflect"}),
     [1, 1, 0, 0, 0, 0]),
    ("pad-cutting", "Pad", 13, ((f(1, 2, 3), i(-1, 1)), {"mode": "edge"}), ((f(1, 2, 3), i(-1, 1)), {}), [1, 1, 1]),
    ("pad-of-nothing", "Pad", 13, ((zeros(0), i(1, 0)), {"mode": "edge"}), ((zeros(0), i(1, 0)), {}), None),
    ("split-uneven", "Split", 18, ((f(1, 2, 3, 4),), {"num_outputs": 3, "outputs": 3}),
     ((f(1, 2, 3, 4, 5),), {"num_outputs": 3, "outputs": 3}), None),
    ("split-to-nothing", "SplitToSequence", 11, ((f(1, 2), i(0, 2)), {}), ((f(1, 2), i(1, 1)), {}), None),
    ("range-delta-zero", "Range", 13, ((np.int64(0), np.int64(4), np.int64(0)), {}),
     ((np.int64(0), np.int64(4), np.int64(1)), {}), None),
    ("range-inexact-step", "Range", 13, ((np.float32(0), np.float32(0.3), np.float32(0.1)), {}),
     ((np.float32(1), np.float32(5), np.float32(2)), {}), None),
    ("negative-size", "ConstantOfShape", 13, ((i(-1),), {}), ((i(0),), {}), None),
    ("case-of-foreign-letters", "StringNormalizer", 13, ((strings("É"),), {"case_change_action": "LOWER"}),
     ((strings("E"),), {"case_change_action": "LOWER"}), [1]),
    ("case-of-foreign-letters", "StringNormalizer", 13, ((strings("a", "É"),), {"stopwords": ["b"]}),
     ((strings("a", "É"),), {"stopwords": ["b"], "is_case_sensitive": 1}), [1, 1]),
    ("split-nothing", "StringSplit", 20, ((strings("", ""),), {"delimiter": ","}),
     ((strings("", "a b"),), {"delimiter": ""}), [[1], [1]]),
    ("split-blank-rest", "StringSplit", 20, ((strings("a b ", "c"),), {"maxsplit": 1}),
     ((strings("a b ", "c"),), {}), [[1, 1], [0, 0]]),
    ("ngram-weights", "TfIdfVectorizer", 13, ((i(1, 2, 2),), {**NGRAMS, "weights": [0.5, 2.0]}),
     ((i(1, 2, 2),), NGRAMS), [1, 1]),
    ("decoded-picture", "ImageDecoder", 20, ((u8(*PICTURE),), {}), None, [[[1, 1, 1]]]),
    ("upsample", "Upsample", 9, ((ramp(1, 1, 2, 2), f(1, 1, 2, 2)), {}), None, None),
    ("pool-ceil-window", "MaxPool", 13, ((ramp(1, 1, 3),), LATE), ((ramp(1, 1, 4),), LATE), [[[1]]]),
    ("pool-ceil-window", "AveragePool", 13, ((ramp(1, 1, 3),), {**LATE, "kernel_shape": [1]}),
     ((ramp(1, 1, 3),), {**LATE, "ceil_mode": 0}), [[[1]]]),
    ("lp-pool-ceil-window", "LpPool", 18, ((ramp(1, 1, 3),), LATE), ((ramp(1, 1, 4),), LATE), [[[1]]]),
    ("max-pool-of-padding", "MaxPool", 13, ((ramp(1, 1, 2),), {"kernel_shape": [1], "pads": [1, 0]}),
     ((ramp(1, 1, 2),), {"kernel_shape": [2], "pads": [1, 0]}), [[[1, 0, 0]]]),
    ("average-pool-of-padding", "AveragePool", 13, ((ramp(1, 1, 2),), {"kernel_shape": [1], "pads": [1, 0]}),
     ((ramp(1, 1, 2),), {"kernel_shape": [1], "pads": [1, 0], "count_include_pad": 1}), [[[1, 0, 0]]]),
    ("average-pool-overhang", "AveragePool", 13,
     ((ramp(1, 1, 3),), {**POOL, "ceil_mode": 1, "count_include_pad": 1}),
     ((ramp(1, 1, 4),), {**POOL, "ceil_mode": 1, "count_include_pad": 1}), [[[0, 1]]]),
    ("max-pool-nan", "MaxPool", 13, ((f(1, NAN, 2, 3)[None, None],), POOL), ((f(1, INF, 2, 3)[None, None],), POOL),
     [[[1, 0]]]),
    ("max-pool-nan", "GlobalMaxPool", 13, ((f([1, NAN], [2, 3])[None],), {}), ((f([1, INF])[None],), {}), [[[1], [0]]]),
    ("max-pool-index-tie", "MaxPool", 13, ((f(1, 1, 2, 3)[None, None],), {**POOL, "outputs": 2}),
     ((f(1, 1, 2, 3)[None, None],), POOL), None),
    ("max-unpool-duplicate", "MaxUnpool", 11, ((f(1, 2)[None, None], i(1, 1)[None, None], i(1, 1, 4)), POOL),
     ((f(1, 2)[None, None], i(1, 2)[None, None], i(1, 1, 4)), POOL), None),
    ("max-unpool-indices", "MaxUnpool", 11, ((f(1, 2)[None, None], i(1, 2)[None, None], i(1, 1, 5)), POOL),
     ((f(1, 2)[None, None], i(1, 2)[None, None], i(1, 1, 4)), POOL), [[[1, 1, 1, 1, 1]]]),
    ("pool-of-nothing", "GlobalAveragePool", 13, ((zeros(1, 2, 0),), {}), ((zeros(1, 2, 1),), {}), None),
    ("padding-times-infinity", "Conv", 13, ((ramp(1, 1, 2), f(INF)[None, None]), {"pads": [1, 1]}),
     ((ramp(1, 1, 2), f(INF)[None, None]), {}), [[[1, 1, 1, 1]]]),
    ("deconvolution-odd-padding", "ConvTranspose", 10, ((ramp(1, 1, 3), zeros(1, 1, 3)), {"output_shape": [4]}),
     ((ramp(1, 1, 3), zeros(1, 1, 3)), {"output_shape": [3]}), None),
    ("deconvolution-beyond", "ConvTranspose", 13, ((ramp(1, 1, 3), zeros(1, 1, 3)), {"output_shape": [6]}),
     ((ramp(1, 1, 3), zeros(1, 1, 3)), {"output_shape": [5]}), None),
    ("resize-single-corner", "Resize", 13, ((ramp(1, 1, 2, 2), None, None, i(1, 1, 1, 2)),
     {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
     ((ramp(1, 1, 2, 2), None, None, i(1, 1, 3, 2)),
     {"mode": "linear", "coordinate_transformation_mode": "align_corners"}), [[[[1, 1]]]]),
    ("roi-max", "RoiAlign", 16, ((ramp(1, 1, 4, 4), f([1, 1, 3, 3]), i(0)), {**ROI, "mode": "max"}),
     ((ramp(1, 1, 4, 4), f([1, 1, 3, 3]), i(0)), ROI), [[[[1]]]]),
    ("roi-outside", "RoiAlign", 16, ((ramp(1, 1, 4, 4), f([1, 1, 3, 3], [1, 1, 9, 3]), i(0, 0)), ROI),
     ((ramp(1, 1, 4, 4), f([1, 1, 3, 3]), i(0)), ROI), [[[[0]]], [[[1]]]]),
    ("grid-outside", "GridSample", 16, ((ramp(1, 1, 2, 2), f([0, 0], [3e6, 0])[None, None]), {}),
     ((ramp(1, 1, 2, 2), f([0, 0])[None, None]), {}), [[[[0, 1]]]]),
    ("grid-tie", "GridSample", 16, ((ramp(1, 1, 2, 2), f([0, 0], [0.6, 0.6])[None, None]), {"mode": "nearest"}),
     ((ramp(1, 1, 2, 2), f([0, 0])[None, None]), {}), [[[[1, 0]]]]),
    ("grid-tie-even", "GridSample", 20, ((ramp(1, 1, 2, 2), f([0, 0], [0.6, 0.6])[None, None]), {"mode": "nearest"}),
     ((ramp(1, 1, 2, 2), f([0.6, 0.6])[None, None]), {"mode": "nearest"}), [[[[1, 0]]]]),
    ("grid-cubic-border", "GridSample", 20,
     ((ramp(1, 1, 2, 2), f([0, 0], [1.6, 0.6])[None, None]), {"mode": "cubic", "padding_mode": "border"}),
     ((ramp(1, 1, 2, 2), f([0.6, 0.9])[None, None]), {"mode": "cubic", "padding_mode": "border"}), [[[[0, 1]]]]),
    ("grid-single-mirror", "GridSample", 20,
     ((ramp(1, 1, 1, 2), f([0, 0])[None, None]), {"align_corners": 1, "padding_mode": "reflection"}),
     ((ramp(1, 1, 1, 2), f([0, 0])[None, None]), {"padding_mode": "reflection"}), [[[[1]]]]),
    ("affine-single-position", "AffineGrid", 20, ((zeros(1, 2, 3), i(1, 1, 1, 2)), {"align_corners": 1}),
     ((zeros(1, 2, 3), i(1, 1, 2, 2)), {"align_corners": 1}), None),
    ("empty-reduction-unstated", "ReduceSum", 11, ((zeros(0, 2),), {"axes": [0]}),
     ((zeros(0, 2),), {"axes": [1]}), None),
    ("empty-extremum-unstated", "ReduceMax", 12, ((zeros(0, 2),), {"axes": [0]}),
     ((zeros(2, 2),), {"axes": [0]}), None),
    ("empty-mean", "ReduceMean", 13, ((zeros(0, 2),), {"axes": [0]}), ((zeros(1, 2),), {"axes": [0]}), [[1, 1]]),
    ("empty-mean-unstated", "ReduceMean", 11, ((zeros(0, 2),), {"axes": [0]}), ((zeros(1, 2),), {"axes": [0]}), None),
    ("empty-logarithm", "ReduceLogSum", 13, ((np.zeros((0, 2), np.int32),), {"axes": [0]}),
     ((zeros(0, 2),), {"axes": [0]}), None),
    ("reduced-nan", "ReduceMax", 13, ((f([1, NAN], [1, 2]),), {"axes": [1]}), ((f([1, INF]),), {}), [[1], [0]]),
    ("reduced-nan", "ReduceMin", 18, ((f([NAN, 1], [2, 1]), i(1)), {"keepdims": 0}),
     ((f([1, -INF]), i(1)), {}), [1, 0]),
    ("integer-mean", "ReduceMean", 13, ((w([1, 2], [1, 3]),), {"axes": [1]}), ((w([1, 3]),), {}), [[1], [0]]),
    ("integer-root", "ReduceL2", 13, ((w(3, 4),), {}), ((f(3, 4),), {}), [1]),
    ("softmax-open-line", "Softmax", 13, ((f([-INF, -INF], [-INF, 1]),), {}), ((f([-INF, 1]),), {}), [[1, 1], [0, 0]]),
    ("softmax-open-block", "Softmax", 11, ((f([INF, 1], [1, 2]),), {}), ((f([3, 1], [1, 2]),), {}), [[1, 1], [0, 0]]),
    ("zero-norm", "LpNormalization", 13, ((f([0, 0], [0, 1]),), {}), ((f([0, 1]),), {}), [[1, 1], [0, 0]]),
    ("constant-set", "MeanVarianceNormalization", 13, ((f([2, 2], [1, 3]),), {"axes": [1]}),
     ((f([1, 3]),), {"axes": [1]}), [[1, 1], [0, 0]]),
    ("early-training", "BatchNormalization", 13, ((ramp(2, 1), f(1), f(0), f(0), f(1)), {"outputs": 5}),
     ((ramp(2, 1), f(1), f(0), f(0), f(1)), {}), None),
    ("negative-variance", "BatchNormalization", 15, ((ramp(1, 2), *BATCH, f(-1, 1)), {}),
     ((ramp(1, 2), *BATCH, f(0, 1)), {}), [[1, 0]]),
    ("stray-target", "NegativeLogLikelihoodLoss", 13, ((ramp(2, 3), i(0, 3)), {}), ((ramp(2, 3), i(0, 2)), {}), None),
    ("all-ignored", "NegativeLogLikelihoodLoss", 13, ((ramp(2, 3), i(1, 1)), {"ignore_index": 1}),
     ((ramp(2, 3), i(0, 1)), {"ignore_index": 1}), None),
    ("random-numbers", "RandomNormal", 13, ((), {"shape": [2]}), None, [1, 1]),
    ("dropout-training", "Dropout", 13, ((f(1, 2), np.float32(0.5), ON), {}),
     ((f(1, 2), np.float32(0.5), OFF), {}), [1, 1]),
    ("dropout-ratio", "Dropout", 13, ((f(1, 2), np.float32(1), OFF), {}),
     ((f(1, 2), np.float32(0.5), OFF), {}), [1, 1]),
    ("loop-without-end", "Loop", 13, ((None, None), {"body": endless()}),
     ((np.int64(2), None), {"body": body()}), None),
    ("loop-without-trips", "Loop", 13, ((np.int64(0), ON), {"body": body()}),
     ((np.int64(2), ON), {"body": body()}), None),
    ("scan-of-nothing", "Scan", 13, ((zeros(0),), {"body": scanned(), "num_scan_inputs": 1}),
     ((zeros(2),), {"body": scanned(), "num_scan_inputs": 1}), None),
    ("recurrent-tail", "RNN", 14, ((*RNN, w(1, 3)), LSTM), ((*RNN, w(3, 3)), LSTM),
     [[[[0, 0], [0, 0]]], [[[1, 1], [0, 0]]], [[[1, 1], [0, 0]]]]),
    ("recurrent-length", "RNN", 14, ((*RNN, w(1, 4)), LSTM), ((*RNN, w(3, 3)), LSTM), None),
    ("clipped-cell", "LSTM", 14, ((*CELL, np.full((1, 1, 1), 3, np.float32)), {"hidden_size": 1, "clip": 1.0}),
     ((*CELL, np.full((1, 1, 1), 1, np.float32)), {"hidden_size": 1, "clip": 1.0}), [[[[1]]]]),
    ("short-window", "HannWindow", 17, ((np.int64(1),), {}), ((np.int64(4),), {}), [1]),
    ("stretched-label", "Einsum", 13, ((ramp(2, 1), ramp(3, 2)), {"equation": "ij,jk->ik"}),
     ((ramp(2, 3), ramp(3, 2)), {"equation": "ij,jk->ik"}), None),
    ("masked-query", "Attention", 24, ((ramp(1, 1, 2, 2),) * 3 + (MASK,), {}),
     ((ramp(1, 1, 2, 2),) * 3 + (MASK | True,), {}), [[[[0, 0], [1, 1]]]]),
    ("causal-alignment", "Attention", 24, ((ramp(1, 1, 2, 2), ramp(1, 1, 3, 2), ramp(1, 1, 3, 2)), {"is_causal": 1}),
     ((ramp(1, 1, 2, 2),) * 3, {"is_causal": 1}), [[[[1, 1], [1, 1]]]]),
    ("stray-rotation", "RotaryEmbedding", 23, ((ramp(1, 1, 2, 2), zeros(3, 1), zeros(3, 1), i([0, 3])), {}),
     ((ramp(1, 1, 2, 2), zeros(3, 1), zeros(3, 1), i([0, 2])), {}), None),
    ("addend-times-zero", "Gemm", 13, ((f([1, 2]), f([1], [2]), f(NAN)), {"beta": 0.0}),
     ((f([1, 2]), f([1], [2]), f(NAN)), {}), [[1]]),
]  # fmt: skip
IDS = [f"{row[0]}-{row[1]}" for row in EXAMPLES]


def test_every_detector_has_an_example():
    wanted = {row.id for row in HAZARDS if row.detect is not None} | {NARROW_OVERFLOW.id, WIDE_OVERFLOW.id}
    assert wanted - {row[0] for row in EXAMPLES} == {"optional-without-element"}  # below: its type has no array
    assert {row[0] for row in EXAMPLES} <= set(BY_ID)


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_it_arises_here_and_not_there(run, arisen, example):
    hazard, operator, opset, bad, good, reached = example
    values, trace = run(operator, opset, bad[0], **bad[1])
    assert hazard in {a.hazard for a in trace.arisings}
    if reached is not None:
        found = np.broadcast_to(np.isinf(values["o0"].bound), values["o0"].value.shape)
        np.testing.assert_array_equal(found, np.array(reached, bool))
    if good is not None:
        assert hazard not in arisen(operator, opset, good[0], **good[1])


def test_an_element_taken_from_an_empty_optional():
    kind = helper.make_tensor_type_proto(1, [1])
    nodes = [helper.make_node("Optional", [], ["o"], type=kind), helper.make_node("OptionalGetElement", ["o"], ["y"])]
    graph = helper.make_graph(nodes, "g", [], [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    trace = Trace()
    with pytest.raises(ValueError, match="optional-without-element at OptionalGetElement"):
        interpret(parse(model), {}, trace=trace)
    assert [a.hazard for a in trace.arisings] == ["optional-without-element"]


@pytest.mark.parametrize("attributes", [{}, {"sorted": 0}])
def test_both_outputs_of_top_k_are_open_where_the_order_is(run, attributes):
    values, _ = run("TopK", 13, (f([1, NAN, 2], [1, 3, 2]), i(2)), outputs=2, **attributes)
    expected = [[np.inf, np.inf], [np.inf, np.inf] if attributes else [0, 0]]
    np.testing.assert_array_equal(values["o0"].bound, expected)
    np.testing.assert_array_equal(values["o1"].bound, expected)


@pytest.mark.parametrize("operator", ["ArgMax", "ArgMin"])
def test_an_extremum_s_place_is_open_with_nan_or_two_zeros_and_not_with_other_ties(run, operator):
    sign = -1 if operator == "ArgMin" else 1
    values, _ = run(operator, 13, (sign * f([2, 2, 1], [0, -1, 0], [NAN, 1, 2], [0, 0, 5]),), axis=1, keepdims=0)
    np.testing.assert_array_equal(values["o0"].bound, [0, np.inf, np.inf, 0])


def test_the_indices_of_top_k_alone_hang_on_the_order_of_zeros(run):
    values, _ = run("TopK", 13, (f([0, 0, 5], [2, 2, 1]), i(2)), outputs=2)
    assert np.all(values["o0"].bound == 0)
    np.testing.assert_array_equal(values["o1"].bound, [[0, np.inf], [0, 0]])


def test_the_place_of_a_greatest_element_that_is_there_twice_is_open_and_its_value_is_not(run):
    values, _ = run("MaxPool", 13, (f(1, 1, 2, 3)[None, None],), outputs=2, **POOL)
    assert np.all(values["o0"].bound == 0)
    np.testing.assert_array_equal(values["o1"].bound, [[[np.inf, 0]]])
