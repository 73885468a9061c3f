"""The families: how they are drawn, and published figures of each, with where they are published."""

from __future__ import annotations

import json
from itertools import islice

import pytest

from corpus.catalogue import MODELS
from corpus.families import hiaml, inception, nasbench101, nasbench201, nasbench301, once_for_all, once_for_all_resnet
from corpus.families import two_path as two
from corpus.families.family import FamilyError
from corpus.families.layers import divisible
from corpus.families.statistics import MEASURED, measures, statistics
from corpus.families.table import FAMILIES, family
from corpus.family import load

torch = pytest.importorskip("torch", reason="networks are PyTorch's")

CONV3, CONV1, POOL = nasbench101.OPERATIONS


# --- all of them ------------------------------------------------------------------------------------------------------


def test_there_are_nine():
    assert list(FAMILIES) == [
        "nb101", "nb201", "nb301", "ofa_pn", "ofa_mbv3", "ofa_resnet", "hiaml", "inception", "two_path",
    ]  # fmt: skip
    with pytest.raises(FamilyError, match="no family 'nb102': nb101, nb201"):
        family("nb102")


@pytest.mark.parametrize("one", FAMILIES.values(), ids=FAMILIES)
def test_a_seed_draws_the_same_networks_and_none_twice(one):
    found = list(islice(one.samples(0), 40))
    assert [a.name for a in islice(one.samples(0), 40)] == [a.name for a in found]
    assert len({a.canonical for a in found}) == len({a.name for a in found}) == 40
    assert one.sample(0, 7) == found[7]
    assert {a.name for a in islice(one.samples(1), 40)} != {a.name for a in found}
    for architecture in found:
        again = json.loads(json.dumps(architecture.to_json()))
        assert one.architecture(again["choices"]).canonical == architecture.canonical


@pytest.mark.parametrize("one", FAMILIES.values(), ids=FAMILIES)
def test_a_small_network_runs_and_its_output_depends_on_its_input(one):
    network, image = one.build(one.sample(0, 3))
    with torch.no_grad():
        output, other = network(image), network(1 - image)
    assert output.shape == (1, 10)
    assert image.shape == (1, 3, one.small, one.small)
    assert torch.isfinite(output).all()
    assert not torch.equal(output, other)
    same, picture = one.build(one.sample(0, 3))
    assert torch.equal(picture, image)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), same.parameters(), strict=True))


def test_the_table_of_the_corpus_names_the_first_hundred_of_each():
    rows = load(MODELS / "nas_families" / "nas_families.py")
    assert len(rows) == 900
    for one in FAMILIES.values():
        for index, architecture in enumerate(islice(one.samples(0), 12)):
            row = rows[architecture.name]
            assert row.build == {"family": one.name, "index": index}
            assert (row.labels == {"test_group": ("small",)}) == (index < 4)


def test_what_is_listed_was_measured():
    listed = json.loads(MEASURED.read_text("utf-8"))
    assert list(listed) == list(FAMILIES)
    assert {row["networks"] for row in listed.values()} == {20}
    told = statistics(FAMILIES["hiaml"], count=20, seed=0)
    assert json.loads(json.dumps(told.to_json())) == listed["hiaml"]


# --- NAS-Bench-101 ----------------------------------------------------------------------------------------------------


def test_nasbench101_cells_are_within_the_published_limits():
    for architecture in islice(FAMILIES["nb101"].samples(5), 60):
        matrix, operations = architecture.choices["matrix"], architecture.choices["operations"]
        assert 2 <= len(matrix) <= 7
        assert sum(map(sum, matrix)) <= 9
        assert len(operations) == len(matrix) - 2
        assert all(any(row) for row in matrix[:-1])
        assert all(any(row[column] for row in matrix) for column in range(1, len(matrix)))


def test_nasbench101_cells_that_differ_by_the_published_hash():
    """All 423,624 (README of google-research/nasbench) take minutes: `campaign_families.py count` counts them."""
    seen = set()
    for vertices, total in ((2, 1), (3, 7), (4, 91)):
        seen |= set(map(nasbench101.fingerprint, nasbench101.cells(vertices)))
        assert len(seen) == total


def test_nasbench101_hash_is_that_of_isomorphic_cells():
    one = {"matrix": [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]], "operations": [CONV3, POOL]}
    other = {**one, "operations": [POOL, CONV3]}
    assert nasbench101.fingerprint(one) == nasbench101.fingerprint(other)
    assert nasbench101.fingerprint(one) != nasbench101.fingerprint({**one, "operations": [CONV3, CONV1]})


def test_nasbench101_prunes_what_leads_nowhere():
    matrix = [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert nasbench101.pruned(matrix, [CONV3, CONV1, POOL]) == {
        "matrix": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "operations": [CONV3],
    }  # fmt: skip
    assert nasbench101.pruned([[0, 0], [0, 0]], []) is None


def test_nasbench101_channels_of_the_published_example():
    """Figure 1 of arXiv 1902.09635, and three that reach the output share 128 channels as 43, 43 and 42."""
    fork = [[0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert nasbench101.channels(128, 128, fork) == [128, 43, 43, 42, 128]
    line = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert nasbench101.channels(8, 16, line) == [8, 16, 16, 16]


def test_nasbench101_parameters_of_a_published_cell():
    """NASBench.ipynb of google-research/nasbench prints this cell with trainable_parameters: 2694282."""
    rows = ["0111100", "0000001", "0000001", "0000001", "0000010", "0000001", "0000000"]
    cell = {"matrix": [list(map(int, row)) for row in rows], "operations": [CONV3, CONV1, POOL, CONV3, CONV3]}
    assert measures(lambda: nasbench101.layers(cell), 32).parameters == 2_694_282


# --- NAS-Bench-201 ----------------------------------------------------------------------------------------------------


def test_nasbench201_has_15625_cells():
    """Section 2.1 of arXiv 2001.00326: 5^6."""
    texts = {nasbench201.text(nasbench201.at(number)) for number in range(nasbench201.SIZE)}
    assert len(texts) == FAMILIES["nb201"].size == 15_625
    for number in (0, 1, 9_328, 15_624):
        choices = nasbench201.at(number)
        assert nasbench201.number(nasbench201.parsed(nasbench201.text(choices))) == number
    with pytest.raises(ValueError, match="no cell of NAS-Bench-201"):
        nasbench201.parsed("|nor_conv_5x5~0|")


NB201 = (
    # github.com/D-X-Y/NATS-Bench issue 36, {'flops': 113.95137, 'params': 0.802426}
    ("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 802_426, 113.95137),
    # The same, issue 24: index 0 (that order's first) has 15.64737 on CIFAR-10
    (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|", None,
        15.64737,
    ),
    # The ends of the range that the benchmark's users know: 0.073 to 1.53 million parameters
    ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306, None),
    (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_531_546,
        None,
    ),
)  # fmt: skip


@pytest.mark.parametrize(("text", "parameters", "millions"), NB201, ids=["issue36", "issue24", "least", "most"])
def test_nasbench201_parameters_and_operations_of_published_cells(text, parameters, millions):
    found = measures(lambda: nasbench201.layers(nasbench201.parsed(text)), 32)
    if parameters:
        assert found.parameters == parameters
    if millions:  # theirs counts the ten additions of the classifier's bias as well
        assert (found.multiply_adds + 10) / 1e6 == pytest.approx(millions, abs=1e-9)


# --- NAS-Bench-301 ----------------------------------------------------------------------------------------------------

DARTS_V2 = {
    "normal": "sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 1 skip_connect 0 "
    "skip_connect 0 dil_conv_3x3 2",
    "reduce": "max_pool_3x3 0 max_pool_3x3 1 skip_connect 2 max_pool_3x3 1 max_pool_3x3 0 skip_connect 2 "
    "skip_connect 2 max_pool_3x3 1",
}


def test_nasbench301_parameters_of_the_published_cell():
    """README of quark0/darts: 3.3M for the cell of cnn/genotypes.py at 36 channels and 20 layers."""
    words = {kind: text.split() for kind, text in DARTS_V2.items()}
    cell = {
        kind: [[[w[at], int(w[at + 1])], [w[at + 2], int(w[at + 3])]] for at in range(0, 16, 4)]
        for kind, w in words.items()
    }
    assert round(measures(lambda: nasbench301.layers(cell), 32).parameters / 1e6, 1) == 3.3


def test_nasbench301_cells_have_four_nodes_of_two_inputs():
    """arXiv 2008.09777: more than 10^18 architectures."""
    assert nasbench301.SIZE == (180 * 7**8) ** 2 > 10**18
    for architecture in islice(FAMILIES["nb301"].samples(3), 20):
        for cell in (architecture.choices["normal"], architecture.choices["reduce"]):
            assert len(cell) == 4
            for node, edges in enumerate(cell):
                (_, one), (_, other) = edges
                assert 0 <= one < other < node + 2
                assert {name for name, _ in edges} <= set(nasbench301.OPERATIONS)


# --- Once-for-All -----------------------------------------------------------------------------------------------------


def test_once_for_all_spaces_are_as_large_as_published():
    """Section 3.2 of arXiv 1908.09791: ((3*3)^2 + (3*3)^3 + (3*3)^4)^5, about 2 * 10^19."""
    assert FAMILIES["ofa_mbv3"].size == (9**2 + 9**3 + 9**4) ** 5
    assert 2e19 < FAMILIES["ofa_mbv3"].size < 2.3e19
    for name, units in (("ofa_mbv3", 5), ("ofa_pn", 6)):
        for architecture in islice(FAMILIES[name].samples(2), 20):
            stages = architecture.choices["units"]
            assert len(stages) == units
            assert all(2 <= len(stage) <= 4 for stage in stages[:5])
            assert {k for stage in stages for k, _ in stage} <= {3, 5, 7}
            assert {e for stage in stages for _, e in stage} <= {3, 4, 6}


def test_the_largest_mobilenet_has_the_published_parameters():
    """The same section: all subnets share 7.7M parameters."""
    space = once_for_all.MOBILENET
    found = measures(lambda: once_for_all.layers(space, once_for_all.largest(space), width=1.0), 224)
    assert round(found.parameters / 1e6, 1) == 7.7


def test_once_for_all_resnet_with_the_choices_of_resnet50d_is_resnet50d():
    """timm's resnet50d has 25,576,264 parameters; the README's subnets of 9.6M and 30.9M lie within the bounds."""
    plain = {
        "stem": True, "widths": [1.0] * 6, "stages": [[0.25] * depth for depth in (3, 4, 6, 3)],
    }  # fmt: skip
    assert measures(lambda: once_for_all_resnet.layers(plain), 224).parameters == 25_576_264
    least = {**once_for_all_resnet.uniform(0, 0.2, 0.65), "stem": False}
    most = once_for_all_resnet.uniform(2, 0.35, 1.0)
    bounds = [measures(lambda choices=choices: once_for_all_resnet.layers(choices), 128) for choices in (least, most)]
    assert bounds[0].parameters < 9.6e6
    assert bounds[1].parameters > 30.9e6
    for architecture in islice(FAMILIES["ofa_resnet"].samples(2), 20):
        depths = [len(stage) for stage in architecture.choices["stages"]]
        pairs = zip(depths, ((2, 4), (2, 4), (4, 6), (2, 4)), strict=True)
        assert all(least <= depth <= most for depth, (least, most) in pairs)


def test_widths_are_multiples_of_eight_that_lose_at_most_a_tenth():
    assert [divisible(value) for value in (3, 41.6, 51.2, 166.4, 20)] == [8, 40, 48, 168, 24]


# --- HiAML, Inception, Two-Path ---------------------------------------------------------------------------------------

HIAML = {
    "a22": "01 12 14 23 34", "z": "01 12 13 23", "b23": "01 03 12 23", "j30": "01 03 12 23", "g30": "01 02 12 14 23 34",
    "r30": "01 02 04 12 13 24 34", "l20": "01 12 23", "t20": "01 02 13 23", "t31": "01 03 04 12 23 24 34",
    "src0": "01 12 14 23 34", "src1": "01 02 14 23 34", "src3": "01 02 15 23 34 45", "src7": "01 12 14 23 34",
    "src8": "01 12 14 23 34",
}  # fmt: skip
"""The edges that GENNAPE's hiaml_two_path/operations.py names for each block."""


def test_hiaml_blocks_have_the_published_edges():
    assert set(hiaml.BLOCKS) == set(HIAML)
    for name, vertices in hiaml.BLOCKS.items():
        edges = {f"{source}{target}" for target, vertex in enumerate(vertices, 1) for source in vertex.sources}
        assert sorted(edges) == sorted(HIAML[name].split()), name


def test_hiaml_has_38416_networks():
    """make_new_family_cgs.py of GENNAPE: 14 blocks ^ 4 stages = 38k."""
    assert FAMILIES["hiaml"].size == 14**4 == 38_416
    for number in (0, 1, 38_415):
        assert hiaml.number(hiaml.at(number)) == number


@pytest.mark.parametrize("name", hiaml.BLOCKS)
def test_a_hiaml_block_halves_the_size_where_it_is_told_to(name):
    image = torch.rand(1, 4, 8, 8)
    assert hiaml.block(name, 4, 8, 2).eval()(image).shape == (1, 8, 4, 4)
    assert hiaml.block(name, 4, 4, 1).eval()(image).shape == (1, 4, 8, 8)


def test_two_path_limits():
    """constants.py of GENNAPE's hiaml_two_path."""
    assert (len(two.CONVOLUTIONS), len(two.SUPPORTS)) == (8, 5)
    for architecture in islice(FAMILIES["two_path"].samples(4), 40):
        paths = architecture.choices["paths"]
        assert len(paths) == 2
        for path in paths:
            assert 2 <= len(path["blocks"]) <= 4
            assert len(path["reductions"]) == 2
            for names in path["blocks"]:
                assert 1 <= len(names) <= 3
                assert sum(name in two.SUPPORTS for name in names) <= 1
                assert any(name in two.CONVOLUTIONS for name in names)


def test_inception_limits():
    """constants.py of GENNAPE's inception."""
    assert (len(inception.CONVOLUTIONS), len(inception.SUPPORTS)) == (8, 4)
    for architecture in islice(FAMILIES["inception"].samples(4), 40):
        assert len(architecture.choices["stages"]) == 4
        for stage in architecture.choices["stages"]:
            paths = stage["paths"]
            counts = [len(path["operations"]) for path in paths]
            assert 2 <= stage["blocks"] <= 6
            assert 1 <= len(paths) <= 4
            assert sum(counts) <= inception.MOST[len(paths)]
            assert min(counts) >= inception.LEAST[len(paths)]
            assert sum(path["quarters"] for path in paths) == 4
            assert all(sum(name in inception.SUPPORTS for name in path["operations"]) <= 1 for path in paths)
