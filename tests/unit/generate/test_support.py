"""What targets run: asked of all that are named, found by running single operators."""

from __future__ import annotations

import pytest

from backends.support import Support, load_support
from fuzz import probe as probing
from fuzz.execute.target import parse_target
from fuzz.generate import support
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.settings import Settings
from fuzz.generate.support import joint_demands, joint_support

TABLES = {
    "one": Support("one", "1", 21, {"Relu": {"float": "yes", "double": "yes", "int8": "partly"}}),
    "two": Support("two", "1", 21, {"Relu": {"float": "yes", "double": "no"}, "Abs": {"float": "yes"}}),
}


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setattr(support, "load_support", TABLES.get)
    joint_support.cache_clear()
    yield
    joint_support.cache_clear()


@pytest.mark.usefixtures("tables")
class TestJointSupport:
    def test_without_targets_everything_goes(self):
        assert joint_support(()) is None

    def test_what_all_of_them_run_in_full(self):
        both = joint_support(("one", "two"))
        kinds = ("float", "double", "int8", "bool")
        assert [both("Relu", kind) for kind in kinds] == [True, False, False, False]
        assert not both("Abs", "float")
        assert joint_support(("two",))("Abs", "float")

    def test_versions_options_and_devices_have_the_table_of_their_backend(self):
        for text in ("two==1.2", "two:opt=0", "two@cuda", "two==1.2:opt=0@cuda"):
            assert joint_support((text,))("Abs", "float")

    def test_a_target_without_a_table(self):
        wanted = r"^tvm@cuda has no support table: make one with `fuzz backends probe tvm`$"
        with pytest.raises(ValueError, match=wanted):
            joint_support(("one", "tvm@cuda"))

    def test_a_target_that_is_none(self):
        with pytest.raises(ValueError, match=r"^unknown backend 'three': known are .*onnxruntime"):
            joint_support(("one", "three"))


def test_tables_of_the_compilers_at_hand_leave_enough_to_generate_from():
    joint_support.cache_clear()
    both = joint_support(("onnxruntime", "tvm", "openvino"))
    assert both("Relu", "float")
    assert both("Conv", "float")
    assert not both("Relu", "string")


def test_probing_runs_each_operator_on_each_type(monkeypatch, tmp_path):
    monkeypatch.setattr(probing, "menu", lambda _settings: ("Relu", "Not", "Range"))
    told = []
    table = probing.probe(
        parse_target("reference"), tmp_path, dtypes=("float", "int64", "bool"), samples=2,
        progress=lambda: told.append(1),
    )  # fmt: skip
    assert table.backend == "reference"
    assert table.operators == {
        "Relu": {"float": "yes", "int64": "yes"}, "Not": {"bool": "yes"}, "Range": {"float": "yes", "int64": "yes"},
    }  # fmt: skip
    assert len(told) == 2 * 5


def test_probing_runs_pairs_of_types_where_an_operator_has_two(monkeypatch, tmp_path):
    monkeypatch.setattr(probing, "menu", lambda _settings: ("Cast",))
    table = probing.probe(parse_target("reference"), tmp_path, dtypes=("float", "bool"), samples=1)
    kinds = ("float", "bool")
    assert table.operators == {
        "Cast": {**dict.fromkeys(kinds, "yes"), **{f"{a},{b}": "yes" for a in kinds for b in kinds}}
    }


class TestPairs:
    table = Support("one", "1", 21, {
        "Cast": {"float": "partly", "float,int16": "no", "float,int32": "yes", "bool": "no", "bool,float": "no"},
        "Gather": {"float": "yes"},
    })  # fmt: skip

    @pytest.mark.parametrize(
        ("types", "ran"),
        [
            (("float", "int32"), True),
            (("float", "int16"), False),
            (("float", "int8"), False),
            (("float",), True),
            (("bool",), False),
            (("int8",), False),
        ],
    )
    def test_a_pair_counts_for_more_than_its_first_type(self, types, ran):
        assert self.table.supports("Cast", *types) is ran

    def test_without_pairs_the_first_type_decides(self):
        assert self.table.supports("Gather", "float", "int32")
        assert not self.table.supports("Gather", "double", "int32")

    def test_a_part_that_is_probed_anew_leaves_the_rest(self, tmp_path):
        part = Support("one", "1", 21, {"Cast": {"float,int16": "yes"}, "Abs": {"float": "yes"}})
        (tmp_path / "one.json").write_text(self.table.updated(part).to_json(), encoding="utf-8")
        made = load_support("one", tmp_path)
        assert made.supports("Cast", "float", "int16")
        assert made.supports("Cast", "float", "int32")
        assert made.supports("Gather", "float")
        assert made.supports("Abs", "float")

    @pytest.mark.parametrize(("version", "opset"), [("2", 21), ("1", 17)])
    def test_parts_of_two_versions_make_no_table(self, version, opset):
        wanted = rf"^the table is of one 1 at opset 21, not of {version} at {opset}: probe all of it anew$"
        with pytest.raises(ValueError, match=wanted):
            self.table.updated(Support("one", version, opset, {}))


def test_what_rows_demand_of_inputs_and_constants():
    assert joint_demands(("onnxruntime", "openvino"), Settings()) == Settings()
    made = joint_demands(("onnxruntime", "litert==1.29.24:threads=2"), Settings())
    assert made == Settings(needs_input=True, constant_data=False, computed_weights=False)
    assert joint_demands(("ncnn",), Settings()) == Settings(constant_data=False)
    both = joint_demands(("onnxruntime", "tvm"), Settings(refused=("Elu.alpha=0", "TopK.sorted=0")))
    assert both.refused == ("Elu.alpha=0", "TopK.sorted=0")


@pytest.mark.parametrize("targets", [("tvm",), ()])
def test_a_value_of_an_attribute_that_a_target_refuses_is_not_drawn(targets):
    """TVM's importer says that `sorted` of TopK has to be 1."""
    asked = Settings(nodes=(4, 4), operators=("TopK",), targets=targets)
    drawn = set()
    for seed in range(12):
        graph, _ = generate_graph(Seeded(seed), joint_demands(targets, asked), joint_support(targets))
        drawn.update(node.params.get("sorted", 1) for node in graph.nodes if node.operator == "TopK")
    assert drawn == ({1} if targets else {0, 1})
