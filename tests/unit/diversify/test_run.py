"""Cases of a root become concrete models beside them."""

from __future__ import annotations

import json
from itertools import islice

import onnx
import pytest

from fuzz.case import find_cases, read_inputs, read_outputs, read_record, write_case
from fuzz.diversify import run
from fuzz.diversify.concrete import Dropped
from fuzz.diversify.replay import Unreplayable, replay
from fuzz.diversify.run import Request, Summary, concretes, diversify
from fuzz.diversify.solution import Solutions
from fuzz.errors import UsageError
from fuzz.generate.choices import Seeded
from fuzz.generate.graph import generate_graph
from fuzz.generate.run import generate_cases
from fuzz.generate.settings import Settings

MIXED = Settings(nodes=(2, 6), dynamic=None, dtypes=("float", "int64", "bool"))


@pytest.fixture
def root(tmp_path):
    generate_cases(tmp_path, MIXED, range(10))
    return tmp_path


def content(root):
    return {path.relative_to(root): path.read_bytes() for path in root.glob("cases/**/*") if path.is_file()}


def test_models_are_cases_of_the_root_and_static(root):
    summary = diversify(root, Request(3))
    made = [case for case in find_cases(root) if "of" in read_record(case)]
    assert len(made) == summary.models >= 8
    assert summary.cases + summary.skipped.total() == 10
    assert sum(summary.aims.values()) == summary.models
    for case in made:
        record = read_record(case)
        assert case.id.rpartition("-")[0] == record["of"]
        assert record["aim"] in summary.aims
        model = onnx.load(case.model_path)
        for port in (*model.graph.input, *model.graph.output):
            names = {dim.dim_param for dim in port.type.tensor_type.shape.dim}
            assert all(not name or name.startswith("u") for name in names)  # u: the values decide
        assert len(read_inputs(case, case.data_sets[0])) == len(model.graph.input)
        assert len(read_outputs(case, case.data_sets[0])) == len(model.graph.output) > 0


def test_sizes_of_one_case_differ(root):
    diversify(root, Request(6))
    records = [record for case in find_cases(root) if "of" in (record := read_record(case))]
    sizes = [(record["of"], *record["sizes"].items()) for record in records]
    assert len(set(sizes)) == len(sizes) >= 10


def test_the_same_seed_makes_the_same_bytes_with_any_number_of_processes(tmp_path):
    for name, jobs in (("one", 1), ("two", 2)):
        generate_cases(tmp_path / name, MIXED, range(17))
        diversify(tmp_path / name, Request(2), jobs=jobs)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    before = content(tmp_path / "one")
    diversify(tmp_path / "one", Request(2, seed=1))
    assert content(tmp_path / "one") != before


def test_fewer_models_are_the_first_of_more(root):
    diversify(root, Request(2))
    few = content(root)
    diversify(root, Request(4))
    more = content(root)
    assert {path: more[path] for path in few} == few
    assert len(more) > len(few)


def test_concrete_models_are_not_made_concrete_again(root):
    first = diversify(root, Request(1))
    again = diversify(root, Request(1))
    assert again.skipped["it is itself a concrete model of another case"] == first.models
    assert (again.models, again.aims) == (first.models, first.aims)


def test_static_forms_of_dynamic_cases(root):
    summary = diversify(root, Request(0, specialise=True))
    dynamic = {case.id: case for case in find_cases(root) if read_record(case).get("open")}
    made = [case for case in find_cases(root) if "-static" in case.id]
    assert summary.models == len(made) == summary.aims["static"] == sum(len(c.data_sets) for c in dynamic.values()) > 1
    for case in made:
        record = read_record(case)
        origin, number = dynamic[record["of"]], record["data_set"]
        assert read_inputs(case, case.data_sets[0]) == read_inputs(origin, origin.data_sets[number])
        assert read_outputs(case, case.data_sets[0]) == read_outputs(origin, origin.data_sets[number])
        model = onnx.load(case.model_path)
        assert not any(dim.dim_param for port in model.graph.input for dim in port.type.tensor_type.shape.dim)


def test_static_forms_that_do_not_pass_are_counted(root, monkeypatch):
    def refuse(*_):
        raise Dropped("no reason at all")

    monkeypatch.setattr(run, "specialised", refuse)
    summary = diversify(root, Request(0, specialise=True))
    assert summary.models == 0
    assert summary.dropped["no reason at all"] > 1


def test_cases_that_cannot_be_replayed_are_counted(root):
    case = find_cases(root)[0]
    model, record = case.model_path.read_bytes(), read_record(case)
    settings = record["settings"]
    for name, other in (
        ("stranger", {}), ("later", {**record, "settings": {**settings, "unheard": 1}}),
        ("senseless", {**record, "settings": {**settings, "operators": ["Nonsense"]}}),
        ("older", {**record, "choices": record["choices"][:-2]}),
    ):  # fmt: skip
        write_case(root, name, model if name != "older" else model + b"\x2a\x00", [], other)
    summary = diversify(root, Request(1), only=("stranger", "later", "senseless", "older"))
    assert summary.models == summary.cases == 0
    assert summary.skipped == {"fuzz gen did not make it": 1, "another version of fuzz made it": 3}


def test_a_name_that_no_case_has(root):
    with pytest.raises(UsageError, match="did you mean 00000003"):
        diversify(root, Request(1), only=("0000003",))


def test_a_graph_without_free_sizes_has_no_models():
    graph, _ = generate_graph(Seeded(0), Settings(nodes=(1, 1), operators=("Relu",), rank=(0, 0)))
    tally = Summary("root")
    assert list(concretes(graph, Seeded(0), 4, tally)) == []
    assert tally.to_json()["skipped"] == {"no size of it is free": 1}


def test_what_the_solver_gives_up_is_counted(monkeypatch):
    monkeypatch.setattr(run, "Solutions", lambda *given: Solutions(*given, resources=1))
    graph, _ = generate_graph(Seeded(1), Settings(nodes=(1, 1), operators=("MatMul",), rank=(3, 3), dtypes=("float",)))
    tally = Summary("root")
    assert list(concretes(graph, Seeded(0), 30, tally))  # some need no solver
    assert tally.unanswered >= 10


def test_replay_gives_the_very_graph(root):
    for case in islice(find_cases(root), 5):
        record = read_record(case)
        origin = replay(record, case.model_path.read_bytes())
        assert [symbol.name for symbol in origin.open] == record["open"]
    with pytest.raises(Unreplayable, match="fuzz gen did not make it"):
        replay({"choices": []}, b"")


def test_a_summary_is_plain_json(root):
    found = diversify(root, Request(1)).to_json()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"root", "cases", "models", "aims", "skipped", "dropped", "unanswered", "seconds"}
