"""The numbers of inputs and initializers: inside their range, representable in their type, the same everywhere."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from abstract.constraints import Infeasible
from abstract.dtypes import DTYPES, Kind, dtype
from abstract.graph import Recipe
from abstract.operator import EVERYWHERE, Domain
from fuzz.generate.choices import Seeded
from fuzz.generate.palettes import PALETTES
from fuzz.generate.tensors import MIXES, choose_recipe, fill, mix, rounded

NUMERIC = [d for d in DTYPES if d.kind not in {Kind.STRING, Kind.COMPLEX}]
DOMAINS = [
    EVERYWHERE,
    Domain(0.0),
    Domain(-1.0, 1.0),
    Domain(away=0.5),
    Domain(0.1, 0.7),
    Domain(0.3, 0.6),
    Domain(low=20.0),
    Domain(high=-20.0),
    Domain(1e-3, 1e3, 1e-3),
]


def representable(array, kind):
    return np.array_equal(rounded(array, kind), array)


def some_number(kind, domain):
    """Whether a number of moderate size lies in the domain."""
    grid = np.arange(-200, 200, 1 if not kind.is_float else 0.0625)
    grid = grid[(grid >= kind.minimum) & (grid <= kind.maximum)]
    return bool(np.any((grid >= domain.low) & (grid <= domain.high) & (np.abs(grid) >= domain.away)))


def recipes(kind, domain, choices, count, *palettes):
    """What is drawn in so many tries; a try may fail where hardly a number of the type lies in the domain."""
    for _ in range(count):
        try:
            yield choose_recipe(kind, domain, choices.integer, *palettes)
        except Infeasible:
            # The numbers of the narrow floats are few: none may lie within reach.
            assert (kind.is_float and kind.bits <= 8) or not some_number(kind, domain)


every_kind = pytest.mark.parametrize("kind", NUMERIC, ids=str)
every_domain = pytest.mark.parametrize(
    "domain", DOMAINS, ids=lambda d: f"{d.low}..{d.high}" + (f"off{d.away}" if d.away else "")
)


@every_kind
@every_domain
def test_drawn_numbers_lie_in_the_domain_and_the_type(kind, domain):
    for recipe in recipes(kind, domain, Seeded(7), 12):
        array = fill(recipe, (5, 7), kind)
        assert array.shape == (5, 7)
        assert array.dtype == kind.carrier
        assert representable(array, kind)
        if kind.kind is not Kind.BOOL:
            assert recipe.low <= array.min()
            assert array.max() <= recipe.high
            assert domain.low <= recipe.low <= recipe.high <= domain.high
            assert np.abs(array).min() >= domain.away


@pytest.mark.parametrize("palette", sorted(PALETTES.keys() - {"edges", "nonfinite"}))
@pytest.mark.parametrize("kind", ["float", "float16", "bfloat16", "float8e4m3fn"])
def test_rounding_never_steps_over_an_end(palette, kind):
    # No end of these ranges is a number of the narrow types.
    for low, high in ((0.1, 0.7), (-0.7, -0.1), (-0.3, 1.1)):
        array = fill(Recipe(palette, 3, low, high), (400,), dtype(kind))
        assert representable(array, dtype(kind))
        if palette not in {"whole", "quarters", "halves"}:
            assert low <= array.min()
            assert array.max() <= high


def test_palettes_look_different():
    low, high = -4.0, 4.0
    whole = fill(Recipe("whole", 1, low, high), (200,), dtype("float"))
    quarters = fill(Recipe("quarters", 1, low, high), (200,), dtype("float"))
    constant = fill(Recipe("constant", 5, low, high), (200,), dtype("float"))
    wide = fill(Recipe("wide", 1, low, high), (200,), dtype("float"))
    spread = fill(Recipe("spread", 1, low, high), (200,), dtype("float"))
    assert np.array_equal(whole, np.rint(whole))
    assert set(np.unique(whole)) == set(range(-4, 5))
    assert np.array_equal(quarters * 4, np.rint(quarters * 4))
    assert len(np.unique(quarters)) > len(np.unique(whole))
    assert len(np.unique(constant)) == 1
    assert len(np.unique(spread)) > 190
    assert np.abs(wide).min() < 0.05
    assert np.abs(wide).max() > 2


def test_wide_numbers_are_of_all_lengths():
    """Integers that float (2**24) and int32 lose, floats whose exponential overflows: seldom, but there."""
    bits = fill(Recipe("bits", 1, -(2.0**40), 2.0**40), (400,), dtype("int64"))
    lengths = np.frexp(np.abs(bits).astype(np.float64))[1]
    assert set(lengths) == set(range(1, 42))
    assert (bits < 0).any()
    assert fill(Recipe("bits", 1, 0, 200), (400,), dtype("uint8")).min() > 0
    assert set(fill(Recipe("bits", 1, 0, 1), (9,), dtype("int64"))) == {1}
    vast = fill(Recipe("vast", 1, -256.0, 256.0), (400,), dtype("float"))
    assert np.abs(vast).max() > 200
    assert np.abs(vast).min() < 0.01


@pytest.mark.parametrize(("kind", "beyond"), [("int64", 2**31), ("int32", 2**24), ("float", 89)])
def test_wide_numbers_are_drawn(kind, beyond):
    integer = Seeded(1).integer
    drawn = [fill(choose_recipe(dtype(kind), EVERYWHERE, integer), (8,), dtype(kind)) for _ in range(300)]
    assert 3 <= sum(bool(np.abs(array).max() > beyond) for array in drawn) <= 60


KINDS = ["float", "double", "float16", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float4e2m1"]


@pytest.mark.parametrize("kind", KINDS)
class TestExtremes:
    """What each of the palettes is there for is there, in every type that can hold it."""

    @staticmethod
    def drawn(palette, kind, low=-4.0, high=4.0):
        own = dtype(kind)
        array = fill(Recipe(palette, 5, low, high), (400,), own)
        assert representable(array, own)
        assert low <= array.min()
        assert array.max() <= high
        return array

    def test_zeros_have_both_signs_where_the_type_has_them(self, kind):
        zeros = self.drawn("zeros", kind)
        zeros = zeros[zeros == 0]
        assert zeros.size > 200
        negative = np.signbit(zeros)
        assert not negative.all()
        assert negative.any() == ("fnuz" not in kind)

    def test_subnormal_numbers(self, kind):
        own = dtype(kind)
        size = np.abs(self.drawn("subnormal", kind))
        tiny = size[(size > 0) & (size < own.smallest_normal)]
        assert tiny.size > 100
        assert tiny.min() == 2 * own.unit * own.smallest_normal
        assert (size >= own.smallest_normal).any()

    def test_halves(self, kind):
        halves = self.drawn("halves", kind)
        if own_precision(kind) > 2:
            assert set(np.unique(halves)) == {-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5}

    def test_few_numbers_come_again(self, kind):
        assert 1 <= len(np.unique(self.drawn("few", kind))) <= 3

    def test_neighbours(self, kind):
        alike = np.unique(self.drawn("alike", kind))
        assert 2 <= len(alike) <= 4
        assert np.ptp(alike) <= 8 * dtype(kind).unit * np.abs(alike).max() * 2

    def test_powers_of_two(self, kind):
        powers = self.drawn("powers", kind)
        assert set(np.frexp(np.abs(powers[powers != 0]))[0]) == {0.5}

    def test_one_outlier(self, kind):
        outlier = np.sort(np.abs(self.drawn("outlier", kind)))
        assert outlier[-1] == 4.0
        assert outlier[-2] <= 2.0**-7

    def test_the_end_of_the_type(self, kind):
        own = dtype(kind)
        large = self.drawn("large", kind, -own.maximum, own.maximum)
        assert large.max() == own.maximum
        assert large.min() == -own.maximum
        assert (np.abs(large) == own.maximum / 2).any()
        assert (np.abs(large) <= 4).any()


def own_precision(kind):
    return dtype(kind).precision


@pytest.mark.parametrize("kind", ["int4", "int8", "uint8", "int32", "int64", "uint64"])
def test_integers_have_their_ends(kind):
    own = dtype(kind)
    edges = fill(Recipe("edges", 1, float(own.minimum), float(own.maximum)), (200,), own)
    assert edges.dtype == own.carrier
    assert {int(edges.min()), int(edges.max())} == {own.minimum, own.maximum}
    assert {0, 1} <= set(edges.tolist())
    assert (own.minimum == 0) or (edges == -1).any()
    few = fill(Recipe("edges", 1, 0.0, 5.0), (50,), own)
    assert set(few.tolist()) <= {0, 1, 2, 3}
    with pytest.raises(Infeasible, match="no int8 lies"):
        fill(Recipe("edges", 1, 40.0, 50.0), (3,), dtype("int8"))


def test_half_of_the_mixes_are_plain_and_the_others_are_subsets():
    plain = mix(0)
    assert all(mix(number) == plain for number in range(0, MIXES // 2, 7))
    assert mix(MIXES // 2) == plain
    assert set(mix(MIXES - 1)) == set(PALETTES) - {"vast", "bits", "edges", "nonfinite"}
    assert len({mix(number) for number in range(MIXES)}) == MIXES // 2
    assert all(mix(number)[: len(plain)] == plain for number in range(MIXES))


@every_kind
@every_domain
def test_every_mix_keeps_to_the_domain(kind, domain):
    for recipe in recipes(kind, domain, Seeded(11), 60, mix(MIXES - 1)):
        array = fill(recipe, (41,), kind)
        assert representable(array, kind)
        if kind.kind is not Kind.BOOL:
            assert max(domain.low, float(kind.minimum)) <= array.min()
            assert array.max() <= min(domain.high, float(kind.maximum))
            assert np.abs(array.astype(np.float64)).min() >= domain.away


@pytest.mark.parametrize("kind", ["float", "double", "float16", "bfloat16"])
def test_nan_and_infinities_are_among_numbers_where_no_range_is_asked_for(kind):
    palettes = mix(3, nonfinite=True)
    assert set(palettes) == set(mix(3)) | {"nonfinite"}
    tensors = [fill(choose_recipe(dtype(kind), EVERYWHERE, Seeded(seed).integer, palettes), (60,), dtype(kind))
               for seed in range(60)]  # fmt: skip
    special = [array for array in tensors if not np.isfinite(array).all()]
    assert 15 <= len(special) <= 45
    for array in special:
        assert 2 <= np.count_nonzero(~np.isfinite(array)) <= 30
        assert representable(array[np.isfinite(array)], dtype(kind))
    every = np.concatenate(special)
    assert np.isnan(every).any()
    assert {np.inf, -np.inf} <= set(every.tolist())


@pytest.mark.parametrize(
    ("kind", "domain"), [("float", Domain(-1.0, 1.0)), ("float8e4m3fn", EVERYWHERE), ("int8", EVERYWHERE)]
)
def test_nor_where_a_range_or_the_type_has_no_place_for_them(kind, domain):
    for seed in range(60):
        recipe = choose_recipe(dtype(kind), domain, Seeded(seed).integer, mix(0, nonfinite=True))
        assert np.isfinite(fill(recipe, (60,), dtype(kind)).astype(np.float64)).all()


def test_complex_parts_stay_small():
    kind = dtype("complex64")
    for seed in range(200):
        array = fill(choose_recipe(kind, EVERYWHERE, Seeded(seed).integer, mix(MIXES - 1)), (8,), kind)
        assert np.abs(array).max() < 2048


def test_the_seed_makes_the_numbers_and_the_shape_cuts_them():
    first = fill(Recipe("spread", 1, 0, 1), (6,), dtype("float"))
    assert not np.array_equal(first, fill(Recipe("spread", 2, 0, 1), (6,), dtype("float")))
    assert np.array_equal(first, fill(Recipe("spread", 1, 0, 1), (2, 3), dtype("float")).ravel())
    assert np.array_equal(first[:4], fill(Recipe("spread", 1, 0, 1), (4,), dtype("float")))


def test_empty_and_scalar_tensors():
    assert fill(Recipe("spread", 1, 0, 1), (0, 3), dtype("float")).shape == (0, 3)
    for kind in ("float", "int8", "bool"):
        scalar = fill(Recipe("whole", 1, 0, 1), (), dtype(kind))
        assert isinstance(scalar, np.ndarray)
        assert scalar.shape == ()


def test_booleans_are_of_both_kinds():
    array = fill(choose_recipe(dtype("bool"), EVERYWHERE, Seeded(1).integer), (64,), dtype("bool"))
    assert array.dtype == np.bool_
    assert 0 < array.sum() < 64


def test_a_recipe_takes_three_decisions_whatever_the_type():
    for kind, domain in itertools.product(NUMERIC, DOMAINS[:3]):
        choices = Seeded(3)
        choose_recipe(kind, domain, choices.integer)
        choose_recipe(kind, domain, choices.integer, mix(MIXES - 1))
        assert len(choices.record) == 6


GOLDEN = {
    ("spread", "float"): "1f9bc1239a36a8a8",
    ("quarters", "float16"): "4cf15bc43f403c57",
    ("wide", "double"): "4b5d08329763a902",
    ("vast", "float"): "6b62adddef367149",
    ("bits", "int64"): "441b78503586c71a",
    ("whole", "int8"): "ebe876b00ef0af48",
    ("constant", "bfloat16"): "1b2620a7dafb8b9e",
    ("whole", "bool"): "78f981e8a2c17dee",
}


@pytest.mark.parametrize(("palette", "kind"), list(GOLDEN))
def test_the_same_bytes_on_every_machine_and_in_every_release(palette, kind):
    """These tensors are part of every case that was ever recorded: a new hash here breaks all replays."""
    array = fill(Recipe(palette, 20260101, -3.0, 5.5), (3, 41), dtype(kind))
    assert hashlib.sha256(array.tobytes()).hexdigest()[:16] == GOLDEN[palette, kind]
