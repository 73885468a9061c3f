"""Quantised operators, and pairs of quantisation and dequantisation around others."""

from __future__ import annotations

from fuzz.generate.bait.pattern import Pattern, pattern

__all__ = ["PATTERNS"]

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
)  # fmt: skip
