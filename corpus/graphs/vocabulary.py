"""The labels of operators, the same for every source language, and which operator of which language has which.

The labels are those of GENNAPE's file of primitive operators (github.com/Ascend-Research/GENNAPE, AAAI 2023): 26 of
use, 5 in reserve, and one for whatever has none. That project finds a label by whether it occurs in an operator's name
(``LeakyRelu`` is a ``ReLU``, ``HardSwish`` a ``Swish``, ``ConvTranspose`` a ``Conv``); the tables say the same.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ATEN", "CHANNELS_LAST", "LABELS", "ONNX", "TENSORFLOW", "UNKNOWN", "VOCABULARY", "bare_name"]

LABELS = (
    "Input", "Output", "Conv", "Depthwise", "BatchNorm", "ReLU", "ReLU6", "MatMul", "Add", "Mul", "Concat", "Maxpool",
    "Avgpool", "Sigmoid", "Tanh", "Swish", "GeLU", "Paddings", "Mean", "SpacetoBatchND", "BatchtoSpaceND",
    "SpacetoDepthND", "DepthtoSpaceND", "Global", "Identity", "Zero",
)  # fmt: skip
"""Labels of use."""
UNKNOWN = "<OOV>"
"""The label of an operator that has none: out of vocabulary."""
VOCABULARY = (UNKNOWN, *LABELS, *(f"Reserved{number}" for number in range(1, 6)))
"""All labels; the place of one is its number."""
CHANNELS_LAST = frozenset({"MatMul"})
"""Labels whose tensors have the channels in their last dimension at any rank."""


def bare_name(source: str) -> str:
    """An operator's own name: ``gru`` of ``aten.gru.input``; in other languages it is the whole."""
    parts = source.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "aten" else source


def _table(text: str) -> Mapping[str, str]:
    """Lines of a label and the operators that have it."""
    rows = [line.split() for line in text.strip().splitlines()]
    return MappingProxyType({name: label for label, *names in rows for name in names})


ONNX = _table("""
    Conv Conv ConvInteger QLinearConv DeformConv ConvTranspose
    BatchNorm BatchNormalization
    ReLU Relu LeakyRelu PRelu ThresholdedRelu
    MatMul MatMul Gemm MatMulInteger QLinearMatMul
    Add Add Sum
    Mul Mul
    Concat Concat
    Maxpool MaxPool
    Avgpool AveragePool
    Sigmoid Sigmoid HardSigmoid
    Tanh Tanh
    Swish Swish HardSwish
    GeLU Gelu
    Paddings Pad
    Mean ReduceMean Mean
    SpacetoDepthND SpaceToDepth
    DepthtoSpaceND DepthToSpace
    Global GlobalAveragePool GlobalMaxPool GlobalLpPool
    Identity Identity
""")
"""Of ONNX's own operators. A Conv of one filter a channel is Depthwise, a Clip from 0 to 6 is ReLU6: the reader sees to
that."""

ATEN = _table("""
    Conv conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d conv_transpose3d
    BatchNorm batch_norm _native_batch_norm_legit_no_training native_batch_norm cudnn_batch_norm
    ReLU relu relu_ leaky_relu leaky_relu_ prelu rrelu
    ReLU6 relu6 relu6_
    MatMul linear matmul mm bmm addmm baddbmm
    Add add add_
    Mul mul mul_
    Concat cat concat
    Maxpool max_pool1d max_pool2d max_pool3d max_pool2d_with_indices
    Avgpool avg_pool1d avg_pool2d avg_pool3d
    Sigmoid sigmoid sigmoid_ hardsigmoid hardsigmoid_
    Tanh tanh tanh_ hardtanh
    Swish silu silu_ hardswish hardswish_
    GeLU gelu gelu_
    Paddings pad constant_pad_nd reflection_pad2d replication_pad2d
    Mean mean
    SpacetoDepthND pixel_unshuffle
    DepthtoSpaceND pixel_shuffle
    Global adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d
    Identity alias clone
    Zero zeros_like
""")
"""Of PyTorch's ``aten`` operators, without namespace and overload. A hardtanh from 0 to 6 is ReLU6."""

TENSORFLOW = _table("""
    Conv Conv1D Conv2D Conv3D Conv2DBackpropInput Conv3DBackpropInputV2 _FusedConv2D
    Depthwise DepthwiseConv2dNative _FusedDepthwiseConv2dNative
    BatchNorm FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BatchNormWithGlobalNormalization
    ReLU Relu LeakyRelu
    ReLU6 Relu6
    MatMul MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 _FusedMatMul
    Add Add AddV2 AddN BiasAdd
    Mul Mul
    Concat Concat ConcatV2
    Maxpool MaxPool MaxPoolV2 MaxPool3D
    Avgpool AvgPool AvgPool3D
    Sigmoid Sigmoid
    Tanh Tanh
    Paddings Pad PadV2 MirrorPad
    Mean Mean
    SpacetoBatchND SpaceToBatchND SpaceToBatch
    BatchtoSpaceND BatchToSpaceND BatchToSpace
    SpacetoDepthND SpaceToDepth
    DepthtoSpaceND DepthToSpace
    Identity Identity
    Zero ZerosLike
""")
"""Of TensorFlow's operators, as a GraphDef names them."""
