"""Small standard models, one operator each, plain or with one feature: what a target gets wrong of them is its profile.

Names are ``Operator``, ``Operator[feature]``, ``Operator:type``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from fuzz.triage.probe import Probe, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BATTERY"]

_M: Shape = (3, 4)
_WIDE: Shape = (6, 7)  # of bits more are needed until nothing agrees by chance
_ROW: Shape = (1, 4)
_IMAGE: Shape = (1, 2, 5, 6)
_CHANNELS: tuple[Shape, ...] = ((2,), (2,), (2,))


def _unary() -> list[Probe]:
    activations = (
        "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Softplus",
        "Softsign", "Tanh", "ThresholdedRelu",
    )  # fmt: skip
    others = (
        "Abs", "Asinh", "Atan", "Ceil", "Cos", "Erf", "Exp", "Floor", "Neg", "Reciprocal", "Round", "Sign", "Sin",
        "Sinh",
    )  # fmt: skip
    found = [Probe(name, "unary", (_M,)) for name in (*activations, *others)]
    held = ("Abs", "Cos", "Exp", "Neg", "Reciprocal", "Relu", "Sigmoid", "Sin", "Softplus", "Tanh")
    found += (Probe(name, "unary", (_M,), dtype="double") for name in held)
    found += (
        Probe(name, "unary", (_M,), feature="alpha", attributes={"alpha": 0.37}) for name in ("LeakyRelu", "Elu")
    )
    bounds = (np.float32(-1.1), np.float32(1.3))
    found += [
        Probe("Neg", "unary", (_M,), dtype="int64"),
        Probe("Clip", "unary", (_M, *bounds)),
        Probe("Clip", "unary", (_M, bounds[0]), feature="minimum"),
        Probe("Clip", "unary", (_M, *bounds), feature="constants", constants=2),
        Probe("PRelu", "arithmetic", (_M, _M)),
        Probe("PRelu", "arithmetic", (_M, (1, 1)), feature="one slope"),
        *(Probe(name, "unary", (np.arange(1, 13, dtype=np.float32).reshape(_M) / 7,)) for name in ("Log", "Sqrt")),
        Probe("Not", "logic", (_M,), dtype="bool"),
        Probe("BitwiseNot", "logic", (_M,), dtype="int32"),
        Probe("IsNaN", "unary", (np.array([1, np.nan, 2, 3], np.float32),)),
        Probe("IsInf", "unary", (np.array([1, np.inf, -np.inf, 3], np.float32),)),
        Probe("IsInf", "unary", (np.array([1, np.inf, -np.inf, 3], np.float32),), feature="one sign",
              attributes={"detect_negative": 0}),
        Probe("Shrink", "unary", (_M,), feature="alpha", attributes={"lambd": 0.7, "bias": 0.2}),
        Probe("ThresholdedRelu", "unary", (_M,), feature="alpha", attributes={"alpha": 0.37}),
        Probe("Celu", "unary", (_M,), feature="alpha", attributes={"alpha": 0.37}),
        Probe("Gelu", "unary", (_M,), feature="tanh", attributes={"approximate": "tanh"}),
        Probe("HardSigmoid", "unary", (_M,), feature="alpha", attributes={"alpha": 0.37, "beta": 0.11}),
        Probe("Round", "unary", (np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32),), feature="halves"),
    ]
    return found


def _binary() -> list[Probe]:
    compared = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    equals = np.array([1, 2, 3, 4], np.float32), np.array([1, 3, 2, 4], np.float32)
    found = [Probe(name, "arithmetic", (_M, _M)) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")]
    found += (Probe(name, "arithmetic", (_M, _M), dtype="int64") for name in ("Add", "Sub", "Mul", "Div", "Mod"))
    found += (Probe(name, "arithmetic", (_M, _M), dtype="double") for name in ("Add", "Sub", "Mul"))
    found += (Probe(name, "arithmetic", ((3, 3), (1, 3)), feature="broadcast") for name in ("Add", "Sub", "Mul"))
    found += (Probe(name, "arithmetic", (_M, _M, _M), feature="three") for name in ("Sum", "Mean", "Max", "Min"))
    found += (Probe(name, "comparison", (_M, _M)) for name in compared)
    found += (Probe(name, "comparison", equals, feature="equals") for name in compared)
    found.append(Probe("Equal", "comparison", equals, feature="equals"))
    found += (Probe(name, "logic", (_WIDE, _WIDE), dtype="bool") for name in ("And", "Or", "Xor"))
    found += (Probe(name, "logic", (_WIDE, _WIDE), dtype="int32") for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"))
    positive = np.array([1.1, 0.6, 2.3, 1.7], np.float32)
    exponents = np.array([2.5, 0.3, -1.5, 0.7], np.float32)
    shifts = np.array([12, 33, 7, 100], np.uint8), np.array([1, 2, 1, 3], np.uint8)
    found += [
        Probe("Pow", "arithmetic", (positive, exponents)),
        Probe("Pow", "arithmetic", (positive, np.float32(2)), feature="square"),
        Probe("Where", "selection", (np.arange(12).reshape(_M) % 3 == 0, _M, _M)),
        Probe("Where", "selection", (np.arange(12).reshape(_M) % 3 == 0, _M, _M), feature="constants", constants=2),
        Probe("Sum", "arithmetic", (_M, _M, _M), feature="three, constants", constants=2),
        Probe("BitShift", "logic", shifts, attributes={"direction": "LEFT"}, dtype="uint8"),
        Probe("BitShift", "logic", shifts, feature="right", attributes={"direction": "RIGHT"}, dtype="uint8"),
    ]
    return found


def _casts() -> list[Probe]:
    wide = np.array([3, 200, -5, 70000, -129], np.int64)
    into = {"int32": 6, "int8": 3, "uint8": 2, "float": 1, "bool": 9}
    return [
        *(Probe("Cast", "cast", (_M,), feature=f"to {k}", attributes={"to": into[k]}) for k in ("int32", "bool")),
        *(
            Probe("Cast", "cast", (wide,), feature=f"int64 to {k}", attributes={"to": into[k]})
            for k in ("int32", "int8")
        ),
        *(
            Probe("Cast", "cast", (_M,), feature=f"to {k}", attributes={"to": into[k]}, dtype="bool")
            for k in ("float", "int32", "uint8")
        ),
        *(
            Probe("CastLike", "cast", (_M, np.zeros(1, into)), feature=f"to {name}", dtype="bool")
            for name, into in (("float", np.float32), ("int32", np.int32))
        ),
        Probe("CastLike", "cast", (wide, np.zeros(1, np.int8)), feature="int64 to int8"),
        Probe("CastLike", "cast", (_M, np.zeros(1, np.int32)), feature="to int32"),
    ]


def _movement() -> list[Probe]:
    cube: Shape = (4, 3, 4)
    index = np.array([[0, 1, 1, 0]] * 3, np.int64)
    negative = np.array([-1, 0, -2], np.int64)
    block = {"blocksize": 2}
    return [
        Probe("Slice", "slice", ((6, 5),), ([1, 1], [5, 4], [0, 1])),
        Probe("Slice", "slice", ((6, 5),), ([4], [0], [0], [-1]), feature="negative step"),
        Probe("Concat", "join", (_M, _M), attributes={"axis": 0}),
        Probe("Concat", "join", (_M, _M), feature="negative axis", attributes={"axis": -1}),
        Probe("Split", "split", ((6, 4),), ([2, 4],), outputs=2),
        Probe("Split", "split", ((4, 6),), ([2, 4],), feature="negative axis", outputs=2, attributes={"axis": -1}),
        Probe("Transpose", "transpose", (_M,)),
        Probe("Transpose", "transpose", (cube,), feature="equal sizes", attributes={"perm": [2, 1, 0]}),
        Probe("Transpose", "transpose", ((2, 3, 4),), feature="three axes", attributes={"perm": [1, 2, 0]}),
        Probe("Reshape", "reshape", (_M,), ([2, 6],)),
        Probe("Gather", "gather", (_M, np.array([0, 1, 0], np.int64)), attributes={"axis": 0}),
        Probe("Gather", "gather", (_M, negative), feature="negative index"),
        Probe("Gather", "gather", (_M, negative % 3), feature="negative axis", attributes={"axis": -1}),
        Probe("GatherElements", "gather", (_M, index), attributes={"axis": 0}),
        Probe("GatherElements", "gather", (_M, -1 - index), feature="negative index"),
        Probe("GatherND", "gather", (_M, np.array([[0, 1], [1, 2]], np.int64))),
        Probe("GatherND", "gather", (_M, np.array([[-1, 1], [1, -2]], np.int64)), feature="negative index"),
        Probe("Tile", "repeat", (_M,), ([2, 1],)),
        Probe("Expand", "repeat", (_ROW,), ([3, 4],)),
        Probe("DepthToSpace", "blocks", ((1, 8, 2, 3),), attributes=block),
        Probe("DepthToSpace", "blocks", ((1, 8, 2, 3),), feature="CRD", attributes={**block, "mode": "CRD"}),
        Probe("SpaceToDepth", "blocks", ((1, 2, 4, 6),), attributes=block),
        Probe("Trilu", "triangle", ((4, 4),)),
        Probe("Trilu", "triangle", ((4, 4),), (1,), feature="diagonal"),
        Probe("EyeLike", "triangle", ((4, 4),)),
        Probe("EyeLike", "triangle", ((4, 4),), feature="diagonal", attributes={"k": 1}),
        Probe("Pad", "pad", (_M,), ([1, 0, 2, 1],), feature="padding"),
        Probe("Pad", "pad", (_M,), ([1, 1, 1, 1],), feature="padding, edge", attributes={"mode": "edge"}),
        Probe("Pad", "pad", (_M, np.array([1, 1, 1, 1], np.int64), np.float32(2.7)), feature="padding, value"),
        Probe("ScatterElements", "scatter", (_M, index[:, :2], (3, 2)), attributes={"axis": 0}),
        Probe("ScatterElements", "scatter", (_M, index[:, :2], (3, 2)), feature="negative axis",
              attributes={"axis": -1}),
        Probe("ScatterND", "scatter", (_M, np.array([[1], [0]], np.int64), (2, 4))),
        Probe("Flatten", "reshape", ((2, 3, 4),), attributes={"axis": 2}),
        Probe("Flatten", "reshape", ((2, 3, 4),), feature="negative axis", attributes={"axis": -1}),
        Probe("Unsqueeze", "reshape", (_M,), ([1],)),
        Probe("Squeeze", "reshape", ((3, 1, 4),), ([1],)),
        Probe("CenterCropPad", "slice", ((6, 5),), ([4, 7],)),
        Probe("Compress", "gather", (_M, np.array([True, False, True])), attributes={"axis": 0}),
        Probe("ScatterElements", "scatter", (_M, index[:, :2], (3, 2)), feature="sum", attributes={"reduction": "add"}),
        Probe("ScatterND", "scatter", (_M, np.array([[1], [0]], np.int64), (2, 4)), feature="sum",
              attributes={"reduction": "add"}),
        Probe("ReverseSequence", "sequence", ((5, 3), np.array([2, 3, 4], np.int64))),
        Probe("ReverseSequence", "sequence", ((5, 3), np.array([5, 5, 5], np.int64)), feature="whole"),
        Probe("OneHot", "one hot", (np.array([0, 2, 1], np.int64), np.int64(4), np.array([0.3, 1.7], np.float32))),
        Probe("Shape", "shape", (_M,)),
        Probe("Size", "shape", (_M,)),
    ]  # fmt: skip


def _contraction() -> list[Probe]:
    small = np.array([[1.3337, -3.17e-6], [0.618034, 2.236068]], np.float32)
    identity = np.eye(2, dtype=np.float32)
    image, kernel = _IMAGE, (2, 2, 3, 3)
    square = ((3, 3), (3, 3))
    grouped = ((1, 4, 5, 5), (4, 2, 3, 3))
    return [
        Probe("MatMul", "contraction", (_M, (4, 3))),
        Probe("MatMul", "contraction", (_M, (4, 5)), feature="oblong"),
        Probe("MatMul", "contraction", (small, identity), feature="identity"),
        Probe("MatMul", "contraction", ((3, 1), (1, 3)), feature="one term"),
        Probe("MatMul", "contraction", (_M, (4, 3)), dtype="double"),
        Probe("Gemm", "contraction", (_M, (4, 5))),
        Probe("Gemm", "contraction", (small, identity), feature="identity"),
        Probe("Gemm", "contraction", (_M, (4, 5), (5,)), feature="bias"),
        Probe("Gemm", "contraction", (_M, (4, 5), (5,)), feature="scale", attributes={"alpha": 0.5, "beta": 2.0}),
        Probe("MatMul", "contraction", (_M, (4, 3)), feature="constants", constants=1),
        Probe("Gemm", "contraction", (_M, (4, 5)), feature="constants", constants=1),
        Probe("Gemm", "contraction", square, feature="transposed", attributes={"transB": 1}),
        Probe("Conv", "contraction", (image, kernel)),
        Probe("Conv", "contraction", (image, kernel, (2,)), feature="bias"),
        Probe("Conv", "contraction", (image, kernel), feature="constants", constants=1),
        Probe("Conv", "contraction", (image, (2, 2, 1, 1)), feature="one by one"),
        Probe("Conv", "contraction", (image, kernel), feature="padding", attributes={"pads": [1, 0, 1, 0]}),
        Probe("Conv", "contraction", (image, kernel), feature="padding, uneven", attributes={"pads": [1, 0, 0, 2]}),
        Probe("Conv", "contraction", (image, kernel), feature="stride", attributes={"strides": [2, 1]}),
        Probe("Conv", "contraction", (image, kernel), feature="dilation", attributes={"dilations": [2, 2]}),
        Probe("Conv", "contraction", grouped, feature="groups", attributes={"group": 2}),
        Probe("ConvTranspose", "contraction", (image, kernel)),
        Probe("ConvTranspose", "contraction", (image, kernel, (2,)), feature="bias"),
        Probe("ConvTranspose", "contraction", ((1, 4, 3, 3), (4, 2, 3, 3)), feature="groups", attributes={"group": 2}),
        Probe("ConvTranspose", "contraction", (image, kernel), feature="padding, uneven",
              attributes={"pads": [1, 0, 0, 2]}),
    ]  # fmt: skip


def _window() -> list[Probe]:
    kernel = {"kernel_shape": [2, 3]}
    found = []
    for name in ("AveragePool", "MaxPool", "LpPool"):
        for feature, more in (
            ("", {}), ("padding", {"pads": [1, 1, 1, 1]}), ("padding, uneven", {"pads": [1, 0, 0, 2]}),
            ("stride", {"strides": [2, 1]}), ("dilation", {"dilations": [2, 2]}),
            ("stride, ceiling", {"strides": [2, 2], "ceil_mode": 1}),
        ):  # fmt: skip
            found.append(Probe(name, "window", (_IMAGE,), feature=feature, attributes={**kernel, **more}))
    below = -1 - np.arange(60, dtype=np.float32).reshape(_IMAGE)
    counted = {**kernel, "pads": [1, 1, 1, 1], "count_include_pad": 1}
    return [
        *found,
        Probe("AveragePool", "window", (_IMAGE,), feature="count", attributes=counted),
        Probe("LpPool", "window", (_IMAGE,), feature="order", attributes={**kernel, "p": 1}),
        Probe("GlobalLpPool", "window", (_IMAGE,), feature="order", attributes={"p": 1}),
        *(Probe(name, "window", (_IMAGE,)) for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")),
        Probe("GlobalMaxPool", "window", (below,), feature="negative"),
        Probe("MaxPool", "window", (below,), feature="negative", attributes=kernel),
        *(
            Probe("Resize", "resize", (_IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 1.5], np.float32)),
                  feature=f"{mode} {coordinates}", constants=2,
                  attributes={"mode": mode, "coordinate_transformation_mode": coordinates})
            for mode in ("nearest", "linear") for coordinates in ("half_pixel", "asymmetric")
        ),
    ]  # fmt: skip


def _normalization() -> list[Probe]:
    variance = np.array([1.3, 0.4], np.float32)
    image, channel = _IMAGE, (2,)
    large = {"epsilon": 0.25}
    found = [
        Probe(name, "softmax", (_M,), feature=feature, attributes={"axis": axis})
        for name in ("Softmax", "LogSoftmax", "Hardmax") for feature, axis in (("", 0), ("negative axis", -1))
    ]  # fmt: skip
    found += (
        Probe("Softmax", "softmax", (_M,), feature="last axis", attributes={"axis": 1}, dtype=dtype)
        for dtype in ("float", "double")
    )
    found += [
        Probe("LpNormalization", "softmax", (_M,), feature=feature, attributes=attributes)
        for feature, attributes in (
            ("", {"axis": 0}), ("negative axis", {"axis": -1}), ("order", {"axis": 0, "p": 1}),
        )
    ]  # fmt: skip
    for feature, more in (("", {}), ("epsilon", large)):
        two = f"{feature}, two axes" if feature else "two axes"
        found += [
            Probe("BatchNormalization", "normalization", (image, channel, channel, channel, variance), feature=feature,
                  attributes=more),
            Probe("LayerNormalization", "normalization", (_M, (4,)), feature=feature, attributes=more),
            Probe("LayerNormalization", "normalization", ((2, 3, 4), (3, 4)), feature=two,
                  attributes={**more, "axis": 1}),
            Probe("InstanceNormalization", "normalization", (image, channel, channel), feature=feature,
                  attributes=more),
        ]  # fmt: skip
    found += [
        Probe("LayerNormalization", "normalization", (_M, (4,), (4,)), feature="bias"),
        Probe("LayerNormalization", "normalization", ((3, 4), (3, 4)), feature="all axes", attributes={"axis": 0}),
        Probe("GroupNormalization", "normalization", ((2, 4, 3), (4,), (4,)), attributes={"num_groups": 2}),
        Probe("BatchNormalization", "normalization", (image, channel, channel, channel, variance),
              feature="constants", constants=4),
        Probe("LayerNormalization", "normalization", (_M, (4,), (4,)), feature="bias, constants", constants=2),
        Probe("InstanceNormalization", "normalization", (image, channel, channel), feature="constants", constants=2),
        Probe("GroupNormalization", "normalization", ((2, 4, 3), (4,), (4,)), feature="constants", constants=2,
              attributes={"num_groups": 2}),
        Probe("GroupNormalization", "normalization", ((2, 4, 3), (4,), (4,)), feature="epsilon",
              attributes={"num_groups": 2, **large}),
        Probe("GroupNormalization", "normalization", ((2, 4, 3), (4,), (4,)), feature="one group",
              attributes={"num_groups": 1}),
        Probe("LRN", "normalization", ((1, 4, 3, 3),), attributes={"size": 3}),
        Probe("LRN", "normalization", ((1, 4, 3, 3),), feature="alpha",
              attributes={"size": 3, "alpha": 0.5, "beta": 0.5, "bias": 2.0}),
    ]  # fmt: skip
    return found


def _reduction() -> list[Probe]:
    names = ("Max", "Min", "Sum", "Mean", "L1", "L2", "SumSquare", "LogSumExp")
    found = [Probe(f"Reduce{name}", "reduction", ((3, 4, 4),), ([1],)) for name in names]
    found += (Probe("ReduceProd", "reduction", ((3, 4, 4),), ([1],), dtype=d) for d in ("float", "double"))
    found += (
        Probe(f"Reduce{name}", "reduction", ((3, 4, 4),), ([1],), feature="no axes kept", attributes={"keepdims": 0})
        for name in names
    )
    found += (
        Probe(f"Reduce{name}", "reduction", (_M,), feature="no axes kept, scalar", attributes={"keepdims": 0})
        for name in names
    )
    positive = np.arange(1, 49, dtype=np.float32).reshape(3, 4, 4) / 7
    found.append(Probe("ReduceLogSum", "reduction", (positive,), ([1],)))
    negative = -1 - np.arange(12, dtype=np.float32).reshape(_M)
    equals = np.array([[2, 1, 2], [1, 1, 0]], np.float32)
    found.append(Probe("ReduceMax", "reduction", (negative,), ([1],), feature="negative"))
    for name in ("ArgMax", "ArgMin"):
        found += (
            Probe(name, "choice", (given,), feature=feature, attributes=attributes)
            for feature, given, attributes in (
                ("", _M, {"axis": 0}), ("negative axis", _M, {"axis": -1}), ("equals", equals, {"axis": 1}),
                ("no axes kept", _M, {"axis": 0, "keepdims": 0}),
            )
        )  # fmt: skip
    found += [
        Probe("TopK", "choice", (_M,), ([2],), outputs=2),
        Probe("TopK", "choice", (_M,), ([2],), feature="smallest", outputs=2,
              attributes={"largest": 0}),
        Probe("CumSum", "cumulation", (_M,), (1,)),
        Probe("CumSum", "cumulation", (_M,), (1,), feature="exclusive", attributes={"exclusive": 1}),
        Probe("CumSum", "cumulation", (_M,), (1,), feature="reverse", attributes={"reverse": 1}),
        Probe("CumSum", "cumulation", (_M,), (-1,), feature="negative axis"),
    ]  # fmt: skip
    return found


BATTERY: Mapping[str, Probe] = MappingProxyType({
    probe.name: probe
    for make in (_unary, _binary, _casts, _movement, _contraction, _window, _normalization, _reduction)
    for probe in make()
})  # fmt: skip
"""All probes by name."""
