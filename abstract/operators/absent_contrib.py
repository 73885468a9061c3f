"""Operators of other domains than ONNX's that are not specified here, each with its reason, by qualified name.

A model that has one is undecidable there. Which kernels there are is what ONNX Runtime 1.31 registers.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from abstract.contributed import MICROSOFT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ABSENT", "NO_KERNEL"]

NO_KERNEL = "ONNX Runtime has no kernel of it for CPUs: nothing here could be held against it"

_ELSEWHERE = (
    "BiasAdd BiasDropout BiasSoftmax BiasSplitGelu BitmaskBiasDropout BitmaskDropout ComplexMul ComplexMulConj "
    "DecoderAttention DecoderMaskedSelfAttention DequantizeBFP DequantizeWithOrder DynamicSparseAttention EPContext "
    "FusedMatMulActivation GatedDeltaNet GatedRelativePositionBias GemmFastGelu GemmFloat8 GemmaRotaryEmbedding "
    "GroupNorm Irfft IsAllFinite LongformerAttention MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight "
    "MatMulNBitsMlp MatMulNBitsQkv MulInteger NhwcConv NhwcFusedConv PackedAttention PackedMultiHeadAttention "
    "PackedSparseAttentionIndexer PagedAttention QLinearReduceMean QOrderedAttention QOrderedGelu "
    "QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeWithOrder "
    "ReduceSumInteger RelativePositionBias RemovePadding RestorePadding Rfft SkipGroupNorm Snpe "
    "SparseAttentionIndexer SparsePagedAttention TorchEmbedding VarlenCausalConvWithState"
)
_SEARCH = "a whole search over graphs of its own, or a step of one: what compilers rewrite lies in those graphs"
_STATE = "keeps a state or a cache in a buffer that it shares with its caller"
_KERNEL = "its text leaves open what its kernel does, and nothing else defines it"
_NOVEL = "new with ONNX Runtime 1.31, of one family of models: its text is no specification yet"
_UNFUSED = "no optimiser makes or rewrites it, and exporters write what ONNX has in its place"
_WITHIN = "quantised inside, by ranges of what is computed: legal computations differ by whole steps there"
_BYTES = "its operand is bytes in a layout that the text does not give"
_PARTS = "not specified yet; what it is made of is:"

ABSENT: Mapping[str, str] = MappingProxyType({f"{MICROSOFT}.{name}": reason for name, reason in {
    **dict.fromkeys(_ELSEWHERE.split(), NO_KERNEL),
    "AttnLSTM": _KERNEL,
    "BeamSearch": _SEARCH,
    "BifurcationDetector": _SEARCH,
    "BranchwiseRMSNorm": _NOVEL,
    "CDist": _UNFUSED,
    "CausalConvWithState": _NOVEL,
    "ConvTransposeWithDynamicPads": f"{_PARTS} ConvTranspose, whose pads are attributes",
    "CropAndResize": _UNFUSED,
    "DecoderMaskedMultiHeadAttention": _STATE,
    "DynamicQuantizeLSTM": _WITHIN,
    "DynamicTimeWarping": "a path of least cost: where two cost the same, within rounding, either is right",
    "EngramGate": _NOVEL,
    "GatedAdd": _NOVEL,
    "GatedRMSNorm": _NOVEL,
    "GatherBlockQuantized": f"{_PARTS} Gather, DequantizeLinear by blocks",
    "GreedySearch": _SEARCH,
    "GridSample": _UNFUSED,
    "HyperConnectionPostMix": _NOVEL,
    "HyperConnectionPreMix": _NOVEL,
    "Inverse": "an inverse is as wrong as its matrix is near to a singular one: no bound tells of single elements",
    "LinearAttention": _NOVEL,
    "LinearAttentionGate": _NOVEL,
    "MRotaryEmbedding": f"{_PARTS} RotaryEmbedding",
    "MatMulBnb4": _BYTES,
    "MatMulFpQ4": _BYTES,
    "MaxpoolWithMask": _KERNEL,
    "MoE": "which experts a row goes to is decided by computed numbers: near a tie either is right",
    "MurmurHash3": _UNFUSED,
    "NGramHashMapping": _NOVEL,
    "NGramRepeatBlock": _SEARCH,
    "QAttention": f"{_PARTS} MatMulIntegerToFloat, Attention",
    "QEmbedLayerNormalization": f"{_PARTS} DequantizeLinear, EmbedLayerNormalization",
    "QMoE": "which experts a row goes to is decided by computed numbers: near a tie either is right",
    "SampleOp": "an example of how an operator is written",
    "Sampling": "draws random numbers, by a generator that the text leaves open",
    "ScaledSiLU": _NOVEL,
    "SparseAttention": _STATE,
    "SparseToDenseMatMul": "takes a sparse tensor, which no test data may hold",
    "Tokenizer": _KERNEL,
    "Unique": _UNFUSED,
    "VarlenNGramHashMapping": _NOVEL,
    "WhisperBeamSearch": _SEARCH,
    "WordConvEmbedding": _KERNEL,
}.items()})  # fmt: skip
