"""The table of faults: what each is called, what it does, which verdict is right for it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake with a name.

    ``verdict`` is the one that is right: wrong, nondeterministic, crash, timeout, oom, rejected or slow.
    ``granted`` names backends whose contract allows what the fault does, so that nobody can call it one there.
    """

    name: str
    verdict: str
    summary: str
    granted: tuple[str, ...] = ()


_WRONG: tuple[tuple[str, str], ...] = (
    # elementwise
    ("fused-multiply-add", "a * b + c is fused into a * (b + c)"),
    ("dropped-activation", "an activation or Clip is left out"),
    ("dropped-negation", "a Neg is left out"),
    ("swapped-subtraction", "the operands of a Sub are exchanged"),
    ("swapped-division", "the operands of a Div or Pow of floats are exchanged"),
    ("swapped-comparison", "the operands of a comparison are exchanged"),
    ("comparison-of-equals", "Less is taken for LessOrEqual, Greater for GreaterOrEqual, and the other way about"),
    ("inverted-where", "a Where takes the other of its two operands"),
    ("wrong-broadcast", "an operand is broadcast along an axis where it is not 1"),
    ("clip-minimum-only", "a Clip with two ends heeds the lower one alone"),
    ("ignored-alpha", "alpha of LeakyRelu, Elu and Swish is taken for its default"),
    ("hard-sigmoid-constants", "HardSigmoid is computed with 1/6 and 1/2 whatever its attributes say"),
    ("gelu-approximation", "Gelu by tanh where erf is asked for, and the other way about"),
    ("fast-exponential", "Exp by (1 + x/1024)**1024"),
    ("fast-tanh", "Tanh by a rational approximation of low order"),
    ("half-precision-sigmoid", "Sigmoid of float and double is computed in float16"),
    ("approximate-reciprocal", "division of floats by a reciprocal of low precision"),
    ("floor-division", "Div of integers rounds towards minus infinity"),
    ("remainder-sign", "Mod of integers takes its sign from the other operand"),
    ("half-away-from-zero", "Round takes halves away from zero instead of to even"),
    ("floor-as-truncation", "Floor rounds towards zero"),
    ("lost-last-operand", "Sum, Mean, Max and Min of three or more operands leave out the last"),
    ("xor-as-or", "Xor computes Or"),
    ("shift-direction", "BitShift shifts the other way"),
    ("scalar-slope", "PRelu uses its first slope for all elements"),
    ("square-as-double", "x ** 2 becomes x + x"),
    # element types
    ("dropped-cast", "of two casts in a row the first is left out"),
    ("rounding-cast", "a cast of floats to integers rounds to nearest"),
    ("saturating-cast", "a cast to narrower integers saturates instead of wrapping around"),
    ("full-byte-true", "a true that is cast to a number is 255"),
    ("narrowed-int64", "int64 is held in int32 between nodes"),
    ("narrowed-double", "double is held in float between nodes"),
    ("bfloat16-intermediate", "float is held in bfloat16 between nodes"),
    ("integers-in-float", "32-bit and 64-bit integers are added and multiplied in float"),
    # movement
    ("shifted-slice", "a Slice starts one element off"),
    ("forward-slice", "a Slice with a negative step gives its elements in forward order"),
    ("concat-order", "Concat joins its operands in reverse order"),
    ("split-offset", "the parts of a Split begin one element early"),
    ("swapped-axes", "a Transpose exchanges two axes of the same size"),
    ("dropped-transpose", "a Transpose only changes the shape"),
    ("column-major-reshape", "the last two axes of a Reshape are filled in the wrong order"),
    ("next-element", "indices of a gather are one too large"),
    ("clamped-index", "negative indices of a gather become 0"),
    ("repeat-for-tile", "Tile repeats each element instead of the whole"),
    ("depth-to-space-mode", "DepthToSpace mixes up DCR and CRD"),
    ("transposed-blocks", "SpaceToDepth mixes up the rows and columns of its blocks"),
    ("wrong-triangle", "Trilu keeps the other triangle"),
    ("ignored-diagonal", "Trilu and EyeLike ignore which diagonal is asked for"),
    ("misread-negative-axis", "axis -k is read as k - 1"),
    ("wrong-axis", "an operator works along the axis beside the right one"),
    ("edge-as-reflect", "Pad in mode edge reflects"),
    ("pad-with-zero", "Pad ignores the constant to pad with"),
    ("ignored-scatter-reduction", "scattered elements replace instead of being added or multiplied"),
    ("ignored-sequence-lengths", "ReverseSequence reverses the whole of each sequence"),
    ("one-hot-inverted", "OneHot exchanges its two values"),
    ("nearest-mode", "Resize rounds to the nearest pixel by another rule"),
    ("resize-coordinates", "Resize mixes up half_pixel and asymmetric coordinates"),
    ("wrong-buffer", "an operand is read from where a later value of the same type and shape lies"),
    ("merged-constants", "constants of the same type and shape are taken for the same one"),
    # contractions
    ("lost-bias", "the bias of Conv, ConvTranspose, Gemm or LayerNormalization is left out"),
    ("lost-tail", "the last term of a contraction is left out"),
    ("bfloat16-contraction", "the operands of a contraction are rounded to bfloat16"),
    ("float16-contraction", "the operands of a contraction are rounded to float16"),
    ("tf32-contraction", "the operands of a contraction are cut to the 11 bits of TensorFloat-32"),
    ("half-accumulator", "the result of a contraction passes through float16"),
    ("ignored-scale", "alpha and beta of Gemm are ignored"),
    ("flipped-transposition", "the transposition of a square operand of Gemm is misread"),
    ("transposed-result", "a square product comes out transposed"),
    ("stale-row", "the last row of a contraction holds the row before"),
    ("group-order", "the groups of a convolution are written in reverse order"),
    ("flipped-kernel", "the kernel of a convolution is turned about"),
    # windows
    ("shifted-padding", "the padding of Conv, pooling or Pad is off by one"),
    ("swapped-padding", "padding at the beginning and at the end are exchanged"),
    ("ignored-stride", "the stride of the first axis is ignored"),
    ("ignored-dilation", "dilations are ignored"),
    ("ignored-ceiling", "windows that ceil_mode adds are not computed"),
    ("padding-counts", "AveragePool misreads count_include_pad"),
    ("norm-order", "the order p of a norm is taken for 2"),
    ("maximum-from-zero", "a running maximum begins with 0"),
    # normalisations
    ("dropped-epsilon", "the epsilon of a normalisation is left out"),
    ("doubled-epsilon", "the epsilon of a normalisation is added twice"),
    ("epsilon-outside-root", "BatchNormalization adds epsilon to the root of the variance"),
    ("swapped-statistics", "BatchNormalization mixes up mean and variance"),
    ("one-pass-variance", "LayerNormalization computes the variance by E[x**2] - E[x]**2"),
    ("last-axis-only", "LayerNormalization over several axes normalises the last alone"),
    ("unbiased-variance", "LayerNormalization divides by n - 1"),
    ("unshifted-softmax", "Softmax does not take the maximum off before exp"),
    ("softmax-axis", "Softmax, LogSoftmax and Hardmax work along another axis"),
    ("merged-groups", "all groups of a GroupNormalization share their statistics"),
    ("ignored-local-constants", "alpha, beta and bias of LRN are taken for their defaults"),
    # reductions
    ("lost-last-element", "a reduction leaves out the last element of an axis"),
    ("neighbouring-axis", "the axis beside the right one is reduced"),
    ("lost-absolute-value", "ReduceL1 adds without taking absolute values"),
    ("mean-as-sum", "ReduceMean does not divide"),
    ("last-of-equals", "ArgMax and ArgMin misread select_last_index"),
    ("smallest-for-largest", "TopK misreads largest"),
    ("ignored-exclusive", "CumSum and CumProd ignore exclusive"),
    ("ignored-reverse", "CumSum and CumProd ignore reverse"),
    # what the caller gets
    ("scalar-as-vector", "a scalar output has shape [1]"),
    ("ignored-keepdims", "an output of a reduction lacks the axes that keepdims keeps"),
    ("narrowed-output", "an int64 output is handed over as int32"),
    ("exchanged-outputs", "the first two outputs are exchanged"),
    ("first-shape-kept", "a dynamic model's outputs keep the shapes of the first run"),
)

_OTHERS: tuple[tuple[str, str, str], ...] = (
    ("stale-output", "nondeterministic", "from the second run on the outputs are those of the run before"),
    ("race", "nondeterministic", "in one of four runs a tile of the outputs is not written"),
    ("uninitialised-tail", "nondeterministic", "the last element of each output is whatever was in memory"),
    ("kept-weights", "nondeterministic", "weights of the same name, type and shape are kept from model to model"),
    ("unordered-sum", "nondeterministic", "last bits differ from run to run"),
    ("lost-threads", "nondeterministic", "with more than one thread the last quarter of each output is lost"),
    ("crash-at-fusion", "crash", "SIGSEGV while an activation is fused with data movement"),
    ("abort-at-depth", "crash", "abort while a model of eight or more levels is compiled"),
    ("trap-at-run", "crash", "SIGFPE while a reduction of moved data runs"),
    ("endless-rewriting", "timeout", "two rewrites of data movement undo each other for ever"),
    ("deadlock", "timeout", "a model with Split or TopK waits for itself when it runs"),
    ("endless-allocation", "oom", "compiling a model with Tile or Expand takes memory without end"),
    ("leak", "oom", "each run keeps 4 MiB"),
    ("failed-assertion", "rejected", "an assertion fails while data movement follows an activation"),
    ("refused-concat", "rejected", "a Concat of three or more operands is called invalid"),
    ("slow-path", "slow", "optimised, an activation behind Add, Mul, MatMul or Conv takes milliseconds"),
    ("quadratic-time", "slow", "a dynamic model's time grows with the square of its inputs"),
    ("slow-compile", "slow", "optimising a model with a Concat takes twice as long with each node"),
)

_GRANTED = {"narrowed-int64": ("openvino",), "narrowed-double": ("openvino",)}

FAULTS: Mapping[str, Fault] = MappingProxyType({
    name: Fault(name, verdict, summary, _GRANTED.get(name, ()))
    for name, verdict, summary in (*((name, "wrong", summary) for name, summary in _WRONG), *_OTHERS)
})  # fmt: skip
"""All faults by name."""
