"""Quantised operators, and pairs of quantisation and dequantisation around others."""

from __future__ import annotations

from fuzz.generate.bait.pattern import Pattern, pattern

__all__ = ["PATTERNS"]


def _pair(operand: str, scale: str = "0.05", zero: str = "uint8(128)", more: str = "") -> str:
    """An operand that is quantised and dequantised at once; ``more`` are attributes of both."""
    return f"DequantizeLinear(QuantizeLinear({operand}, {scale}, {zero}{more}), {scale}, {zero}{more})"


def _layer(call: str, *, of: str = "x[n, k]", out: str = "0.05, uint8(128)", zero: str = "uint8(128)") -> str:
    """A call of ``a``, an operand in a pair, whose result is quantised again."""
    return f"a = {_pair(of, zero=zero)}; QuantizeLinear({call}, {out})"


def _row(name: str, text: str, by: str) -> Pattern:
    return pattern(name, text, by, ("float",))


_IMAGE = "x[n, c, h, w]"
_WEIGHT = "DequantizeLinear(int8(W[o, c, 3, 3]), 0.0193, int8(0))"
_CONV = f"Conv(a, {_WEIGHT}, pads=[1, 1, 1, 1])"
_LPT = "onnxruntime QDQSelectorActionTransformer, openvino "
_PROPAGATED = "onnxruntime QDQPropagationTransformer, onnxruntime QDQSelectorActionTransformer, openvino "

PATTERNS: tuple[Pattern, ...] = (
    pattern("quantise-dequantise", "DequantizeLinear(QuantizeLinear(x[n, k], 0.05, uint8(128)), 0.05, uint8(128))",
            "onnxruntime QDQFinalCleanupTransformer, openvino ConvertQuantizeDequantize, torch-mlir FuseQuantizedOps",
            ("float",)),
    pattern("quantise-twice",
            "y = DequantizeLinear(QuantizeLinear(x[n, k], 0.05, uint8(128)), 0.05, uint8(128)); "
            "DequantizeLinear(QuantizeLinear(y, 0.1, uint8(120)), 0.1, uint8(120))",
            "onnxruntime DoubleQDQPairsRemover", ("float",)),
    pattern("dequantise-quantise",
            "QuantizeLinear(DequantizeLinear(QuantizeLinear(x[n, k], 0.05, int8(3)), 0.05, int8(3)), 0.05, int8(3))",
            "onnxruntime DoubleQDQPairsRemover, onnxruntime QDQFinalCleanupTransformer", ("float",)),
    pattern("quantised-add",
            "a = DequantizeLinear(QuantizeLinear(x[n, k], 0.05, uint8(128)), 0.05, uint8(128)); "
            "b = DequantizeLinear(QuantizeLinear(y[n, k], 0.03, uint8(100)), 0.03, uint8(100)); "
            "QuantizeLinear(Add(a, b), 0.08, uint8(128))",
            "onnxruntime QDQSelectorActionTransformer", ("float",)),
    pattern("quantised-matmul",
            "a = DequantizeLinear(QuantizeLinear(x[m, k], 0.05, uint8(128)), 0.05, uint8(128)); "
            "b = DequantizeLinear(QuantizeLinear(y[k, n], 0.03, uint8(100)), 0.03, uint8(100)); "
            "QuantizeLinear(MatMul(a, b), 0.2, uint8(128))",
            "onnxruntime QDQSelectorActionTransformer, openvino ConvertQuantizeDequantize", ("float",)),
    pattern("quantised-sigmoid",
            "a = DequantizeLinear(QuantizeLinear(x[n, k], 0.05, uint8(128)), 0.05, uint8(128)); "
            "QuantizeLinear(Sigmoid(a), 0.00390625, uint8(0))",
            "onnxruntime QDQSelectorActionTransformer", ("float",)),
    pattern("quantised-transpose",
            "a = DequantizeLinear(QuantizeLinear(x[n, c, h], 0.05, uint8(128)), 0.05, uint8(128)); "
            "QuantizeLinear(Transpose(a, perm=[2, 0, 1]), 0.05, uint8(128))",
            "onnxruntime QDQPropagationTransformer, onnxruntime TransposeOptimizer", ("float",)),
    pattern("quantised-reshape",
            "a = DequantizeLinear(QuantizeLinear(x[n, k], 0.05, int8(-3)), 0.05, int8(-3)); "
            "Relu(Reshape(a, shape=[n*k]))",
            "onnxruntime QDQPropagationTransformer", ("float",)),
    pattern("quantised-max-pool",
            "a = DequantizeLinear(QuantizeLinear(x[n, c, h, w], 0.05, int8(5)), 0.05, int8(5)); "
            "QuantizeLinear(MaxPool(a, kernel_shape=[2, 2], pads=[1, 1, 0, 0]), 0.05, int8(5))",
            "onnxruntime QDQSelectorActionTransformer, onnxruntime QDQPropagationTransformer", ("float",)),
    pattern("quantised-no-zero-point", "DequantizeLinear(Transpose(QuantizeLinear(x[n, c], 0.05), perm=[1, 0]), 0.05)",
            "onnxruntime TransposeOptimizer, onnxruntime QDQPropagationTransformer", ("float",)),
    pattern("relu-quantised", "QuantizeLinear(Relu(x[n, k]), 0.05, uint8(0))",
            "onnxruntime ReluQuantFusion, openvino ReluFakeQuantizeFusion", ("float",)),
    pattern("relu-quantised-signed", "QuantizeLinear(Relu(x[n, k]), 0.05, int8(0))",
            "onnxruntime ReluQuantFusion", ("float",)),
    pattern("clip-quantised", "QuantizeLinear(Clip(x[n, k], min=0.0, max=6.0), 0.025, uint8(0))",
            "onnxruntime ClipQuantFusion", ("float",)),
    pattern("clip-quantised-narrow", "QuantizeLinear(Clip(x[n, k], min=-0.5, max=0.5), 0.05, uint8(128))",
            "onnxruntime ClipQuantFusion", ("float",)),
    pattern("matmul-integer", "Mul(Cast(MatMulInteger(x[m, k], W[k, n]), to=float), 0.01)",
            "onnxruntime MatMulIntegerToFloatFusion", ("uint8", "int8")),
    pattern("matmul-integer-bias", "Add(Mul(Cast(MatMulInteger(x[m, k], W[k, n]), to=float), 0.01), 0.5)",
            "onnxruntime MatMulIntegerToFloatFusion", ("uint8", "int8")),
    pattern("dynamic-quantise-matmul",
            "q, s, z = DynamicQuantizeLinear(x[m, k]); Mul(Cast(MatMulInteger(q, W[k, n], z), to=float), Mul(s, "
            "0.01))",
            "onnxruntime DynamicQuantizeMatMulFusion, onnxruntime MatMulIntegerToFloatFusion", ("float",)),
    pattern("dequantised-weights",
            "MatMul(x[m, 3], DequantizeLinear(int8([[1, -2], [3, 127], [-128, 0]]), 0.05, int8(1)))",
            "onnxruntime QDQSelectorActionTransformer, iree FuseDequantizationMatmul", ("float",)),
    # -- convolutions ------------------------------------------------------------------------------------------
    _row("quantised-conv", _layer(_CONV, of=_IMAGE),
         _LPT + "ConvolutionTransformation, torch-mlir FuseQuantizedOps, tvm FakeQuantizationToInteger"),
    _row("quantised-conv-signed", _layer(_CONV, of=_IMAGE, zero="int8(0)", out="0.1, int8(0)"),
         "onnxruntime QDQS8ToU8Transformer, " + _LPT + "ConvolutionTransformation"),
    _row("quantised-conv-channels",
         _layer("Conv(a, DequantizeLinear(int8(W[o, c, 3, 3]), scale(S[o]), axis=0))", of="x[n, c, 5, 5]"),
         _LPT + "ConvolutionTransformation, tvm FakeQuantizationToInteger"),
    _row("quantised-conv-bias",
         _layer(f"Conv(a, {_WEIGHT}, DequantizeLinear(int32(B[o]), 0.001), pads=[1, 1, 1, 1])", of=_IMAGE),
         _LPT + "ConvolutionTransformation, onnxruntime WeightBiasQuantization"),
    _row("quantised-conv-float-bias", _layer(f"Conv(a, {_WEIGHT}, B[o], pads=[1, 1, 1, 1])", of=_IMAGE),
         "onnxruntime WeightBiasQuantization, openvino ConvolutionTransformation"),
    _row("quantised-conv-float-weights", _layer("Conv(a, W[o, c, 3, 3], pads=[1, 1, 1, 1])", of=_IMAGE),
         "onnxruntime WeightBiasQuantization"),
    _row("quantised-conv-folded-weights",
         _layer(f"Conv(a, {_pair('W[o, c, 3, 3]', '0.02', 'int8(0)')}, pads=[1, 1, 1, 1])", of=_IMAGE),
         "onnxruntime ConstantFolding, openvino FoldFakeQuantizeTransformation"),
    _row("quantised-conv-relu", _layer(f"Relu({_CONV})", of=_IMAGE, out="0.05, uint8(0)"),
         "onnxruntime ReluQuantFusion, " + _LPT + "ReluTransformation"),
    _row("quantised-conv-clip", _layer(f"Clip({_CONV}, min=0.0, max=6.0)", of=_IMAGE, out="0.0235, uint8(0)"),
         "onnxruntime ClipQuantFusion, " + _LPT + "ClampTransformation"),
    _row("quantised-conv-sum",
         f"a = {_pair(_IMAGE)}; b = {_pair('y[n, o, h, w]', '0.03', 'uint8(100)')}; "
         f"r = {_pair(_CONV, '0.0937')}; QuantizeLinear(Relu(Add(r, b)), 0.117, uint8(0))",
         _LPT + "AddTransformation, onnxruntime ReluQuantFusion"),
    _row("quantised-conv-groups",
         _layer("Conv(a, DequantizeLinear(int8(W[4, 2, 3, 3]), 0.0193, int8(0)), group=2, pads=[1, 1, 1, 1])",
                of="x[n, 4, h, w]"),
         _LPT + "GroupConvolutionTransformation"),
    _row("quantised-conv-depthwise",
         _layer("Conv(a, DequantizeLinear(int8(W[3, 1, 3, 3]), scale(S[3]), axis=0), group=3, pads=[1, 1, 1, 1])",
                of="x[n, 3, h, w]"),
         _LPT + "GroupConvolutionTransformation, onnxruntime NhwcTransformer"),
    _row("quantised-conv-transpose",
         _layer("ConvTranspose(a, DequantizeLinear(int8(W[c, o, 2, 2]), 0.0193, int8(0)), strides=[2, 2])",
                of=_IMAGE),
         "openvino ConvolutionBackpropDataTransformation"),
    _row("conv-integer",
         "Mul(Cast(ConvInteger(uint8(x[n, c, 5, 5]), int8(W[o, c, 3, 3]), uint8(128)), to=float), 0.01)",
         "openvino ConvolutionTransformation"),
    _row("qlinear-conv-chain",
         "y = QLinearConv(uint8(x[n, c, 5, 5]), 0.05, uint8(128), int8(W[o, c, 3, 3]), 0.0193, int8(0), 0.2, "
         "uint8(120)); "
         "QLinearConv(y, 0.2, uint8(120), int8(V[p, o, 1, 1]), 0.0193, int8(0), 0.3, uint8(128))",
         "onnxruntime NhwcTransformer, onnxruntime Avx2WeightS8ToU8Transformer"),
    # -- products ----------------------------------------------------------------------------------------------
    _row("quantised-matmul-weights",
         _layer("MatMul(a, DequantizeLinear(int8(W[k, n]), 0.0193, int8(0)))", of="x[m, k]", out="0.2, uint8(128)"),
         _LPT + "MatMulTransformation, onnxruntime Avx2WeightS8ToU8Transformer, tvm FakeQuantizationToInteger"),
    _row("quantised-matmul-channels",
         _layer("MatMul(a, DequantizeLinear(int8(W[k, n]), scale(S[n]), axis=1))", of="x[m, k]",
                out="0.2, uint8(128)"),
         _LPT + "MatMulTransformation"),
    _row("quantised-matmul-float-result",
         f"a = {_pair('x[m, k]')}; MatMul(a, DequantizeLinear(int8(W[k, n]), 0.0193, int8(0)))",
         _LPT + "MatMulTransformation"),
    _row("quantised-matmul-signed",
         f"a = {_pair('x[m, k]', zero='int8(0)')}; b = {_pair('y[k, n]', '0.03', 'int8(0)')}; "
         "QuantizeLinear(MatMul(a, b), 0.2, int8(0))",
         "onnxruntime QDQS8ToU8Transformer, " + _LPT + "MatMulTransformation"),
    _row("quantised-gemm",
         _layer("Gemm(a, DequantizeLinear(int8(W[k, n]), 0.0193, int8(0)), DequantizeLinear(int32(B[n]), 0.001))",
                of="x[m, k]", out="0.2, uint8(128)"),
         _LPT + "MatMulTransformation, onnxruntime WeightBiasQuantization"),
    _row("quantised-gemm-transposed",
         _layer("Gemm(a, DequantizeLinear(int8(W[n, k]), scale(S[n]), axis=0), transB=1)", of="x[m, k]",
                out="0.2, uint8(128)"),
         _LPT + "MatMulTransformation"),
    _row("qlinear-matmul-chain",
         "y = QLinearMatMul(uint8(x[m, k]), 0.05, uint8(128), int8(W[k, n]), 0.0193, int8(0), 0.2, uint8(120)); "
         "QLinearMatMul(y, 0.2, uint8(120), int8(V[n, j]), 0.0193, int8(0), 0.3, uint8(128))",
         "onnxruntime Avx2WeightS8ToU8Transformer"),
    _row("dynamic-quantise-matmul-bias",
         "q, s, z = DynamicQuantizeLinear(x[m, k]); "
         "Add(Mul(Cast(MatMulInteger(q, int8(W[k, n]), z, int8(0)), to=float), Mul(s, 0.01)), B[n])",
         "onnxruntime DynamicQuantizeMatMulFusion, onnxruntime MatMulIntegerToFloatFusion"),
    _row("matmul-integer-weights", "MatMulInteger(uint8(x[m, k]), int8(W[k, n]), uint8(128), int8(3))",
         "onnxruntime Avx2WeightS8ToU8Transformer"),
    # -- weights alone -----------------------------------------------------------------------------------------
    _row("dequantised-weights-blocks",
         "MatMul(x[m, 32], DequantizeLinear(int4(W[32, n]), scale(S[2, n]), axis=0, block_size=16))",
         "onnxruntime QDQSelectorActionTransformer, iree FuseDequantizationMatmul"),
    _row("dequantised-weights-blocks-zero-point",
         "MatMul(x[m, 32], DequantizeLinear(uint4(W[32, n]), scale(S[2, n]), uint4(Z[2, n]), axis=0, "
         "block_size=16))",
         "onnxruntime QDQSelectorActionTransformer, iree FuseDequantizationMatmul"),
    _row("dequantised-weights-channels",
         "MatMul(x[m, k], DequantizeLinear(int8(W[k, n]), scale(S[n]), axis=1))",
         "onnxruntime QDQSelectorActionTransformer, iree FuseDequantizationMatmul"),
    _row("dequantised-weights-transposed",
         "MatMul(x[m, k], Transpose(DequantizeLinear(int8(W[n, k]), scale(S[n]), axis=0), perm=[1, 0]))",
         "openvino PullTransposeThroughDequantization, iree FuseDequantizationMatmul"),
    _row("dequantised-embedding", "x[v, k]; Gather(DequantizeLinear(int8(W[5, k]), 0.0193, int8(0)), [0, 4, 2])",
         "openvino GatherTransformation"),
    # -- elementwise, activations --------------------------------------------------------------------------------
    _row("quantised-mul",
         f"a = {_pair('x[n, k]')}; b = {_pair('y[n, k]', '0.03', 'uint8(100)')}; "
         "QuantizeLinear(Mul(a, b), 0.0813, uint8(128))",
         _LPT + "MultiplyTransformation, tvm FakeQuantizationToInteger"),
    _row("quantised-add-constant", _layer("Add(a, DequantizeLinear(uint8(B[k]), 0.03, uint8(100)))"),
         _LPT + "AddTransformation"),
    _row("quantised-relu", _layer("Relu(a)", out="0.05, uint8(0)"),
         "onnxruntime ReluQuantFusion, openvino ReluTransformation"),
    _row("quantised-clip", _layer("Clip(a, min=0.0, max=6.0)"),
         "onnxruntime ClipQuantFusion, openvino ClampTransformation"),
    _row("quantised-leaky-relu", _layer("LeakyRelu(a, alpha=0.1)"), "onnxruntime QDQSelectorActionTransformer"),
    _row("quantised-prelu", _layer("PRelu(a, L[k])"), "openvino PReluTransformation"),
    _row("quantised-softmax", _layer("Softmax(a, axis=-1)", out="0.00390625, uint8(0)"),
         "onnxruntime QDQSelectorActionTransformer"),
    _row("quantised-layer-normalization", _layer("LayerNormalization(a, G[k], B[k], axis=-1)", out="0.03, uint8(128)"),
         "openvino MVNTransformation"),
    _row("quantised-where",
         f"a = {_pair('x[n, k]')}; b = {_pair('y[n, k]')}; "
         "QuantizeLinear(Where(Greater(a, 0.0), a, b), 0.05, uint8(128))",
         "onnxruntime QDQSelectorActionTransformer"),
    _row("quantised-where-constant", _layer("Where(Greater(a, 0.0), a, 0.0)"), "onnxruntime WhereDummyDq"),
    # -- pools, reductions, movement -----------------------------------------------------------------------------
    _row("quantised-average-pool", _layer("AveragePool(a, kernel_shape=[2, 2], pads=[1, 1, 0, 0])", of=_IMAGE),
         _LPT + "AvgPoolTransformation"),
    _row("quantised-global-average-pool", _layer("GlobalAveragePool(a)", of=_IMAGE),
         _LPT + "ReduceMeanTransformation"),
    _row("quantised-reduce-mean", _layer("ReduceMean(a, axes=[-1], keepdims=1)"), "openvino ReduceMeanTransformation"),
    _row("quantised-reduce-max", _layer("ReduceMax(a, axes=[-1], keepdims=1)"), _LPT + "ReduceMaxTransformation"),
    _row("quantised-arg-max", f"ArgMax({_pair('x[n, k]')}, axis=-1)", "onnxruntime QDQSelectorActionTransformer"),
    _row("quantised-concat",
         f"a = {_pair('x[n, k]')}; b = {_pair('y[n, j]')}; QuantizeLinear(Concat(a, b, axis=1), 0.05, uint8(128))",
         _LPT + "ConcatTransformation, tvm FakeQuantizationToInteger"),
    _row("quantised-concat-scales",
         f"a = {_pair('x[n, k]')}; b = {_pair('y[n, j]', '0.03', 'uint8(100)')}; "
         "QuantizeLinear(Concat(a, b, axis=1), 0.05, uint8(128))",
         _LPT + "ConcatTransformation"),
    _row("quantised-resize",
         _layer('Resize(a, scales=[1.0, 1.0, 2.0, 2.0], mode="nearest", '
                'coordinate_transformation_mode="asymmetric", nearest_mode="floor")', of=_IMAGE),
         _LPT + "InterpolateTransformation"),
    _row("quantised-flatten", _layer("Flatten(a, axis=1)", of=_IMAGE), _PROPAGATED + "ReshapeTransformation"),
    _row("quantised-unsqueeze", _layer("Unsqueeze(a, axes=[0])"), _PROPAGATED + "UnsqueezeTransformation"),
    _row("quantised-slice", _layer("Slice(a, starts=[1], ends=[4], axes=[1])", of="x[n, 5]"),
         _PROPAGATED + "SliceTransformation"),
    _row("quantised-gather", _layer("Gather(a, [0, 4, 2], axis=1)", of="x[n, 5]"),
         _PROPAGATED + "GatherTransformation"),
    _row("quantised-split",
         f"b, c = Split({_pair('x[n, 6]')}, axis=1, num_outputs=2); QuantizeLinear(b, 0.05, uint8(128)); "
         "QuantizeLinear(c, 0.05, uint8(128))",
         _LPT + "SplitTransformation"),
    _row("quantised-pad", _layer("Pad(a, pads=[0, 1, 0, 2])"), "openvino PadTransformation"),
    _row("quantised-depth-to-space", _layer("DepthToSpace(a, blocksize=2)", of="x[n, 4*c, h, w]"),
         "openvino DepthToSpaceTransformation"),
    _row("quantised-transpose-reshape",
         _layer("Reshape(Transpose(a, perm=[0, 2, 3, 1]), shape=[n, c*h*w])", of=_IMAGE),
         _PROPAGATED + "PullReshapeThroughDequantization"),
    # -- pairs ---------------------------------------------------------------------------------------------------
    _row("quantise-dequantise-channels",
         "DequantizeLinear(QuantizeLinear(x[n, c, h], scale(S[c]), int8(Z[c]), axis=1), S, Z, axis=1)",
         "onnxruntime QDQFinalCleanupTransformer, openvino FakeQuantizeDecompositionTransformation"),
    _row("quantise-dequantise-uint16", _pair("x[n, k]", "0.0005", "uint16(32768)"),
         "onnxruntime QDQFinalCleanupTransformer, openvino ConvertQuantizeDequantize"),
    _row("quantise-dequantise-int16", _pair("x[n, k]", "0.0005", "int16(0)"),
         "onnxruntime QDQFinalCleanupTransformer, openvino ConvertQuantizeDequantize"),
    _row("quantise-dequantise-int4", _pair("x[n, k]", "0.5", "int4(0)"), "onnxruntime QDQFinalCleanupTransformer"),
    _row("quantise-dequantise-uint4", _pair("x[n, k]", "0.5", "uint4(8)"), "onnxruntime QDQFinalCleanupTransformer"),
    _row("quantise-dequantise-float8", _pair("x[n, k]", "0.25", "float8e4m3fn(0.0)"),
         "onnxruntime QDQFinalCleanupTransformer"),
    _row("quantise-twice-narrower",
         "y = " + _pair("x[n, k]", "0.0005", "uint16(32768)") + "; " + _pair("y", "0.1", "uint8(120)"),
         "onnxruntime DoubleQDQPairsRemover"),
    _row("quantise-three-times",
         "y = " + _pair("x[n, k]") + "; z = " + _pair("y", "0.1", "uint8(120)") + "; " + _pair("z"),
         "onnxruntime DoubleQDQPairsRemover"),
    _row("quantised-shared", f"a = {_pair('x[n, k]')}; QuantizeLinear(Sigmoid(a), 0.00390625, uint8(0)); "
         "QuantizeLinear(Add(a, a), 0.1, uint8(128))",
         "onnxruntime EnsureUniqueDQForNodeUnit, openvino FuseConvert"),
    _row("quantised-16-bit-add",
         f"a = {_pair('x[n, k]', '0.0005', 'uint16(32768)')}; b = {_pair('y[n, k]', '0.0003', 'uint16(30000)')}; "
         "QuantizeLinear(Add(a, b), 0.00113, uint16(32768))",
         "onnxruntime QDQSelectorActionTransformer"),
)  # fmt: skip
