"""Rules of integers and of places, proved for all values by z3: the negation of each has no solution.

Integers are bit-vectors, which wrap as the types of ONNX do; a place is an index into a tensor of any size.
"""

from __future__ import annotations

import pytest
import z3

from fuzz.relations.table import REWRITES

WIDTHS = (8, 16, 32, 64)


def proved(claim, *given) -> None:
    solver = z3.Solver()
    solver.set(rlimit=20_000_000)
    solver.add(*given, z3.Not(claim))
    assert solver.check() == z3.unsat, solver.model()



# name of the rewrite -> what it claims of bit-vectors a, b, c
INTEGERS = {
    "times-one": lambda a, *_: a * 1 == a,
    "plus-zero": lambda a, *_: a + 0 == a,
    "minus-zero": lambda a, *_: a - 0 == a,
    "over-one": lambda a, *_: z3.And(a / 1 == a, z3.UDiv(a, z3.BitVecVal(1, a.size())) == a),
    "xor-zero": lambda a, *_: a ^ 0 == a,
    "negated-twice": lambda a, *_: 0 - (0 - a) == a,
    "bitwise-not-twice": lambda a, *_: ~~a == a,
    "commuted": lambda a, b, *_: z3.And(
        a + b == b + a, a * b == b * a, a & b == b & a, a | b == b | a, a ^ b == b ^ a, (a == b) == (b == a)
    ),
    "comparison-turned": lambda a, b, *_: z3.And(
        (a < b) == (b > a), (a <= b) == (b >= a), z3.ULT(a, b) == z3.UGT(b, a), z3.ULE(a, b) == z3.UGE(b, a)
    ),
    "comparison-negated": lambda a, b, *_: z3.And(
        (a < b) == z3.Not(a >= b), (a > b) == z3.Not(a <= b), (a <= b) == z3.Not(a > b), (a >= b) == z3.Not(a < b),
        z3.ULT(a, b) == z3.Not(z3.UGE(a, b)), z3.UGT(a, b) == z3.Not(z3.ULE(a, b)),
    ),
    "doubled": lambda a, *_: z3.And(a * 2 - a == a, (a << 1) - a == a),
    "sum-as-additions": lambda a, b, c: (a + b) + c == a + (b + c),
    "reassociated": lambda a, b, c: z3.And(c + (a + b) == (c + a) + b, (a + b) + c == a + (b + c)),
    "difference-as-sum": lambda a, b, *_: a - b == a + (-b),
}  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name, width):
    assert name in REWRITES
    # Products of wide unknowns are beyond a bit-blaster; commutation is a rule of its own there.
    a, b, c = (z3.BitVec(letter, width) for letter in "abc")
    proved(INTEGERS[name](a, b, c))


@pytest.mark.parametrize("width", [8, 16])
def test_products_associate(width):
    # (ab)c = a(bc) modulo 2**width follows from the integers, where z3 knows it as a law of their ring.
    a, b, c = z3.Ints("a b c")
    assert z3.simplify((a * b) * c - a * (b * c), som=True).eq(z3.IntVal(0))
    proved(((a * b) * c) % 2**width == (a * (b * c)) % 2**width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_shift_is_a_product(width):
    x, by = z3.BitVec("x", width), z3.BitVec("by", width)
    for shift in range(width):
        proved(x << shift == x * z3.BitVecVal(1 << shift, width))
    proved(z3.BitVecVal(1, width) << by != 0, z3.ULT(by, width))


@pytest.mark.parametrize("width", WIDTHS)
def test_extremes_as_choices(width):
    a, b = z3.BitVec("a", width), z3.BitVec("b", width)
    for greater in (lambda p, q: p > q, z3.UGT):
        high, low = z3.If(greater(a, b), a, b), z3.If(greater(b, a), a, b)
        for value in (a, b):
            proved(z3.Not(greater(value, high)))
            proved(z3.Not(greater(low, value)))
        proved(z3.And(z3.Or(high == a, high == b), z3.Or(low == a, low == b)))
    # Abs, Relu and Clip through extremes; the least integer has no absolute value in its type and is its own here.
    least = z3.BitVecVal(1 << (width - 1), width)
    proved(z3.If(a > -a, a, -a) == z3.If(a < 0, -a, a), a != least)
    proved(z3.If(a > 0, a, 0) == z3.If(a < 0, 0, a))


def test_truth():
    a, b, c = z3.Bools("a b c")
    x, y = z3.Ints("x y")
    proved(z3.Not(z3.Not(a)) == a)
    proved(z3.And(a, b) == z3.Not(z3.Or(z3.Not(a), z3.Not(b))))
    proved(z3.Or(a, b) == z3.Not(z3.And(z3.Not(a), z3.Not(b))))
    proved(z3.Xor(a, b) == z3.Not(a == b))
    proved(z3.If(c, x, y) == z3.If(z3.Not(c), y, x))
    proved(z3.If(z3.BoolVal(val=True), x, y) == x)


@pytest.mark.parametrize(("narrow", "wide"), [(8, 16), (8, 32), (16, 32), (16, 64), (32, 64)])
def test_a_wider_type_loses_nothing(narrow, wide):
    x = z3.BitVec("x", narrow)
    for widened in (z3.SignExt(wide - narrow, x), z3.ZeroExt(wide - narrow, x)):
        proved(z3.Extract(narrow - 1, 0, widened) == x)


@pytest.mark.parametrize(("integer", "sort"), [(8, z3.Float32()), (16, z3.Float32()), (32, z3.Float64())])
def test_a_float_holds_the_integers_that_are_cast_to_it(integer, sort):
    x = z3.BitVec("x", integer)
    held = z3.fpSignedToFP(z3.RNE(), x, sort)
    proved(z3.fpToSBV(z3.RTZ(), held, z3.BitVecSort(integer)) == x)


@pytest.mark.parametrize("sort", [z3.Float16(), z3.Float32()])
def test_floats_that_are_rounded_nowhere(sort):
    """What counts as exact: x*1, x-0, x/1, -(-x), a-b = a+(-b), casts to a wider type and back."""
    x, y, mode = z3.FP("x", sort), z3.FP("y", sort), z3.RNE()
    number = z3.Not(z3.fpIsNaN(x))
    one, zero = z3.FPVal(1.0, sort), z3.fpPlusZero(sort)
    proved(z3.fpMul(mode, x, one) == x, number)
    proved(z3.fpDiv(mode, x, one) == x, number)
    proved(z3.fpSub(mode, x, zero) == x, number)
    proved(z3.fpNeg(z3.fpNeg(x)) == x, number)
    proved(z3.fpSub(mode, x, y) == z3.fpAdd(mode, x, z3.fpNeg(y)))
    proved(z3.fpFPToFP(mode, z3.fpFPToFP(mode, x, z3.Float64()), sort) == x, number)
    # Why x + 0 is for integers alone: of a negative zero it makes a positive one.
    solver = z3.Solver()
    solver.add(z3.Not(z3.fpAdd(mode, x, zero) == x), number)
    assert solver.check() == z3.sat


# --- places ------------------------------------------------------------------------------------------------------


def test_halves_are_joined_in_place():
    """slice-concat, split-concat, images-in-parts: element i comes from the first part or from the second."""
    i, k, n = z3.Ints("i k n")
    proved(z3.If(i < k, i, k + (i - k)) == i, i >= 0, i < n, k >= 0, k <= n)
    proved(z3.And(z3.Implies(i < k, i < k), z3.Implies(i >= k, z3.And(i - k >= 0, i - k < n - k))), i >= 0, i < n)


def test_padding_is_cut_off():
    i, n, before, after = z3.Ints("i n before after")
    place = i + before
    inside = z3.And(place >= before, place < before + n, place < before + n + after)
    proved(z3.And(inside, place - before == i), i >= 0, i < n, before >= 0, after >= 0)


def test_backwards_twice():
    i, n = z3.Ints("i n")
    proved(z3.And(n - 1 - (n - 1 - i) == i, n - 1 - i >= 0, n - 1 - i < n), i >= 0, i < n)
    # Gather by -1 - i counts from the end: -1 - i + n, and the Slice with step -1 turns it round.
    proved((n - 1 - i) + (-1) + 1 == n + (-1 - i), i >= 0, i < n)


def test_one_half_of_a_tensor_twice():
    i, n = z3.Ints("i n")
    place = n + i
    proved(z3.And(z3.If(place < n, place, place - n) == i, place < 2 * n), i >= 0, i < n)


def test_sizes_of_one_copy_places():
    """expand-same, tile-once: place i of the result reads place i, or i modulo the size."""
    i, n = z3.Ints("i n")
    proved(i % n == i, i >= 0, i < n)


@pytest.mark.parametrize("rank", [2, 3])
def test_a_permutation_and_its_inverse(rank):
    from itertools import permutations

    indices = z3.Ints(" ".join(f"i{axis}" for axis in range(rank)))
    for order in permutations(range(rank)):
        moved = [indices[axis] for axis in order]
        back = [moved[order.index(axis)] for axis in range(rank)]
        proved(z3.And(*(a == b for a, b in zip(back, indices, strict=True))))


def test_a_flat_tensor_keeps_its_places():
    """reshape-back, flatten-as-reshape, product-of-rows: row-major numbering is one to one."""
    i, j, m, n = z3.Ints("i j m n")
    flat = i * n + j
    inside = (i >= 0, i < m, j >= 0, j < n)
    proved(z3.And(flat >= 0), *inside, m > 0, n > 0)
    # Two pairs with one number are the same pair: n(i - k) = l - j and |l - j| < n.
    k, other = z3.Ints("k l")
    for size in (1, 2, 3, 7, 64):
        proved(z3.And(i == k, j == other), n == size, i * size + j == k * size + other, *inside, other >= 0, other < n)


def test_axes_one_after_the_other():
    """reduced-in-steps: when the greater axis goes first, the lesser keeps its number."""
    low, high = z3.Ints("low high")
    proved(z3.If(low > high, low - 1, low) == low, low >= 0, low < high)
