"""Which family of operators a node is coloured as."""

from __future__ import annotations

__all__ = ["FAMILIES", "family"]

FAMILIES: dict[str, str] = {
    "linear": """
        Conv ConvTranspose ConvInteger QLinearConv DeformConv CausalConvWithState MatMul MatMulInteger
        QLinearMatMul Gemm Einsum Attention FlexAttention LinearAttention Det DFT STFT""",
    "activation": """
        Relu LeakyRelu PRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Swish SwiGLU Mish Gelu Tanh Softplus
        Softsign Softmax LogSoftmax Hardmax ThresholdedRelu Shrink Clip Dropout""",
    "arithmetic": """
        Add Sub Mul Div Mod Pow Neg Abs Sign Ceil Floor Round Sqrt Exp Log Erf Reciprocal Sum Mean Min Max
        Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh BitShift CumSum CumProd""",
    "logic": """
        And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual Where IsNaN IsInf
        BitwiseAnd BitwiseOr BitwiseXor BitwiseNot""",
    "reduction": """
        ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
        ReduceSumSquare ArgMax ArgMin TopK NonZero Unique""",
    "pooling": """
        MaxPool AveragePool LpPool GlobalMaxPool GlobalAveragePool GlobalLpPool MaxUnpool MaxRoiPool RoiAlign
        BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization LRN
        LpNormalization MeanVarianceNormalization""",
    "movement": """
        Reshape Transpose Squeeze Unsqueeze Flatten Expand Tile Concat Split Slice Pad Gather GatherND
        GatherElements Scatter ScatterND ScatterElements Compress Resize Upsample DepthToSpace SpaceToDepth
        Identity ReverseSequence Trilu CenterCropPad Col2Im GridSample AffineGrid Shape Size""",
    "conversion": """
        Cast CastLike BitCast QuantizeLinear DequantizeLinear DynamicQuantizeLinear OneHot""",
    "control": """
        If Loop Scan RNN LSTM GRU SequenceMap SequenceAt SequenceConstruct SequenceEmpty SequenceErase
        SequenceInsert SequenceLength SplitToSequence ConcatFromSequence Optional OptionalGetElement
        OptionalHasElement""",
}
_FAMILY_OF = {name: key for key, names in FAMILIES.items() for name in names.split()}


def family(operator: str, domain: str = "") -> str:
    """The family of an operator; ``other`` for constants, sources of numbers and foreign domains."""
    return _FAMILY_OF.get(operator, "other") if domain in {"", "ai.onnx"} else "other"
