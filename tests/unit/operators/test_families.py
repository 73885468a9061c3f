"""What holds for every row of the numeric families: arithmetic, convolution, pooling, normalization."""

from __future__ import annotations

from itertools import chain

import onnx.defs
import pytest

from abstract.operators import (
    broadcast,
    cast,
    contraction,
    convolution,
    elementwise,
    linear,
    logic,
    loss,
    normalization,
    pooling,
    scaling,
    softmax,
)

FAMILIES = (elementwise, broadcast, logic, cast, linear, convolution, pooling, normalization, scaling, softmax,
            contraction, loss)  # fmt: skip
ROWS = tuple(chain.from_iterable(family.OPERATORS for family in FAMILIES))


def versions(row):
    """One opset a version that the row serves and ONNX Runtime knows."""
    found = {}
    for opset in range(max(13, row.since), 27):
        try:
            schema = onnx.defs.get_schema(row.name, opset)
        except onnx.defs.SchemaError:
            continue
        if not schema.deprecated:
            found[schema.since_version] = opset
    return tuple(found.values())


PAIRS = [(row.name, opset) for row in ROWS for opset in versions(row)]
NEWEST = [(row.name, versions(row)[-1]) for row in ROWS]

# Where ONNX Runtime lacks a type, ONNX's own operator would be asked, which is at fault there (docs/disputes.md).
SOUND = dict.fromkeys(
    ("Erf", "Gelu", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalLpPool", "ConvTranspose"),
    ("float", "int64", "bool"),
) | {
    # ONNX Runtime adds the bias in float32 (docs/disputes.md), and has Einsum of float, double, int32 and int64 alone.
    "Shrink": ("float", "int64"), "Einsum": ("float", "double", "int32"),
}  # fmt: skip
# ONNX Runtime's extremum of int64 beyond 2**31 is another element (docs/disputes.md).
SOUND |= dict.fromkeys(("Max", "Min"), ("float", "double", "int32", "uint64"))
# From this opset on nothing at hand runs all calls of it: tested by hand.
ALONE = {"LRN": 13, "GlobalLpPool": 22}
# No operand of floats whose error could move.
DISCRETE = ("Not", "BitwiseNot", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift")
FLOAT_ALONE = ("Celu", "MeanVarianceNormalization")
MIXED = ("Where",)


@pytest.mark.parametrize(("name", "opset"), [p for p in PAIRS if p[1] < ALONE.get(p[0], 99)])
def test_generated_calls_are_valid_and_a_runtime_agrees(laboratory, name, opset):
    laboratory.generated(name, opset, dtypes=SOUND.get(name, ()))


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
def test_symbolic_shapes_hold_at_other_sizes(laboratory, name, opset):
    assert laboratory.at_other_sizes(name, opset) >= 5


@pytest.mark.parametrize(("name", "opset"), [p for p in NEWEST if p[0] not in DISCRETE])
def test_errors_cover_every_move_of_the_inputs(laboratory, name, opset):
    dtypes = ("double", "int64", "bool") if name in MIXED else ("float",) if name in FLOAT_ALONE else ("double",)
    assert laboratory.perturbed(name, opset, dtypes=dtypes) >= 9


@pytest.mark.untraced
@pytest.mark.parametrize(("name", "opset"), NEWEST)
@pytest.mark.parametrize("element_type", ["float", "float16", "double"])
def test_legal_recomputations_stay_within_the_bound(laboratory, name, opset, element_type):
    laboratory.recomputed(name, opset, (element_type, "int64", "bool"), 5)
