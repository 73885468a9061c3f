"""Shapes, opsets, saved models: the variants that are made, and those that are not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import version_converter

from backends.external import read_model
from fuzz.case import Case
from fuzz.judge.verdict import Verdict
from fuzz.relations.opset import CONVERTER, converted
from fuzz.relations.prepare import prepare, relation_names, variant_values
from fuzz.relations.save import with_external_data
from fuzz.relations.shapes import shape_variants
from fuzz.relations.variant import check

X = np.arange(12, dtype=np.float32).reshape(3, 4)
RELU = "g (float[3, 4] x) => (float[3, 4] y) { y = Relu (x) }"
DYNAMIC = "g (float[n, 4] x) => (float[n, 4] y) { y = Relu (x) }"
WEIGHED = """g (float[3, 4] x) => (float[12] y) <float[4] w = {1., 2., 3., 4.}, int64[1] s = {-1}>
             { z = Mul (x, w) y = Reshape (z, s) }"""


def dims(model: bytes, which: str = "input"):
    shape = getattr(onnx.ModelProto.FromString(model).graph, which)[0].type.tensor_type.shape
    return [dim.dim_param or dim.dim_value for dim in shape.dim]


def test_a_dynamic_model_has_a_static_form_for_each_data_set(original):
    variants = list(shape_variants(original(DYNAMIC, [X], [X[:2]])))
    assert [variant.relation for variant in variants] == ["static:specialised"] * 2
    assert [dims(v.model) for v in variants] == [[3, 4], [2, 4]]
    assert [dims(v.model, "output") for v in variants] == [[3, 4], [2, 4]]
    assert [view.data_set for v in variants for view in v.views] == [0, 1]


def test_sizes_of_a_static_model_become_symbols(original):
    (variant,) = shape_variants(original(RELU, [X]))
    assert (variant.relation, dims(variant.model)) == ("static:symbolic", ["n3", "n4"])
    check(onnx.ModelProto.FromString(variant.model))
    np.testing.assert_array_equal(variant_values(variant)[0][0].value, np.maximum(X, 0))


def test_a_size_that_the_graph_pins_stays(original):
    (variant,) = shape_variants(original(WEIGHED, [X]))
    assert dims(variant.model) == ["n3", 4]
    body = "g (float[3, 4] x) => (float[12] y) <int64[1] s = {12}> { y = Reshape (x, s) }"
    assert list(shape_variants(original(body, [X]))) == []


def test_external_data_holds_what_carries_data(original, tmp_path):
    case = original(WEIGHED, [X])
    variant = with_external_data(case, 0)
    alignments = {len(with_external_data(case, seed).files["weights.bin"]) for seed in range(6)}
    assert alignments == {16}
    model = onnx.ModelProto.FromString(variant.model)
    assert [bool(t.external_data) for t in model.graph.initializer] == [True, False]
    for name, content in variant.files.items():
        (tmp_path / name).write_bytes(content)
    taken_in = read_model(variant.model, str(tmp_path))
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(taken_in.graph.initializer[0]), [1, 2, 3, 4])
    assert onnx.ModelProto.FromString(variant.content) == case.base.model
    assert with_external_data(original(RELU, [X]), 0) is None


def test_a_newer_opset(original):
    variant = converted(original(RELU, [X]), 0)
    assert variant.tool == CONVERTER
    assert variant.place.startswith("converted from opset 17 to ")
    model = onnx.ModelProto.FromString(variant.model)
    check(model)
    assert model.opset_import[0].version > 17
    newest = original(RELU, [X], opset=onnx.defs.onnx_opset_version())
    assert converted(newest, 0) is None


@pytest.mark.parametrize(
    ("text", "word"), [("No Adapter To Version 18", "unsupported"), ("Assertion `a == b` failed", "rejected")]
)
def test_a_refusal_of_the_converter_is_its_own(original, monkeypatch, text, word):
    def refuse(model, target):
        raise RuntimeError(text)

    monkeypatch.setattr(version_converter, "convert_version", refuse)
    verdict = converted(original(RELU, [X]), 0)
    assert isinstance(verdict, Verdict)
    assert (verdict.target, verdict.verdict, verdict.oracle) == (CONVERTER, word, "opset")
    assert text in verdict.message


@pytest.fixture
def case(tmp_path, write):
    def make(body: str, *data_sets, opset: int = 17) -> Case:
        write(tmp_path, "case", body, *data_sets, opset=opset)
        folder = tmp_path / "case"
        return Case("case", folder, folder / "model.onnx", tuple(sorted(folder.glob("test_data_set_*"))))

    return make


def test_a_wrong_conversion_is_the_converters_finding(case, plan, monkeypatch):
    def wrongly(model, target):
        result = onnx.ModelProto()
        result.CopyFrom(model)
        result.opset_import[0].version = target
        result.graph.node[0].op_type = "Neg"
        return result

    monkeypatch.setattr(version_converter, "convert_version", wrongly)
    prepared = prepare(case(RELU, [X]), plan("opset"))
    (verdict,) = prepared.verdicts
    assert (verdict.target, verdict.verdict) == (CONVERTER, "wrong")
    assert "the reference parts on output 'y'" in verdict.message
    assert prepared.variants == []


def test_a_right_conversion_is_told_and_used(case, plan):
    prepared = prepare(case(RELU, [X]), plan("opset"))
    assert [(v.target, v.verdict) for v in prepared.verdicts] == [(CONVERTER, "ok")]
    assert [v.relation for v in prepared.variants] == ["opset"]


def test_only_what_is_asked_for_is_made(case, plan):
    made = case(WEIGHED, [X])
    every = prepare(made, plan(*(name for name in relation_names() if ":" not in name)))
    assert {v.relation.partition(":")[0] for v in every.variants} == {"static", "metamorphic", "opset", "save"}
    assert [v.relation for v in prepare(made, plan("save:external-data")).variants] == ["save:external-data"]
    assert prepare(made, plan("save:reload", "unoptimised", "static:specialised")).variants == []
    named = prepare(made, plan("metamorphic:identity", "metamorphic:times-one"))
    assert {v.relation for v in named.variants} == {"metamorphic:identity", "metamorphic:times-one"}


def test_a_case_that_is_not_valid_has_no_relations(case, plan):
    prepared = prepare(case("g (float[3, 4] x) => (float[3, 4] y) { y = NoSuch (x) }", [X]), plan("metamorphic"))
    assert prepared.variants == []
    assert prepared.notes[0].reason.startswith("the case cannot be used")


def test_a_variant_that_the_reference_finds_apart_is_not_used(case, plan, monkeypatch):
    from fuzz.relations import prepare as module
    from fuzz.relations.variant import Variant

    def broken(original, plan):
        model = onnx.ModelProto()
        model.CopyFrom(original.base.model)
        model.graph.node[0].op_type = "Neg"
        yield Variant("metamorphic:broken", "broken", model.SerializeToString(), original.whole(), (0,))
        model.graph.node[0].op_type = "NoSuch"
        yield Variant("metamorphic:broken", "broken", model.SerializeToString(), original.whole(), (0,))

    monkeypatch.setattr(module, "_MAKERS", {"metamorphic": broken})
    prepared = prepare(case(RELU, [X]), plan("metamorphic"))
    assert prepared.variants == []
    first, second = (note.reason for note in prepared.notes)
    assert first.startswith("the reference parts on output 'y'")
    assert second.startswith("ONNX's checker refuses the variant")


